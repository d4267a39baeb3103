"""The library for scripts and for the console: calls to one server, many at a time.

::

    async with Client(context) as client:
        async for row in client.rows(calls.jobs("state:running")):
            print(row["id"])

The same calls and the same errors as ``session``, over httpx, with a pool of
connections.  Leaving an ``async for`` early cancels the request; close the
generator (``contextlib.aclosing``) to have that happen at once.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import httpx
from anyio import to_thread

from jobmon_console import __version__, calls, replies
from jobmon_console.calls import Call
from jobmon_console.contexts import Context
from jobmon_console.errors import AnswerError, CutOffError
from jobmon_console.session import ANSWER_TIMEOUT, WATCH_SILENCE
from jobmon_console.tls import Ask, Link, ask_passphrase, examine, explain, open_link, undecided
from jobmon_wire import limits
from jobmon_wire.documents import write_document
from jobmon_wire.frames import Frame

IDLE_CONNECTIONS = 4  # a watch, a follow, a top and a question come one after the other
IDLE = 50.0  # s; below the server's 60, so that no request meets a closing connection


class Client:
    """Calls to one context's server; several may be under way.

    Args:
        context: whose credential to use.
        ask: called when its private key is encrypted.

    Raises:
        CredentialFileError: the credential cannot be used.
    """

    def __init__(self, context: Context, ask: Ask = ask_passphrase) -> None:
        self.context = context
        self.link: Link = open_link(context, ask)
        self._http = httpx.AsyncClient(
            base_url=self.link.url,
            verify=self.link.tls,
            trust_env=False,  # no proxy can carry a client certificate, and none should see one
            follow_redirects=False,
            headers={"User-Agent": f"jobmon/{__version__}", "Accept-Encoding": "identity"},
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=IDLE_CONNECTIONS, keepalive_expiry=IDLE
            ),
        )

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; answers under way are cancelled by it."""
        await self._http.aclose()

    async def fetch(self, call: Call) -> Any:
        """The answer as one JSON value.

        Raises:
            JobMonError: see ``errors``.
        """
        async with self._ask(call) as response:
            return replies.document(await _whole(response, replies.LARGEST_DOCUMENT))

    async def content(self, call: Call) -> replies.Kept:
        """The answer as bytes, with where they stood: for ``calls.output``."""
        async with self._ask(call) as response:
            body = await _whole(response, replies.LARGEST_DOCUMENT)
            return replies.kept(body, response.headers.get)

    async def rows(self, call: Call) -> AsyncIterator[dict[str, Any]]:
        """The answer's rows as they come, of all its pages."""
        page: Call | None = call
        while page is not None:
            reader, rows = replies.RowReader(), 0
            async with self._ask(page) as response:
                async for data in response.aiter_raw():
                    for row in reader.feed(data):
                        yield row
                        rows += 1
            reader.close()
            page = calls.next_page(page, response.headers.get(calls.NEXT), rows)

    async def frames(self, call: Call) -> AsyncIterator[Frame]:
        """The answer's frames as they come; END is taken: it ends this, or raises ``RefusedError``."""
        reader = replies.AnswerReader(acts=call.acts)
        async with self._ask(call) as response:
            async for data in response.aiter_raw():
                for frame in reader.feed(data):
                    yield frame
                if reader.is_done:
                    return
        reader.close()

    @asynccontextmanager
    async def _ask(self, call: Call) -> AsyncIterator[httpx.Response]:
        """The response, once it says 200; leaving the block ends the request."""
        has_begun = False
        try:
            async with self._http.stream(
                call.method,
                call.target,
                content=None if call.body is None else write_document(call.body),
                headers=None if call.body is None else {"Content-Type": "application/json"},
                timeout=_patience(call),
            ) as response:
                if response.status_code != 200:
                    raise replies.refused(response.status_code, await _whole(response, replies.LARGEST_REFUSAL))
                has_begun = True
                yield response
        except httpx.RemoteProtocolError as error:
            if has_begun:
                raise CutOffError(f"{self.link.url} broke off its answer; ask again") from None
            found = await to_thread.run_sync(examine, error, self.link)
            raise undecided(found, self.link.url, call.acts) from None
        except (httpx.HTTPError, OSError) as error:
            if has_begun:
                raise undecided(explain(error, self.link.url), self.link.url, call.acts) from None
            found = await to_thread.run_sync(examine, error, self.link)
            is_sent = isinstance(error, (httpx.ReadError, httpx.ReadTimeout))
            raise (undecided(found, self.link.url, call.acts) if is_sent else found) from None


async def _whole(response: httpx.Response, largest: int) -> bytes:
    parts, size = [], 0
    async for data in response.aiter_raw():
        parts.append(data)
        size += len(data)
        if size > largest:
            raise AnswerError(f"an answer of over {largest} bytes; is this a JobMon server?")
    return b"".join(parts)


def _patience(call: Call) -> httpx.Timeout:
    silence: float | None = ANSWER_TIMEOUT
    if call.is_endless:
        silence = WATCH_SILENCE if call.path.endswith("/watch") else None
    return httpx.Timeout(ANSWER_TIMEOUT, connect=limits.CONNECT_TIMEOUT, read=silence, pool=None)
