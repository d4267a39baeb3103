"""Bodies of requests: read whole, within a limit of size and of time, or refused.

The one way in which a route takes a document.  Routes that stream, such as an
agent's channel, read from ``receive`` themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Receive

from jobmon_server.cycles import Cycle
from jobmon_server.refusals import RefusedError
from jobmon_wire.limits import DOCUMENT_BYTES, KIB

BODY_SECONDS = 30.0  # s for a small body
SLOWEST = 1 * KIB  # bytes/s that a longer one must keep up


async def read_body(receive: Receive, limit: int = DOCUMENT_BYTES) -> bytes:
    """Read the request's body to its end.

    Raises:
        RefusedError: it is longer than ``limit`` bytes, comes too slowly, or
            the connection ended within it; the rest is unread.
    """
    cycle = getattr(receive, "__self__", None)
    # Most bodies have come with their head: for those no clock is needed.
    whole = cycle.whole_body() if isinstance(cycle, Cycle) else None
    if whole is not None:
        return _within(limit, whole)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with asyncio.timeout(BODY_SECONDS) as deadline:
            return await _read(receive, limit, lambda n: deadline.reschedule(begun + BODY_SECONDS + n / SLOWEST))
    except TimeoutError as error:
        raise RefusedError("too-large", "the request's body came too slowly") from error


async def _read(receive: Receive, limit: int, allow: Callable[[int], None]) -> bytes:
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError("bad-request", "the connection ended within the request's body")
        part = message.get("body", b"")
        length += len(part)
        parts.append(part)
        if length > limit or not message.get("more_body", False):
            return _within(limit, b"".join(parts))
        allow(length)


def _within(limit: int, body: bytes) -> bytes:
    if len(body) > limit:
        raise RefusedError("too-large", f"the request's body is longer than {limit} bytes")
    return body
