"""Datagrams from agents refresh what is seen of a job, ring its agent, and do nothing else for anybody."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from jobmon_server.configuration import AUTO
from jobmon_wire import datagrams, frames
from jobmon_wire.datagrams import ACK, BEAT, BYE, WAKE, Ends
from jobmon_wire.records import Beats as Told
from tests.server.house import Agent, House, Reader, ask, rows

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

    def __init__(self, house: House, told: Told, fingerprint: str) -> None:
        self.told = told
        self.up, self.down = datagrams.derive_keys(told.secret, told.session, bytes.fromhex(fingerprint))
        self.ends = Ends(told.session, self.up, self.down, heard=told.counter)
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
            self.pending, self.echo, _ = datagrams.read_ack(opened[1])
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
    try:
        async with asyncio.timeout(patience):
            return await asyncio.get_running_loop().sock_recv(sock, 2048)
    except TimeoutError:
        return None


async def _silence(sock: socket.socket) -> bool:
    return await _receive(sock, QUIET) is None


async def register(house: House, agent: Agent, **said: Any) -> Node:
    """Register an agent; its node's end."""
    status, answer = await agent.register(**said)
    assert status == 200, answer
    job = house.state.registry.get(agent.uuid)
    issued = house.state._ledger.find(job.serial)
    assert issued is not None
    return Node(house, Told.read(answer["beats"]), issued.identity.fingerprint)


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
        assert node.pending == 1
        assert (await register(house, agent)).told.pending == 1
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
        node.pending = 0

        node.send(node.beat())
        while await node.hear() != ACK:
            pass

        assert node.pending == 1
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

    for noise in (b"", b"x", beat[:-1], beat[:-1] + b"!", beat + b"x", bytes(108), wake, forged, bytes(2000)):
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
    await house.stop()
    await house.start()
    job = house.state.registry.get(agent.uuid)
    copier = _socket()

    copier.sendto(old, node.server)
    assert len(await _receive(copier) or b"") <= len(old)
    assert job.callback is None
    await node.prove()  # without a registration

    assert (job.state, job.callback) == ("running", "udp")


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
    loop = asyncio.get_running_loop()
    moments: list[float] = []

    house.state.beats.ring(agent.uuid)
    while len(moments) < 4:
        node.send(node.beat())  # else it would soon count as silent, and be rung no more
        while (datagram := await _receive(node.socket, 0.25)) is not None:
            if node.ends.open(datagram, (WAKE,)):
                moments.append(loop.time())
    house.state.beats.answered(agent.uuid)

    assert 1.9 < moments[-1] - moments[0] < 3.4, "those are pauses: 0.5, 1 and 2 s one after the other"


async def test_another_owners_job_is_not_rung(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()

    async with house.user("bob") as bob:
        answer = await bob.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps"))

    assert answer.json()["error"]["code"] == "no-such-job"
    assert await _silence(node.socket)
