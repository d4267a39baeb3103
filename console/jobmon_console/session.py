"""The command line's transport: one connection at a time, nothing to wait for at start.

Sockets, ``ssl`` and our own reading of HTTP: a command that asks one question
must not pay for an event loop, a client library or ``http.client``, which
brings the modules for mail.  Scripts and the console use ``client``, which has
the same methods.
"""

import socket
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Protocol

from jobmon_console import __version__, calls, replies
from jobmon_console.calls import Call
from jobmon_console.contexts import Context
from jobmon_console.errors import AnswerError, CutOffError, HeldLineError, JobMonError
from jobmon_console.tls import Ask, Link, ask_passphrase, connect, examine, explain, open_link, undecided
from jobmon_wire import http
from jobmon_wire.documents import write_document
from jobmon_wire.frames import Frame

ANSWER_TIMEOUT = 60.0  # s for an answer that should come at once; a busy server's worst was 9
WATCH_SILENCE = 20.0  # s; the server says `alive` every 5
REUSE = 1.0  # s; a request that meets a closing connection is lost and not repeated, so reuse one only at once
_READ = 64 * 1024  # bytes


class Lender(Protocol):
    """Who has a connection open already: the holder, to the commands that it carries out."""

    def borrow(self, link: Link) -> socket.socket | None:
        """An open connection, on which plain HTTP is spoken; None where there is none."""

    def give_back(self, connection: socket.socket, is_clean: bool) -> None:
        """It is not used any more; clean: nothing of an answer is under way."""


lender: Lender | None = None


class Session:
    """Calls to one context's server, one after the other.

    Args:
        context: whose credential to use.
        ask: called when its private key is encrypted.

    Raises:
        CredentialFileError: the credential cannot be used.
    """

    def __init__(self, context: Context, ask: Ask = ask_passphrase) -> None:
        self.context = context
        self.link: Link = open_link(context, ask)
        self._connection: socket.socket | None = None
        self._is_borrowed = False
        self._idle_since = 0.0  # s, monotonic; 0 while an answer is under way

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fetch(self, call: Call) -> Any:
        """The answer as one JSON value.

        Raises:
            JobMonError: see ``errors``.
        """
        return replies.document(self._whole(self._ask(call), replies.LARGEST_DOCUMENT))

    def content(self, call: Call) -> replies.Kept:
        """The answer as bytes, with where they stood: for ``calls.output``."""
        answer = self._ask(call)
        body = self._whole(answer, replies.LARGEST_DOCUMENT)
        return replies.kept(body, answer.header)

    def rows(self, call: Call) -> Iterator[dict[str, Any]]:
        """The answer's rows as they come, of all its pages."""
        page: Call | None = call
        while page is not None:
            reader, rows = replies.RowReader(), 0
            answer = self._ask(page)
            for data in self._stream(answer):
                for row in reader.feed(data):
                    yield row
                    rows += 1
            reader.close()
            page = calls.next_page(page, answer.header(calls.NEXT.lower()), rows)

    def frames(self, call: Call) -> Iterator[Frame]:
        """The answer's frames as they come; END is taken: it ends this, or raises ``RefusedError``."""
        reader = replies.AnswerReader(acts=call.acts)
        for data in self._stream(self._ask(call)):
            yield from reader.feed(data)
        reader.close()

    def close(self) -> None:
        """Drop the connection; an answer under way is cancelled by it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._is_borrowed and lender is not None:
            lender.give_back(connection, is_clean=bool(self._idle_since))
        else:
            connection.close()

    def _ask(self, call: Call) -> "_Answer":
        """The answer, whose head has come and says 200."""
        connection = self._connect()
        answer, is_sent = _Answer(connection, call.acts), False
        try:
            connection.settimeout(_patience(call))
            connection.sendall(_request(call, self.link))
            is_sent = True
            answer.read_head()
            if answer.status == 200:
                return answer
            refusal = replies.refused(answer.status, answer.refusal())
            self._idle_since = time.monotonic() if answer.is_clean else 0.0
        except (OSError, EOFError, http.HttpError) as error:
            self.close()
            raise self._explained(error, answer, is_sent) from None
        self.close()
        raise refusal

    def _connect(self) -> socket.socket:
        if self._connection is not None:
            if self._idle_since and time.monotonic() - self._idle_since < REUSE:
                self._idle_since = 0.0
                return self._connection
            self.close()
        self._idle_since = 0.0
        borrowed = lender.borrow(self.link) if lender is not None else None
        self._is_borrowed = borrowed is not None
        self._connection = borrowed or connect(self.link)
        return self._connection

    def _whole(self, answer: "_Answer", largest: int) -> bytes:
        parts, size = [], 0
        for data in self._stream(answer):
            parts.append(data)
            size += len(data)
            if size > largest:
                self.close()
                raise AnswerError(f"an answer of over {largest} bytes; is this a JobMon server?")
        return b"".join(parts)

    def _stream(self, answer: "_Answer") -> Iterator[bytes]:
        try:
            yield from answer.parts()
            if answer.is_clean:
                self._idle_since = time.monotonic()
        except (OSError, EOFError, http.HttpError) as error:
            raise self._explained(error, answer, is_sent=True, has_begun=True) from None
        finally:
            if not self._idle_since:
                self.close()

    def _explained(self, error: Exception, answer: "_Answer", is_sent: bool, has_begun: bool = False) -> JobMonError:
        if self._is_borrowed and not isinstance(error, (TimeoutError, http.HttpError)):
            return HeldLineError("the connection that was held open broke off; ask again")
        if isinstance(error, http.HttpError):
            return AnswerError(f"{self.link.url} does not speak HTTP as JobMon does; check the address")
        if isinstance(error, EOFError) and has_begun:
            return CutOffError(f"{self.link.url} broke off its answer; ask again")
        found = explain(error, self.link.url) if has_begun else examine(error, self.link)
        return undecided(found, self.link.url, answer.acts) if is_sent else found


class _Answer:
    """One response, read as it comes.

    Args:
        acts: what was asked for may be done although no answer comes.
    """

    def __init__(self, connection: socket.socket, acts: bool) -> None:
        self.acts = acts
        self._connection = connection
        self._response = http.Response()
        self._first = b""  # of the body, which came with the head

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def is_clean(self) -> bool:
        """All of it has come, and the connection takes another request."""
        return self._response.is_complete and self.header("connection").lower() != "close"

    def header(self, name: str) -> str:
        """A header's value, by its name in lower case; empty where there is none."""
        return self._response.headers.get(name, "")

    def read_head(self) -> None:
        """Read until the head is whole.

        Raises:
            EOFError: the connection ended before.
            HttpError: this is no HTTP.
        """
        while not self._response.status:
            self._first = self._read()

    def refusal(self) -> bytes:
        """The body of a refusal, as far as one can be."""
        body = b""
        for part in self.parts():
            body += part
            if len(body) > replies.LARGEST_REFUSAL:
                break
        return body

    def parts(self) -> Iterator[bytes]:
        """The body as it comes, to its end."""
        if self._first:
            yield self._first
        while not self._response.is_complete:
            if part := self._read():
                yield part

    def _read(self) -> bytes:
        data = self._connection.recv(_READ)
        if not data:
            raise EOFError
        return self._response.feed(data)


def _request(call: Call, link: Link) -> bytes:
    host = f"[{link.host}]" if ":" in link.host else link.host
    body = b"" if call.body is None else write_document(call.body)
    lines = [
        f"{call.method} {call.target} HTTP/1.1",
        f"Host: {host}:{link.port}",
        f"User-Agent: jobmon/{__version__}",
        "Accept-Encoding: identity",
    ]
    if call.body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "\r\n"]).encode("ascii") + body


def _patience(call: Call) -> float | None:
    if not call.is_endless:
        return ANSWER_TIMEOUT
    return WATCH_SILENCE if call.path.endswith("/watch") else None
