"""Beats: the sessions by datagram that agents keep when nobody asks for their jobs.

A beat refreshes what is known of a job and where its agent can be rung, never
authority: after the end of its certificate, or of its session, an agent is not
answered any more.  Nothing is said to anybody who does not prove the session's
key, and never more than was heard.  A restarted server knows all sessions
again; until an agent has answered a challenge of this run its beats count for
nothing, as they may be old ones, repeated.  A session that nobody asks for is a
few numbers: it has no timer and no task.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2s
from typing import Any, Protocol

from jobmon_pki.names import COMMON_NAME
from jobmon_pki.profiles import JOB, PROFILES, Identity
from jobmon_server.beats_key import SECRET_BYTES, derive
from jobmon_server.floods import Sources
from jobmon_server.jobs import HearsayError, Job
from jobmon_server.trials import Trials
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, BYE, LONGEST, WAKE, Ends
from jobmon_wire.limits import SILENT_AFTER
from jobmon_wire.records import UDP, Exit, Vitals, exit_of
from jobmon_wire.records import Beats as Told

TICKS = 2**20  # counters a second of the clock that a run may use: the next run's are above them
UNSAVED = 120.0  # s; a former run may have gone on so long after what it wrote down last
RATE = 5.0  # datagrams a second that one session is heard with; a beat every 25 s and its answers are 0.1
BURST = 10.0  # datagrams of one session that may come at once
AGE = 86400.0  # s after which a session is to be exchanged for a new one, with another id and other keys
GRACE = 3600.0  # s more until it ends: as long as anybody may be told to wait, and a few tries
SPREAD = 60.0  # s over which agents register again at least, when they are told to
RINGS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # s after the request; p99 is 2 s with 20 % loss each way, 15 s with 50 %
LATER_RINGS = 10.0  # s between all that follow
TURN = 64  # datagrams taken before others in the loop have their turn: half a millisecond
REST = 0.005  # s between two looks: to be woken for each of 1,667 beats a second costs as much as the beats
BUFFER = 4 * 2**20  # bytes the kernel holds meanwhile: 5,000 datagrams, a tenth of a second of the worst
NEVER = float("inf")
_RCVBUFFORCE = 33  # Linux's number of SO_RCVBUFFORCE; the socket module has no name for it

Address = tuple[Any, ...]  # as the socket names it


class Listener(Protocol):
    """Who is told what datagrams say of a job: ``hearing.Ears`` makes one."""

    def feel(self, job: Job, vitals: Vitals, now: float) -> None:
        """A beat came, with these figures, at this moment (s since 1970)."""

    def bye(self, job: Job, ended: float, status: Exit) -> None:
        """The agent says that its job has ended."""


class Line(Ends):
    """One agent's session: the server's end of it."""

    __slots__ = ("busy", "heard", "job", "pending", "rung")

    def __init__(self, job: Job, session: bytes, down: bytes, up: bytes, counter: int) -> None:
        super().__init__(session, down, up, counter, job.counter)
        self.job = job
        self.heard = 0.0  # s by the loop's clock: the last beat that answered a challenge of this run
        self.pending = 0  # level of requests
        self.rung: asyncio.TimerHandle | None = None  # the next ring
        self.busy = 0.0  # s by the loop's clock: when all that came would have come at the allowed rate

    def may_speak(self, now: float) -> bool:
        """Whether one more datagram is heard now."""
        busy = max(self.busy, now)
        if busy - now > (BURST - 1) / RATE:
            return False
        self.busy = busy + 1 / RATE
        return True


class Beats:
    """All sessions, and the socket they share.

    Args:
        secret: the site's, see ``beats_key``.
        interval: gives the seconds between beats.
        window: gives the seconds over which so many agents shall spread that register again.
        clock: s since 1970.
    """

    def __init__(
        self,
        secret: bytes,
        interval: Callable[[], float],
        window: Callable[[int], float],
        clock: Callable[[], float],
    ) -> None:
        self._secret = secret
        self._interval = interval
        self._window = window
        self._clock = clock
        self._challenges = secrets.token_bytes(SECRET_BYTES)  # of this run
        self._base = int(clock() * TICKS)  # counters and levels of this run are above it
        self._lines: dict[bytes, Line] = {}
        self._jobs: dict[str, Line] = {}  # by uuid
        self._sources = Sources()
        self._trials = Trials(time.monotonic)
        self._socket: socket.socket | None = None
        self._look: asyncio.Handle | None = None  # the next one for datagrams, where none of the system's wakes us
        self.listener: Listener | None = None
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
        line = self._jobs.get(job.uuid)
        session, secret = derive(self._secret, job, fingerprint)
        if line is None or line.session != session or now - job.opened > AGE / 2:
            job.opened, job.counter, job.address = round(now, 3), 0, None
            session, secret = derive(self._secret, job, fingerprint)
            line = self._add(job, fingerprint)
        if self._socket is None:
            return None
        port = int(self._socket.getsockname()[1])
        return Told(port, line.session, secret, self._interval(), line.counter, line.pending)

    def restore(self, job: Job, fingerprint: str) -> None:
        """Know a session of an earlier run again; where its agent was is taken for a place to ring at, unproven."""
        self._add(job, fingerprint)

    def begin_trial(self, fingerprint: str) -> Told | None:
        """A session that belongs to no job, by which a node tries datagrams; None where none are taken."""
        if self._socket is None:
            return None
        session, secret = self._trials.open(fingerprint)
        return Told(int(self._socket.getsockname()[1]), session, secret, self._interval(), 0, 0)

    def begin_after(self, moment: float) -> None:
        """Let counters be above those of a run that was there at a moment, though the clock was set back since."""
        if moment > self._clock():
            self._base = int((moment + UNSAVED) * TICKS)

    def close(self, uuid: str) -> None:
        """The job's session is over."""
        line = self._jobs.pop(uuid, None)
        if line is not None:
            self._hush(line)
            del self._lines[line.session]

    def sweep(self, reason: Callable[[Identity], str | None]) -> int:
        """End the sessions of revoked certificates; give their number."""
        ended = [uuid for uuid, line in self._jobs.items() if reason(_identity(line.job)) is not None]
        for uuid in ended:
            self.close(uuid)
        return len(ended)

    def knows(self, uuid: str) -> bool:
        """Whether the job's agent has a session."""
        return uuid in self._jobs

    def _add(self, job: Job, fingerprint: str) -> Line:
        self.close(job.uuid)
        session, secret = derive(self._secret, job, fingerprint)
        up, down = datagrams.derive_keys(secret, session, bytes.fromhex(fingerprint))
        line = self._lines[session] = self._jobs[job.uuid] = Line(job, session, down, up, self._base)
        return line

    # Ringing

    def reaches(self, uuid: str) -> bool:
        """Whether the job's agent can be rung: it was heard lately, where it says it is."""
        line = self._jobs.get(uuid)
        if line is None or not line.heard:
            return False
        return asyncio.get_running_loop().time() - line.heard < SILENT_AFTER * self._interval()

    def callback(self, uuid: str) -> str | None:
        """How the job's agent is rung, for the public record: ``udp``, or None where it cannot be."""
        return UDP if self.reaches(uuid) else None

    def ring(self, uuid: str) -> bool:
        """Have the job's agent open its channel; whether it has a session.

        It is rung again and again until ``answered``.
        """
        line = self._jobs.get(uuid)
        if line is None:
            return False
        # Above every level of an earlier run, which the agent may have seen.
        line.pending = max(line.pending, self._base) + 1
        self._hush(line)
        self._ring(line, 0)
        return True

    def is_rung(self, uuid: str) -> bool:
        """Somebody waits for the job's agent."""
        line = self._jobs.get(uuid)
        return line is not None and line.rung is not None

    def answered(self, uuid: str) -> None:
        """The channel is open, or nobody waits for it any more."""
        if line := self._jobs.get(uuid):
            self._hush(line)

    def _ring(self, line: Line, count: int) -> None:
        job = line.job
        if job.address is not None and self._clock() < _end(job):
            self._send(line.seal(WAKE, datagrams.write_wake(line.pending)), job.address)
        delay = RINGS[count + 1] - RINGS[count] if count + 1 < len(RINGS) else LATER_RINGS
        line.rung = asyncio.get_running_loop().call_later(delay, self._ring, line, count + 1)

    def _hush(self, line: Line) -> None:
        if line.rung is not None:
            line.rung.cancel()
            line.rung = None

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
        for line in self._lines.values():
            self._hush(line)

    def _wake_up(self, sock: socket.socket) -> None:
        """Something has come after a silence: look by the clock from now on, as long as more comes."""
        asyncio.get_running_loop().remove_reader(sock.fileno())
        self._drain(sock)

    def _drain(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for number in range(TURN):
            try:
                data, address = sock.recvfrom(LONGEST + 1)
            except OSError:  # none is left
                if number:
                    self._look = loop.call_later(REST, self._drain, sock)
                else:
                    loop.add_reader(sock.fileno(), self._wake_up, sock)
                return
            self.take(data, address, now)
        self._look = loop.call_soon(self._drain, sock)

    def take(self, data: bytes, address: Address, now: float) -> None:
        """Take a datagram; whatever is not genuine, new and in its place is passed over in silence.

        Args:
            address: where it came from.
            now: s, by the loop's clock.
        """
        head = datagrams.read_head(data, (BEAT, BYE))
        line = self._lines.get(head[1]) if head else None
        if line is None and (answer := self._trials.answer(data)) is not None:
            self._send(answer, address)
            return
        if head is None or line is None or not self._sources.admits(address, now):
            self.refused += 1
            return
        body = line.open_read(data, head)
        if body is None or not line.may_speak(now):
            self.refused += 1
            return
        self.taken += 1
        wall, challenge = self._clock(), self._challenge(line, address)
        try:
            if head[0] == BEAT:
                self._take_beat(line, body, address, challenge, now, wall)
            else:
                self._take_bye(line, body, challenge)
        except HearsayError:  # it says what cannot be; that it lives is true all the same
            self.refused += 1
        self._answer(line, address, challenge, wall)

    def _answer(self, line: Line, address: Address, challenge: bytes, now: float) -> None:
        """Say that a datagram was taken, unless the session is over."""
        end = _end(line.job)
        if now < end:
            again = self._again(line.job, now, end)
            body = datagrams.write_ack(line.pending, challenge, self._interval(), again)
            self._send(line.seal(ACK, body), address)

    def _take_beat(self, line: Line, body: bytes, address: Address, challenge: bytes, now: float, wall: float) -> None:
        _, echo, figures = datagrams.read_figures(body)
        if secrets.compare_digest(echo, challenge):
            job = line.job
            if job.address != address:
                job.address = (sys.intern(address[0]), *address[1:])  # of many agents behind one gateway one text
            job.counter, line.heard = line.highest, now
            if job.callback != UDP:
                job.callback = UDP
            assert self.listener is not None
            self.listener.feel(job, Vitals(*figures), wall)

    def _take_bye(self, line: Line, body: bytes, challenge: bytes) -> None:
        echo, ended, status, source = datagrams.read_bye(body)
        if secrets.compare_digest(echo, challenge):
            assert self.listener is not None
            self.listener.bye(line.job, ended, exit_of(status, source))

    def _again(self, job: Job, now: float, end: float) -> float:
        """Seconds within which the job's agent is to register again; 0: it need not."""
        if now < self.due(job):
            return 0.0
        return min(max(SPREAD, self._window(len(self._lines))), (end - now) / 2)

    def due(self, job: Job) -> float:
        """The moment from which on the job's agent is told to register again: for a new session, or certificate."""
        return min(job.opened + AGE if job.opened else NEVER, job.renew or NEVER)

    def _challenge(self, line: Line, address: Address) -> bytes:
        """What only who receives at that address can repeat."""
        place = f"{address[0]} {address[1]}".encode("ascii", "replace")
        return blake2s(line.session + place, key=self._challenges, digest_size=datagrams.CHALLENGE_BYTES).digest()

    def _send(self, datagram: bytes, address: Address) -> None:
        if self._socket is None:
            return
        try:  # noqa: SIM105 - suppress() takes 0.6 us, of each beat
            self._socket.sendto(datagram, address)
        except (OSError, TypeError):
            pass  # a full buffer is a loss as any on the way; an address of a former run may be of the other family


def _end(job: Job) -> float:
    """The moment from which on the job's agent is not answered any more."""
    return min(job.expires, job.opened + AGE + GRACE)


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
