"""One request that goes on while it is answered: frames both ways at once, over a connection of its own.

``session`` sends a question and then reads; a shell does both at the same time.
Once it is open nothing here waits: whoever uses it waits for ``fileno`` and
calls ``move``.  What is sent ahead is bounded by the credit that the other end
gives.
"""

import ssl
from types import TracebackType

from jobmon_console import __version__, replies
from jobmon_console.calls import Call
from jobmon_console.errors import AnswerError, CutOffError, JobMonError
from jobmon_console.tls import Link, connect, examine
from jobmon_wire import frames, http, limits
from jobmon_wire.documents import write_document
from jobmon_wire.frames import Frame, write_frame

MEDIA_TYPE = "application/vnd.jobmon.frames"
_READ = 64 * 1024  # bytes
_READS = 16  # a call of ``move``; a flood must not starve the keyboard
_RECORD = 16 * 1024  # bytes; as much as TLS sends at once


class Duplex:
    """The exchange, from the first frame to END.

    Args:
        link: the server.
        call: whose body is the first frame's object.

    Raises:
        JobMonError: see ``errors``; the server says no, or is not there.
    """

    def __init__(self, link: Link, call: Call) -> None:
        self._link = link
        self._response = http.Response()
        self._answer = replies.AnswerReader(frames.DIALOGUE)
        self._ready: list[Frame] = []
        self._unsent = bytearray()
        self._wants_to_write = False
        self._failure: JobMonError | None = None
        self.credit = limits.INPUT_WINDOW  # bytes of frames that may be sent
        self._socket = connect(link)
        try:
            self._open(call)
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> "Duplex":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """What to wait for."""
        return self._socket.fileno()

    @property
    def is_done(self) -> bool:
        """END has come, and said that all is well."""
        return self._answer.is_done and self._failure is None

    @property
    def wants_to_write(self) -> bool:
        """There is something to send."""
        return bool(self._unsent) or self._wants_to_write

    @property
    def has_more(self) -> bool:
        """There is something to take that waiting does not show: TLS, or this object, has it."""
        return self._socket.pending() > 0 or self._failure is not None

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Send a frame; its bytes must be covered by ``credit``."""
        data = write_frame(kind, frames.CHANNEL, payload)
        self.credit -= len(data)
        self._unsent += http.chunk(data)

    def move(self) -> list[Frame]:
        """Send and receive what can be without waiting; what has come.

        Raises:
            RefusedError: the answer ended so.
            CutOffError: it broke off before END.
            AnswerError: it is not what the protocol says.
        """
        if self._failure is None:
            self._failure = self._exchange()
        found, self._ready = self._ready, []
        if self._failure is not None and not found:  # what came before it comes first
            raise self._failure
        return found

    def _open(self, call: Call) -> None:
        host = f"[{self._link.host}]" if ":" in self._link.host else self._link.host
        head = http.request_head(
            call.target, f"{host}:{self._link.port}", f"jobmon/{__version__}", MEDIA_TYPE, length=None
        )
        opening = write_frame(frames.REQUEST, frames.CHANNEL, write_document(call.body))
        self._socket.settimeout(None)  # an agent that sleeps is rung for a minute
        try:
            self._socket.sendall(head + http.chunk(opening))
            refusal = self._read_head()
        except OSError as error:
            raise examine(error, self._link) from None
        except http.HttpError:
            raise AnswerError(f"{self._link.url} does not speak HTTP as JobMon does; check the address") from None
        if self._response.status != 200:
            raise replies.refused(self._response.status, refusal)

    def _read_head(self) -> bytes:
        """Read until the server has said yes, or all of why not."""
        refusal = b""
        while self._response.status != 200 and not self._response.is_complete:
            data = self._socket.recv(_READ)
            part = self._response.feed(data)
            if self._response.status == 200:
                self._ready += self._answer.feed(part)
            else:
                refusal += part
            if not data or len(refusal) > replies.LARGEST_REFUSAL:
                raise ConnectionResetError
        return refusal

    def _exchange(self) -> JobMonError | None:
        """Move bytes; why no more will come, if none will."""
        try:
            self._send()
            for _ in range(_READS):
                if self._answer.is_done or not self._receive():
                    break
        except JobMonError as error:
            return error
        except http.HttpError as error:
            return AnswerError(f"the answer is not HTTP as JobMon speaks it: {error}; compare the versions")
        except OSError:
            return self._cut_off()
        return None

    def _send(self) -> None:
        self._wants_to_write = False
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent[:_RECORD])
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            del self._unsent[:sent]

    def _receive(self) -> bool:
        """Take what one read gives; false when there is nothing now."""
        try:
            data = self._socket.recv(_READ)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self._wants_to_write = True
            return False
        for frame in self._answer.feed(self._response.feed(data)):
            if frame.type == frames.CREDIT:
                self.credit += frame.credit()
            else:
                self._ready.append(frame)
        if not self._answer.is_done and (not data or self._response.is_complete):
            raise self._cut_off()
        return True

    def _cut_off(self) -> CutOffError:
        return CutOffError(f"the connection to {self._link.url} broke; what it was for has ended; look at the job")
