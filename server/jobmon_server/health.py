"""Health: whether the server does its work, found out by having it work.

Asked from a thread of its own: a loop that hangs cannot say so itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from jobmon_server.store import Store, StoreFullError

PATIENCE = 2.0  # s for a loop to do next to nothing
SWEEP_LATE = 5.0  # s since the last sweep; as soon as a revocation has to be heeded
FINE = "ok"

T = TypeVar("T")
Loops = Mapping[str, asyncio.AbstractEventLoop]


class HungError(Exception):
    """A loop does not come to what is asked of it."""


async def ask(loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Have another thread's loop do something.

    Raises:
        HungError: not within ``PATIENCE``.
    """
    coroutine = work()
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    except RuntimeError:
        coroutine.close()
        raise HungError("it has ended") from None
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE)
    except TimeoutError:
        raise HungError(f"no answer within {PATIENCE:g} s") from None


class Health:
    """The checks.

    Args:
        loops: by name; the first is the store's.
        store: must take a row.
    """

    def __init__(self, loops: Loops, store: Store) -> None:
        self._loops = loops
        self._store = store
        self._swept = time.monotonic()

    def swept(self) -> None:
        """A sweep has come to its end."""
        self._swept = time.monotonic()

    async def examine(self) -> dict[str, str]:
        """Each check's finding: ``ok``, or what is wrong."""
        found = {f"loop {name}": await self._answers(loop) for name, loop in self._loops.items()}
        late = time.monotonic() - self._swept
        found["sweep"] = FINE if late < SWEEP_LATE else f"the last one ended {late:.0f} s ago"
        found["store"] = await self._takes()
        return found

    async def _answers(self, loop: asyncio.AbstractEventLoop) -> str:
        async def nothing() -> None:
            """The least that a loop can do."""

        try:
            await ask(loop, nothing)
        except HungError as error:
            return str(error)
        return FINE

    async def _takes(self) -> str:
        try:
            await ask(next(iter(self._loops.values())), self._store.probe)
        except (HungError, StoreFullError) as error:
            return str(error)
        return FINE
