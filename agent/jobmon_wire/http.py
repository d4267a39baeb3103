"""As much of HTTP/1.1 as an exchange of frames needs: heads of requests, chunks, and a response read as it comes.

``http.client`` costs 2 MB and cannot read a response while it still sends the
request, which is what a channel is, and a shell.  Nothing here reads a socket; a response
is fed bytes.  What two readers could take differently is refused.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

HEAD_BYTES = 16 * 1024  # bytes of a response's head; ours have 300
_LINE_BYTES = 256  # bytes of a line that tells a chunk's length
_HEX = frozenset(b"0123456789abcdefABCDEF")


class HttpError(Exception):
    """The peer does not speak HTTP/1.1 as it should: drop the connection."""


def request_head(path: str, host: str, agent: str, media_type: str, length: "Optional[int]") -> bytes:
    """The head of a POST; without a length the body comes in chunks."""
    body = "Transfer-Encoding: chunked" if length is None else "Content-Length: %d" % length
    lines = ("POST %s HTTP/1.1" % path, "Host: " + host, "User-Agent: " + agent, "Content-Type: " + media_type, body)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def chunk(data: bytes) -> bytes:
    """One chunk of a body; an empty one would end it, so nothing is sent then."""
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


class Response:
    """One response, as far as it has come.

    After ``feed``, ``status`` is 0 until the head is whole; ``is_complete``
    tells that the body is.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: "Dict[str, str]" = {}
        self.is_complete = False
        self._buffer = bytearray()
        self._left = 0  # bytes to come of the body, or of this chunk
        self._is_chunked = False
        self._is_in_chunk = False

    def feed(self, data: bytes) -> bytes:
        """The part of the body that has become known.

        Raises:
            HttpError: no HTTP, or more than was announced.
        """
        self._buffer += data
        if not self.status and not self._read_head():
            return b""
        body = self._read_chunks() if self._is_chunked else self._take()
        if not self._is_chunked and not self._left:
            self.is_complete = True
        if self.is_complete and self._buffer:
            raise HttpError("%d bytes follow the response" % len(self._buffer))
        return body

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > HEAD_BYTES:
            if len(self._buffer) > HEAD_BYTES:
                raise HttpError("a head of more than %d bytes" % HEAD_BYTES)
            return False
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        version, _, rest = lines[0].partition(" ")
        code = rest[:3]
        if version not in ("HTTP/1.1", "HTTP/1.0") or not code.isdigit() or len(code) != 3:
            raise HttpError("this is no HTTP response")
        if code.startswith("1"):  # "continue" and the like come before the response
            return self._read_head()
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            name = name.lower()
            if not colon or name in self.headers and name in ("content-length", "transfer-encoding"):
                raise HttpError("the response's head is not one")
            self.headers[name] = value.strip()
        self._plan_body(code)
        return True

    def _plan_body(self, code: str) -> None:
        coding, length = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise HttpError("the response's length is told in two ways, or in an unknown one")
            self._is_chunked = True
        elif length is not None:
            if not length.isdigit() or len(length) > 12:
                raise HttpError("the response's length is no number")
            self._left = int(length)
        elif code not in ("204", "304"):
            raise HttpError("the response's length is not told")
        self.status = int(code)

    def _take(self) -> bytes:
        taken = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._left -= len(taken)
        return taken

    def _read_chunks(self) -> bytes:
        parts = []
        while not self.is_complete:
            if self._is_in_chunk:
                parts.append(self._take())
                if self._left or len(self._buffer) < 2:
                    break
                if self._buffer[:2] != b"\r\n":
                    raise HttpError("a chunk is longer than it says")
                del self._buffer[:2]
                self._is_in_chunk = False
            elif not self._read_chunk_length():
                break
        return b"".join(parts)

    def _read_chunk_length(self) -> bool:
        end = self._buffer.find(b"\r\n", 0, _LINE_BYTES)
        if end < 0:
            if len(self._buffer) >= _LINE_BYTES:
                raise HttpError("a chunk without a length")
            return False
        digits = bytes(self._buffer[:end]).partition(b";")[0].strip()
        if not digits or len(digits) > 8 or set(digits) - _HEX:
            raise HttpError("a chunk's length is no number")
        length = int(digits, 16)
        if length:
            del self._buffer[: end + 2]
            self._left, self._is_in_chunk = length, True
            return True
        # The last chunk; trailers are never sent to us.
        if len(self._buffer) < end + 4:
            return False
        if self._buffer[end : end + 4] != b"\r\n\r\n":
            raise HttpError("trailers behind a response")
        del self._buffer[: end + 4]
        self.is_complete = True
        return True
