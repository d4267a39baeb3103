"""Session and Client carry the same calls with the same answers and the same errors."""

import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from jobmon_console import calls
from jobmon_console.client import Client
from jobmon_console.contexts import Context
from jobmon_console.errors import (
    AnswerError,
    CredentialFileError,
    CredentialRefusedError,
    CutOffError,
    JobMonError,
    RefusedError,
    UnreachableError,
)
from jobmon_console.replies import Kept
from jobmon_console.session import Session
from jobmon_pki.site import Site
from jobmon_wire import frames
from jobmon_wire.frames import Frame

Write = Callable[..., str]
BASE = (("2.5.4.10", "Elsewhere"),)


class Transport:
    """Either of the two, asked the same way."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    async def fetch(self, context: Context, *asked: calls.Call, method: str = "fetch") -> list[Any]:
        if self.kind == "session":
            with Session(context) as session:
                return [getattr(session, method)(call) for call in asked]
        async with Client(context) as client:
            return [await getattr(client, method)(call) for call in asked]

    async def stream(self, context: Context, call: calls.Call, method: str) -> AsyncIterator[Any]:
        if self.kind == "session":
            with Session(context) as session:
                for item in getattr(session, method)(call):
                    yield item
            return
        async with Client(context) as client, aclosing(getattr(client, method)(call)) as items:
            async for item in items:
                yield item

    async def rows(self, context: Context, call: calls.Call) -> list[dict[str, Any]]:
        return [row async for row in self.stream(context, call, "rows")]

    async def frames(self, context: Context, call: calls.Call) -> list[Frame]:
        return [frame async for frame in self.stream(context, call, "frames")]


@pytest.fixture(params=["session", "client"])
def transport(request: pytest.FixtureRequest) -> Transport:
    return Transport(request.param)


async def test_a_document_arrives_and_the_connection_serves_again(
    transport: Transport, fake: Any, context: Context
) -> None:
    fake.document("GET /v1/whoami", {"name": "alice"})
    fake.document("GET /v1/jobs/4711", {"id": "4711"})

    assert await transport.fetch(context, calls.whoami(), calls.job("4711")) == [{"name": "alice"}, {"id": "4711"}]
    assert fake.connections == 1


async def test_rows_arrive_however_they_are_cut(transport: Transport, fake: Any, context: Context) -> None:
    fake.chunks("GET /v1/jobs", b'{"id":"1"}\n{"i', b'd":"2"}', b'\n\n{"id":"3"}\n')

    rows = await transport.rows(context, calls.jobs("state:running mem>1G", "-started", 3))

    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert fake.asked[-1][0] == "GET /v1/jobs?select=state%3Arunning+mem%3E1G&sort=-started&limit=3"


@pytest.mark.parametrize(("limit", "asked"), [(None, ["", "b", "d"]), (4, ["", "b"]), (3, ["", "b"]), (2, [""])])
async def test_a_list_in_pages_is_followed_to_its_end_or_to_its_limit(
    transport: Transport, fake: Any, context: Context, limit: int | None, asked: list[str]
) -> None:
    pages = {"": (b"ab", "b"), "b": (b"cd", "d"), "d": (b"e", "")}

    def page(handler: Any) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        rows, cursor = pages[query.get("after", [""])[0]]
        body = b"".join(b'{"id":"%c"}\n' % row for row in rows[: int(query.get("limit", ["9"])[0])])
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        if cursor:
            handler.send_header("JobMon-Next", cursor)
        handler.end_headers()
        handler.wfile.write(body)

    fake.routes["GET /v1/jobs"] = page

    rows = await transport.rows(context, calls.jobs("node:wn1", limit=limit))

    queries = [parse_qs(urlsplit(line.split()[1]).query) for line, _ in fake.asked]
    assert "".join(row["id"] for row in rows) == "abcde"[:limit]
    assert [query.get("after", [""])[0] for query in queries] == asked
    assert {query["select"][0] for query in queries} == {"node:wn1"}


async def test_a_server_that_gives_the_same_page_again_and_again_is_not_asked_for_ever(
    transport: Transport, fake: Any, context: Context
) -> None:
    fake.body("GET /v1/jobs", b'{"id":"1"}\n', JobMon_Next="x")

    rows = []
    async with aclosing(transport.stream(context, calls.jobs(), "rows")) as stream:  # type: ignore[type-var]
        async for row in stream:
            rows.append(row)
            if len(rows) > 9:
                break

    assert len(rows) == 2


async def test_frames_arrive_byte_for_byte_and_end_is_taken(transport: Transport, fake: Any, context: Context) -> None:
    every = bytes(range(256)) * 256
    fake.answer("4711", (frames.DATA, every), (frames.NOTE, {"kind": "ended"}))

    found = await transport.frames(context, calls.query("4711", "tail", {"follow": True}))

    assert [frame.type for frame in found] == [frames.DATA, frames.NOTE]
    assert found[0].payload == every
    assert b'"follow":true' in fake.asked[-1][1]


async def test_each_frame_is_given_before_the_next_one_is_made(
    transport: Transport, fake: Any, context: Context
) -> None:
    seen = threading.Event()

    def second() -> bytes:
        assert seen.wait(5), "the first frame was held back"
        return frames.write_frame(frames.DATA, bytes(16), b"two") + frames.write_object(
            frames.END, bytes(16), {"status": "done"}
        )

    fake.chunks("POST /v1/jobs/4711/query", frames.write_frame(frames.DATA, bytes(16), b"one"), second)

    found = []
    async for frame in transport.stream(context, calls.query("4711", "cat"), "frames"):
        found.append(frame.payload)
        seen.set()
    assert found == [b"one", b"two"]


async def test_kept_output_says_where_it_stood(transport: Transport, fake: Any, context: Context) -> None:
    placed = {"JobMon_Output_Start": "90", "JobMon_Output_Bytes": "100", "JobMon_Other_Bytes": "7"}
    fake.body("GET /v1/jobs/4711/output", b"last words", **placed)

    (kept,) = await transport.fetch(context, calls.output("4711", "stderr"), method="content")

    assert kept == Kept(b"last words", 90, 100, 7)
    assert fake.asked[-1][0].endswith("/output?stream=stderr")


@pytest.mark.parametrize(
    ("code", "exit_status"),
    [
        ("no-such-job", 3),
        ("not-permitted", 4),
        ("job-ended", 6),
        ("bad-selector", 2),
        ("draining", 5),
        ("timeout", 124),
    ],
)
async def test_a_refusal_keeps_its_code_and_facts(
    transport: Transport, fake: Any, context: Context, code: str, exit_status: int
) -> None:
    fake.refuse("GET /v1/whoami", code, "no", position=3)

    with pytest.raises(RefusedError, match="no") as caught:
        await transport.fetch(context, calls.whoami())

    assert (caught.value.code, caught.value.facts, caught.value.exit_status) == (code, {"position": 3}, exit_status)


async def test_401_is_a_refused_credential(transport: Transport, fake: Any, context: Context) -> None:
    fake.refuse("GET /v1/whoami", "credential-refused", "revoked")

    with pytest.raises(CredentialRefusedError, match="revoked"):
        await transport.fetch(context, calls.whoami())


async def test_a_request_that_fails_at_the_agent_raises_after_its_frames(
    transport: Transport, fake: Any, context: Context
) -> None:
    end = {"status": "failed", "code": "no-such-file", "message": "no file x"}
    fake.answer("4711", (frames.DATA, b"some"), end=end)

    found = []

    async def read() -> None:
        async for frame in transport.stream(context, calls.query("4711", "cat", {"file": "x"}), "frames"):
            found.append(frame.payload)

    with pytest.raises(RefusedError, match="no file x") as caught:
        await read()
    assert found == [b"some"]
    assert caught.value.exit_status == 1


# What acts may have been done; what only looks is asked for again.
OUTCOMES = pytest.mark.parametrize(("verb", "told"), [("kill", "its outcome is unknown"), ("cat", "; ask again$")])


@OUTCOMES
async def test_an_answer_without_end_has_an_unknown_outcome_if_the_verb_acts(
    transport: Transport, fake: Any, context: Context, verb: str, told: str
) -> None:
    fake.answer("4711", (frames.DATA, b"some"), is_whole=False)

    with pytest.raises(CutOffError, match=told):
        await transport.frames(context, calls.query("4711", verb))


@OUTCOMES
async def test_a_request_that_was_sent_and_not_answered_has_an_unknown_outcome_if_the_verb_acts(
    transport: Transport, fake: Any, context: Context, verb: str, told: str
) -> None:
    def die(handler: Any) -> None:
        handler.close_connection = True
        handler.plain.close()

    fake.routes["POST /v1/jobs/1/query"] = die

    with pytest.raises(CutOffError, match=told) as caught:
        await transport.frames(context, calls.query("1", verb))
    assert caught.value.exit_status == 5
    assert len(fake.asked) == 1


async def test_a_broken_connection_is_not_an_end(transport: Transport, fake: Any, context: Context) -> None:
    fake.chunks("GET /v1/jobs", b'{"id":"1"}\n', is_whole=False)
    with pytest.raises(CutOffError):
        await transport.rows(context, calls.jobs())

    fake.chunks("GET /v1/jobs", b'{"id":"1"')
    with pytest.raises(CutOffError):
        await transport.rows(context, calls.jobs())


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[1,2]", b"\xff\xfe", b'{"error":3}'])
async def test_an_answer_of_something_else_is_no_traceback(
    transport: Transport, fake: Any, context: Context, body: bytes
) -> None:
    fake.chunks("GET /v1/jobs", body + b"\n")
    fake.chunks("POST /v1/jobs/4711/query", body + bytes(30))
    if b"error" not in body:
        with pytest.raises(AnswerError):
            await transport.rows(context, calls.jobs())
    with pytest.raises(AnswerError):
        await transport.frames(context, calls.query("4711", "ps"))


async def test_nobody_at_the_address_is_unreachable(
    transport: Transport, dead_url: str, credential_file: Write
) -> None:
    with pytest.raises(UnreachableError, match="refused"):
        await transport.fetch(Context("x", credential=credential_file(dead_url)), calls.whoami())


async def test_a_server_under_another_name_is_not_trusted(
    transport: Transport, fake: Any, credential_file: Write
) -> None:
    fake.document("GET /v1/whoami", {})
    with _forwarded("127.0.0.2", fake.port) as port:
        wrong = credential_file(f"https://127.0.0.2:{port}", "wrong")

        with pytest.raises(CredentialRefusedError, match="trusts"):
            await transport.fetch(Context("x", credential=wrong), calls.whoami())
    assert fake.asked == []


async def test_a_server_of_another_authority_is_not_trusted(
    transport: Transport, fake: Any, context: Context, credential_file: Write, tmp_path: Path
) -> None:
    fake.document("GET /v1/whoami", {})
    assert await transport.fetch(context, calls.whoami()) == [{}], "the control: the right one is"
    stranger = Site.create(tmp_path / "other", ["localhost"], "x", BASE, "https://a:1", "https://a:2", time.time())
    path = credential_file(fake.url, "misled", server_ca=Path(stranger.server_ca).read_text())

    with pytest.raises(CredentialRefusedError, match="trusts") as caught:
        await transport.fetch(Context("x", credential=path), calls.whoami())
    assert caught.value.exit_status == 7


async def test_the_servers_alert_at_the_first_read_says_why(
    transport: Transport, fake: Any, tmp_path: Path, console_site: Site, credential_file: Write
) -> None:
    """TLS 1.3: the handshake is done for the client before the server has judged its certificate."""
    stranger = Site.create(tmp_path / "other", ["localhost"], "x", BASE, "https://a:1", "https://a:2", time.time())
    theirs = stranger.issue_person("eve", (), None, time.time())
    foreign = credential_file(fake.url, "eve", certificate=theirs.certificate, key=theirs.key)
    past = console_site.issue_person("alice", (), 3600.0, time.time() - 7200)
    expired = credential_file(fake.url, "expired", certificate=past.certificate, key=past.key)

    for path, why in ((foreign, "issuer"), (expired, "expired")):
        with pytest.raises(CredentialRefusedError, match=why) as caught:
            await transport.fetch(Context("x", credential=path), calls.whoami())
        assert caught.value.exit_status == 7
    assert fake.asked == []


async def test_a_server_that_speaks_no_tls_is_unreachable(transport: Transport, credential_file: Write) -> None:
    with _talker(b"220 smtp.example.org ready\r\n") as port, pytest.raises(UnreachableError):
        await transport.fetch(Context("x", credential=credential_file(f"https://localhost:{port}")), calls.whoami())


async def test_older_tls_is_refused(
    transport: Transport, server_tls: ssl.SSLContext, console_site: Site, credential_file: Write
) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(console_site.server_certificate, console_site.server_key)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with _talker(b"", old) as port, pytest.raises(JobMonError):
        await transport.fetch(Context("x", credential=credential_file(f"https://localhost:{port}")), calls.whoami())


def test_a_credential_that_cannot_be_used_is_answered_by_a_sentence(credential_file: Write, tmp_path: Path) -> None:
    good = Path(credential_file("https://localhost:1"))
    (tmp_path / "open.jobmon").write_text(good.read_text())
    (tmp_path / "open.jobmon").chmod(0o644)
    (tmp_path / "noise.jobmon").write_text("noise")
    (tmp_path / "noise.jobmon").chmod(0o600)
    (tmp_path / "directory.jobmon").mkdir(mode=0o700)
    (tmp_path / "link.jobmon").symlink_to(good)
    credential_file("https://localhost:1", "job", role="job")
    for name, why in (
        ("missing", "cannot open"),
        ("open", "chmod 600"),
        ("noise", "no JobMon credential"),
        ("directory", "not a regular file"),
        ("link", "cannot open"),
        ("job", "credential of a job"),
    ):
        with pytest.raises(CredentialFileError, match=why) as caught:
            Session(Context("x", credential=str(tmp_path / f"{name}.jobmon")))
        assert caught.value.exit_status == 7
        assert "\n" not in str(caught.value)


def test_four_files_make_a_context_and_an_encrypted_key_is_asked_for_once(
    fake: Any, alice: Any, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization

    from jobmon_pki.keys import read_key

    encrypted = read_key(alice.key).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    for name, content in (("cert", alice.certificate), ("key", encrypted.decode()), ("ca", alice.server_ca)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    grid = Context("grid", "", fake.url, str(tmp_path / "cert"), str(tmp_path / "key"), str(tmp_path / "ca"))
    fake.document("GET /v1/whoami", {"name": "alice"})
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return "open sesame" if len(asked) > 1 else "wrong"

    with pytest.raises(CredentialFileError, match="passphrase"):
        Session(grid, ask)
    for _ in range(2):
        with Session(grid, ask) as session:
            assert session.fetch(calls.whoami()) == {"name": "alice"}
    assert len(asked) == 2


@contextmanager
def _talker(greeting: bytes, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that says something, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                try:
                    if tls is not None:
                        tls.wrap_socket(connection, server_side=True).close()
                    connection.sendall(greeting)
                    connection.recv(1)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@contextmanager
def _forwarded(host: str, port: int) -> Iterator[int]:
    """The fake server under an address that its certificate does not carry."""
    with socket.create_server((host, 0)) as listener:

        def serve() -> None:
            here, _ = listener.accept()
            with here, socket.create_connection(("127.0.0.1", port)) as there:
                back = threading.Thread(target=_pump, args=(there, here))
                back.start()
                _pump(here, there)
                back.join()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
