"""Watches: the jobs of one reader, and then every change of them.

A watch remembers which jobs changed, not how: however slow its reader, no more
than one change of a job waits, and what waits is bounded by the number of jobs.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from typing import Any

from jobmon_server.lines import document
from jobmon_server.peer import Peer
from jobmon_server.policy import sees
from jobmon_server.registry import Registry, scopes_of
from jobmon_wire.matching import Predicate
from jobmon_wire.moments import write_moment

PACE = 0.25  # s a line: at most four lines a second
ALIVE = 5.0  # s between two signs of life
PART = 1000  # jobs in one line, about 1 MB


class Watch:
    """One reader's view.

    Args:
        wanted: the test of the selector.
        clock: seconds since 1970.
    """

    def __init__(self, registry: Registry, peer: Peer, wanted: Predicate, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._peer = peer
        self._wanted = wanted
        self._clock = clock
        self._dirty: dict[str, None] = {}  # uuids, in the order of their first change
        self._shown: set[str] = set()
        self._woken = asyncio.Event()
        self._is_closed = False

    def close(self) -> None:
        """Come to the end."""
        self._is_closed = True
        self._woken.set()

    async def lines(self) -> AsyncGenerator[bytes]:
        """Yield the lines, until the watch is closed."""
        scopes = scopes_of(self._peer)
        self._registry.listen(scopes, self._changed)
        try:
            for job in self._registry.visible(self._peer):
                self._dirty[job.uuid] = None
            # So many parts and no more: with a slow reader there is always another change.
            for _ in range(0, len(self._dirty), PART):
                for line in self._changes():
                    yield line
            yield _line({"kind": "live"})
            async for line in self._live():
                yield line
        finally:
            self._registry.leave(scopes, self._changed)

    async def _live(self) -> AsyncGenerator[bytes]:
        loop = asyncio.get_running_loop()
        next_alive = loop.time() + ALIVE
        while not self._is_closed:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_alive):
                    await self._woken.wait()
            if self._is_closed:
                return
            sent = 0
            if loop.time() >= next_alive:
                next_alive = loop.time() + ALIVE
                self._look_again()
                yield _line({"kind": "alive", "now": write_moment(self._clock())})
                sent += 1
            self._woken.clear()
            for line in self._changes():
                yield line
                sent += 1
            if self._dirty:
                self._woken.set()
            await asyncio.sleep(PACE * sent)

    def _changed(self, uuid: str) -> None:
        self._dirty[uuid] = None
        self._woken.set()

    def _look_again(self) -> None:
        """Note what only time has changed: a job grows older than a selector's limit."""
        for job in self._registry.visible(self._peer):
            if self._wanted(self._registry.record(job)) != (job.uuid in self._shown):
                self._dirty[job.uuid] = None

    def _changes(self) -> Iterator[bytes]:
        """At most one line of jobs and one of those that are gone."""
        part = list(itertools.islice(self._dirty, PART))
        jobs, gone = [], []
        for uuid in part:
            del self._dirty[uuid]
            record = self._record(uuid)
            if record is not None:
                self._shown.add(uuid)
                jobs.append(record)
            elif uuid in self._shown:
                self._shown.discard(uuid)
                gone.append(uuid)
        if jobs:
            yield _line({"kind": "jobs", "jobs": jobs})
        if gone:
            yield _line({"kind": "gone", "uuids": gone})

    def _record(self, uuid: str) -> dict[str, Any] | None:
        job = self._registry.get(uuid)
        if job is None or not sees(self._peer, job.owner_rdns, job.cluster):
            return None
        record = self._registry.record(job)
        return record if self._wanted(record) else None


def _line(value: dict[str, Any]) -> bytes:
    return document(value) + b"\n"
