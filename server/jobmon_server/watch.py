"""Watches: the jobs of one reader, and then every change of them.

A watch remembers which jobs changed, not how: however slow its reader, no more
than one change of a job waits.  Of a reader who is far behind nothing is
remembered any more; it is told everything anew.

A line with a number says that the reader knows all changes up to that one, and
may come back with it: it is told what has changed since then.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from operator import attrgetter
from typing import Any

from jobmon_server import listing
from jobmon_server.jobs import Job
from jobmon_server.lines import document
from jobmon_server.listing import Order
from jobmon_server.packing import PackedByte
from jobmon_server.realms import Realm
from jobmon_server.registry import Registry, may_see, scopes_of
from jobmon_server.selection import Selection
from jobmon_wire.moments import write_moment

PACE = 0.25  # s a line: at most four lines a second
ALIVE = 5.0  # s between two signs of life
FIRST = 200  # jobs that come at once, in the reader's order: more than a screen shows
PART = 2000  # jobs in one line, about 2 MB
BEHIND = 10_000  # jobs whose change waits, 1 MB; a reader further behind is told everything anew
TURN = 250  # jobs written as JSON until others have their turn, 2 ms
COUNTED = ("cluster", "node", "state", "health")

_Tally = Callable[[list[Job]], Mapping[str, int]]


class Watch:
    """One reader's view.

    Args:
        selection: whose jobs, and which.
        order: in which the first of them come.
        resume: ``EPOCH:NUMBER`` as an earlier watch of this selection told it, or empty.
        clock: seconds since 1970.
    """

    def __init__(
        self, registry: Registry, selection: Selection, order: Order, resume: str, clock: Callable[[], float]
    ) -> None:
        self._registry = registry
        self._selection = selection
        self._order = order
        self._resume = resume
        self._clock = clock
        self._dirty: dict[str, None] = {}  # uuids, in the order of their first change
        self._is_behind = False
        self._shown: set[str] | None = None if selection.is_whole else set()  # uuids; None: whatever is seen
        self._seen: dict[Realm, bool] = {}  # realms that policy was asked about
        self._woken = asyncio.Event()
        self._is_closed = False

    def close(self) -> None:
        """Come to the end."""
        self._is_closed = True
        self._woken.set()

    async def lines(self) -> AsyncGenerator[bytes]:
        """Yield the lines, until the watch is closed."""
        scopes = scopes_of(self._selection.peer)
        self._registry.listen(scopes, self._changed)
        try:
            if await self._go_on():
                yield self._line("resumed")
                # So many parts and no more: with a slow reader there is always another change.
                for _ in range(0, len(self._dirty), PART):
                    for line in self._changes():
                        yield line
                yield self._line("live", change=None if self._dirty else self._registry.change)
            else:
                async for line in self._snapshot():
                    yield line
            async for line in self._live():
                yield line
        finally:
            self._registry.leave(scopes, self._changed)

    async def _live(self) -> AsyncIterator[bytes]:
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
                await self._look_again()
                yield self._line("alive", now=write_moment(self._clock()))
                sent += 1
            self._woken.clear()
            if self._is_behind:
                async for line in self._snapshot():
                    yield line
            for line in self._changes():
                yield line
                sent += 1
            if self._dirty or self._is_behind:
                self._woken.set()
            await asyncio.sleep(PACE * sent)

    def _changed(self, uuid: str) -> None:
        if len(self._dirty) < BEHIND:
            self._dirty[uuid] = None
        elif uuid not in self._dirty:
            self._is_behind = True
        self._woken.set()

    async def _snapshot(self) -> AsyncIterator[bytes]:
        """Everything there is: first how much, then what a screen shows, then the rest."""
        self._dirty, self._is_behind = {}, False
        if self._shown is not None:
            self._shown = set()
        change = self._registry.change
        jobs = await listing.select(self._registry, self._selection)
        yield self._line("sync", total=len(jobs), counts=await _counts(jobs))
        first = await listing.first(jobs, self._order, FIRST)
        known = set(map(id, first))
        rest = [job for job in jobs if id(job) not in known]
        for part in (first, *(rest[start : start + PART] for start in range(0, len(rest), PART))):
            if self._is_closed:
                return
            if part:
                yield await self._part(part)
        yield self._line("live", change=change)

    async def _part(self, jobs: list[Job]) -> bytes:
        texts: list[bytes] = []
        for start in range(0, len(jobs), TURN):
            part = jobs[start : start + TURN]
            texts += self._registry.texts.of(part)
            if self._shown is not None:
                self._shown.update(job.uuid for job in part)
            await asyncio.sleep(0)
        return _jobs(texts)

    async def _go_on(self) -> bool:
        """Note what has changed since the reader knew everything; false if that is not known or too much."""
        epoch, _, number = self._resume.partition(":")
        # Of what time alone has changed no number tells.
        if epoch != self._registry.epoch or not _is_number(number) or self._selection.depends_on_time:
            return False
        changes = self._registry.since(self._selection.peer, int(number))
        if changes is None or len(changes.jobs) + len(changes.gone) > BEHIND:
            return False
        uuids = [*changes.gone, *(job.uuid for job in changes.jobs)]
        self._dirty = dict.fromkeys(uuids)
        if self._shown is not None:
            # Any that has changed may have been shown before.
            wanted = await listing.select(self._registry, self._selection)
            self._shown = {*uuids, *(job.uuid for job in wanted)}
        return True

    async def _look_again(self) -> None:
        """Note what only time has changed: a job grows older than a selector's limit."""
        if not self._selection.depends_on_time or self._shown is None:
            return
        wanted = {job.uuid for job in await listing.select(self._registry, self._selection)}
        for uuid in wanted ^ self._shown:
            self._changed(uuid)

    def _changes(self) -> Iterator[bytes]:
        """At most one line of jobs and one of those that are gone."""
        part = list(itertools.islice(self._dirty, PART))
        wanted, gone = [], []
        for uuid in part:
            del self._dirty[uuid]
            job = self._registry.get(uuid)
            if job is not None and self._wants(job):
                wanted.append(job)
                if self._shown is not None:
                    self._shown.add(uuid)
            elif self._shown is None or uuid in self._shown:
                gone.append(uuid)
        if self._shown is not None:
            self._shown.difference_update(gone)
        # Between these lines nothing happens here, but the last one alone completes the change.
        change = None if self._dirty or self._is_behind else self._registry.change
        if wanted:
            yield _jobs(self._registry.texts.of(wanted), None if gone else change)
        if gone:
            yield self._line("gone", uuids=gone, change=change)

    def _wants(self, job: Job) -> bool:
        seen = self._seen.get(job.realm)
        if seen is None:
            seen = self._seen[job.realm] = may_see(self._selection.peer, job.realm)
        return seen and self._selection.wants(job)

    def _line(self, kind: str, change: int | None = None, **facts: Any) -> bytes:
        number = {} if change is None else {"seq": change}
        named = {"epoch": self._registry.epoch} if kind in ("sync", "resumed") else {}
        return document({"kind": kind, **named, **facts, **number}) + b"\n"


def _tally_of(field: str) -> _Tally:
    """What counts the jobs by the values of that field."""
    packed = vars(Job).get(field)
    if isinstance(packed, PackedByte):
        return packed.tally
    value = attrgetter(field)
    return lambda jobs: Counter(map(value, jobs))


_TALLIES = {field: _tally_of(field) for field in COUNTED}


async def _counts(jobs: list[Job]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {field: Counter() for field in COUNTED}
    for start in range(0, len(jobs), listing.TURN):
        part = jobs[start : start + listing.TURN]
        for field, counter in counts.items():
            counter.update(_TALLIES[field](part))
        await asyncio.sleep(0)
    return {field: dict(counter) for field, counter in counts.items()}


def _jobs(texts: list[bytes], change: int | None = None) -> bytes:
    """A line of jobs, whose records are JSON already: written once for all who watch."""
    number = b"" if change is None else b',"seq":%d' % change
    return b'{"kind":"jobs","jobs":[%b]%b}\n' % (b",".join(texts), number)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20
