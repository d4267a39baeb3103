"""The state of one connection to a server: connecting, live, stale, retrying, refused.

A link is told what happened and when; it says what state that makes and when
to try again.  Waiting between tries doubles from ``FIRST_WAIT`` to
``LONGEST_WAIT`` and is never given up.  A certificate problem is not retried:
it does not mend itself.  Nothing here knows of sockets, and time and chance
come in through arguments.
"""

from collections.abc import Callable

CONNECTING = "connecting"  # TCP, TLS, or waiting for the first word
SYNCING = "syncing"  # the list is coming in
LIVE = "live"
STALE = "stale"  # connected, but two heartbeats are missing
RETRYING = "retrying"  # not connected; a try is due
REFUSED = "refused"  # a certificate problem: only a person can mend it
STATES = (CONNECTING, SYNCING, LIVE, STALE, RETRYING, REFUSED)

HEARTBEAT = 5.0  # s between the server's words on a watched list
STALE_AFTER = 2 * HEARTBEAT + 1.0  # s; two missed, and one for the way
DEAD_AFTER = 4 * HEARTBEAT  # s; then the connection is cut and made anew
CONNECTING_FOR = 20.0  # s; no first word until then counts as a failed try
FIRST_WAIT = 0.5  # s before the second try
LONGEST_WAIT = 30.0  # s between tries
STEADY = 5.0  # s live before the count of tries starts over: a server that drops at once is no success


class Link:
    """One connection, as a person sees it.

    Args:
        now: the moment it starts, s of any steady clock.
        chance: gives a number from 0 to 1, so that a thousand consoles do not knock at once.
    """

    def __init__(self, now: float, chance: Callable[[], float]) -> None:
        self._chance = chance
        self.state = CONNECTING
        self.since = now  # s, when the state began
        self.tries = 0  # connections begun since it was last live
        self.why = ""  # what went wrong last, one sentence
        self._heard = now  # s, last word from the server
        self._due = now  # s, when the next try is to begin
        self._is_hurried = False

    @property
    def is_usable(self) -> bool:
        """What is asked now has somebody to answer it."""
        return self.state in (SYNCING, LIVE)

    def opening(self, now: float) -> None:
        """A try begins."""
        self.tries += 1
        self._heard = now
        self._become(CONNECTING, now)

    def heard(self, now: float) -> None:
        """A word came from the server."""
        self._heard = now
        if self.state == CONNECTING:
            self._become(SYNCING, now)
        elif self.state == STALE:
            self._become(LIVE, now)

    def synced(self, now: float) -> None:
        """The list is whole; changes follow."""
        self._heard = now
        self.why = ""
        self._is_hurried = False
        self._become(LIVE, now)

    def broke(self, now: float, why: str) -> None:
        """The connection ended or was not made."""
        if self.state in (LIVE, STALE) and now - self.since >= STEADY:
            self.tries = 0
        self.why = why
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(max(self.tries - 1, 0), 16))
        self._due = now + wait * (0.5 + 0.5 * self._chance())
        self._become(RETRYING, now)

    def refused(self, now: float, why: str) -> None:
        """The server or its certificate, or ours, is not what it must be."""
        self.why = why
        self._become(REFUSED, now)

    def retry(self, now: float) -> None:
        """A person wants the next try at once."""
        if self.state in (RETRYING, REFUSED):
            self._due = now
            self._become(RETRYING, now)

    def hurry(self, now: float) -> bool:
        """The server has spoken, though not to us: the next try is due; whether it was not.

        That is once until the link is live again: it may be this connection alone that fails.
        """
        if self.state != RETRYING or self._is_hurried:
            return False
        self._is_hurried, self._due = True, min(self._due, now)
        return True

    def check(self, now: float) -> str:
        """The state, after looking at the clock."""
        if self.state == LIVE and now - self._heard >= STALE_AFTER:
            self._become(STALE, now)
        return self.state

    def is_dead(self, now: float) -> bool:
        """Nothing was heard for so long that the connection is to be cut."""
        limit = CONNECTING_FOR if self.state == CONNECTING else DEAD_AFTER
        return self.state in (CONNECTING, SYNCING, LIVE, STALE) and now - self._heard >= limit

    def wait(self, now: float) -> float | None:
        """Seconds until the next try; None: not before a person asks."""
        return None if self.state == REFUSED else max(0.0, self._due - now)

    def silence(self, now: float) -> float:
        """Seconds since the last word."""
        return max(0.0, now - self._heard)

    def _become(self, state: str, now: float) -> None:
        if state != self.state:
            self.state = state
            self.since = now
