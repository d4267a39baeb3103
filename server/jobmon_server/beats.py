"""Beats: the sessions by datagram that agents keep when nobody asks for their jobs.

A beat refreshes what is known of a job and where its agent can be rung, never
authority: after the end of its certificate, or of its session, an agent is not
answered any more.  Nothing is said to anybody who does not prove the session's
key, and never more than was heard.  A restarted server knows all sessions
again; until an agent has answered a challenge of this run its beats count for
nothing, as they may be old ones, repeated.  A session that nobody asks for is a
line of the switchboard: it has no timer and no task.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2s
from typing import Protocol

from jobmon_pki.names import COMMON_NAME
from jobmon_pki.profiles import JOB, PROFILES, Identity
from jobmon_server.beats_key import SECRET_BYTES, derive
from jobmon_server.facts import NEVER_HEARD, Reach
from jobmon_server.floods import Sources
from jobmon_server.jobs import HearsayError, Job
from jobmon_server.switchboard import NONE, Address, Switchboard
from jobmon_server.trials import Trials
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, BYE, ECHO, HEAD_BYTES, LONGEST, SESSION, WAKE, is_same
from jobmon_wire.limits import SILENT_AFTER
from jobmon_wire.records import UDP, Exit, exit_of
from jobmon_wire.records import Beats as Told

TICKS = 2**20  # counters a second of the clock that a run may use: the next run's are above them
UNSAVED = 120.0  # s; a former run may have gone on so long after what it wrote down last
AGE = 86400.0  # s after which a session is to be exchanged for a new one, with another id and other keys
GRACE = 3600.0  # s more until it ends: as long as anybody may be told to wait, and a few tries
SPREAD = 60.0  # s over which agents register again at least, when they are told to
RINGS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # s after the request; p99 is 2 s with 20 % loss each way, 15 s with 50 %
LATER_RINGS = 10.0  # s between all that follow
TURN = 32  # datagrams taken before others have their turn: half a millisecond, a few of which a user waits
PILE = 64  # datagrams that are expected at a look: fewer are not worth it
REST = 0.05  # s between two looks at most: to be woken for each of 1,667 beats a second costs as much as the beats
BUFFER = 4 * 2**20  # bytes the kernel holds meanwhile: 5,000 datagrams, twice what 40,000 a second bring in a rest
NEVER = float("inf")
LATEST = 2**32 - 1  # s since 1970 that a line's moments can be
_HEARD = datagrams.forms((BEAT, BYE))  # what agents send
_UNHEARD = 0, LONGEST + 1
_RCVBUFFORCE = 33  # Linux's number of SO_RCVBUFFORCE; the socket module has no name for it


class Listener(Protocol):
    """Who is told what datagrams say of a job: ``hearing.Ears`` makes one."""

    def beat(self, job: Job, body: bytes, now: float) -> None:
        """A beat came, with this body, at this moment (s since 1970)."""

    def bye(self, job: Job, ended: float, status: Exit) -> None:
        """The agent says that its job has ended."""


class Nobody:
    """A listener that does not care."""

    def beat(self, job: Job, body: bytes, now: float) -> None:
        """A beat came."""

    def bye(self, job: Job, ended: float, status: Exit) -> None:
        """The job has ended."""


class Beats:
    """All sessions, and the socket they share.

    Args:
        secret: the site's, see ``beats_key``.
        find: gives the job of a uuid.
        interval: gives the seconds between beats.
        window: gives the seconds over which so many agents shall spread that register again.
        clock: s since 1970.
    """

    def __init__(
        self,
        secret: bytes,
        find: Callable[[str], Job | None],
        interval: Callable[[], float],
        window: Callable[[int], float],
        clock: Callable[[], float],
    ) -> None:
        self._secret = secret
        self._find = find
        self._interval = interval
        self._window = window
        self._clock = clock
        self._challenges = secrets.token_bytes(SECRET_BYTES)  # of this run
        self._lines = Switchboard(int(clock() * TICKS))  # counters and levels of this run are above that
        self._pending: dict[int, int] = {}  # by line that was ever rung: level of requests
        self._rung: dict[int, asyncio.TimerHandle] = {}  # by line: the next ring
        self._sources = Sources()
        self._trials = Trials(time.monotonic)
        self._socket: socket.socket | None = None
        self._found, self._since = 0, 0.0  # datagrams since none was left last, and when that was by the loop's clock
        self._look: asyncio.Handle | None = None  # the next one for datagrams, where none of the system's wakes us
        self.listener: Listener = Nobody()
        self.taken = 0  # genuine and new datagrams
        self.refused = 0  # datagrams that were passed over in silence

    def __len__(self) -> int:
        return len(self._lines)

    # Sessions

    def open(self, job: Job, fingerprint: str) -> Told | None:
        """The session of the job's agent, as it is told; None where no datagrams are taken.

        The same agent with the same certificate keeps its session, whose
        counters go on, for half of a session's age.

        Args:
            fingerprint: of the agent's certificate.
        """
        now = self._clock()
        line, lines = job.line, self._lines
        session, secret = derive(self._secret, job, fingerprint)
        if line == NONE or lines.session(line) != session or now - job.opened > AGE / 2:
            job.opened = round(now, 3)
            session, secret = derive(self._secret, job, fingerprint)
            line = self._add(job, fingerprint, NEVER_HEARD)
        self._limit(line, job)
        if self._socket is None:
            return None
        port = int(self._socket.getsockname()[1])
        return Told(port, session, secret, self._interval(), lines.counter(line), self._pending.get(line, 0))

    def restore(self, job: Job, fingerprint: str, reach: Reach) -> None:
        """Know a session of an earlier run again; where its agent was is taken for a place to ring at, unproven."""
        self._limit(self._add(job, fingerprint, reach), job)

    def reach(self, job: Job) -> Reach:
        """What is to be known of the job's session after a restart."""
        line = job.line
        return Reach(self._lines.highest[line], self._lines.address(line)) if line else NEVER_HEARD

    def begin_trial(self, fingerprint: str) -> Told | None:
        """A session that belongs to no job, by which a node tries datagrams; None where none are taken."""
        if self._socket is None:
            return None
        session, secret = self._trials.open(fingerprint)
        return Told(int(self._socket.getsockname()[1]), session, secret, self._interval(), 0, 0)

    def begin_after(self, moment: float) -> None:
        """Let counters be above those of a run that was there at a moment, though the clock was set back since."""
        if moment > self._clock():
            self._lines.base = int((moment + UNSAVED) * TICKS)

    def close(self, uuid: str) -> None:
        """The job's session is over."""
        job = self._find(uuid)
        if job is not None:
            self._close(job)

    def sweep(self, reason: Callable[[Identity], str | None]) -> int:
        """End the sessions of revoked certificates; give their number."""
        ended = [job for job in self._lines if reason(_identity(job)) is not None]
        for job in ended:
            self._close(job)
        return len(ended)

    def knows(self, job: Job) -> bool:
        """Whether the job's agent has a session."""
        return job.line != NONE

    def _line(self, uuid: str) -> int:
        job = self._find(uuid)
        return NONE if job is None else job.line

    def _add(self, job: Job, fingerprint: str, reach: Reach) -> int:
        self._close(job)
        session, secret = derive(self._secret, job, fingerprint)
        up, down = datagrams.derive_keys(secret, session, bytes.fromhex(fingerprint))
        job.line = line = self._lines.open(job, session, up, down, reach.counter)
        if reach.address is not None:
            self._lines.move(line, reach.address, self._challenge(session, reach.address))
        return line

    def _close(self, job: Job) -> None:
        line = job.line
        if self._lines.jobs[line] is job:  # a copy of a job has no session
            self._hush(line)
            self._pending.pop(line, None)
            self._lines.close(line)
            job.line = NONE

    def _limit(self, line: int, job: Job) -> None:
        """Note the moments of a session that depend on the job's certificate, which each beat looks at."""
        self._lines.due[line] = int(min(self.due(job), LATEST))
        self._lines.end[line] = int(min(job.expires, job.opened + AGE + GRACE))  # not a second later

    # Ringing

    def reaches(self, uuid: str) -> bool:
        """Whether the job's agent can be rung: it was heard lately, where it says it is."""
        heard = self._lines.heard[self._line(uuid)]
        return heard > 0 and asyncio.get_running_loop().time() - heard < SILENT_AFTER * self._interval()

    def callback(self, uuid: str) -> str | None:
        """How the job's agent is rung, for the public record: ``udp``, or None where it cannot be."""
        return UDP if self.reaches(uuid) else None

    def ring(self, uuid: str) -> bool:
        """Have the job's agent open its channel; whether it has a session.

        It is rung again and again until ``answered``.
        """
        line = self._line(uuid)
        if line == NONE:
            return False
        # Above every level of an earlier run, which the agent may have seen.
        self._pending[line] = self._pending.get(line, self._lines.base) + 1
        self._hush(line)
        self._ring(line, 0)
        return True

    def is_rung(self, uuid: str) -> bool:
        """Somebody waits for the job's agent."""
        return self._line(uuid) in self._rung

    def answered(self, uuid: str) -> None:
        """The channel is open, or nobody waits for it any more."""
        self._hush(self._line(uuid))

    def _ring(self, line: int, count: int) -> None:
        address = self._lines.address(line)
        if address is not None and self._clock() < self._lines.end[line]:
            session, body = self._lines.session(line), datagrams.write_wake(self._pending[line])
            self._send(self._lines.seal(line, session, WAKE, body), address)
        delay = RINGS[count + 1] - RINGS[count] if count + 1 < len(RINGS) else LATER_RINGS
        self._rung[line] = asyncio.get_running_loop().call_later(delay, self._ring, line, count + 1)

    def _hush(self, line: int) -> None:
        if ring := self._rung.pop(line, None):
            ring.cancel()

    # Hearing

    def listen(self, sock: socket.socket) -> None:
        """Take datagrams from a bound socket from now on; it is closed by ``shut``."""
        for option in (_RCVBUFFORCE, socket.SO_RCVBUF):  # the first needs CAP_NET_ADMIN, the second heeds rmem_max
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
                break
        self._socket = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), self._wake_up, sock)

    def shut(self) -> None:
        """Take and send no more."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            if self._look is not None:
                self._look.cancel()
            self._socket.close()
            self._socket = None
        for line in list(self._rung):
            self._hush(line)

    def _wake_up(self, sock: socket.socket) -> None:
        """Something has come after a silence: look by the clock from now on, as long as more comes."""
        asyncio.get_running_loop().remove_reader(sock.fileno())
        self._drain(sock)

    def _drain(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        now, wall = loop.time(), self._clock()
        for number in range(TURN):
            try:
                data, address = sock.recvfrom(LONGEST + 1)
            except OSError:  # none is left
                if found := self._found + number:
                    # At a high rate no pile shall wait: while it is taken nobody else in the loop has their turn.
                    rest = min(REST, PILE * (now - self._since) / found)
                    self._look = loop.call_later(rest, self._drain, sock)
                    self._found, self._since = 0, now
                else:
                    self._look = None
                    loop.add_reader(sock.fileno(), self._wake_up, sock)
                return
            self.take(data, address, now, wall)
        self._found += TURN
        self._look = loop.call_soon(self._drain, sock)

    def take(self, data: bytes, address: Address, now: float, wall: float = 0.0) -> None:
        """Take a datagram; whatever is not genuine, new and in its place is passed over in silence.

        Args:
            address: where it came from.
            now: s, by the loop's clock.
            wall: s since 1970; 0: as it is now.
        """
        lines, line, type_, counter = self._lines, NONE, 0, 0
        if HEAD_BYTES <= len(data) <= LONGEST:
            start, number, counter = datagrams.read_start(data)
            type_, fewest = _HEARD.get(start, _UNHEARD)
            line = lines.find(number) if len(data) >= fewest else NONE
        if line == NONE and (answer := self._trials.answer(data)) is not None:
            self._send(answer, address)
            return
        if line == NONE or not self._sources.admits(address, now):
            self.refused += 1
            return
        body = lines.take(line, type_, counter, data, now)
        if body is None:
            self.refused += 1
            return
        self.taken += 1
        session, wall, known = data[SESSION], wall or self._clock(), lines.challenge(line, address)
        challenge = known or self._challenge(session, address)
        job = lines.jobs[line]
        if is_same(body[ECHO], challenge) and job is not None:
            try:
                if type_ == BEAT:
                    if known is None:
                        lines.move(line, address, challenge)
                    lines.heard[line] = now
                    self.listener.beat(job, body, wall)
                else:
                    _, ended, status, source = datagrams.read_bye(body)
                    self.listener.bye(job, ended, exit_of(status, source))
            except HearsayError:  # it says what cannot be; that it lives is true all the same
                self.refused += 1
        self._answer(line, session, address, challenge, wall)

    def _answer(self, line: int, session: bytes, address: Address, challenge: bytes | bytearray, now: float) -> None:
        """Say that a datagram was taken, unless the session is over."""
        lines = self._lines
        if now < lines.end[line]:
            again = 0.0 if now < lines.due[line] else self._again(line, now)
            body = datagrams.write_ack(self._pending.get(line, 0), challenge, self._interval(), again)
            self._send(lines.seal(line, session, ACK, body), address)

    def _again(self, line: int, now: float) -> float:
        """Seconds within which an agent is to register again that is due."""
        return min(max(SPREAD, self._window(len(self._lines))), (self._lines.end[line] - now) / 2)

    def due(self, job: Job) -> float:
        """The moment from which on the job's agent is told to register again: for a new session, or certificate."""
        return min(job.opened + AGE if job.opened else NEVER, job.renew or NEVER)

    def _challenge(self, session: bytes, address: Address) -> bytes:
        """What only who receives at that address can repeat."""
        place = f"{address[0]} {address[1]}".encode("ascii", "replace")
        return blake2s(session + place, key=self._challenges, digest_size=datagrams.CHALLENGE_BYTES).digest()

    def _send(self, datagram: bytes, address: Address) -> None:
        if self._socket is None:
            return
        try:  # noqa: SIM105 - suppress() takes 0.6 us, of each beat
            self._socket.sendto(datagram, address)
        except (OSError, TypeError):
            pass  # a full buffer is a loss as any on the way; an address of a former run may be of the other family


def _identity(job: Job) -> Identity:
    """Whom the certificate of a job's agent speaks for, as far as revocation asks."""
    name = (*job.owner_rdns, (COMMON_NAME, job.id))
    return Identity(
        role=JOB,
        name=name,
        serial=job.serial,
        fingerprint="",
        not_before=job.issued - PROFILES[JOB].backdate,
        not_after=job.expires,
        uuid=job.uuid,
        clusters=(),
        spki="",
    )
