"""The datagrams of a process's simulated agents: beats when they are due, and what the server answers.

Each agent has a session of its own, as real ones have, and the keys, counters,
echoes and retries of the real one.  Agents of one node share one socket, where
real ones have one each; the server tells them apart by session either way.
"""

import asyncio
import heapq
import socket
import time
from random import Random
from typing import Any, Protocol

from jobmon_agent.beats import ANSWER, DEAF, DOUBT, JITTER, SOON, SPREAD
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, BYE, HEAD_BYTES, WAKE, Ends
from jobmon_wire.records import Beats as Told
from jobmon_wire.records import Vitals

DRAIN = 64  # datagrams of one socket in one turn of the loop
TICK = 0.005  # s; beats that are due within it go together
BUFFER = 4 * 2**20  # bytes of a socket's buffer: a slow moment here must not count as the server's loss
_SESSION = slice(4, 4 + datagrams.SESSION_BYTES)  # of a datagram
assert _SESSION.stop + 8 == HEAD_BYTES  # the counter follows

NEVER = float("inf")


class Beater(Protocol):
    """Who beats."""

    line: "Line | None"

    def vitals(self) -> Vitals:
        """What its beat carries."""

    def rung(self) -> None:
        """Open the channel, after a registration."""

    def again(self, delay: float) -> None:
        """As ``rung``, after so many seconds."""


class Line:
    """One agent's end of its session."""

    __slots__ = ("beater", "echo", "ends", "interval", "next", "pending", "regular", "seen", "sock", "unanswered")

    def __init__(self, beater: Beater, told: Told, fingerprint: str, sock: socket.socket) -> None:
        up, down = datagrams.derive_keys(told.secret, told.session, bytes.fromhex(fingerprint))
        self.beater = beater
        self.ends = Ends(told.session, up, down, heard=told.counter)
        self.sock = sock
        self.interval = told.interval
        self.seen = self.pending = told.pending
        self.echo = bytes(datagrams.CHALLENGE_BYTES)
        self.unanswered = 0
        self.next = NEVER  # by the loop's clock
        self.regular = NEVER  # when the next is due if the last is answered

    @property
    def is_rung(self) -> bool:
        """Requests wait at the server."""
        return self.pending > self.seen


class Counts:
    """What went over the wire."""

    def __init__(self) -> None:
        self.beats = self.acks = self.wakes = self.byes = self.strange = self.dropped = 0


class Beats:
    """All lines of a process.

    Args:
        host: the server's address.
        loss: share of datagrams that are dropped here, each way.
        is_bound: send from an address for each node, 127.1.0.1 and up, as many hosts would.
    """

    def __init__(self, host: str, loss: float, is_bound: bool, draw: Random) -> None:
        self._host = host
        self._loss = loss
        self._is_bound = is_bound
        self._draw = draw
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[int, socket.socket] = {}  # by node
        self._lines: dict[bytes, Line] = {}  # by session
        self._due: list[tuple[float, int, Line]] = []
        self._number = 0  # of the entries in _due, so that no two are alike
        self._timer: asyncio.Handle | None = None
        self._looks_at = NEVER  # when the timer is due, by the loop's clock
        self._target: Any = None
        self.counts = Counts()

    def begin(self, beater: Beater, told: Told, fingerprint: str, node: int) -> Line:
        """Take a session; the same one goes on."""
        self._target = (self._host, told.port)
        line = self._lines.get(told.session)
        if line is None:
            if beater.line is not None:
                self.end(beater.line)
            line = beater.line = self._lines[told.session] = Line(beater, told, fingerprint, self._socket(node))
        line.seen = max(line.seen, told.pending)
        line.interval = told.interval
        return line

    def end(self, line: Line) -> None:
        """Beat no more."""
        self._lines.pop(line.ends.session, None)
        line.next = NEVER

    def plan(self, line: Line, delay: float) -> None:
        """The next beat is due after so many seconds."""
        line.next = self._loop.time() + delay
        self._number += 1
        heapq.heappush(self._due, (line.next, self._number, line))
        if self._looks_at > line.next + TICK:
            self._wait()

    def beat(self, line: Line) -> None:
        """Beat now, and plan the next."""
        line.unanswered += 1
        regular = line.interval * (1 + JITTER * self._draw.uniform(-1, 1))
        line.regular = self._loop.time() + regular
        is_soon = line.unanswered < DEAF
        self.plan(line, (regular * DOUBT, *SOON)[line.unanswered - 1] if is_soon else regular)
        if line.unanswered == DEAF:  # the server has forgotten the session, or no datagrams pass
            line.beater.again(min(ANSWER, line.interval) + self._draw.random() * SPREAD * line.interval)
        vitals = datagrams.write_vitals(line.beater.vitals())
        self.counts.beats += 1
        self._send(line, BEAT, datagrams.write_beat(line.seen, line.echo, vitals))

    def bye(self, line: Line, status: int) -> None:
        """The job has ended."""
        self.counts.byes += 1
        self._send(line, BYE, datagrams.write_bye(line.seen, line.echo, time.time(), status, "pidfd"))

    def close(self) -> None:
        """Let go of the sockets."""
        if self._timer is not None:
            self._timer.cancel()
        for sock in self._sockets.values():
            self._loop.remove_reader(sock.fileno())
            sock.close()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at = self._due[0][0] + TICK if self._due else NEVER
        self._timer = self._loop.call_at(self._looks_at, self._tick) if self._due else None

    def _tick(self) -> None:
        self._looks_at = -NEVER  # it is being looked at
        now = self._loop.time()
        while self._due and self._due[0][0] <= now:
            due, _, line = heapq.heappop(self._due)
            if line.next == due:
                self.beat(line)
        self._timer = None
        self._wait()

    def _send(self, line: Line, type_: int, body: bytes) -> None:
        datagram = line.ends.seal(type_, body)
        if self._is_lost():
            return
        try:
            line.sock.sendto(datagram, self._target)
        except OSError:  # the buffer is full, or nobody listens there: it counts as unanswered
            self.counts.dropped += 1

    def _is_lost(self) -> bool:
        if self._loss and self._draw.random() < self._loss:
            self.counts.dropped += 1
            return True
        return False

    def _socket(self, node: int) -> socket.socket:
        sock = self._sockets.get(node)
        if sock is None:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            sock = self._sockets[node] = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            if self._is_bound:
                sock.bind((node_address(node), 0))
            self._loop.add_reader(sock.fileno(), self._drain, sock)
        return sock

    def _drain(self, sock: socket.socket) -> None:
        for _ in range(DRAIN):
            try:
                datagram = sock.recv(datagrams.LONGEST + 1)
            except OSError:
                return
            line = self._lines.get(datagram[_SESSION])
            opened = None if line is None or self._is_lost() else line.ends.open(datagram, (ACK, WAKE))
            if line is None or opened is None:
                self.counts.strange += line is None
                continue
            self._take(line, *opened)

    def _take(self, line: Line, type_: int, body: bytes) -> None:
        if type_ == ACK:
            self.counts.acks += 1
            pending, challenge, interval, again = datagrams.read_ack(body)
            if again:
                line.beater.again(self._draw.random() * again)
            self.plan(line, max(0.0, line.regular - self._loop.time()))
            line.unanswered = 0
            line.interval = interval or line.interval
            if challenge != line.echo:
                line.echo = challenge
                self.plan(line, 0.0)
        else:
            self.counts.wakes += 1
            pending = datagrams.read_wake(body)
        line.pending = max(line.pending, pending)
        if line.is_rung:
            line.beater.rung()


def node_address(node: int) -> str:
    """The address of a node on the loopback network."""
    return f"127.{1 + node // 62500}.{node // 250 % 250}.{node % 250 + 1}"
