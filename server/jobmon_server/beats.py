"""Beats: the sessions by datagram that agents keep when nobody asks for their jobs.

A beat refreshes what is known of a job and where its agent can be rung, never
authority: after the end of its certificate an agent is not answered any more.
Nothing is said to anybody who does not prove the session's key, and never more
than was heard.  A session follows from the site's secret, the job's uuid, the
agent's epoch and the certificate, so a restarted server knows all of them
again; until an agent has answered a challenge of this run its beats count for
nothing, as they may be old ones, repeated.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from hashlib import blake2s
from pathlib import Path
from typing import Any, Protocol, cast

from jobmon_pki.profiles import Identity
from jobmon_server.errors import ServerError
from jobmon_server.jobs import HearsayError, Job
from jobmon_server.trials import Trials
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, BYE, WAKE, Ends
from jobmon_wire.documents import DocumentError
from jobmon_wire.limits import SILENT_AFTER
from jobmon_wire.records import Beats as Told
from jobmon_wire.records import Exit, Vitals, exit_of

TICKS = 2**20  # counters a second of the clock that a run may use: the next run's are above them
RATE = 5.0  # datagrams a second that one session is heard with; a beat every 25 s and its answers are 0.1
BURST = 10.0  # datagrams of one session that may come at once
RINGS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # s after the request; p99 is 2 s with 20 % loss each way, 15 s with 50 %
LATER_RINGS = 10.0  # s between all that follow
SECRET_BYTES = 32
UDP = "udp"  # as the public record calls this way

Address = tuple[Any, ...]  # as the socket names it


class BeatsError(ServerError):
    """The site's secret for beats cannot be read; one sentence for the operator."""


class Listener(Protocol):
    """Who is told what datagrams say of a job: ``hearing.Hearing`` is one."""

    def feel(self, vitals: Vitals) -> None:
        """A beat came, with these figures."""

    def bye(self, ended: float, status: Exit) -> None:
        """The agent says that its job has ended."""


class Line:
    """One agent's session."""

    __slots__ = ("address", "allowed", "ends", "heard", "identity", "job", "listener", "pending", "refilled", "rung")

    def __init__(self, job: Job, identity: Identity, ends: Ends, listener: Listener) -> None:
        self.job = job
        self.identity = identity
        self.ends = ends
        self.listener = listener
        self.address: Address | None = None  # where it can be rung: proven by an answer to a challenge
        self.heard = 0.0  # s, by the loop's clock
        self.pending = 0  # level of requests
        self.rung: asyncio.TimerHandle | None = None  # the next ring
        self.allowed, self.refilled = BURST, 0.0


class Beats(asyncio.DatagramProtocol):
    """All sessions, and the socket they share.

    Args:
        secret: the site's, see ``read_secret``.
        interval: gives the seconds between beats.
        clock: s since 1970.
    """

    def __init__(self, secret: bytes, interval: Callable[[], float], clock: Callable[[], float]) -> None:
        self._secret = secret
        self._interval = interval
        self._clock = clock
        self._challenges = secrets.token_bytes(SECRET_BYTES)  # of this run
        self._base = int(clock() * TICKS)
        self._lines: dict[bytes, Line] = {}
        self._jobs: dict[str, Line] = {}  # by uuid
        self._trials = Trials(time.monotonic)
        self._transport: asyncio.DatagramTransport | None = None
        self._port = 0
        self.taken = 0  # genuine and new datagrams
        self.refused = 0  # datagrams that were passed over in silence

    def __len__(self) -> int:
        return len(self._lines)

    # Sessions

    def open(self, job: Job, identity: Identity, listener: Listener) -> Told | None:
        """The session of the job's agent, as it is told; None where no datagrams are taken.

        The same agent with the same certificate has the same session, whose
        counters go on.
        """
        session, secret = self._derive(job, identity)
        line = self._lines.get(session)
        if line is None:
            line = self._add(job, identity, session, secret, listener)
        if not self._port:
            return None
        return Told(self._port, session, secret, self._interval(), line.ends.counter, line.pending)

    def restore(self, job: Job, identity: Identity, listener: Listener) -> None:
        """Know a session of an earlier run again."""
        self._add(job, identity, *self._derive(job, identity), listener)

    def begin_trial(self, fingerprint: str) -> Told | None:
        """A session that belongs to no job, by which a node tries datagrams; None where none are taken."""
        if not self._port:
            return None
        session, secret = self._trials.open(fingerprint)
        return Told(self._port, session, secret, self._interval(), 0, 0)

    def close(self, uuid: str) -> None:
        """The job's session is over."""
        line = self._jobs.pop(uuid, None)
        if line is not None:
            self._hush(line)
            del self._lines[line.ends.session]

    def sweep(self, reason: Callable[[Identity], str | None]) -> int:
        """End the sessions of revoked certificates; give their number."""
        ended = [uuid for uuid, line in self._jobs.items() if reason(line.identity) is not None]
        for uuid in ended:
            self.close(uuid)
        return len(ended)

    def _add(self, job: Job, identity: Identity, session: bytes, secret: bytes, listener: Listener) -> Line:
        self.close(job.uuid)
        up, down = datagrams.derive_keys(secret, session, bytes.fromhex(identity.fingerprint))
        line = Line(job, identity, Ends(session, down, up, self._base), listener)
        self._lines[session] = self._jobs[job.uuid] = line
        return line

    def _derive(self, job: Job, identity: Identity) -> tuple[bytes, bytes]:
        facts = f"{job.uuid} {job.epoch} {identity.fingerprint}".encode("ascii")
        session = blake2s(facts, key=self._secret, person=b"jm1 sess", digest_size=datagrams.SESSION_BYTES).digest()
        return session, blake2s(facts, key=self._secret, person=b"jm1 secr").digest()

    def knows(self, uuid: str) -> bool:
        """Whether the job's agent has a session."""
        return uuid in self._jobs

    # Ringing

    def reaches(self, uuid: str) -> bool:
        """Whether the job's agent can be rung: it was heard lately, where it says it is."""
        line = self._jobs.get(uuid)
        if line is None or line.address is None:
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
        line.pending += 1
        self._hush(line)
        self._ring(line, 0)
        return True

    def answered(self, uuid: str) -> None:
        """The channel is open, or nobody waits for it any more."""
        if line := self._jobs.get(uuid):
            self._hush(line)

    def _ring(self, line: Line, count: int) -> None:
        if line.address is not None and self._clock() < line.identity.not_after:
            self._send(line, WAKE, datagrams.write_wake(line.pending), line.address)
        delay = RINGS[count + 1] - RINGS[count] if count + 1 < len(RINGS) else LATER_RINGS
        line.rung = asyncio.get_running_loop().call_later(delay, self._ring, line, count + 1)

    def _hush(self, line: Line) -> None:
        if line.rung is not None:
            line.rung.cancel()
            line.rung = None

    # Hearing

    def listen(self, transport: asyncio.DatagramTransport) -> None:
        """Take datagrams from now on."""
        self._transport = transport
        self._port = int(transport.get_extra_info("sockname")[1])

    def shut(self) -> None:
        """Take and send no more."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's word that the socket is there."""
        self.listen(cast(asyncio.DatagramTransport, transport))  # uvloop's has that shape, and another base

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Take a datagram; whatever is not genuine, new and in its place is passed over in silence."""
        head = datagrams.read_head(data, (BEAT, BYE))
        line = self._lines.get(head[1]) if head else None
        if line is None and (answer := self._trials.answer(data)) is not None:
            self._send_on(answer, addr)
            return
        opened = line.ends.open(data, (BEAT, BYE)) if line else None
        if line is None or opened is None or not self._may_speak(line):
            self.refused += 1
            return
        self.taken += 1
        type_, body = opened
        if type_ == BEAT:
            self._take_beat(line, body, addr)
        else:
            self._take_bye(line, body, addr)

    def error_received(self, exc: Exception) -> None:
        """A node's kernel says that nobody listens there: its agent has gone, and silence will tell."""

    def _take_beat(self, line: Line, body: bytes, address: Address) -> None:
        _, echo, said = datagrams.read_beat(body)
        challenge = self._challenge(line, address)
        if secrets.compare_digest(echo, challenge):
            line.address, line.heard = address, asyncio.get_running_loop().time()
            line.job.callback = UDP
            try:
                line.listener.feel(Vitals.read(said))
            except (DocumentError, HearsayError):
                self.refused += 1
        self._acknowledge(line, challenge, address)

    def _take_bye(self, line: Line, body: bytes, address: Address) -> None:
        echo, ended, status, source = datagrams.read_bye(body)
        challenge = self._challenge(line, address)
        if secrets.compare_digest(echo, challenge):
            try:
                line.listener.bye(ended, exit_of(status, source))
            except HearsayError:
                self.refused += 1
        self._acknowledge(line, challenge, address)

    def _acknowledge(self, line: Line, challenge: bytes, address: Address) -> None:
        if self._clock() < line.identity.not_after:
            self._send(line, ACK, datagrams.write_ack(line.pending, challenge, self._interval()), address)

    def _challenge(self, line: Line, address: Address) -> bytes:
        """What only who receives at that address can repeat."""
        place = repr(address).encode("ascii", "replace")
        return blake2s(line.ends.session + place, key=self._challenges, digest_size=datagrams.CHALLENGE_BYTES).digest()

    def _may_speak(self, line: Line) -> bool:
        now = asyncio.get_running_loop().time()
        line.allowed = min(BURST, line.allowed + RATE * (now - line.refilled))
        line.refilled = now
        if line.allowed < 1:
            return False
        line.allowed -= 1
        return True

    def _send(self, line: Line, type_: int, body: bytes, address: Address) -> None:
        self._send_on(line.ends.seal(type_, body), address)

    def _send_on(self, datagram: bytes, address: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(datagram, address)


def read_secret(path: Path) -> bytes:
    """The site's secret for sessions; made if the site has none yet.

    Raises:
        BeatsError: it cannot be read or made, or the file holds something else.
    """
    try:
        secret = path.read_bytes() if path.exists() else _make_secret(path)
    except OSError as error:
        raise BeatsError(f"cannot read or make {path}: {error.strerror}; check its owner and mode") from error
    if len(secret) != SECRET_BYTES:
        raise BeatsError(f"{path} holds no secret of {SECRET_BYTES} bytes; remove it, and agents register anew")
    return secret


def _make_secret(path: Path) -> bytes:
    secret = secrets.token_bytes(SECRET_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    return secret
