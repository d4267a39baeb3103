"""Figures: what an operator may know of a running server, in numbers.

Of all jobs together: no figure names a job or a person, so that whoever reads
them learns nothing of either, and there are as many for a million jobs as for one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from jobmon_server.doors import Door
from jobmon_server.state import State
from jobmon_wire.jobs import ALIVE, STATES

SLICE = 5000  # jobs counted at once, about a millisecond
SPAN = 60.0  # s over which a pace is told
WAYS = ("udp", "tcp", "none")  # how the agents of jobs that are alive are reached
_FILES = ("", "-wal")  # of the store


class Figures(NamedTuple):
    """One reading."""

    cluster: str
    version: str
    started: float  # s since 1970
    jobs: dict[str, int]  # by state
    agents: dict[str, int]  # of jobs that are alive, by ``WAYS``
    channels: int  # that agents have open
    streams: int  # that people read
    shells: int  # that are open
    waiting: int  # requests that wait for an agent to come
    unwritten: int  # rows that wait to be written into the store
    beats: int  # datagrams taken since the start
    beats_per_second: float  # over the last minute
    refused_datagrams: int  # passed over in silence since the start
    handshakes: dict[str, int]  # since the start, by port
    store_bytes: int
    certificate_end: float  # s since 1970


class Pace:
    """How fast a count grows, from looks at it."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def look(self, now: float, count: int) -> None:
        """Take the count of this moment."""
        self._looks.append((now, count))
        while now - self._looks[0][0] > SPAN:
            self._looks.popleft()

    def per_second(self) -> float:
        """Over the last minute, or as long as there are looks."""
        if len(self._looks) < 2:
            return 0.0
        (begin, first), (end, last) = self._looks[0], self._looks[-1]
        return (last - first) / (end - begin) if end > begin else 0.0


class Source:
    """Where the figures come from.

    Args:
        state: of the server.
        doors: the ports' by their names.
    """

    def __init__(self, state: State, doors: Mapping[str, Door]) -> None:
        self._state = state
        self._doors = doors
        self._started = state.clock()
        self._pace = Pace()

    def look(self) -> None:
        """Take note of what is counted; once a second or so."""
        self._pace.look(time.monotonic(), self._state.beats.taken)

    async def read(self) -> Figures:
        """Read them all, in the state's own loop."""
        state = self._state
        jobs, agents = await self._count()
        return Figures(
            cluster=state.site.cluster,
            version=state.version,
            started=self._started,
            jobs=jobs,
            agents=agents,
            channels=len(state.exchange),
            streams=len(state.readers),
            shells=len(state.shells),
            waiting=state.exchange.waiting,
            unwritten=len(state.store),
            beats=state.beats.taken,
            beats_per_second=self._pace.per_second(),
            refused_datagrams=state.beats.refused,
            handshakes={name: door.met for name, door in self._doors.items()},
            store_bytes=_size(state.site.store_path),
            certificate_end=_end(state.site.server_certificate),
        )

    async def _count(self) -> tuple[dict[str, int], dict[str, int]]:
        states: Counter[str] = Counter()
        ways: Counter[str] = Counter()
        jobs = list(self._state.registry)
        for start in range(0, len(jobs), SLICE):
            part = jobs[start : start + SLICE]
            states.update(job.state for job in part)
            ways.update(job.callback or WAYS[-1] for job in part if job.state in ALIVE)
            await asyncio.sleep(0)  # others' turn
        return {state: states[state] for state in STATES}, {way: ways[way] for way in WAYS}


def _size(store: Path) -> int:
    """Bytes of the store's files; those that are not there have none."""
    files = [store.with_name(store.name + ending) for ending in _FILES]
    return sum(file.stat().st_size for file in files if file.exists())


def _end(certificate: Path) -> float:
    """The end of the server's certificate, as the file has it now; 0 where it cannot be read."""
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return 0.0
