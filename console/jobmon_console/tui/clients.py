"""A client that is made when it is needed, and made anew after a certificate problem.

A context whose credential cannot be used must not keep the others from being
shown: its error is raised at every call instead of at the start.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from jobmon_console.calls import Call
from jobmon_console.client import Client
from jobmon_console.contexts import Context
from jobmon_console.errors import CredentialFileError
from jobmon_console.replies import Kept
from jobmon_console.tls import ask_passphrase
from jobmon_wire.frames import Frame


class LazyClient:
    """The client of one context."""

    def __init__(self, context: Context) -> None:
        self.name = context.name
        self._context = context
        self._client: Client | None = None
        self._old: list[Client] = []  # replaced, not yet closed

    def open(self) -> None:
        """Make it while the terminal can still ask for a passphrase; an error is kept for the calls."""
        try:
            self._client = Client(self._context, ask_passphrase)
        except CredentialFileError:
            self._client = None

    def renew(self) -> None:
        """Read the credential again at the next call."""
        self._old += [self._client] if self._client is not None else []
        self._client = None

    async def aclose(self) -> None:
        """Close every connection."""
        self.renew()
        while self._old:
            await self._old.pop().aclose()

    async def fetch(self, call: Call) -> Any:
        """The whole answer."""
        return await self._opened().fetch(call)

    async def content(self, call: Call) -> Kept:
        """The whole answer as bytes."""
        return await self._opened().content(call)

    async def rows(self, call: Call) -> AsyncIterator[dict[str, Any]]:
        """The objects of a list, as they come."""
        async with aclosing(cast(Any, self._opened().rows(call))) as rows:
            async for row in rows:
                yield row

    async def frames(self, call: Call) -> AsyncIterator[Frame]:
        """The frames of an answer, as they come."""
        async with aclosing(cast(Any, self._opened().frames(call))) as frames:
            async for frame in frames:
                yield frame

    def _opened(self) -> Client:
        if self._client is None:
            self._client = Client(self._context, _refuse)
        return self._client


def _refuse(question: str) -> str:
    raise CredentialFileError("the private key asks for a passphrase; leave the console and start it again")
