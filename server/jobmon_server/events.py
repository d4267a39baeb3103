"""What happened to each job, in order: written down, read back, followed.

Events that decide nothing are written within a moment (``note``); those that go
with an action are on the disk before it (``record``).  A follower is woken by
the job's next event.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

from jobmon_server.rows import Event, Row
from jobmon_server.store import Store, StoreFullError
from jobmon_wire.moments import write_moment

ISSUED, REGISTERED, RETURNED, PROGRESS, REQUEST = "issued", "registered", "returned", "progress", "request"
SILENT, LOST, ENDED, LIMIT, BATCH = "silent", "lost", "ended", "limit", "batch"


class Events:
    """The events of all jobs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._followers: dict[str, set[asyncio.Event]] = {}
        self._is_closed = False

    def note(self, event: Event) -> None:
        """Write the event down soon."""
        self._store.defer(event)
        self.wake(event.uuid)

    async def record(self, *rows: Row) -> list[int]:
        """Write rows down now, and wake those who follow their jobs.

        Raises:
            StoreFullError: nothing was written.
        """
        numbers = await self._store.append(*rows)
        for row in rows:
            if isinstance(row, Event):
                self.wake(row.uuid)
        return numbers

    def wake(self, uuid: str) -> None:
        """Have the job's followers look."""
        for follower in self._followers.get(uuid, ()):
            follower.set()

    async def follow(self, uuid: str, is_over: Callable[[], bool]) -> AsyncGenerator[list[dict[str, Any]]]:
        """Yield the job's events as they come, until it is over and all are told."""
        woken = asyncio.Event()
        self._followers.setdefault(uuid, set()).add(woken)
        after = 0
        try:
            while True:
                woken.clear()
                was_over = self._is_closed or is_over()
                # A full disk hides the newest lines from view; those that are kept can be read.
                with suppress(StoreFullError):
                    await self._store.flush()
                rows = self._store.events(uuid, after)
                if rows:
                    after = rows[-1][0]
                    yield [
                        {"seq": seq, "at": write_moment(at), "kind": kind, "text": text} for seq, at, kind, text in rows
                    ]
                elif was_over:
                    return
                else:
                    await woken.wait()
        finally:
            followers = self._followers[uuid]
            followers.discard(woken)
            if not followers:
                del self._followers[uuid]

    def close(self) -> None:
        """Let every follower come to its end."""
        self._is_closed = True
        for uuid in list(self._followers):
            self.wake(uuid)
