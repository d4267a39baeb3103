"""Crowds: the connections that are not in yet, by source, and who of them comes next or has to go.

Who says nothing, or stops in the middle of the handshake, keeps us waiting;
who has sent its first bytes waits for us.  The two are not treated alike.  Of
those that keep us waiting there are at most ``Limits.owing``, and the more
there are, the likelier each newcomer costs one of them its place: one by
chance, of the source that has most.  Those that wait for us are kept, and come
in by source in turn.  Nothing here touches a socket or asks for the time.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

FIRST_CHANCE = 0.3  # that a newcomer to a crowd costs a place; at the limit it is 1


class Limits(NamedTuple):
    """What those are allowed who are not in yet, at one port."""

    silent: float = 4.0  # s for the first byte, after the second that the kernel waits for it
    handshake: float = 5.0  # s for it: half a second on a slow node, the rest is loss
    late: float = 1.0  # s after which a handshake that is not done holds up nobody any more
    owing: int = 100  # that keep us waiting, together; a TLS session takes about 50 KiB
    crowded: int = 50  # of them, from which on newcomers may cost a place
    of_source: int = 20  # silent or late, of one source; and as many of its handshakes are under way that are not
    handshakes: int = 32  # that are not late, together: all may go on in one turn of the loop, with 1 ms of work each
    ready: int = 4096  # that wait for us; as many more may wait in the kernel
    goodbye: float = 2.0  # s for the peer's close_notify after ours


class Stage(Enum):
    """How far a connection has come."""

    SILENT = "silent"  # no byte has come
    READY = "ready"  # waits for us
    SHAKING = "shaking"  # in the handshake
    LATE = "late"  # in the handshake, for too long to hold up others

    __hash__ = object.__hash__  # Enum's own is a function of Python's, called a dozen times for each arrival


class Arrival:
    """One connection that is not in yet."""

    __slots__ = ("client", "crowd", "has_transport", "sock", "stage", "task", "timer")

    def __init__(self, sock: socket.socket, crowd: Crowd, client: tuple[str, int]) -> None:
        self.sock = sock
        self.crowd = crowd
        self.client = client  # address and port
        self.stage: Stage | None = None
        self.timer: asyncio.TimerHandle | None = None  # for the end of its stage
        self.task: asyncio.Task[None] | None = None  # of its handshake
        self.has_transport = False  # which closes the socket


class Crowd:
    """The arrivals of one source."""

    def __init__(self, source: str, *, is_unlimited: bool) -> None:
        self.source = source
        self.is_unlimited = is_unlimited
        self.ready: deque[Arrival] = deque()
        self.others: dict[Stage, set[Arrival]] = {Stage.SILENT: set(), Stage.SHAKING: set(), Stage.LATE: set()}

    def __iter__(self) -> Iterator[Arrival]:
        yield from self.ready
        for arrivals in self.others.values():
            yield from arrivals

    @property
    def is_empty(self) -> bool:
        """Nobody is left."""
        return not self.ready and not any(self.others.values())

    @property
    def shaking(self) -> int:
        """How many handshakes with it are under way that are not late."""
        return len(self.others[Stage.SHAKING])

    def dawdlers(self) -> list[Arrival]:
        """Those that keep us waiting; a handshake that has just begun does not."""
        return [*self.others[Stage.SILENT], *self.others[Stage.LATE]]

    @property
    def has_dawdlers(self) -> bool:
        """Somebody keeps us waiting."""
        return bool(self.others[Stage.SILENT] or self.others[Stage.LATE])


class Crowds:
    """All crowds of one port.

    Args:
        limits: what they are allowed.
        dice: decide who has to go; nobody outside shall know.
    """

    def __init__(self, limits: Limits, dice: random.Random | None = None) -> None:
        self.number = dict.fromkeys(Stage, 0)  # of arrivals in each stage
        self._limits = limits
        self._dice = dice or random.SystemRandom()
        self._crowds: dict[str, Crowd] = {}
        self._dawdling: dict[Crowd, None] = {}  # those with dawdlers: a hundred at most, where thousands may be ready
        self._turns: deque[Crowd] = deque()  # those with somebody ready, each once

    def __len__(self) -> int:
        return sum(self.number.values())

    def everybody(self) -> list[Arrival]:
        """All arrivals."""
        return [arrival for crowd in self._crowds.values() for arrival in crowd]

    @property
    def owing(self) -> int:
        """How many have a place that somebody else may need."""
        return len(self) - self.number[Stage.READY]

    def get(self, source: str) -> Crowd | None:
        """The crowd of a source, if somebody of it is here."""
        return self._crowds.get(source)

    def put(self, arrival: Arrival, stage: Stage) -> None:
        """Have the arrival stand at that stage, and at no other."""
        self.remove(arrival)
        crowd = self._crowds.setdefault(arrival.crowd.source, arrival.crowd)
        arrival.crowd, arrival.stage = crowd, stage
        self.number[stage] += 1
        if stage is not Stage.READY:
            crowd.others[stage].add(arrival)
            if stage is not Stage.SHAKING:
                self._dawdling[crowd] = None
            return
        if not crowd.ready:
            self._turns.append(crowd)
        crowd.ready.append(arrival)

    def remove(self, arrival: Arrival) -> None:
        """Forget the arrival; it need not be known."""
        crowd, stage = arrival.crowd, arrival.stage
        if stage is None:
            return
        arrival.stage = None
        self.number[stage] -= 1
        if stage is not Stage.READY:
            crowd.others[stage].remove(arrival)
            if not crowd.has_dawdlers:
                self._dawdling.pop(crowd, None)
        else:
            crowd.ready.remove(arrival)
            if not crowd.ready:
                self._turns.remove(crowd)
        if crowd.is_empty:
            del self._crowds[crowd.source]

    def next(self) -> Arrival | None:
        """Whose handshake begins now: of the source whose turn it is; None where enough are under way."""
        if self.number[Stage.SHAKING] >= self._limits.handshakes:
            return None
        for _ in range(len(self._turns)):
            crowd = self._turns[0]
            self._turns.rotate(-1)
            if crowd.is_unlimited or crowd.shaking < self._limits.of_source:
                return crowd.ready[0]
        return None

    def victim(self, newcomer: Arrival) -> Arrival | None:
        """Who has to go because of one more that keeps us waiting; it may be the newcomer."""
        crowd = newcomer.crowd
        if not crowd.is_unlimited and len(own := crowd.dawdlers()) > self._limits.of_source:
            return self._dice.choice(own)
        pressure = self._pressure()
        if not pressure or self._dice.random() >= pressure:  # to throw dice is a call of the system
            return None
        all_of_them = [each.dawdlers() for each in self._dawdling]
        most = max(map(len, all_of_them), default=0)
        candidates = [arrival for dawdlers in all_of_them if len(dawdlers) == most for arrival in dawdlers]
        return self._dice.choice(candidates) if candidates else None

    def surplus(self) -> Arrival | None:
        """Who has to go because too many wait for us: the last of the source that has most."""
        if self.number[Stage.READY] <= self._limits.ready:
            return None
        return max(self._turns, key=lambda crowd: len(crowd.ready)).ready[-1]

    def _pressure(self) -> float:
        """The chance that a newcomer costs a place: none below a crowd, then from 0.3 to 1."""
        limits = self._limits
        if self.owing < limits.crowded:
            return 0.0
        return FIRST_CHANCE + (1 - FIRST_CHANCE) * (self.owing - limits.crowded) / (limits.owing - limits.crowded)
