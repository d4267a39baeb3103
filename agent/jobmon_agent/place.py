"""A place in an open file: all before it has been read, or was not asked for.

The bytes that stand before it are remembered.  A smaller size, or other bytes
there, mean that the file was truncated, also when it has grown past the old
place since; then reading goes on from the start and that is told.  Holes are
told and not read.  Nothing here knows of names and of rotation.
"""

import errno
import os
import time

from jobmon_agent.source import BLOCK, Source
from jobmon_wire import frames
from jobmon_wire.cursor import FINGERPRINT, Cursor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Optional, Tuple, Union

    Answer = Iterator[Tuple[int, Union[bytes, Dict[str, Any]]]]

BACKLOG = 8 * 2**20  # bytes behind the writer at which a reader of the latest gives up the rest; 0.1 s of a fast disk
NEAR = 64 * 1024  # bytes from the end where it goes on; more than a screen
HOLE = 2**20  # bytes of a hole from which on it is told and not sent: four credit windows of zeros
_TICK = 20000000  # ns within which two changes of a file can bear the same time: two ticks of the slowest kernel


class Place:
    """Where one file is read.

    Args:
        source: the file; the place closes it.
        position: bytes from its start.
    """

    def __init__(self, source: Source, position: int = 0) -> None:
        self.source = source
        self.position = position
        self.missed = 0  # files that came before this one and were never read
        self.is_unsure = False  # whether there were more of them
        status = os.fstat(source.descriptor)
        self.identity = (status.st_dev, status.st_ino)
        self._before = b""
        self._seen: "Optional[Tuple[int, int, int]]" = None
        self._remember()

    def close(self) -> None:
        """Let go of the file."""
        self.source.close()

    def cursor(self) -> Cursor:
        """The place as a reader may name it later."""
        return Cursor.at(self.identity[0], self.identity[1], self.position, self._before)

    def note(self, kind: str, **facts: "Any") -> "Tuple[int, Dict[str, Any]]":
        """A NOTE after which the next byte is the one at this place."""
        return frames.NOTE, dict(facts, kind=kind, cursor=self.cursor().text())

    def resume(self, cursor: Cursor) -> bool:
        """Go to where a reader was; whether that is the same place still."""
        before = self.source.read(cursor.offset - cursor.length, cursor.length)
        if not cursor.fits(before):
            return False
        self.position = cursor.offset
        self._remember()
        return True

    def drain(self, is_latest: bool = False) -> "Answer":
        """Yield what is new, up to the size now: a job may write for ever.

        Args:
            is_latest: of a backlog, only the end is wanted.
        """
        end = self.source.size()
        while self._has_changed():
            before = len(self._before)
            # Old and new bytes in one read: no truncation can come between the look and the data.
            found = self.source.read(self.position - before)
            size = self.source.size()
            if size < self.position or found[:before] != self._before:
                self.position, self._before, self._seen, end = 0, b"", None, size
                yield self.note("truncated")
                continue
            if len(found) > before:
                yield self._pass(found[before:], size, is_latest)
            if len(found) == before or self.position >= end:
                return

    def _pass(self, data: bytes, size: int, is_latest: bool) -> "Tuple[int, Union[bytes, Dict[str, Any]]]":
        """Go on over the bytes that stand here; the frame that says so."""
        hole = 0 if data.strip(b"\0") else self._hole()
        if hole >= HOLE:
            self.position += hole
            self._before = bytes(FINGERPRINT)
            return self.note("hole", bytes=hole)
        if is_latest and size - self.position > BACKLOG:
            return self._skip_to_end(size)
        self.position += len(data)
        self._before = (self._before + data[-FINGERPRINT:])[-FINGERPRINT:]
        return frames.DATA, data

    def _remember(self) -> None:
        start = max(0, self.position - FINGERPRINT)
        self._before = self.source.read(start, self.position - start)

    def _has_changed(self) -> bool:
        """Whether a read is worth it: there is more, or what was read may have been rewritten."""
        status = os.fstat(self.source.descriptor)
        seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        is_as_before = seen == self._seen and status.st_size == self.position
        # A change in the same tick leaves no trace: such a look does not count as one.
        is_settled = status.st_mtime_ns < time.time() * 1e9 - _TICK
        self._seen = seen if is_settled else None
        return not is_as_before

    def _skip_to_end(self, size: int) -> "Tuple[int, Dict[str, Any]]":
        """Leave out all but the last bytes, from the start of a line."""
        start = self.position
        self.position = size - NEAR
        self.position += self.source.read(self.position, BLOCK).find(b"\n") + 1
        self._remember()
        return self.note("skipped", bytes=self.position - start, at=start)

    def _hole(self) -> int:
        """Bytes from here on that were never written."""
        try:
            # Reading is by position, so that the offset this moves is nobody's.
            return os.lseek(self.source.descriptor, self.position, os.SEEK_DATA) - self.position
        except OSError as error:
            return self.source.size() - self.position if error.errno == errno.ENXIO else 0
