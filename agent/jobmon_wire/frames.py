"""Frames: what travels on a channel and in the answer to a query.

A frame is a header of 24 bytes and a payload::

    0     1      2         4             8                    24
    type  flags  reserved  length (u32)  request id (16)      payload

Network byte order.  Flags and the reserved field are zero and refused
otherwise.  Frames of one request carry its id; frames about the channel or the
job itself carry ``CHANNEL``.  Nothing here reads a socket: a ``FrameReader``
is fed bytes as they come.
"""

import struct

from jobmon_wire import limits
from jobmon_wire.documents import DocumentError, integer, read_object, write_document
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

_HEADER = struct.Struct("!BBHI16s")
HEADER_BYTES = _HEADER.size
CHANNEL = bytes(16)  # the request id of frames that belong to no request

REQUEST = 1  # server to agent; object: verb, arguments
CREDIT = 2  # u32: further bytes that its sender will take; down: of the answer, up: of what is typed
CANCEL = 3  # server to agent; empty: nobody reads the answer any more
PING = 4  # either way; eight bytes that PONG repeats
PONG = 5
DATA = 6  # agent to reader; bytes exactly as they stand in the file
RECORD = 7  # agent to reader; object: a row or a table of the answer
NOTE = 8  # agent to reader; object: kind and its figures, by verb: docs/protocol.md section 6
END = 9  # agent to reader; object: status, code, message; the last of a request
LOG = 10  # agent to server; object: at, text: one line of progress from the job
VITALS = 11  # agent to server; object: records.Vitals
GOODBYE = 12  # server to agent; object: reason, retry_after (s): come back later
OVER = 13  # agent to server; object: records.EndReport as far as it is known: the job has ended, the rest follows
INPUT = 14  # reader to agent; bytes for the verb's input, none: its end
RESIZE = 15  # reader to agent; object: rows, columns of the reader's screen
LEAVE = 16  # either way; empty: nobody asks, may the agent close the channel; the server: it may, no request follows

DOWN = frozenset([REQUEST, CREDIT, CANCEL, PING, PONG, GOODBYE, INPUT, RESIZE, LEAVE])
UP = frozenset([CREDIT, PING, PONG, DATA, RECORD, NOTE, END, LOG, VITALS, OVER, LEAVE])
ANSWER = frozenset([DATA, RECORD, NOTE, END])
METERED = frozenset([DATA, RECORD, NOTE])  # their payload uses up credit
TYPED = frozenset([INPUT, RESIZE])  # all their bytes use up credit, so that none is free, however small
DIALOGUE = ANSWER | frozenset([CREDIT])  # what comes back to a reader who types


class FrameError(ValueError):
    """The bytes are no frame of this protocol: drop the connection."""


class Frame(NamedTuple):
    """One message of a channel or of an answer."""

    type: int
    request: bytes  # 16 bytes
    payload: bytes

    def document(self) -> "Dict[str, Any]":
        """The object the payload holds.

        Raises:
            FrameError: the payload is no object within the limits.
        """
        try:
            return read_object(self.payload)
        except DocumentError as error:
            raise FrameError("frame %d: %s" % (self.type, error))

    def size(self) -> "Tuple[int, int]":
        """The rows and columns that a RESIZE frame tells.

        Raises:
            FrameError: it does not, or no screen has so many.
        """
        try:
            document = read_object(self.payload)
            rows, columns = integer(document, "rows"), integer(document, "columns")
        except DocumentError as error:
            raise FrameError("frame %d: %s" % (self.type, error))
        if not 0 < rows <= limits.SCREEN or not 0 < columns <= limits.SCREEN:
            raise FrameError("a screen of %d rows and %d columns" % (rows, columns))
        return rows, columns

    def credit(self) -> int:
        """The bytes a CREDIT frame grants."""
        if len(self.payload) != 4:
            raise FrameError("credit of %d bytes, 4 were expected" % len(self.payload))
        return int.from_bytes(self.payload, "big")


def write_frame(type: int, request: bytes = CHANNEL, payload: bytes = b"") -> bytes:
    """The bytes of one frame.

    Raises:
        FrameError: the payload is longer than ``limits.FRAME_PAYLOAD``.
    """
    if len(payload) > limits.FRAME_PAYLOAD:
        raise FrameError("payload of %d bytes, at most %d" % (len(payload), limits.FRAME_PAYLOAD))
    return _HEADER.pack(type, 0, 0, len(payload), request) + payload


def write_object(type: int, request: bytes, document: "Dict[str, Any]") -> bytes:
    """The bytes of one frame that holds an object."""
    return write_frame(type, request, write_document(document))


def write_credit(request: bytes, granted: int) -> bytes:
    """The bytes of a CREDIT frame for so many bytes more."""
    return write_frame(CREDIT, request, granted.to_bytes(4, "big"))


class FrameReader:
    """Cuts a stream of bytes into frames.

    Args:
        allowed: the types this end may receive, ``UP`` or ``DOWN`` or ``ANSWER`` and so on.
    """

    def __init__(self, allowed: "frozenset[int]") -> None:
        self._allowed = allowed
        self._buffer = bytearray()

    @property
    def is_empty(self) -> bool:
        """No part of a frame is waiting for its rest."""
        return not self._buffer

    def feed(self, data: bytes) -> "List[Frame]":
        """The frames that are whole now, in order.

        Raises:
            FrameError: unknown type, a set flag, or too long; raised before the
                payload is waited for.  The reader is of no use afterwards.
        """
        self._buffer += data
        return list(self._cut())

    def _cut(self) -> "Iterator[Frame]":
        start = 0
        try:
            while len(self._buffer) - start >= HEADER_BYTES:
                type_, flags, reserved, length, request = _HEADER.unpack_from(self._buffer, start)
                if type_ not in self._allowed:
                    raise FrameError("frame type %d is not expected here" % type_)
                if flags or reserved:
                    raise FrameError("frame %d: reserved bits are set" % type_)
                if length > limits.FRAME_PAYLOAD:
                    raise FrameError("payload of %d bytes, at most %d" % (length, limits.FRAME_PAYLOAD))
                end = start + HEADER_BYTES + length
                if len(self._buffer) < end:
                    break
                yield Frame(type_, request, bytes(self._buffer[start + HEADER_BYTES : end]))
                start = end
        finally:
            del self._buffer[:start]
