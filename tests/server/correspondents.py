"""A worker node's end of a session by datagram, in a test of the server."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from jobmon_server.beats_key import derive
from jobmon_server.jobs import Job
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, WAKE, Ends
from jobmon_wire.records import AUTO
from jobmon_wire.records import Beats as Told
from tests.server.house import PING, Agent, House

QUIET = 0.05  # s in which nothing must come


@pytest.fixture(name="house")
async def house_with_datagrams(house: House) -> House:
    """A server that takes datagrams."""
    await house.call_back_by(AUTO)
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
        self.socket = own_socket()

    def move(self) -> None:
        """Be behind another address from now on."""
        self.socket = own_socket()

    def beat(self, seen: int = 0) -> bytes:
        """The bytes of the next beat."""
        return self.ends.seal(BEAT, datagrams.write_beat(seen, self.echo, datagrams.write_vitals(Figures)))

    def send(self, datagram: bytes, sock: socket.socket | None = None) -> None:
        """Send bytes to the server."""
        (sock or self.socket).sendto(datagram, self.server)

    async def hear(self, *expected: int) -> int | None:
        """Take one datagram; its type, None when none came soon."""
        data = await receive(self.socket)
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
def no_socket_is_left() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def own_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    _opened.append(sock)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


async def receive(sock: socket.socket, patience: float = 2.0) -> bytes | None:
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


async def silence(sock: socket.socket) -> bool:
    return await receive(sock, QUIET) is None


async def register(house: House, agent: Agent, **said: Any) -> Node:
    """Register an agent; its node's end."""
    status, answer = await agent.register(**said)
    assert status == 200, answer
    return Node(house, Told.read(answer["beats"]), fingerprint_of(house, house.state.registry.get(agent.uuid)))


def fingerprint_of(house: House, job: Job) -> str:
    issued = house.state._ledger.find(job.serial)
    assert issued is not None
    return issued.identity.fingerprint


def session_of(house: House, job: Job) -> Told:
    """The session of a job that has registered before."""
    session, secret = derive(house.state.beats._secret, job, fingerprint_of(house, job))
    return Told(house.agents, session, secret, PING, 0, 0)


async def nothing() -> None:
    pass


@pytest.fixture(name="agent")
async def connected_agent(house: House) -> AsyncIterator[Agent]:
    """An agent that has connected."""
    agent = Agent(house, house.job())
    await agent.connect()
    yield agent
    await agent.close()
