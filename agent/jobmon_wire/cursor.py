"""A place in a file that is followed: where a follow that was cut off goes on.

A file is known by its device and inode, a place in it by the bytes that stand
before it: a file that was truncated and has grown again holds others there.
Only their checksum travels.  The audit keeps what was asked for, and it must
not come to hold pieces of a job's output.  Nothing here opens a file.
"""

import re
from binascii import crc32

from jobmon_wire import limits
from jobmon_wire.tuples import NamedTuple

FINGERPRINT = 64  # bytes before a place that are compared; a line of a log, time stamp and all
_LONGEST = 2 * FINGERPRINT  # bytes of a fingerprint that a reader has lengthened
# Numbers as text: an inode may take 64 bits, of which JSON keeps 53.
_TEXT = re.compile("([0-9a-f]{1,16}):([0-9a-f]{1,16}):([0-9]{1,16}):([0-9]{1,3}):([0-9a-f]{8})")


class CursorError(ValueError):
    """The text names no place in a file."""


class Cursor(NamedTuple):
    """A place, and what it is known by."""

    device: int
    inode: int  # 0: there was no file yet, and the place is the start of the one that comes
    offset: int  # bytes from the start of the file
    length: int  # bytes before the place that the checksum covers
    checksum: int  # CRC-32: it finds changes, and what is changed on purpose deceives its own job's owner

    @classmethod
    def at(cls, device: int, inode: int, offset: int, before: bytes) -> "Cursor":
        """The place that has these bytes before it."""
        return cls(device, inode, offset, len(before), crc32(before) & 0xFFFFFFFF)

    @classmethod
    def read(cls, text: object) -> "Cursor":
        """From what was received.

        Raises:
            CursorError: it is none.
        """
        found = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise CursorError("a cursor as a NOTE of tail gives it was expected")
        device, inode, offset, length, checksum = found.groups()
        cursor = cls(int(device, 16), int(inode, 16), int(offset), int(length), int(checksum, 16))
        if cursor.offset > limits.INTEGER or cursor.length > min(_LONGEST, cursor.offset):
            raise CursorError("a cursor with a fingerprint as long as the file at most was expected")
        return cursor

    def text(self) -> str:
        """As it travels."""
        return "%x:%x:%d:%d:%08x" % self

    def fits(self, before: bytes) -> bool:
        """Whether these bytes are what stood before the place."""
        return len(before) == self.length and crc32(before) & 0xFFFFFFFF == self.checksum


#: The start of a file that is not there yet.
NOWHERE = Cursor.at(0, 0, 0, b"")


class Trail:
    """Follows a place over the bytes that come after it: the reader's end.

    Args:
        cursor: where the first byte will stand.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._start = cursor
        self._recent = b""  # the last bytes, at most FINGERPRINT
        self.offset = cursor.offset  # bytes from the start of the file

    def feed(self, data: bytes) -> None:
        """Go on over these bytes."""
        self.offset += len(data)
        self._recent = (self._recent + data[-FINGERPRINT:])[-FINGERPRINT:]

    def cursor(self) -> Cursor:
        """The place behind all that was fed."""
        start = self._start
        if len(self._recent) < FINGERPRINT:
            # Too few of its own: lengthen the fingerprint it began with.
            length, checksum = start.length + len(self._recent), crc32(self._recent, start.checksum)
            if length <= _LONGEST:
                return start._replace(offset=self.offset, length=length, checksum=checksum & 0xFFFFFFFF)
        return Cursor.at(start.device, start.inode, self.offset, self._recent)
