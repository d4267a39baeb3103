"""Strangers in a crowd keep nobody out: whoever has a credential is served while they hold on, or try again and again.

The real server as a process, with its real limits.  The strangers come from
loopback addresses of their own, so that each is a source of its own to the
server; 127.0.0.1 is the server's own machine, for which no limits hold.
"""

import asyncio
import contextlib
import os
import resource
import select
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon_pki.site import Site
from jobmon_server.crowds import Limits
from jobmon_wire.documents import write_document
from tests.security.test_doors import SAID
from tests.server.running import (
    PATIENCE,
    RunningServer,
    UnansweredError,
    client_context,
    job_credential,
    new_site,
    person_credential,
    start_server,
    wait_for,
)

SCANNER, CLUSTER, OTHER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
WHOAMI = b"GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
BODY = write_document(SAID.document())
REGISTER = b"POST /v1/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@pytest.fixture
def own(tmp_path: Path) -> Site:
    """A site whose server nobody else troubles."""
    return new_site(tmp_path / "own")


@pytest.fixture
def flooded(own: Site) -> Iterator[RunningServer]:
    """Its server."""
    with start_server(own.config_path) as server:
        yield server


@pytest.fixture
def alice(own: Site, desk: Path) -> ssl.SSLContext:
    """What alice connects with."""
    return client_context(person_credential(own, "alice"), own.server_ca_pem(), desk)


def _hello(context: ssl.SSLContext) -> bytes:
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    return out.read()


def _connect(port: int, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))


def _ask(port: int, context: ssl.SSLContext, source: str) -> bytes:
    """The first line of an answer.

    Raises:
        UnansweredError: there is none.
    """
    try:
        with _connect(port, source) as sock, context.wrap_socket(sock, server_hostname="localhost") as end:
            end.sendall(WHOAMI)
            return end.recv(4096).split(b"\r\n")[0]
    except OSError as error:
        raise UnansweredError(str(error)) from error


def _held(server: RunningServer) -> int:
    """How many sockets the server has open."""
    links = Path(f"/proc/{server.process.pid}/fd")
    found = 0
    for link in links.iterdir():
        with contextlib.suppress(OSError):  # closed since
            found += os.readlink(link).startswith("socket:")
    return found


@contextlib.contextmanager
def _crowd(port: int, source: str, number: int, data: bytes) -> Iterator[list[socket.socket]]:
    """Connections that say so much and no more."""
    with contextlib.ExitStack() as stack:
        socks = []
        for _ in range(number):
            sock = stack.enter_context(contextlib.closing(_connect(port, source)))
            if data:
                sock.sendall(data)
            socks.append(sock)
        yield socks


def _dropped(socks: list[socket.socket]) -> int:
    """How many of them the server has ended."""
    poll = select.poll()
    for sock in socks:
        poll.register(sock, select.POLLRDHUP)
    return len(poll.poll(0))


@pytest.mark.parametrize("words", ["none", "half a hello", "a hello"])
def test_a_thousand_connections_that_do_not_go_on_keep_nobody_else_out(
    flooded: RunningServer, alice: ssl.SSLContext, words: str
) -> None:
    hello = _hello(alice)
    data = {"none": b"", "half a hello": hello[:60], "a hello": hello}[words]
    with _crowd(flooded.users, SCANNER, 1000, data) as socks:
        wait_for(lambda: _dropped(socks))  # the crowd has arrived, and some had to go
        answers = []
        most = 0
        for _ in range(10):
            answers.append(_ask(flooded.users, alice, OTHER))
            most = max(most, _held(flooded))
        wait_for(lambda: _dropped(socks) == len(socks))

    assert answers == [b"HTTP/1.1 200 OK"] * 10
    # Those that have spoken wait for us, as agents do, until it is plain that nothing comes of them.
    assert most < 3 * Limits().of_source or words != "none"


def test_without_a_limit_the_thousand_are_all_held(flooded: RunningServer, own: Site, alice: ssl.SSLContext) -> None:
    """The control: from the server's own machine they keep only out each other, so the number that is held is more."""
    held: list[int] = []

    def is_over() -> bool:
        held.append(_held(flooded))
        return _dropped(socks) == len(socks)

    with _crowd(flooded.users, "127.0.0.1", 1000, b"") as socks:
        wait_for(is_over)

    assert max(held) > 3 * Limits().of_source


async def _register(port: int, context: ssl.SSLContext, source: str) -> bytes:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        port,
        ssl=context,
        server_hostname="localhost",
        ssl_handshake_timeout=2 * PATIENCE,
        local_addr=(source, 0),
    )
    writer.write(REGISTER)
    line = await asyncio.wait_for(reader.readline(), 2 * PATIENCE)
    writer.transport.abort()
    return line


async def _storm(port: int, context: ssl.SSLContext, number: int, source: str) -> list[bytes | BaseException]:
    async with asyncio.timeout(2 * PATIENCE):
        agents = (_register(port, context, source) for _ in range(number))
        return await asyncio.gather(*agents, return_exceptions=True)


AGENTS = 200  # ten times what one address may have that is late or silent, six times the handshakes under way


def test_a_cluster_behind_one_address_comes_in_whole(flooded: RunningServer, own: Site, desk: Path) -> None:
    agent = client_context(job_credential(own, "alice", "1"), own.server_ca_pem(), desk)

    lines = asyncio.run(_storm(flooded.agents, agent, AGENTS, CLUSTER))

    assert lines == [b"HTTP/1.1 200 OK\r\n"] * AGENTS


def test_a_cluster_comes_in_whole_while_a_scanner_has_a_thousand_connections(
    flooded: RunningServer, own: Site, desk: Path, alice: ssl.SSLContext
) -> None:
    agent = client_context(job_credential(own, "alice", "1"), own.server_ca_pem(), desk)
    with _crowd(flooded.agents, SCANNER, 1000, _hello(agent)):
        lines = asyncio.run(_storm(flooded.agents, agent, AGENTS // 2, CLUSTER))
        answer = _ask(flooded.users, alice, OTHER)

    assert lines == [b"HTTP/1.1 200 OK\r\n"] * (AGENTS // 2)
    assert answer == b"HTTP/1.1 200 OK"


def _fail(port: int, context: ssl.SSLContext, source: str, times: int) -> int:
    """Connect without a credential, again and again; give how many attempts were taken up by TLS."""
    told = 0
    for _ in range(times):
        try:
            with _connect(port, source) as sock, context.wrap_socket(sock, server_hostname="localhost") as end:
                told += 1
                end.recv(1)
        except OSError:
            pass
    return told


def test_one_without_a_credential_is_soon_not_listened_to(
    flooded: RunningServer, own: Site, desk: Path, alice: ssl.SSLContext
) -> None:
    stranger = client_context(None, own.server_ca_pem(), desk)

    taken_up = _fail(flooded.users, stranger, SCANNER, 100)

    assert taken_up < 50
    assert f'"source": "{SCANNER}/32"' in flooded.errors
    assert _ask(flooded.users, alice, OTHER) == b"HTTP/1.1 200 OK"
    with pytest.raises(UnansweredError):
        _ask(flooded.users, alice, SCANNER)


def test_a_gateway_is_listened_to_whatever_comes_from_behind_it(own: Site, desk: Path, alice: ssl.SSLContext) -> None:
    stranger = client_context(None, own.server_ca_pem(), desk)
    with own.config_path.open("a") as file:
        file.write(f'nat = ["{SCANNER}"]\n')
    with start_server(own.config_path) as server:
        taken_up = _fail(server.users, stranger, SCANNER, 100)
        answer = _ask(server.users, alice, SCANNER)

    assert (taken_up, answer) == (100, b"HTTP/1.1 200 OK")


def test_a_gateway_that_is_added_counts_from_the_next_hup(own: Site, desk: Path, alice: ssl.SSLContext) -> None:
    stranger = client_context(None, own.server_ca_pem(), desk)
    with start_server(own.config_path) as server:
        with own.config_path.open("a") as file:
            file.write(f'nat = ["{SCANNER}"]\n')
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "reloaded certificate and configuration" in server.errors)
        taken_up = _fail(server.users, stranger, SCANNER, 50)

    assert taken_up == 50


def _hear(end: ssl.SSLSocket) -> bytes:
    heard = b""
    while b"}" not in heard and (data := end.recv(4096)):
        heard += data
    return heard


def test_with_no_descriptor_left_those_that_are_in_are_answered_and_others_come_in_later(
    flooded: RunningServer, alice: ssl.SSLContext
) -> None:
    with contextlib.ExitStack() as stack:
        end = stack.enter_context(
            alice.wrap_socket(stack.enter_context(_connect(flooded.users, OTHER)), server_hostname="localhost")
        )
        end.sendall(WHOAMI.replace(b"Connection: close\r\n", b""))
        first = _hear(end)
        limit = len(list(Path(f"/proc/{flooded.process.pid}/fd").iterdir())) + 5
        resource.prlimit(flooded.process.pid, resource.RLIMIT_NOFILE, (limit, 4096))
        with _crowd(flooded.users, "127.0.0.1", 20, _hello(alice)):
            wait_for(lambda: "no connection can be accepted" in flooded.errors)
            end.sendall(WHOAMI)
            second = _hear(end)
        later = wait_for(lambda: _ask(flooded.users, alice, OTHER))

    assert first.startswith(b"HTTP/1.1 200 OK")
    assert b'"alice"' in first
    assert b'"alice"' in second
    assert later == b"HTTP/1.1 200 OK"
    assert flooded.errors.count("no connection can be accepted") == 1
