"""The command line's transport: one connection at a time, nothing to wait for at start.

``http.client`` over ``ssl``: a command that asks one question must not pay
for an event loop or a client library.  Scripts and the console use ``client``,
which has the same methods.
"""

import http.client
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from jobmon_console import __version__, calls, replies
from jobmon_console.calls import Call
from jobmon_console.contexts import Context
from jobmon_console.errors import AnswerError, CutOffError, JobMonError
from jobmon_console.tls import Ask, Link, ask_passphrase, connect, examine, explain, open_link, undecided
from jobmon_wire.documents import write_document
from jobmon_wire.frames import Frame

ANSWER_TIMEOUT = 60.0  # s for an answer that should come at once; a busy server's worst was 9
WATCH_SILENCE = 20.0  # s; the server says `alive` every 5
REUSE = 1.0  # s; a request that meets a closing connection is lost and not repeated, so reuse one only at once
_READ = 64 * 1024  # bytes


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
        self._connection: http.client.HTTPConnection | None = None
        self._idle_since = 0.0  # s, monotonic

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
        response = self._ask(call)
        return replies.document(self._whole(response, replies.LARGEST_DOCUMENT))

    def content(self, call: Call) -> replies.Kept:
        """The answer as bytes, with where they stood: for ``calls.output``."""
        response = self._ask(call)
        body = self._whole(response, replies.LARGEST_DOCUMENT)
        return replies.kept(body, response.getheader("JobMon-Output-Start"), response.getheader("JobMon-Output-Bytes"))

    def rows(self, call: Call) -> Iterator[dict[str, Any]]:
        """The answer's rows as they come, of all its pages."""
        page: Call | None = call
        while page is not None:
            reader, rows = replies.RowReader(), 0
            response = self._ask(page)
            for data in self._stream(response):
                for row in reader.feed(data):
                    yield row
                    rows += 1
            reader.close()
            page = calls.next_page(page, response.getheader(calls.NEXT), rows)

    def frames(self, call: Call) -> Iterator[Frame]:
        """The answer's frames as they come; END is taken: it ends this, or raises ``RefusedError``."""
        reader = replies.AnswerReader()
        response = self._ask(call)
        for data in self._stream(response):
            yield from reader.feed(data)
            if reader.is_done:
                break
        reader.close()

    def close(self) -> None:
        """Drop the connection; an answer under way is cancelled by it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, call: Call) -> http.client.HTTPResponse:
        connection = self._connect()
        headers = {"User-Agent": f"jobmon/{__version__}", "Accept-Encoding": "identity"}
        body = None
        if call.body is not None:
            body = write_document(call.body)
            headers["Content-Type"] = "application/json"
        is_sent = False
        try:
            connection.sock.settimeout(_patience(call))
            connection.request(call.method, call.target, body, headers)
            is_sent = True
            response = connection.getresponse()
            if response.status == 200:
                return response
            refusal = replies.refused(response.status, response.read(replies.LARGEST_REFUSAL))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._explained(error, is_sent) from None
        self.close()
        raise refusal

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is not None:
            if self._idle_since and time.monotonic() - self._idle_since < REUSE:
                self._idle_since = 0.0
                return self._connection
            self.close()
        secured = connect(self.link)
        connection = http.client.HTTPConnection(self.link.host, self.link.port)
        connection.auto_open = 0  # never reconnect behind our back, in plain text at that
        connection.sock = secured
        self._connection = connection
        return connection

    def _whole(self, response: http.client.HTTPResponse, largest: int) -> bytes:
        parts, size = [], 0
        for data in self._stream(response):
            parts.append(data)
            size += len(data)
            if size > largest:
                self.close()
                raise AnswerError(f"an answer of over {largest} bytes; is this a JobMon server?")
        return b"".join(parts)

    def _stream(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        is_whole = False
        try:
            while data := response.read1(_READ):
                yield data
            # A body with a length that came short ends like a whole one.
            if response.length:
                raise CutOffError(f"{self.link.url} broke off its answer; ask again")
            is_whole = not response.will_close
        except (OSError, http.client.HTTPException) as error:
            raise self._explained(error, is_sent=True, has_begun=True) from None
        finally:
            response.close()
            if is_whole:
                self._idle_since = time.monotonic()
            else:
                self.close()

    def _explained(self, error: Exception, is_sent: bool, has_begun: bool = False) -> JobMonError:
        if not isinstance(error, http.client.HTTPException) or isinstance(error, OSError):
            found = explain(error, self.link.url) if has_begun else examine(error, self.link)
            return undecided(found, self.link.url) if is_sent else found
        if has_begun:
            return CutOffError(f"{self.link.url} broke off its answer; ask again")
        return AnswerError(f"{self.link.url} does not speak HTTP as JobMon does; check the address")


def _patience(call: Call) -> float | None:
    if not call.is_endless:
        return ANSWER_TIMEOUT
    return WATCH_SILENCE if call.path.endswith("/watch") else None
