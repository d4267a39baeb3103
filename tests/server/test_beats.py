"""Datagrams from agents refresh what is seen of a job, ring its agent, and do nothing else for anybody."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobmon_server.admission import Admission
from jobmon_server.beats import AGE, BUFFER, GRACE, REST, SPREAD, TURN
from jobmon_server.beats_key import derive
from jobmon_server.facts import NEVER_HEARD
from jobmon_server.jobs import Job
from jobmon_wire import datagrams, frames
from jobmon_wire.datagrams import ACK, BEAT, BYE, WAKE, Ends
from jobmon_wire.records import AUTO
from jobmon_wire.records import Beats as Told
from tests.server.house import PING, Agent, House, Reader, ask, rows, until

QUIET = 0.05  # s in which nothing must come


@pytest.fixture
async def house(house: House) -> House:
    """A server that takes datagrams."""
    await house.stop()
    house.callback = AUTO
    await house.start()
    return house


class Figures:
    """A beat's vitals."""

    at, cpu_percent, rss_bytes, memory_limit, processes = 1.7e9, 12.5, 2**30, 2**31, 2
    state, output_bytes, output_at, oom_kills = "R", 77, 1.7e9, 0


class Node:
    """A worker node's end of a session, on a socket of its own."""

    def __init__(self, house: House, told: Told, fingerprint: str, counter: int = 0) -> None:
        self.told = told
        self.up, self.down = datagrams.derive_keys(told.secret, told.session, bytes.fromhex(fingerprint))
        self.ends = Ends(told.session, self.up, self.down, counter, heard=told.counter)
        self.interval = self.again = 0.0
        self.server = ("127.0.0.1", told.port)
        self.echo = bytes(8)
        self.pending = 0
        self.socket = _socket()

    def move(self) -> None:
        """Be behind another address from now on."""
        self.socket = _socket()

    def beat(self, seen: int = 0) -> bytes:
        """The bytes of the next beat."""
        return self.ends.seal(BEAT, datagrams.write_beat(seen, self.echo, datagrams.write_vitals(Figures)))

    def send(self, datagram: bytes, sock: socket.socket | None = None) -> None:
        """Send bytes to the server."""
        (sock or self.socket).sendto(datagram, self.server)

    async def hear(self, *expected: int) -> int | None:
        """Take one datagram; its type, None when none came soon."""
        data = await _receive(self.socket)
        if data is None:
            return None
        opened = self.ends.open(data, expected or (ACK, WAKE))
        assert opened is not None, "not a genuine datagram"
        if opened[0] == ACK:
            self.pending, self.echo, self.interval, self.again = datagrams.read_ack(opened[1])
        else:
            self.pending = datagrams.read_wake(opened[1])
        return opened[0]

    async def prove(self) -> None:
        """Answer the server's challenge."""
        for _ in range(2):
            self.send(self.beat())
            while (heard := await self.hear()) != ACK:  # it may be rung meanwhile
                assert heard == WAKE


_opened: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    _opened.append(sock)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


async def _receive(sock: socket.socket, patience: float = 2.0) -> bytes | None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sock.fileno(), ready.set)
    try:
        async with asyncio.timeout(patience):
            await ready.wait()
    except TimeoutError:  # what comes at this very moment stays for the next call; ``sock_recv`` would lose it
        return None
    finally:
        loop.remove_reader(sock.fileno())
    return sock.recv(2048)


async def _silence(sock: socket.socket) -> bool:
    return await _receive(sock, QUIET) is None


async def register(house: House, agent: Agent, **said: Any) -> Node:
    """Register an agent; its node's end."""
    status, answer = await agent.register(**said)
    assert status == 200, answer
    return Node(house, Told.read(answer["beats"]), _fingerprint(house, house.state.registry.get(agent.uuid)))


def _fingerprint(house: House, job: Job) -> str:
    issued = house.state._ledger.find(job.serial)
    assert issued is not None
    return issued.identity.fingerprint


def _session(house: House, job: Job) -> Told:
    """The session of a job that has registered before."""
    session, secret = derive(house.state.beats._secret, job, _fingerprint(house, job))
    return Told(house.agents, session, secret, PING, 0, 0)


async def _nothing() -> None:
    pass


@pytest.fixture
async def agent(house: House) -> AsyncIterator[Agent]:
    """An agent that has connected."""
    agent = Agent(house, house.job())
    await agent.connect()
    yield agent
    await agent.close()


async def test_a_beat_counts_once_its_sender_has_answered_a_challenge(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    job = house.state.registry.get(agent.uuid)

    node.send(node.beat())
    assert await node.hear() == ACK
    assert (job.callback, job.output_bytes) == (None, None)
    node.send(node.beat())
    assert await node.hear() == ACK

    assert (job.callback, job.output_bytes, job.rss_bytes) == ("udp", 77, 2**30)


async def test_an_agent_may_close_its_channel_once_it_can_be_rung(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await agent.open_channel()
    leave = frames.write_frame(frames.LEAVE)

    await agent.send(leave)
    node.send(node.beat())
    assert await node.hear() == ACK
    assert agent.frames.empty()  # nobody could ring it
    await node.prove()
    await agent.send(leave)
    await agent.next(frames.LEAVE)
    await agent.ended.wait()

    async with house.user() as alice:
        (job,) = rows(await alice.get("/v1/jobs"))
    assert (job["state"], job["callback"]) == ("running", "udp")


async def test_an_agent_does_not_leave_while_an_answer_is_under_way(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await agent.open_channel()
    await node.prove()
    async with house.user() as alice, alice.stream("POST", f"/v1/jobs/{agent.uuid}/query", **ask("ps")) as response:
        request = (await agent.next(frames.REQUEST)).request
        await agent.send(frames.write_frame(frames.LEAVE))
        await agent.answer(request, b"all")

        assert [frame.type for frame in await Reader(response).rest()] == [frames.DATA, frames.END]
    await agent.send(frames.write_frame(frames.LEAVE))
    await agent.next(frames.LEAVE)


async def test_a_request_rings_until_the_channel_opens_and_is_served_then(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()

    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        assert await node.hear() == WAKE  # nobody came: it rings again
        assert node.pending > node.told.pending
        assert (await register(house, agent)).told.pending == node.pending
        await agent.open_channel()
        await agent.answer((await agent.next(frames.REQUEST)).request, b"served")
        answer = await asking

    assert b"served" in answer.content
    assert await _silence(node.socket)


async def test_a_lost_wake_up_is_made_up_for_by_the_next_acknowledgement(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        await node.hear(WAKE)
        level, node.pending = node.pending, 0

        node.send(node.beat())
        while await node.hear() != ACK:
            pass

        assert node.pending == level > node.told.pending
        asking.cancel()


async def test_who_proves_nothing_hears_nothing(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    stranger = _socket()
    beat = node.beat()
    wake = Ends(node.told.session, node.down, node.up).seal(WAKE, datagrams.write_wake(1))
    other = datagrams.derive_keys(bytes(32), node.told.session, b"x" * 32)
    forged = Ends(node.told.session, *other, counter=99).seal(
        BEAT, datagrams.write_beat(0, bytes(8), datagrams.write_vitals(Figures))
    )

    altered = beat[:-1] + bytes([beat[-1] ^ 1])
    for noise in (b"", b"x", beat[:-1], altered, beat + b"x", bytes(108), wake, forged, bytes(2000)):
        stranger.sendto(noise, node.server)

    assert await _silence(stranger)
    stranger.sendto(beat, node.server)  # the same socket with a genuine one: it is the key that counts
    assert len(await _receive(stranger) or b"") <= len(beat)
    stranger.sendto(beat, node.server)
    assert await _silence(stranger)


async def test_a_beat_copied_and_delivered_first_does_not_move_the_bell(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    copier, beat = _socket(), node.beat()

    copier.sendto(beat, node.server)
    answer = await _receive(copier)
    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        asking.cancel()

    assert answer is not None
    assert len(answer) <= len(beat)
    assert await _silence(copier)


async def test_an_agent_that_moves_is_rung_where_it_is_with_its_second_beat(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    node.move()

    await node.prove()
    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        asking.cancel()


async def test_a_restarted_server_understands_beats_and_takes_no_old_one_for_a_sign_of_life(
    house: House, agent: Agent
) -> None:
    node = await register(house, agent)
    await node.prove()
    await agent.close()
    old = node.beat()
    node.send(old)
    await node.hear()
    job = house.state.registry.get(agent.uuid)
    house.state.beats._lines.highest[job.line] = 0  # as when the server is killed before it has written it down
    await house.stop()
    await house.start()
    job = house.state.registry.get(agent.uuid)
    copier = _socket()

    copier.sendto(old, node.server)
    assert 0 < len(await _receive(copier) or b"") <= len(old)
    assert job.callback is None
    await node.prove()  # without a registration

    assert (job.state, job.callback) == ("running", "udp")


async def test_a_request_right_after_a_restart_rings_where_the_agent_was_before_it_has_beaten(
    house: House, agent: Agent
) -> None:
    node = await register(house, agent)
    await node.prove()
    async with house.user() as alice:  # the agent has seen a level, as all have after a while
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        asking.cancel()
    seen = node.pending
    await agent.close()
    await house.stop()
    await house.start()

    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        asking.cancel()

    assert node.pending > seen  # or the agent would not come
    assert house.state.registry.get(agent.uuid).callback is None  # until it answers a challenge of this run


async def test_beats_from_before_a_restart_are_old_and_most_not_even_answered(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    sent = []
    for number in range(100):
        sent.append(node.beat())
        house.state.beats.take(sent[-1], node.socket.getsockname(), 1e6 + number)
        assert await node.hear() == ACK
    last_seen = house.state.registry.get(agent.uuid).last_seen
    await agent.close()
    await house.stop()
    await house.start()
    copier = _socket()

    for number, old in enumerate(sent):
        house.state.beats.take(old, copier.getsockname(), 1e6 + number)
    answered = 0
    while await _receive(copier, QUIET) is not None:
        answered += 1

    job = house.state.registry.get(agent.uuid)
    assert answered <= 64
    assert (job.callback, job.last_seen) == (None, last_seen)
    await node.prove()


async def test_a_clock_set_back_does_not_make_the_servers_datagrams_old(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    await agent.close()
    await house.stop()
    house.clock.shift = -7200.0
    await house.start()

    await node.prove()  # which opens what comes with a window that has taken the earlier ones

    assert house.state.registry.get(agent.uuid).callback == "udp"


async def test_thousands_of_agents_go_on_beating_after_a_restart_and_none_registers(
    house: House, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await register(house, agent)
    await node.prove()
    state = house.state
    jobs = [state.registry.get(agent.uuid)]
    for number in range(1000):  # as if they had registered: what that does is tested elsewhere
        credential_job = msgspec.structs.replace(jobs[0], uuid=f"{number:08x}-0000-4000-8000-000000000000")
        jobs.append(credential_job)
        state.registry.add(credential_job)
        state.beats.restore(credential_job, _fingerprint(house, credential_job), NEVER_HEARD)
    assert len(state.beats) == len(jobs)  # a copy of a job's record does not stand on its session
    await agent.close()
    await house.stop()
    await house.start()
    monkeypatch.setattr(house.state.sessions, "register", None)

    beats = house.state.beats
    for heard, job in enumerate(jobs):
        told = _session(house, job)
        again = Node(house, told, _fingerprint(house, job), beats.reach(job).counter)
        again.socket = node.socket
        for _ in range(2):
            beats.take(again.beat(), node.socket.getsockname(), 1e6 + heard)
            assert await again.hear() == ACK

    assert len(beats) == len(jobs)
    assert all(beats.reaches(job.uuid) for job in jobs)


async def test_datagrams_in_crowds_and_alone_after_a_silence_are_all_looked_at(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    beats, crowd = house.state.beats, 3 * TURN

    for _ in range(crowd):
        node.send(b"nothing that anybody knows")
    await until(lambda: beats.refused == crowd)
    for number in range(3):
        await asyncio.sleep(3 * REST)
        node.send(b"nothing either")
        await until(lambda: beats.refused == crowd + number + 1)  # noqa: B023
    await node.prove()
    beats.shut()
    await asyncio.sleep(3 * REST)

    assert beats.taken == 2


async def test_after_a_day_an_agent_is_told_to_register_again_and_gets_another_session(
    house: House, agent: Agent
) -> None:
    node = await register(house, agent)
    await node.prove()
    assert node.again == 0

    house.clock.shift = AGE + 60.0
    node.send(node.beat())
    assert await node.hear() == ACK
    assert SPREAD <= node.again <= GRACE
    fresh = await register(house, agent)

    assert fresh.told.session != node.told.session
    assert fresh.told.secret != node.told.secret
    await fresh.prove()
    assert fresh.again == 0
    node.send(node.beat())
    assert await _silence(node.socket)


async def test_a_session_that_is_not_exchanged_ends_an_hour_later(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()

    house.clock.shift = AGE + GRACE + 1.0
    node.send(node.beat())

    assert await _silence(node.socket)


async def test_an_agent_that_registers_again_soon_keeps_its_session_and_after_half_a_day_does_not(
    house: House, agent: Agent
) -> None:
    first = await register(house, agent)
    soon = await register(house, agent)
    house.clock.shift = AGE / 2 + 60.0
    late = await register(house, agent)

    assert soon.told.session == first.told.session
    assert late.told.session != first.told.session


async def test_a_new_session_is_known_after_a_server_was_killed(house: House, agent: Agent) -> None:
    await register(house, agent)
    house.clock.shift = AGE / 2 + 60.0
    node = await register(house, agent)
    await node.prove()
    await house.state.store.flush()  # a fifth of a second
    house.state._save = _nothing  # what else a server that is killed does not do
    house.state.registry.unsaved.clear()
    await agent.close()
    await house.stop()
    await house.start()

    await node.prove()


async def test_the_bell_shows_in_the_list_as_it_is_now(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    job = house.state.registry.get(agent.uuid)
    assert job.callback is None
    await agent.open_channel()
    assert job.callback == "tcp"

    await node.prove()
    assert job.callback == "udp"
    house.state.beats._lines.heard[job.line] -= 3 * PING  # no datagram came for three beats
    await agent.vitals()
    await until(lambda: job.callback == "tcp")
    await node.prove()
    assert job.callback == "udp"
    house.state.beats._lines.heard[job.line] -= 3 * PING
    await agent.close()

    await until(lambda: job.callback is None)


async def test_with_datagrams_alone_a_channel_is_let_go_and_an_unreachable_job_says_why(
    house: House, agent: Agent
) -> None:
    house.state.configuration = house.state.configuration._replace(callback="udp")
    assert (await agent.register())[1]["callback"] == "udp"
    await agent.open_channel()

    await agent.send(frames.write_frame(frames.LEAVE))
    await agent.next(frames.LEAVE)
    await agent.ended.wait()
    await until(lambda: house.state.registry.get(agent.uuid).state == "silent")
    async with house.user() as alice:
        error = (await alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps"))).json()["error"]

    assert error["code"] == "job-silent"
    assert 'callback = "udp"' in error["message"]


async def test_agents_beyond_what_the_server_can_take_are_told_when_to_come(house: House, agent: Agent) -> None:
    house.state.sessions._admission = Admission(rate=0.5, burst=1.0)
    await register(house, agent)
    others = [Agent(house, house.job(job_id=f"4712.{number}")) for number in range(2)]
    for other in others:
        await other.connect()

    answers = [await other.register() for other in others]
    answers += [await other.register() for other in others]

    assert [status for status, _ in answers] == [503] * 4
    assert [answer["error"]["code"] for _, answer in answers] == ["later"] * 4
    turns = [answer["error"]["retry_after"] for _, answer in answers]
    assert turns[0] < turns[1]
    assert turns[2:] <= turns[:2]
    for other in others:
        await other.close()


async def test_an_agent_that_somebody_waits_for_is_taken_out_of_turn(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    house.state.sessions._admission = Admission(rate=0.01, burst=0.0)
    assert (await agent.register())[0] == 503

    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        status, _ = await agent.register()
        asking.cancel()

    assert status == 200


async def test_the_kernel_holds_thousands_of_datagrams_while_the_server_is_busy(house: House) -> None:
    held = house.state.beats._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    allowed = int(Path("/proc/sys/net/core/rmem_max").read_text())

    assert held >= min(BUFFER, allowed)
    assert held <= 2 * BUFFER  # the kernel doubles what it is told, for its own


async def test_a_job_that_beats_no_more_turns_silent_and_its_request_is_refused(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    await agent.close()

    async with house.user() as alice:
        answer = await alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps"))

    assert answer.json()["error"]["code"] == "job-silent"
    job = house.state.registry.get(agent.uuid)
    assert (job.state, job.callback) == ("silent", None)
    await node.prove()
    assert job.state == "running"


async def test_an_expired_or_revoked_credential_is_answered_no_more(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()

    house.clock.shift = 400 * 86400.0
    node.send(node.beat())
    assert await _silence(node.socket)
    house.clock.shift = 0.0
    await node.prove()
    assert house.state.beats.sweep(lambda identity: "revoked") == 1
    node.send(node.beat())
    assert await _silence(node.socket)


async def test_a_session_that_floods_is_heard_a_few_times_a_second(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    for _ in range(200):
        node.send(node.beat())

    heard = 0
    while await _receive(node.socket, QUIET) is not None:
        heard += 1

    assert 1 <= heard <= 12


async def test_a_bye_is_acknowledged_and_no_longer_than_that(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    bye = node.ends.seal(BYE, datagrams.write_bye(0, node.echo, 1.7e9, 0, "pidfd"))

    node.send(bye)

    assert len(await _receive(node.socket) or bytes(999)) <= len(bye)


async def test_an_agent_that_does_not_come_is_rung_after_half_one_and_two_seconds(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    # Three beats must be longer than the second to which it is noted when an agent was heard.
    house.state.configuration = house.state.configuration._replace(beat=5.0)
    loop = asyncio.get_running_loop()
    moments: list[float] = []

    async def one_after_the_other() -> None:
        for pause in (0.5, 1, 2):
            await asyncio.sleep(pause)

    house.state.beats.ring(agent.uuid)
    pauses = asyncio.create_task(one_after_the_other())  # on a busy machine it is as late as the rings are
    while len(moments) < 4:
        node.send(node.beat())  # else it would soon count as silent, and be rung no more
        while (datagram := await _receive(node.socket, 0.25)) is not None:
            if node.ends.open(datagram, (WAKE,)):
                moments.append(loop.time())
    house.state.beats.answered(agent.uuid)

    assert moments[-1] - moments[0] > 1.9
    assert not pauses.done(), "those are pauses: 0.5, 1 and 2 s one after the other"
    pauses.cancel()
    await asyncio.wait([pauses])


async def test_another_owners_job_is_not_rung(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()

    async with house.user("bob") as bob:
        answer = await bob.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps"))

    assert answer.json()["error"]["code"] == "no-such-job"
    assert await _silence(node.socket)
