"""Connections come in at most one handshake a turn of the loop, and who does nothing is out after a while.

Our port in the test's loop, with limits of time that a test can wait for.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from jobmon_pki.profiles import ADMIN, OWNER
from jobmon_pki.site import Site
from jobmon_server import arrivals
from jobmon_server.arrivals import Arrivals
from jobmon_server.configuration import Address
from jobmon_server.connections import PeerProtocol
from jobmon_server.crowds import Limits
from jobmon_server.doors import Door
from jobmon_server.ports import Port, bind
from jobmon_server.sources import Sources
from jobmon_server.tls import TLSFiles
from tests.server.house import PATIENCE, NoDenials
from tests.server.running import client_context, person_credential
from tests.server.test_peer import application, talk

SHORT = Limits(silent=0.1, handshake=0.2, late=0.05)


@pytest.fixture
def alice(site: Site, desk: Path) -> ssl.SSLContext:
    """What alice connects with."""
    return client_context(person_credential(site, "alice"), site.server_ca_pem(), desk)


@pytest.fixture
def sources() -> Sources:
    """What the ports remember."""
    return Sources((), time.monotonic)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel keeps no silent connection to itself."""
    monkeypatch.setattr(arrivals, "KEPT_BY_KERNEL", 0)


OpenPort = Callable[[Limits], "contextlib.AbstractAsyncContextManager[Port]"]


@pytest.fixture
def open_port(site: Site, sources: Sources) -> OpenPort:
    """Opens the users' port."""

    @contextlib.asynccontextmanager
    async def opened(limits: Limits) -> AsyncIterator[Port]:
        files = TLSFiles(site.server_certificate, site.server_key, site.people_ca)
        port = Port(bind(Address("127.0.0.1", 0)), files, Door((OWNER, ADMIN), NoDenials()), sources, limits)
        await port.open(application)
        try:
            yield port
        finally:
            await port.close(1.0)

    return opened


def _hello(context: ssl.SSLContext) -> bytes:
    """A genuine ClientHello."""
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    return out.read()


@contextlib.asynccontextmanager
async def _knock(port: Port, data: bytes, source: str = "127.0.0.2") -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number, local_addr=(source, 0))
    writer.write(data)
    try:
        yield reader
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _to_the_end(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
    return b""


@pytest.mark.usefixtures("at_once")
async def test_one_who_says_nothing_is_dropped(open_port: OpenPort) -> None:
    async with open_port(SHORT) as port, _knock(port, b"") as reader:
        heard = await _to_the_end(reader)

    assert heard == b""


async def test_one_who_stops_within_the_handshake_is_dropped(open_port: OpenPort, alice: ssl.SSLContext) -> None:
    async with open_port(SHORT) as port, _knock(port, _hello(alice)) as reader:
        heard = await _to_the_end(reader)

    assert heard.startswith(b"\x16\x03\x03")  # the server's part of the handshake, and then the end


async def test_half_a_hello_is_no_reason_to_wait_longer(open_port: OpenPort, alice: ssl.SSLContext) -> None:
    async with open_port(SHORT) as port, _knock(port, _hello(alice)[:100]) as reader:
        heard = await _to_the_end(reader)

    assert heard == b""


@pytest.mark.usefixtures("at_once")
async def test_one_who_is_slow_to_say_the_first_word_is_served(open_port: OpenPort, alice: ssl.SSLContext) -> None:
    async with open_port(Limits()) as port:
        sock = socket.create_connection(("127.0.0.1", port.number))
        sock.setblocking(False)
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection(sock=sock, ssl=alice, server_hostname="localhost")
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        heard = await asyncio.wait_for(reader.readline(), PATIENCE)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    assert heard == b"HTTP/1.1 200 OK\r\n"


async def test_whoever_fails_again_and_again_is_refused_and_others_are_served(
    open_port: OpenPort, sources: Sources, alice: ssl.SSLContext
) -> None:
    source = sources.source("127.0.0.2")
    async with open_port(Limits()) as port:
        refused: list[bool] = []
        for _ in range(20):
            async with _knock(port, b"GET / HTTP/1.1\r\n\r\n") as reader:
                await _to_the_end(reader)
            refused.append(sources.is_refused(source))
        async with _knock(port, _hello(alice)) as reader:
            heard = await _to_the_end(reader)
        async with talk(port, alice) as connection:
            status, _ = await connection.ask()

    assert (refused[0], refused[-1], heard, status) == (False, True, b"", 200)


async def test_one_who_was_admitted_vouches_for_its_address(
    open_port: OpenPort, sources: Sources, alice: ssl.SSLContext
) -> None:
    async with open_port(Limits()) as port:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port.number, ssl=alice, server_hostname="localhost", local_addr=("127.0.0.2", 0)
        )
        for _ in range(20):
            async with _knock(port, b"GET / HTTP/1.1\r\n\r\n") as knocking:
                await _to_the_end(knocking)
        refused = sources.is_refused(sources.source("127.0.0.2"))
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    assert not refused


class Turns:
    """Counts the turns of the loop."""

    def __init__(self) -> None:
        self.number = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._count)

    def _count(self) -> None:
        self.number += 1
        self._handle = self._loop.call_soon(self._count)

    def stop(self) -> None:
        self._handle.cancel()


async def test_in_one_turn_of_the_loop_one_handshake_is_begun_however_many_wait(
    site: Site, sources: Sources, alice: ssl.SSLContext
) -> None:
    sock = bind(Address("127.0.0.1", 0))
    callers = [socket.create_connection(sock.getsockname()) for _ in range(30)]
    for caller in callers:
        caller.sendall(_hello(alice))
    files = TLSFiles(site.server_certificate, site.server_key, site.people_ca)
    port = Port(sock, files, Door((OWNER, ADMIN), NoDenials()), sources)
    turns = Turns()
    begun: list[int] = []

    class Counting(Arrivals):
        async def _shake_hands(self, arrival: arrivals.Arrival) -> None:
            begun.append(turns.number)
            await super()._shake_hands(arrival)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobmon_server.ports.Arrivals", Counting)
        await port.open(application)
    async with asyncio.timeout(PATIENCE):
        while len(begun) < len(callers):
            await asyncio.sleep(0)
    turns.stop()
    await port.close(1.0)
    for caller in callers:
        caller.close()

    assert len(set(begun)) == len(begun) == 30


@pytest.mark.usefixtures("at_once")
async def test_a_port_that_closes_lets_go_of_everybody(open_port: OpenPort, alice: ssl.SSLContext) -> None:
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(open_port(Limits(silent=3600.0, handshake=3600.0)))
        knocks = [b"", _hello(alice)[:50], _hello(alice)]
        readers = [await stack.enter_async_context(_knock(port, data)) for data in knocks for _ in range(3)]
        await readers[-1].read(1)  # all have arrived
        port.refuse_new()
        heard = [await _to_the_end(reader) for reader in readers]

    assert len(heard) == 9


async def test_who_has_left_while_waiting_costs_no_handshake(
    open_port: OpenPort, alice: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[PeerProtocol] = []
    made = PeerProtocol.__init__

    def count(self: PeerProtocol, *arguments: object) -> None:
        begun.append(self)
        made(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PeerProtocol, "__init__", count)
    async with open_port(Limits()) as port:
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", port.number)) as caller:
                caller.sendall(_hello(alice))
        async with talk(port, alice) as connection:
            status, _ = await connection.ask()

    assert (status, len(begun)) == (200, 1)
