"""Beats: how the idle agent keeps in touch by datagram, and how it is rung.

It sends a beat now and then, and listens for a wake-up on a socket that the
kernel lets nobody but the server write to.  A flood from there costs nothing
either: only so many datagrams a second are looked at, and the server rings
again.  The session comes from a worker, which has registered over TLS; nothing
large is imported here.
"""

import _socket
import os
import time

from jobmon_agent.lull import DOUBT, JITTER, Lull
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, BYE, WAKE, Ends

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from jobmon_agent.health import Health

SOON = (2.0, 4.0)  # s until the third and the fourth
DEAF = 4  # unanswered beats after which the agent registers again: the server has forgotten it, or none pass
ANSWER = 1.0  # s that the fourth may be on its way
# Of the interval, over which agents spread then: all may have lost the same server.  With all before it a request
# is served 60 s after datagrams were blocked, at the latest.
SPREAD = 0.4
FIRST_PAUSE, LAST_PAUSE = 60.0, 3600.0  # s between two registrations where the site wants no channels kept
RATE = 10.0  # datagrams a second that are looked at in the long run: 0.1 % of a core
BURST = 20.0  # at once
BUFFER = 8192  # bytes of the socket's buffer, a dozen datagrams: what a flood leaves behind is soon gone through
NEVER = float("inf")


class Beats:
    """The agent's end of its session."""

    def __init__(self, health: "Health") -> None:
        self._health = health
        self._socket: "Optional[Any]" = None
        self._ends: "Optional[Ends]" = None
        self._interval = 0.0  # s
        self._echo = bytes(datagrams.CHALLENGE_BYTES)
        self._seen = self._pending = 0  # levels of requests: fetched, and waiting at the server
        self._unanswered = 0
        self._keeps_channel = True  # where no datagrams pass
        self._pause = FIRST_PAUSE
        self._regular = NEVER  # when the next beat is due if the last is answered
        self._answer = b""  # body of the last ACK, where it said nothing new
        self._sampled, self._vitals = 0.0, b""  # moment of the last sample, and what it is in a beat
        self._allowed, self._refilled = BURST, 0.0
        self.rung_at = NEVER  # when it was rung and nobody has come yet, by the monotonic clock
        self.register_at = 0.0  # when to register (again), by the monotonic clock
        self.next = NEVER  # when the next beat is due, by the monotonic clock

    @property
    def is_rung(self) -> bool:
        """Requests wait at the server."""
        return self._pending > self._seen

    def must_register(self, now: float) -> bool:
        """A worker is to register the agent: the first time, anew, or because it is rung."""
        return self.is_rung or now >= self.register_at

    @property
    def has_session(self) -> bool:
        """The agent has registered, and the server takes datagrams."""
        return self._ends is not None

    @property
    def works(self) -> bool:
        """The server answers beats, as far as is known: it can ring."""
        return self._ends is not None and self._unanswered < DEAF

    @property
    def bell(self) -> int:
        """The descriptor of the socket, of a session that has one."""
        assert self._socket is not None
        return int(self._socket.fileno())

    @property
    def is_at_rest(self) -> bool:
        """Nobody is to be told, no beat is missed, and few datagrams have come."""
        is_done = self._pending <= self._seen and self.register_at == NEVER
        return is_done and self._unanswered < DEAF and self._allowed >= 1

    def begin(self, told: "Dict[str, Any]") -> None:
        """Take a session as a worker was told it; the same one goes on.

        Args:
            told: family and address of the server's socket, session, keys
                (up and down), interval, the server's counter, level of requests,
                whether a channel is kept where no datagrams pass.
        """
        self._interval = told["interval"]
        self._seen = max(self._seen, told["pending"])
        self._keeps_channel = told["keeps_channel"]
        self.rung_at = self.register_at = NEVER
        now = time.monotonic()
        if self._ends is None or self._ends.session != told["session"]:
            self._close()
            self._seen, self._pending = told["pending"], 0
            self._ends = Ends(told["session"], told["up"], told["down"], heard=told["counter"])
            self._socket = _connected(told["family"], told["address"])
            self._unanswered, self._answer = 0, b""
            self.next = now
        elif not self.works:  # the server is there: it may have been away
            self.next = now
            if self._keeps_channel:
                self.register_at = now  # a worker that crashes has a successor
            else:
                self.register_at = now + self._pause * (1 + _random()) / 2
                self._pause = min(2 * self._pause, LAST_PAUSE)

    def descriptor(self, now: float) -> "Optional[int]":
        """What to wait for; -1 while enough was looked at, None without a session."""
        if self._socket is None:
            return None
        self._allowed = min(BURST, self._allowed + RATE * (now - self._refilled))
        self._refilled = now
        return int(self._socket.fileno()) if self._allowed >= 1 else -1

    def beat(self, now: float) -> None:
        """Send a beat, and plan the next."""
        self._unanswered += 1
        self._regular = now + self._interval * (1 + JITTER * (_random() - 0.5) * 2)
        self.next = self._regular
        if self._unanswered < DEAF:  # unless this one is answered
            self.next = now + ((self._regular - now) * DOUBT, *SOON)[self._unanswered - 1]
        elif self._unanswered == DEAF:
            self.register_at = now + min(ANSWER, self._interval) + _random() * SPREAD * self._interval
        self._send(BEAT, self.body())

    def body(self, is_still: bool = False) -> bytes:
        """What a beat says now.

        Args:
            is_still: what the last one said of the job holds yet.
        """
        if is_still and self._vitals:
            self._sampled, self._vitals = 0.0, datagrams.renew_vitals(self._vitals, time.time())
            return datagrams.write_beat(self._seen, self._echo, self._vitals)
        sample = self._health.glance()
        if sample.at != self._sampled:
            self._sampled, self._vitals = sample.at, datagrams.write_vitals(sample)
        return datagrams.write_beat(self._seen, self._echo, self._vitals)

    def lull(self) -> "Optional[Lull]":
        """What may come next when nothing does; None while a beat is unanswered, or an answer told something new.

        When it is over hand it to ``resume``.
        """
        if self._unanswered or not self._answer or self._ends is None or self._socket is None:
            return None
        return Lull(self._ends, self._socket, self._answer, self._interval)

    def resume(self, lull: Lull, now: float) -> None:
        """Go on from where a lull has come to, with the datagram that ended it."""
        if lull.sent_at:
            pause = lull.pause / 1000.0
            self.next = self._regular = lull.sent_at + pause
            if lull.is_waiting:
                self._unanswered, self.next = 1, lull.sent_at + pause * DOUBT
        if lull.datagram:
            self._allowed -= 1
            self._open(lull.datagram, now)

    def bye(self, ended: float, status: int, source: str) -> None:
        """Tell that the job has ended: this may be all that is told, where the agent is killed with its job."""
        if self._ends is not None:
            self._send(BYE, datagrams.write_bye(self._seen, self._echo, ended, status, source))

    def hear(self, now: float) -> None:
        """Take one datagram that has come."""
        assert self._socket is not None
        self._allowed -= 1
        try:
            datagram = self._socket.recv(datagrams.LONGEST + 1)
        except OSError:  # the server's kernel says that nobody listens there
            return
        self._open(datagram, now)

    def _open(self, datagram: bytes, now: float) -> None:
        assert self._ends is not None
        opened = self._ends.open(datagram, (ACK, WAKE))
        if opened is not None:
            self._take(opened[0], opened[1], now)

    def _take(self, type_: int, body: bytes, now: float) -> None:
        if type_ == ACK:
            pending, challenge, interval, again = datagrams.read_ack(body)
            if not self.works:
                self.register_at, self._pause = NEVER, FIRST_PAUSE
            if again and self.register_at == NEVER:
                self.register_at = now + _random() * again
            self._unanswered = 0
            self.next = self._regular
            if interval:
                self._interval = interval
            self._answer = b"" if again else body
            if challenge != self._echo:
                self._echo = challenge
                self.next = now
        else:
            pending = datagrams.read_wake(body)
        self._pending = max(self._pending, pending)
        if self.is_rung:
            self.rung_at = min(self.rung_at, now)

    def _send(self, type_: int, body: bytes) -> None:
        assert self._ends is not None
        if self._socket is not None:
            try:
                self._socket.send(self._ends.seal(type_, body))
            except OSError:  # no way there, or nobody listens there: it counts as unanswered
                pass

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _connected(family: int, address: "Any") -> "Any":
    """A socket that receives from that address alone."""
    flags = _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
    try:
        made = _socket.socket(family, flags)
        made.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, BUFFER)
        made.connect(address)
        return made
    except OSError:  # no datagrams from this node: the channel stays open
        return None


def _random() -> float:
    """From 0 to 1; the random module would cost 1 MB."""
    return os.urandom(1)[0] / 255.0
