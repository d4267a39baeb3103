"""Whoever a request comes from stands in its scope, from the certificate alone; who is not admitted gets nothing.

Real sockets and TLS, our port with a small application behind it.
"""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from jobmon_pki.ledger import Ledger
from jobmon_pki.profiles import ADMIN, JOB, OWNER, Identity
from jobmon_pki.site import Site
from jobmon_server import bodies, connections
from jobmon_server import doors as server_doors
from jobmon_server.bodies import read_body
from jobmon_server.configuration import Address
from jobmon_server.doors import Door, PeerMiddleware, Visitor, check_request
from jobmon_server.ports import Port, bind
from jobmon_server.refusals import RefusedError
from jobmon_server.revocation import Revocations
from jobmon_server.tls import TLSFiles
from tests.server.running import client_context, job_credential, person_credential

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
FLOOD_ENDED = asyncio.Event()
STREAM = GET.replace(b"/ ", b"/stream ", 1)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Says who the peer is; ``/body`` the length of the body; ``/stream`` goes on until the peer leaves."""
    if scope["path"] == "/flood":
        await flood(receive, send)
        return
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    try:
        length = len(await read_body(receive, 1000)) if scope["path"] == "/body" else 0
    except RefusedError as error:
        await error.response()(scope, receive, send)
        return
    peer = scope["state"]["peer"]
    facts = {"holder": peer.holder, "owner": peer.owner, "role": peer.role, "uuid": peer.uuid, "source": peer.source}
    tls = scope["extensions"]["tls"]
    facts.update(clusters=peer.clusters, length=length, tls=tls["tls_version"], chain=list(tls["client_cert_chain"]))
    body = json.dumps(facts).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def flood(receive: Receive, send: Send) -> None:
    """Send without end; returns when the connection is gone."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await receive()
    gone = asyncio.create_task(anything(receive))
    while not gone.done():
        await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        await asyncio.sleep(0)
    FLOOD_ENDED.set()


async def anything(receive: Receive) -> None:
    await receive()


class Doors:
    """Our users' and agents' ports with the application behind them."""

    def __init__(self, site: Site, revocations: Revocations) -> None:
        self.moment = time.time()
        self.revocations = revocations
        self.users = self._port(site, site.people_ca, Door((OWNER, ADMIN), revocations, clock=lambda: self.moment))
        self.agents = self._port(site, site.job_ca, Door((JOB,), revocations, clock=lambda: self.moment))

    @staticmethod
    def _port(site: Site, anchor: Path, door: Door) -> Port:
        return Port(bind(Address("127.0.0.1", 0)), TLSFiles(site.server_certificate, site.server_key, anchor), door)


@pytest.fixture
async def doors(site: Site) -> AsyncIterator[Doors]:
    """Both ports, open."""
    revocations = Revocations(site.ledger_path)
    with contextlib.closing(revocations):
        both = Doors(site, revocations)
        for port in (both.users, both.agents):
            await port.open(application)
        yield both
        for port in (both.users, both.agents):
            await port.close(1.0)


@pytest.fixture
def alice(site: Site, desk: Path) -> ssl.SSLContext:
    """What alice connects with."""
    return client_context(person_credential(site, "alice"), site.server_ca_pem(), desk)


class Talk:
    """One open connection, spoken to in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def hear(self) -> bytes:
        """All that comes until the server closes."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            return await asyncio.wait_for(self._reader.read(-1), 10)
        return b""

    async def hear_until(self, end: bytes) -> bytes:
        """What comes up to and with ``end``."""
        return await asyncio.wait_for(self._reader.readuntil(end), 10)

    async def answer(self) -> tuple[int, Any]:
        """The next whole answer: its status and its document."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return int(head[9:12]), json.loads(await self._reader.readexactly(length))

    async def ask(self, request: bytes = GET) -> tuple[int, Any]:
        await self.say(request)
        return await self.answer()

    def read_nothing(self) -> None:
        """Leave everything that comes in the kernel's buffer."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def close(self) -> None:
        self._writer.close()


@contextlib.asynccontextmanager
async def talk(port: Port, context: ssl.SSLContext) -> AsyncIterator[Talk]:
    """A connection to a port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number, ssl=context, server_hostname="localhost")
    try:
        yield Talk(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of time that a test can wait for."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.1)


async def sweep(port: Port) -> None:
    """What the daemon does once a second, again and again."""
    while True:
        port.sweep()
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def swept(port: Port) -> AsyncIterator[None]:
    task = asyncio.create_task(sweep(port))
    try:
        yield
    finally:
        task.cancel()


async def test_a_persons_name_and_role_come_from_the_certificate(doors: Doors, alice: ssl.SSLContext) -> None:
    async with talk(doors.users, alice) as connection:
        status, facts = await connection.ask()

    assert (status, facts["holder"]) == (200, "/DC=org/DC=example/OU=People/CN=alice")
    assert (facts["owner"], facts["role"], facts["uuid"], facts["clusters"]) == ("alice", OWNER, "", [])
    assert facts["source"].startswith("127.0.0.1:")


async def test_a_certificate_that_comes_again_is_not_read_anew_and_still_looked_up_among_the_revoked(
    doors: Doors, alice: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talk(doors.users, alice) as connection:
        first, facts = await connection.ask()
    monkeypatch.setattr(server_doors, "read_identity", _unreadable)
    async with talk(doors.users, alice) as connection:
        second, again = await connection.ask()
    monkeypatch.setattr(doors.revocations, "reason", lambda identity: "it was revoked")
    async with talk(doors.users, alice) as connection:
        third, _ = await connection.ask()

    assert (first, second, third) == (200, 200, 401)
    assert again["source"] != facts["source"]
    assert {**again, "source": ""} == {**facts, "source": ""}


def _unreadable(*_: Any) -> Identity:
    raise AssertionError("a certificate was read again")


async def test_the_scope_has_the_certificate_in_the_form_of_asgis_extension(
    doors: Doors, alice: ssl.SSLContext
) -> None:
    async with talk(doors.users, alice) as connection:
        _, facts = await connection.ask()

    assert facts["tls"] == 0x0304
    assert [pem.split("\n")[0] for pem in facts["chain"]] == ["-----BEGIN CERTIFICATE-----"]


async def test_an_administrators_clusters_come_from_the_certificate(doors: Doors, site: Site, desk: Path) -> None:
    context = client_context(person_credential(site, "root", "caf", "desy"), site.server_ca_pem(), desk)

    async with talk(doors.users, context) as connection:
        _, facts = await connection.ask()

    assert (facts["role"], facts["clusters"]) == (ADMIN, ["caf", "desy"])


async def test_a_job_is_known_by_its_uuid_and_its_owner(doors: Doors, site: Site, desk: Path) -> None:
    credential = job_credential(site, "alice", "4711")

    async with talk(doors.agents, client_context(credential, site.server_ca_pem(), desk)) as connection:
        _, facts = await connection.ask()

    assert (facts["uuid"], facts["owner"], facts["role"]) == (credential.uuid, "alice", JOB)


async def test_a_header_that_claims_an_identity_changes_nothing(doors: Doors, alice: ssl.SSLContext) -> None:
    claims = b"X-SSL-Client-S-DN: CN=root\r\nX-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n\r\n"

    async with talk(doors.users, alice) as connection:
        _, facts = await connection.ask(GET[:-2] + claims)

    assert facts["owner"] == "alice"
    assert facts["source"].startswith("127.0.0.1:")


async def test_an_expired_certificate_is_refused_on_an_open_connection(doors: Doors, alice: ssl.SSLContext) -> None:
    async with talk(doors.users, alice) as connection:
        before, _ = await connection.ask()
        doors.moment += 25 * 3600
        status, document = await connection.ask()

    assert (before, status, document["error"]["code"]) == (200, 401, "credential-refused")
    assert "expired" in document["error"]["message"]


async def test_a_certificate_that_is_not_valid_yet_is_refused(doors: Doors, alice: ssl.SSLContext) -> None:
    doors.moment -= 3600
    async with talk(doors.users, alice) as connection:
        status, _ = await connection.ask()

    assert status == 401


async def test_a_stream_ends_when_the_certificate_expires(doors: Doors, alice: ssl.SSLContext) -> None:
    async with talk(doors.users, alice) as connection:
        await connection.say(STREAM)
        await connection.hear_until(b"begun")
        before = doors.users.sweep()
        doors.moment += 25 * 3600
        ended = doors.users.sweep()
        await connection.hear()

    assert (before, ended) == (0, 1)


async def test_a_revoked_certificate_is_refused_at_the_next_request(
    doors: Doors, site: Site, alice: ssl.SSLContext
) -> None:
    async with talk(doors.users, alice) as connection:
        before, _ = await connection.ask()
        with Ledger(site.ledger_path) as ledger:
            ledger.revoke(ledger.rows(OWNER)[-1].serial, "stolen", time.time())
        doors.revocations.refresh()
        status, document = await connection.ask()

    assert (before, status) == (200, 401)
    assert "revoked" in document["error"]["message"]


async def test_another_persons_certificate_stays_good_when_one_is_revoked(doors: Doors, site: Site, desk: Path) -> None:
    bob = client_context(person_credential(site, "bob"), site.server_ca_pem(), desk)
    person_credential(site, "mallory")
    with Ledger(site.ledger_path) as ledger:
        ledger.revoke(ledger.rows(OWNER)[-1].serial, "stolen", time.time())
    doors.revocations.refresh()

    async with talk(doors.users, bob) as connection:
        status, _ = await connection.ask()

    assert status == 200


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (GET[:-2] + b"Content-Encoding: gzip\r\n\r\n", 415, "not-plain"),
        (GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 400, "bad-request"),
        (GET[:-2] + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad-request"),
        (GET[:-2] + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400, "bad-request"),
        (GET[:-2] + b"Content-Length: +3\r\n\r\nabc", 400, "bad-request"),
        (GET[:-2] + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "bad-request"),
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad-request"),
        (GET[:-2] + b"".join(b"H%d: x\r\n" % n for n in range(80)) + b"\r\n", 400, "bad-request"),
        (GET[:-2] + b"Long: " + b"x" * 20000 + b"\r\n\r\n", 400, "bad-request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad-request"),
        (b"\x00\x01\x02 nonsense\r\n\r\n", 400, "bad-request"),
    ],
)
async def test_a_request_that_readers_could_differ_on_is_refused_and_the_connection_closed(
    doors: Doors, alice: ssl.SSLContext, request_: bytes, status: int, code: str
) -> None:
    async with talk(doors.users, alice) as connection:
        await connection.say(request_)
        heard = await connection.hear()

    head, _, body = heard.partition(b"\r\n\r\n")
    assert int(head[9:12]) == status
    assert json.loads(body)["error"]["code"] == code  # one answer and nothing after it
    assert b"connection: close" in head.lower()


async def test_a_header_without_end_is_refused_when_it_is_too_long(doors: Doors, alice: ssl.SSLContext) -> None:
    async with talk(doors.users, alice) as connection:
        await connection.say(GET[:-2] + b"Long: " + b"x" * 20000)
        heard = await connection.hear()

    assert heard.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"1"), (b"content-length", b"2")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"xchunked")],
        [(b"transfer-encoding", b"identity")],
    ],
)
def test_the_door_itself_refuses_two_lengths_whatever_the_parser_let_pass(headers: list[tuple[bytes, bytes]]) -> None:
    scope = {"type": "http", "method": "POST", "raw_path": b"/", "query_string": b"", "headers": headers}

    with pytest.raises(RefusedError) as caught:
        check_request(scope)

    assert caught.value.code == "bad-request"


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"1")], [(b"transfer-encoding", b"Chunked ")]])
def test_one_length_or_none_passes(headers: list[tuple[bytes, bytes]]) -> None:
    check_request({"method": "POST", "raw_path": b"/", "query_string": b"", "headers": headers})


async def test_a_body_that_does_not_come_is_refused(
    doors: Doors, alice: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.1)

    async with talk(doors.users, alice) as connection:
        await connection.say(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
        heard = await connection.hear()

    assert heard.startswith(b"HTTP/1.1 413 ")
    assert b"too slowly" in heard


@pytest.mark.usefixtures("impatient")
async def test_a_reader_that_takes_nothing_is_dropped_in_the_end(
    doors: Doors, alice: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STALL_SECONDS", 0.2)
    async with talk(doors.users, alice) as connection, swept(doors.users):
        connection.read_nothing()
        await connection.say(GET.replace(b"/ ", b"/flood ", 1))
        async with asyncio.timeout(10):
            await FLOOD_ENDED.wait()

    assert FLOOD_ENDED.is_set()


async def test_a_request_at_the_limits_is_served(doors: Doors, alice: ssl.SSLContext) -> None:
    many = b"".join(b"H%d: %s\r\n" % (n, b"x" * 100) for n in range(60))

    async with talk(doors.users, alice) as connection:
        status, _ = await connection.ask(b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n")

    assert status == 200


async def test_a_body_over_the_limit_is_refused_and_one_at_the_limit_taken(doors: Doors, alice: ssl.SSLContext) -> None:
    post = b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"

    async with talk(doors.users, alice) as connection:
        taken, facts = await connection.ask(post % (1000, b"x" * 1000))
        refused, document = await connection.ask(post % (1001, b"x" * 1001))

    assert (taken, facts["length"]) == (200, 1000)
    assert (refused, document["error"]["code"]) == (413, "too-large")


async def test_the_banner_names_no_software(doors: Doors, alice: ssl.SSLContext) -> None:
    async with talk(doors.users, alice) as connection:
        await connection.say(GET[:-2] + b"Connection: close\r\n\r\n")
        heard = await connection.hear()

    assert b"200 OK" in heard
    assert b"\r\nserver:" not in heard.lower()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("beginning", [b"", b"G", GET[:20], GET[:-2], b"\r\n"])
async def test_a_peer_that_does_not_finish_its_headers_is_dropped(
    doors: Doors, alice: ssl.SSLContext, beginning: bytes
) -> None:
    async with talk(doors.users, alice) as connection, swept(doors.users):
        await connection.say(beginning)
        heard = await connection.hear()

    assert heard == b""


async def test_a_connection_whose_request_ends_after_its_answer_is_idle_from_then_on(
    doors: Doors, alice: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.1)
    async with talk(doors.users, alice) as connection, swept(doors.users):
        status, _ = await connection.ask(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n")
        await connection.say(b"end")
        heard = await connection.hear()

    assert (status, heard) == (200, b"")


async def test_a_connection_is_not_idle_while_its_next_request_is_answered(
    doors: Doors, alice: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.1)
    async with talk(doors.users, alice) as connection, swept(doors.users):
        await connection.ask()
        await connection.say(STREAM)
        await connection.hear_until(b"begun\n")
        for _ in range(10):
            await asyncio.sleep(0.03)
        with pytest.raises(TimeoutError):  # it goes on
            await asyncio.wait_for(connection.hear(), 0.05)


@pytest.mark.usefixtures("impatient")
async def test_a_connection_that_has_been_answered_may_wait_longer_than_a_head(
    doors: Doors, alice: ssl.SSLContext
) -> None:
    async with talk(doors.users, alice) as connection, swept(doors.users):
        await connection.ask()
        for _ in range(10):
            await asyncio.sleep(0.03)
        status, _ = await connection.ask()

    assert status == 200


@pytest.mark.usefixtures("impatient")
async def test_an_open_stream_outlives_the_limit_for_heads(doors: Doors, alice: ssl.SSLContext) -> None:
    async with talk(doors.users, alice) as connection, swept(doors.users):
        await connection.say(STREAM)
        await connection.hear_until(b"begun")
        for _ in range(10):
            await asyncio.sleep(0.03)
        open_now = doors.users.sweep() == 0

    assert open_now


async def test_a_draining_port_refuses_new_requests_on_open_connections(doors: Doors, alice: ssl.SSLContext) -> None:
    async with talk(doors.users, alice) as connection:
        before, _ = await connection.ask()
        doors.users.refuse_new()
        status, document = await connection.ask()

    assert (before, status, document["error"]["code"]) == (200, 503, "draining")


async def _sent(scope: Scope, door: Door) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    async def never(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError("the application was reached")

    await PeerMiddleware(never, door)(scope, receive, send)
    return sent


class _NoDenials:
    def reason(self, identity: Identity) -> str | None:
        return None


@pytest.mark.parametrize("state", [{}, {"visitor": None}, {"visitor": Visitor(None, "no certificate")}, {"peer": "x"}])
async def test_a_scope_without_an_identity_is_refused(state: dict[str, Any]) -> None:
    scope = {"type": "http", "method": "GET", "raw_path": b"/", "query_string": b"", "headers": [], "state": state}

    sent = await _sent(scope, Door((OWNER,), _NoDenials()))

    assert sent[0]["status"] == 401


async def test_whatever_is_not_http_never_reaches_the_application() -> None:
    door = Door((OWNER,), _NoDenials())

    assert await _sent({"type": "websocket", "state": {}}, door) == [{"type": "websocket.close", "code": 1008}]
    assert await _sent({"type": "something-new", "state": {}}, door) == []
