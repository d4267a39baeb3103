"""Admission: how many agents may register at once, and when the others shall come back.

A registration costs a TLS handshake, three milliseconds of a core.  A cluster
that starts thousands of jobs in seconds, or a server that has lost its state,
would have all agents come at once, fail, and come again at once.  So those
beyond a burst are given a place in a row: each is told when it is its turn, and
is taken then.  Time comes in by argument.
"""

from __future__ import annotations

from collections import OrderedDict

RATE = 170.0  # registrations a second in the long run: half of what a core can do, the rest is for who has a session
BURST = 4096.0  # at once; as many connections may wait to be accepted, and they are through in a quarter of a minute
PLACES = 200_000  # agents in the row; beyond, they are sent to its end, without a place of their own
KEPT = 120.0  # s that a place is kept for an agent that is late
LONGEST = 600.0  # s that anybody is told to wait


class Admission:
    """The row of agents that want to register.

    Args:
        rate: registrations a second.
        burst: how many may come at once after a quiet time.
    """

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self._step = 1 / rate
        self._burst = burst * self._step  # s of work that may be ahead
        self._last = 0.0  # moment by which all that was promised is done
        self._places: OrderedDict[str, float] = OrderedDict()  # when it is whose turn, by uuid, the first first

    def wait(self, uuid: str, now: float) -> float:
        """Seconds that the agent of a job shall wait before it registers; 0: it is taken.

        Args:
            now: s, by a steady clock.
        """
        self._forget(now)
        place = self._places.get(uuid)
        if place is not None:
            if now < place:
                return min(place - now, LONGEST)
            del self._places[uuid]
            return 0.0
        self._last = max(self._last, now) + self._step
        ahead = self._last - now - self._burst
        if ahead < self._step / 2:  # not 0: sums of fractions are not exact
            return 0.0
        if ahead > LONGEST or len(self._places) >= PLACES:
            self._last -= self._step
            return LONGEST
        self._places[uuid] = now + ahead
        return ahead

    def window(self, number: int) -> float:
        """Seconds over which so many agents shall spread that are told to register again."""
        return number * self._step

    def _forget(self, now: float) -> None:
        while self._places:
            uuid, place = next(iter(self._places.items()))
            if place + KEPT > now:
                return
            del self._places[uuid]
