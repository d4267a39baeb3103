"""A whole answer leaves in one piece, a stream's head at once, and neither says more than it announced.

Real sockets and TLS: a client's read gives one record, as the server wrote it.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from jobmon_pki.profiles import OWNER
from jobmon_pki.site import Site
from jobmon_server.configuration import Address
from jobmon_server.doors import Door
from jobmon_server.ports import Port, bind
from jobmon_server.revocation import Revocations
from jobmon_server.tls import TLSFiles
from tests.server.running import client_context, person_credential

PATIENCE = 30.0  # s; the machine may be busy
READ = 65536  # bytes
LATE = 0.03  # s
BODY = b'{"all":"is well"}'
LENGTH = (b"content-length", b"%d" % len(BODY))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers in the way that the path names."""
    headers = {
        "/stream": [],
        "/longer": [(b"content-length", b"%d" % (len(BODY) + 1))],
        "/split": [LENGTH, (b"x-said", b"a\r\nx-forged: b")],
        "/last": [LENGTH, (b"connection", b"close")],
        "/late": [LENGTH, (b"x-late", b"yes")],
    }.get(scope["path"], [LENGTH])
    if scope["path"] == "/late":
        await asyncio.sleep(LATE)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/stream":
        while (await receive())["type"] != "http.disconnect":
            pass
    elif scope["path"] == "/parts":
        await send({"type": "http.response.body", "body": BODY[:5], "more_body": True})
        await send({"type": "http.response.body", "body": BODY[5:]})
    else:
        await send({"type": "http.response.body", "body": BODY})


@pytest.fixture
async def port(site: Site) -> AsyncIterator[Port]:
    """The users' port with the application behind it."""
    with contextlib.closing(Revocations(site.ledger_path)) as revocations:
        files = TLSFiles(site.server_certificate, site.server_key, site.people_ca)
        port = Port(bind(Address("127.0.0.1", 0)), files, Door((OWNER,), revocations))
        await port.open(application)
        yield port
        await port.close(1.0)


@pytest.fixture
def alice(site: Site, desk: Path) -> ssl.SSLContext:
    """What alice connects with."""
    return client_context(person_credential(site, "alice"), site.server_ca_pem(), desk)


def _records(port: int, context: ssl.SSLContext, paths: list[str], most: int) -> list[bytes]:
    """What comes after these requests in a row: record by record, until so many or the end."""
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        sock.sendall(b"".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths))
        found: list[bytes] = []
        while len(found) < most and (data := sock.recv(READ)):
            found.append(data)
        return found


async def records(port: Port, context: ssl.SSLContext, *paths: str, most: int = 100) -> list[bytes]:
    return await asyncio.to_thread(_records, port.number, context, list(paths), most)


async def test_head_and_body_of_a_whole_answer_are_one_record(port: Port, alice: ssl.SSLContext) -> None:
    [answer] = await records(port, alice, "/", most=1)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n" + BODY)


async def test_the_head_of_a_stream_does_not_wait_for_its_body(port: Port, alice: ssl.SSLContext) -> None:
    [head] = await records(port, alice, "/stream", most=1)

    assert head.endswith(b"transfer-encoding: chunked\r\n\r\n")


async def test_a_body_in_parts_comes_whole_behind_its_head(port: Port, alice: ssl.SSLContext) -> None:
    *_, last = found = await records(port, alice, "/parts", most=3)

    assert b"".join(found).endswith(b"\r\n\r\n" + BODY)
    assert last == BODY[5:]


async def test_requests_in_a_row_are_answered_in_their_order(port: Port, alice: ssl.SSLContext) -> None:
    found = await records(port, alice, "/late", "/", "/last")

    assert [b"x-late" in each for each in found] == [True, False, False]
    assert [b"connection: close" in each for each in found] == [False, False, True]


async def test_a_body_that_is_not_as_long_as_announced_ends_the_connection_unsent(
    port: Port, alice: ssl.SSLContext
) -> None:
    assert await records(port, alice, "/longer") == []


async def test_a_header_with_another_in_it_ends_the_connection_unsent(port: Port, alice: ssl.SSLContext) -> None:
    assert await records(port, alice, "/split") == []
