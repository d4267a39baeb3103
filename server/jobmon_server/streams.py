"""Responses that are made as they are sent, and end when the reader leaves.

The next part is asked for only when the transport has room again, so a slow
reader slows its source.  Parts are bytes; what they mean is the maker's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from jobmon_wire.limits import KIB

PIECE = 64 * KIB  # bytes written at once: TLS and the transport hold some copies of it for a reader that takes none

Ending = Callable[[], Awaitable[None]]
Leave = Callable[[Receive], Coroutine[Any, Any, None]]


class StreamResponse(Response):
    """A response whose body is an asynchronous iterator.

    The iterator is resumed once the last part has left for the network.

    Args:
        parts: the body.
        ending: awaited when it is over, however it came to its end, even before the first part.
        leave: takes what the reader sends, and returns when the reader has left.
    """

    def __init__(
        self, parts: AsyncGenerator[bytes], media_type: str, ending: Ending, leave: Leave | None = None
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._parts = parts
        self._ending = ending
        self._leave = leave or left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all, or stop when the reader has left."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(self._leave(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._parts.aclose()
            await self._ending()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for part in self._parts:
            for start in range(0, len(part), PIECE):
                await send({"type": "http.response.body", "body": part[start : start + PIECE], "more_body": True})
                # The server waits for room before it writes, not after: an empty part makes it wait now.
                await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def left(receive: Receive) -> None:
    """Return when the reader has left; what comes before is of no interest."""
    while (await receive())["type"] != "http.disconnect":
        pass
