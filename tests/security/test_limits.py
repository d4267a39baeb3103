"""Every part of a request has a largest size and a longest time, and one byte or one moment more is the end.

The times are shortened for the tests; what counts is that they run from the
start, so that a peer that sends a byte now and then gains nothing by it.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest

from jobmon_server import bodies, connections
from jobmon_server.connections import LARGEST_HEAD, MOST_HEADERS
from jobmon_server.doors import LONGEST_TARGET
from jobmon_server.ports import Port
from jobmon_wire.limits import DOCUMENT_BYTES, KIB, MIB
from tests.security.backend import Backend
from tests.server.test_peer import Talk, swept, talk

START, END = b"GET / HTTP/1.1\r\n", b"\r\n"
DRIP = 0.02  # s between two bytes of one who is slow on purpose


def test_the_limits_are_those_that_are_documented() -> None:
    assert (LARGEST_HEAD, MOST_HEADERS, LONGEST_TARGET, DOCUMENT_BYTES) == (16 * KIB, 64, 2 * KIB, 1 * MIB)
    assert (connections.HEAD_SECONDS, connections.IDLE_SECONDS) == (10.0, 60)
    assert (bodies.BODY_SECONDS, bodies.SLOWEST) == (30.0, 1 * KIB)


async def _status(port: Port, context: ssl.SSLContext, request: bytes) -> int:
    async with talk(port, context) as connection:
        status, _ = await connection.ask(request)
    return int(status)


@pytest.mark.parametrize(("more", "status"), [(-1, 200), (0, 200), (1, 400)])
async def test_an_address_has_so_many_bytes(port: Port, alice: ssl.SSLContext, more: int, status: int) -> None:
    query = LONGEST_TARGET + more - len(b"/")
    request = b"GET /?%s HTTP/1.1\r\n\r\n" % (b"a" * query)

    assert await _status(port, alice, request) == status


@pytest.mark.parametrize(("more", "status"), [(-1, 200), (0, 200), (1, 400)])
async def test_a_request_has_so_many_headers(port: Port, alice: ssl.SSLContext, more: int, status: int) -> None:
    headers = b"".join(b"H%d: x\r\n" % number for number in range(MOST_HEADERS + more))

    assert await _status(port, alice, START + headers + END) == status


@pytest.mark.parametrize(("more", "status"), [(-1, 200), (0, 200), (1, 400)])
async def test_names_and_values_of_headers_have_so_many_bytes(
    port: Port, alice: ssl.SSLContext, more: int, status: int
) -> None:
    long = b"x" * (LARGEST_HEAD + more - len(b"Long"))

    assert await _status(port, alice, START + b"Long: " + long + b"\r\n" + END) == status


@pytest.mark.parametrize("way", ["length", "chunks"])
@pytest.mark.parametrize(("more", "status"), [(-1, 200), (0, 200), (1, 413)])
async def test_a_document_has_so_many_bytes(
    port: Port, backend: Backend, alice: ssl.SSLContext, more: int, status: int, way: str
) -> None:
    body = bytes(DOCUMENT_BYTES + more)
    head = b"Content-Length: %d\r\n\r\n" % len(body)
    if way == "chunks":
        head, body = b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    assert await _status(port, alice, b"POST / HTTP/1.1\r\n" + head + body) == status
    assert len(backend.reached) == (status == 200)


@contextlib.asynccontextmanager
async def _dripping(connection: Talk, data: bytes) -> AsyncIterator[None]:
    async def drip() -> None:
        for each in range(len(data)):
            await connection.say(data[each : each + 1])
            await asyncio.sleep(DRIP)

    task = asyncio.create_task(drip())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_head_that_comes_byte_by_byte_is_cut_off_in_time(
    port: Port, backend: Backend, alice: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    async with talk(port, alice) as connection, swept(port), _dripping(connection, START + b"H: x\r\n" * 1000):
        heard = await connection.hear()

    assert (heard, backend.reached) == (b"", [])


async def test_a_body_that_comes_byte_by_byte_is_cut_off_in_time(
    port: Port, backend: Backend, alice: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    async with talk(port, alice) as connection:
        await connection.say(b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n")
        async with _dripping(connection, bytes(1000)):
            heard = await connection.hear()

    assert heard.startswith(b"HTTP/1.1 413 ")
    assert b"too slowly" in heard
    assert backend.reached == []


async def test_a_long_body_that_keeps_up_has_all_the_time_it_needs(
    port: Port, backend: Backend, alice: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    async with talk(port, alice) as connection:
        await connection.say(b"POST / HTTP/1.1\r\nContent-Length: 5120\r\n\r\n")
        for _ in range(10):
            await connection.say(bytes(512))  # half a second of its allowance each
            await asyncio.sleep(0.04)
        status, _ = await connection.answer()

    assert (status, len(backend.reached)) == (200, 1)


@pytest.fixture
def short_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit for idle connections that a test can wait for."""
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.1)


@pytest.mark.usefixtures("short_idle")
async def test_a_connection_that_asks_nothing_more_is_closed(port: Port, alice: ssl.SSLContext) -> None:
    async with talk(port, alice) as connection, swept(port):
        status, _ = await connection.ask(START + END)
        heard = await connection.hear()

    assert (status, heard) == (200, b"")
