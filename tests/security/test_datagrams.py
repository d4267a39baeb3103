"""Datagrams from strangers do nothing and are answered by nothing; genuine ones are answered once, and no longer.

The server's end runs here on a real socket, with sessions of many jobs.  What
is thrown at it is made from genuine datagrams of those sessions, so that most
of it has the form of one.  Controls: a genuine beat is answered, and a receiver
that leaves out one check takes what that check refuses.
"""

import asyncio
import random
import socket
import sys
import time
from collections.abc import AsyncIterator
from hashlib import blake2s
from typing import Any

import pytest

from jobmon_server import floods as sources
from jobmon_server.beats import Beats
from jobmon_server.beats_key import derive
from jobmon_server.facts import Reach
from jobmon_server.jobs import Job
from jobmon_server.switchboard import NONE, RATE
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, BYE, HEAD_BYTES, LONGEST, TAG_BYTES, WAKE, Ends
from jobmon_wire.records import Exit
from tests.server.house import a_job

NOISE = 100_000  # datagrams; `make soak` throws a million
JOBS = 200
FINGERPRINT = "ab" * 32
SECRET = bytes(range(32))
SEED = 20051


class Figures:
    """A beat's vitals."""

    at, cpu_percent, rss_bytes, memory_limit, processes = 1.7e9, 12.5, 2**30, 2**31, 2
    state, output_bytes, output_at, oom_kills = "R", 77, 1.7e9, 0


VITALS = datagrams.write_vitals(Figures)


class Heard:
    """What datagrams have changed."""

    def __init__(self) -> None:
        self.feelings = self.byes = 0

    def beat(self, job: Job, body: bytes, now: float) -> None:
        """A beat counted."""
        self.feelings += 1

    def bye(self, job: Job, ended: float, status: Exit) -> None:
        """A goodbye counted."""
        self.byes += 1


class Server:
    """The server's end of many sessions, and a stranger beside it."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.beats = Beats(SECRET, self.find, lambda: 25.0, lambda number: 60.0, time.time)
        self.beats.listener = self.heard
        self.jobs = [self._job(f"{number:08x}-0000-4000-8000-000000000000") for number in range(JOBS)]
        self.beats.listen(_socket())
        self.stranger = _socket()
        self.now = 1000.0  # s, by the loop's clock, as far as datagrams are told
        for job in self.jobs:
            self.beats.open(job, FINGERPRINT)

    def agent(self, job: Job, counter: int = 0) -> Ends:
        """An agent's end of its session."""
        session, secret = derive(SECRET, job, FINGERPRINT)
        up, down = datagrams.derive_keys(secret, session, bytes.fromhex(FINGERPRINT))
        return Ends(session, up, down, counter)

    def find(self, uuid: str) -> Job | None:
        """As a registry."""
        return next((job for job in self.jobs if job.uuid == uuid), None)

    def highest(self, job: Job) -> int:
        """The highest counter of it that the server has taken."""
        return self.beats.reach(job).counter

    def expect(self, job: Job, key: bytes) -> None:
        """Have the server take what this key has sealed for the job's."""
        keys = self.beats._lines._keys
        keys[job.line * 64 : job.line * 64 + 32] = key

    def take(self, datagram: bytes) -> bytes | None:
        """Have the stranger send it; the answer."""
        self.now += 1 / RATE
        self.beats.take(datagram, self.stranger.getsockname(), self.now)
        return self.answer()

    def answer(self) -> bytes | None:
        """What has come to the stranger: on this machine a datagram is there when it was sent."""
        try:
            return self.stranger.recv(2048)
        except BlockingIOError:
            return None

    def _job(self, uuid: str) -> Job:
        job = a_job(uuid)
        job.epoch, job.expires = 1, time.time() + 3600
        return job


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    yield server
    server.beats.shut()
    server.stranger.close()


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def beat(agent: Ends, echo: bytes = bytes(8)) -> bytes:
    return agent.seal(BEAT, datagrams.write_beat(0, echo, VITALS))


def bye(agent: Ends, echo: bytes = bytes(8)) -> bytes:
    return agent.seal(BYE, datagrams.write_bye(0, echo, 1.7e9, 0, "pidfd"))


class Forger:
    """Makes datagrams that are not genuine out of genuine ones that nobody has sent."""

    def __init__(self, server: Server, chance: random.Random) -> None:
        self._chance = chance
        ends = [server.agent(job, counter=10**6) for job in server.jobs]
        down = [Ends(end.session, end._other, end._own, 10**6) for end in ends]
        self._genuine = [make(end) for end in ends for make in (beat, bye)]
        self._genuine += [end.seal(ACK, datagrams.write_ack(1, bytes(8), 25.0)) for end in down]
        self._genuine += [end.seal(WAKE, datagrams.write_wake(1)) for end in down]
        self._ways = (self._flip, self._cut, self._grow, self._head, self._swap, self._turn, self._garble, self._noise)

    def make(self) -> bytes:
        """One of them."""
        return self._chance.choice(self._ways)(self._chance.choice(self._genuine))

    def _flip(self, genuine: bytes) -> bytes:
        changed = bytearray(genuine)
        for _ in range(self._chance.randint(1, 4)):
            changed[self._chance.randrange(len(changed))] ^= 1 << self._chance.randrange(8)
        return bytes(changed) if changed != genuine else b""

    def _cut(self, genuine: bytes) -> bytes:
        return genuine[: self._chance.randrange(len(genuine))]

    def _grow(self, genuine: bytes) -> bytes:
        return genuine + self._chance.randbytes(self._chance.randint(1, 40))

    def _head(self, genuine: bytes) -> bytes:
        """Another type, counter or flags in front of the same tag."""
        type_, counter = self._chance.choice((BEAT, BYE)), self._chance.getrandbits(64)
        return b"\x4a\x01" + bytes([type_, 0]) + genuine[4:12] + counter.to_bytes(8, "big") + genuine[20:]

    def _swap(self, genuine: bytes) -> bytes:
        """The session of another job."""
        other = self._chance.choice(self._genuine)[4:12]
        return genuine[:4] + other + genuine[12:] if other != genuine[4:12] else b""

    def _turn(self, genuine: bytes) -> bytes:
        """One of the server's own, as it is or as a beat."""
        if genuine[2] in (ACK, WAKE):
            return genuine
        return genuine[:2] + bytes([BEAT + BYE - genuine[2]]) + genuine[3:]

    def _garble(self, genuine: bytes) -> bytes:
        return genuine[:HEAD_BYTES] + self._chance.randbytes(len(genuine) - HEAD_BYTES)

    def _noise(self, genuine: bytes) -> bytes:
        return self._chance.randbytes(self._chance.randint(0, LONGEST + 20))


def throw_noise(server: Server, number: int) -> None:
    """Throw so many datagrams that are not genuine at the server, and look that nothing came of them."""
    chance = random.Random(SEED)  # the same each time
    forger, address = Forger(server, chance), server.stranger.getsockname()
    looked_at = 0

    for _ in range(number):
        forged = forger.make()
        head = datagrams.read_head(forged, (BEAT, BYE))
        looked_at += head is not None and server.beats._lines.find(int.from_bytes(head[1], "big")) != NONE
        server.beats.take(forged, address, server.now)

    assert server.answer() is None
    assert server.beats.refused == number
    assert (server.heard.feelings, server.heard.byes) == (0, 0)
    assert {server.highest(job) for job in server.jobs} == {0}
    assert {server.beats.reach(job).address for job in server.jobs} == {None}
    assert looked_at > number / 4  # the tag alone kept these out
    assert server.take(beat(server.agent(server.jobs[0]))) is not None  # and this is what is answered


async def test_nothing_that_is_not_genuine_is_answered_or_changes_anything(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "RATE", NOISE)  # all are looked at
    throw_noise(server, NOISE)


async def test_no_answer_is_longer_than_what_it_answers(server: Server) -> None:
    longest = LONGEST - HEAD_BYTES - TAG_BYTES
    for job, number in zip(server.jobs, range(longest), strict=False):
        agent = server.agent(job)
        for make, type_ in ((beat, BEAT), (bye, BYE)):
            body = make(server.agent(job))[HEAD_BYTES:-TAG_BYTES]
            longer = body + bytes(min(number, longest - len(body)))
            asked = agent.seal(type_, longer)
            answer = server.take(asked)
            assert answer is not None
            assert len(answer) <= len(asked)
            assert server.answer() is None  # one, and no more


async def test_what_is_sealed_with_the_sessions_key_and_has_no_form_is_passed_over(server: Server) -> None:
    whole = {
        type_: make(server.agent(server.jobs[0]))[HEAD_BYTES:-TAG_BYTES] for make, type_ in ((beat, BEAT), (bye, BYE))
    }
    jobs = iter(server.jobs)

    for type_, body in whole.items():
        for length in (0, 1, 16, len(body) - TAG_BYTES, len(body) - 1):
            assert server.take(server.agent(next(jobs)).seal(type_, body[:length])) is None
        longest = body + bytes(LONGEST - HEAD_BYTES - TAG_BYTES - len(body))
        assert server.take(server.agent(next(jobs)).seal(type_, longest + b"x")) is None
        assert server.take(server.agent(next(jobs)).seal(type_, longest)) is not None
    for start in (b"\x4a\x02\x01\x00", b"\x4b\x01\x01\x00", b"\x4a\x01\x01\x01"):  # version, magic, flags
        agent = server.agent(next(jobs))
        content = start + beat(agent)[4:-TAG_BYTES]
        tag = blake2s(content, key=agent._own, digest_size=TAG_BYTES, person=b"jm1 beat").digest()
        assert server.take(content + tag) is None

    assert server.beats.taken == 2


async def test_a_trial_is_answered_as_it_is_and_a_forged_one_is_not(server: Server) -> None:
    told = server.beats.begin_trial(FINGERPRINT)
    assert told is not None
    keys = datagrams.derive_keys(told.secret, told.session, bytes.fromhex(FINGERPRINT))
    agent = Ends(told.session, *keys)
    asked = beat(agent)

    assert server.take(asked[:-1] + bytes([asked[-1] ^ 1])) is None
    answer = server.take(asked)

    assert answer is not None
    assert len(answer) <= len(asked)
    assert agent.open(answer, (ACK,)) is not None
    assert (server.heard.feelings, server.beats.taken) == (0, 0)


async def test_a_hundred_thousand_replays_are_answered_by_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "RATE", 10**6)
    sent = []
    for _ in range(5):
        for job in server.jobs:
            agent = server.agent(job, server.highest(job))
            sent.append(beat(agent))
            assert server.take(sent[-1]) is not None
    refused, address = server.beats.refused, server.stranger.getsockname()

    for _ in range(100):
        for datagram in sent:
            server.beats.take(datagram, address, server.now)

    assert server.answer() is None
    assert server.beats.refused == refused + 100_000


async def test_one_check_left_out_would_let_in_what_it_refuses(server: Server) -> None:
    first, second = server.jobs[:2]
    agent, other = server.agent(first), server.agent(second)
    turned = beat(Ends(agent.session, agent._other, agent._own))
    swapped = beat(Ends(agent.session, other._own, other._other, 5))  # who has the second's key speaks for the first

    for forged in (turned, swapped):
        assert server.take(forged) is None
    server.expect(first, agent._other)  # one key for both directions
    assert server.take(turned) is not None
    server.expect(first, other._own)  # one key for all sessions
    assert server.take(swapped) is not None


async def test_a_beat_copied_and_delivered_first_moves_no_bell_and_an_unchecked_echo_would(server: Server) -> None:
    job, copier = server.jobs[0], _socket()
    agent = server.agent(job)
    place, elsewhere = server.stranger.getsockname(), copier.getsockname()
    answer = agent.open(server.take(beat(agent)) or b"", (ACK,))
    assert answer is not None
    echo = datagrams.read_ack(answer[1])[1]
    server.take(beat(agent, echo))
    assert server.beats.reach(job).address == place

    server.beats.take(beat(agent, echo), elsewhere, server.now + 10)
    assert server.beats.reach(job).address == place
    server.beats._challenge = lambda session, address: echo  # type: ignore[method-assign]
    server.beats.take(beat(agent, echo), elsewhere, server.now + 20)
    copier.close()

    assert server.beats.reach(job).address == elsewhere


async def test_who_was_somewhere_before_a_restart_has_to_answer_a_challenge_of_this_run_there(server: Server) -> None:
    job, place = server.jobs[0], server.stranger.getsockname()
    server.beats.restore(job, FINGERPRINT, Reach(0, place))
    agent = server.agent(job)

    answer = agent.open(server.take(beat(agent)) or b"", (ACK,))  # as an agent begins that knows of no challenge
    assert answer is not None
    assert server.heard.feelings == 0
    assert not server.beats._lines.heard[job.line]
    server.take(beat(agent, datagrams.read_ack(answer[1])[1]))

    assert server.heard.feelings == 1


async def test_a_remembered_challenge_is_the_one_that_is_asked_for_whoever_moved_where(server: Server) -> None:
    draw, lines = random.Random(SEED), server.beats._lines
    jobs = server.jobs[:20]
    agents = {job.uuid: server.agent(job) for job in jobs}
    addresses = [(f"192.0.2.{host}", port) for host in (1, 2) for port in (1, 2)]
    remembered = 0

    for _ in range(1000):
        job, address = draw.choice(jobs), draw.choice(addresses)
        server.now += 1 / RATE
        echo = server.beats._challenge(agents[job.uuid].session, draw.choice(addresses))
        server.beats.take(beat(agents[job.uuid], echo), address, server.now)

        for each in addresses:
            asked = server.beats._challenge(agents[job.uuid].session, each)
            found = lines.challenge(job.line, each)
            assert found is None or (found, lines.address(job.line)) == (asked, each)
            remembered += found is not None

    assert remembered > 500


async def test_what_one_datagram_of_a_batch_brings_about_holds_for_the_next(server: Server) -> None:
    first, revoked, ended = server.jobs[:3]
    sock = _socket()
    sock.connect(server.beats._socket.getsockname())
    agents = [server.agent(job) for job in (first, revoked, ended)]
    echoes = [server.beats._challenge(agent.session, sock.getsockname()) for agent in agents]
    heard: list[str] = []

    class Judge(Heard):
        """Revokes one job's certificate, and lets another's end, when the first is heard."""

        def beat(self, job: Job, body: bytes, now: float) -> None:
            heard.append(job.uuid)
            server.beats.sweep(lambda identity: "revoked" if identity.uuid == revoked.uuid else None)
            server.beats._lines.end[ended.line] = int(now)

    server.beats.listener = Judge()
    for agent, echo in zip(agents, echoes, strict=True):
        sock.send(beat(agent, echo))
    server.beats._drain(server.beats._socket)

    assert heard == [first.uuid, ended.uuid]  # what an expired one says is true, but it is not answered
    assert agents[0].open(sock.recv(2048), (ACK,)) is not None
    with pytest.raises(BlockingIOError):
        sock.recv(2048)
    sock.close()


async def test_a_known_session_behind_a_flooded_address_is_heard_again_a_second_later(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "RATE", 50)
    agent, address = server.agent(server.jobs[0]), server.stranger.getsockname()
    genuine = beat(agent)
    forged = genuine[:-1] + bytes([genuine[-1] ^ 1])
    for _ in range(60):
        server.beats.take(forged, address, 1000.5)
    server.beats.take(beat(agent), address, 1000.6)
    assert server.answer() is None

    server.beats.take(beat(agent), address, 1001.1)

    assert server.answer() is not None


async def test_a_session_that_nobody_asks_for_has_no_timer_and_takes_little_memory() -> None:
    import gc
    import tracemalloc

    server, number = Server(), 5000
    jobs = [server._job(f"{at:08x}-1111-4000-8000-000000000000") for at in range(number)]
    gc.collect()
    tracemalloc.start()
    for job in jobs:
        server.beats.open(job, FINGERPRINT)
    gc.collect()
    jobs_own = sum(sys.getsizeof(job.packed) for job in jobs)  # written anew, with the moment of the session
    taken = (tracemalloc.get_traced_memory()[0] - jobs_own) / number
    tracemalloc.stop()
    timers: Any = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    server.beats.shut()
    server.stranger.close()

    assert taken <= 250  # bytes
    assert not timers
