"""A server of our own that answers what a test wants, over real TLS; and the command line in one call."""

import contextlib
import functools
import http.server
import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobmon_console.cli import retries
from jobmon_console.cli.main import main
from jobmon_console.contexts import Context
from jobmon_pki import names
from jobmon_pki.credential_files import write_credential
from jobmon_pki.site import Site
from jobmon_wire import frames
from jobmon_wire.answers import PROBLEMS, refusal
from jobmon_wire.credential import Credential
from jobmon_wire.documents import write_document
from tests.console.holders import PEER, PS, Person

Handler = http.server.BaseHTTPRequestHandler
Route = Callable[[Handler], None]

UUID = "0b5e3a52-6f0c-4c53-8f7e-0d8a2d0c4711"


class FakeServer:
    """A users' port whose answers a test writes.

    Attributes:
        url: where it listens.
        routes: what answers, by ``"GET /v1/whoami"``, without the query.
        asked: request lines and bodies, as they came.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.routes: dict[str, Route] = {}
        self.asked: list[tuple[str, bytes]] = []
        self.connections = 0
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(tls), bind_and_activate=True)
        self._server.daemon_threads = False
        self._server.block_on_close = True
        self.port = self._server.server_address[1]
        self.url = f"https://localhost:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def clear(self) -> None:
        self.routes.clear()
        self.asked.clear()
        self.connections = 0

    def document(self, route: str, value: Any) -> None:
        """Answer with one JSON value."""
        self.body(route, write_document(value))

    def body(self, route: str, body: bytes, **headers: str) -> None:
        """Answer with these bytes, of known length."""

        def answer(handler: Handler) -> None:
            handler.send_response(200)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.routes[route] = answer

    def chunks(self, route: str, *chunks: bytes | Callable[[], bytes], is_whole: bool = True) -> None:
        """Answer in chunks; a callable is called when its turn comes."""

        def answer(handler: Handler) -> None:
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for chunk in chunks:
                data = chunk() if callable(chunk) else chunk
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                handler.wfile.flush()
            if is_whole:
                handler.wfile.write(b"0\r\n\r\n")
            else:
                handler.close_connection = True

        self.routes[route] = answer

    def rows(self, route: str, *rows: Any) -> None:
        """Answer with NDJSON."""
        self.chunks(route, *(write_document(row) + b"\n" for row in rows))

    def answer(
        self, job: str, *parts: tuple[int, Any], end: dict[str, Any] | None = None, is_whole: bool = True
    ) -> None:
        """Answer a query of a job with frames and END; parts are type and payload."""
        request = bytes(range(16))
        sent = [
            frames.write_frame(kind, request, part if isinstance(part, bytes) else write_document(part))
            for kind, part in parts
        ]
        if is_whole:
            sent.append(frames.write_object(frames.END, request, end or {"status": "done"}))
        self.chunks(f"POST /v1/jobs/{job}/query", *sent)

    def refuse(self, route: str, code: str, message: str = "no; that is how it is", **facts: Any) -> None:
        """Answer no."""
        body = write_document(refusal(code, message, **facts))

        def answer(handler: Handler) -> None:
            handler.send_response(PROBLEMS[code].http)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.routes[route] = answer

    def in_turn(self, route: str, *prepare: Callable[[], None]) -> None:
        """Answer each time as the next of these prepares it; the last one for ever."""
        answers = []
        for each in prepare:
            each()
            answers.append(self.routes[route])
        self.routes[route] = lambda handler: (answers.pop(0) if len(answers) > 1 else answers[0])(handler)

    def watch(self, *lists: list[Any]) -> None:
        """Answer a watch with one list a connection, and the next with a refusal that is none to ask again after."""
        route = "GET /v1/jobs/watch"
        lines = [functools.partial(self.rows, route, *rows) for rows in lists]
        self.in_turn(route, *lines, lambda: self.refuse(route, "not-permitted"))

    def _handler(self, tls: ssl.SSLContext) -> type[Handler]:
        fake = self

        class Answers(Handler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                self.plain = self.request
                # Counted before: the client is done with its part of the handshake before the server is.
                fake.connections += 1
                try:
                    self.request = tls.wrap_socket(self.request, server_side=True)
                except OSError:
                    fake.connections -= 1
                    raise
                super().setup()

            def finish(self) -> None:
                with contextlib.suppress(OSError):
                    super().finish()
                self.request.close()

            def do_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.asked.append((self.requestline.rsplit(" ", 1)[0], body))
                route = f"{self.command} {self.path.split('?')[0]}"
                if route not in fake.routes:
                    fake.refuse(route, "no-such-job", "there is no such job among yours")
                    fake.routes.pop(route)(self)
                    return
                fake.routes[route](self)

            do_GET = do_POST = do_any  # noqa: N815 - the names http.server calls

            def log_message(self, *_: Any) -> None:
                """Nothing: the tests look at ``asked``."""

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    super().handle()

        class Quiet(Answers):
            def __init__(self, request: socket.socket, *rest: Any) -> None:
                try:
                    super().__init__(request, *rest)
                except OSError:  # a client that does not take our certificate, or goes
                    request.close()

        return Quiet


class Result(NamedTuple):
    """What a command did."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


@pytest.fixture(scope="session")
def console_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The authorities and certificates that the console's tests share."""
    return Site.create(
        tmp_path_factory.mktemp("console") / "site",
        ["localhost", "127.0.0.1"],
        "caf",
        names.parse("/DC=org/DC=example/O=Example"),
        "https://localhost:1",
        "https://localhost:2",
        time.time(),
    )


@pytest.fixture(scope="session")
def alice(console_site: Site) -> Credential:
    """Alice's credential; the server's address in it is nobody's."""
    return console_site.issue_person("alice", (), None, time.time())


def _server_tls(site: Site) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.load_cert_chain(site.server_certificate, site.server_key)
    tls.load_verify_locations(site.people_ca)
    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    tls.verify_mode = ssl.CERT_REQUIRED
    return tls


@pytest.fixture(scope="session")
def server_tls(console_site: Site) -> ssl.SSLContext:
    """TLS as the real users' port has it."""
    return _server_tls(console_site)


@pytest.fixture(scope="session")
def _fakes(server_tls: ssl.SSLContext) -> Iterator[list[FakeServer]]:
    servers = [FakeServer(server_tls), FakeServer(server_tls)]
    yield servers
    for server in servers:
        server.close()


@pytest.fixture
def fake(_fakes: list[FakeServer]) -> FakeServer:
    """A server that answers what the test says."""
    _fakes[0].clear()
    return _fakes[0]


@pytest.fixture
def other_fake(_fakes: list[FakeServer]) -> FakeServer:
    """The server of a second cluster."""
    _fakes[1].clear()
    return _fakes[1]


@pytest.fixture
def credential_file(tmp_path: Path, alice: Credential) -> Callable[..., str]:
    """Writes alice's credential for a server's address; gives its path."""

    def write(url: str, name: str = "alice", **changes: str) -> str:
        path = tmp_path / f"{name}.jobmon"
        write_credential(path, alice._replace(server=url, **changes))
        return str(path)

    return write


@pytest.fixture
def context(fake: FakeServer, credential_file: Callable[..., str]) -> Context:
    """Alice at the fake server."""
    return Context("caf", credential=credential_file(fake.url))


@pytest.fixture
def dead_url() -> Iterator[str]:
    """An address where nobody listens, and nobody else can begin to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"https://localhost:{held.getsockname()[1]}"


@pytest.fixture
def record() -> Callable[..., dict[str, Any]]:
    """Public job records."""

    def make(job_id: str = "4711.0", **changes: Any) -> dict[str, Any]:
        made = {
            "id": job_id,
            "uuid": UUID,
            "owner": "alice",
            "owner_name": "/DC=org/DC=example/O=Example/OU=People/CN=alice",
            "cluster": "caf",
            "node": "wn042",
            "name": "train",
            "state": "running",
            "health": "ok",
            "exit": None,
            "started": "2026-11-23T00:00:00.000Z",
            "command": "train --fold 7",
            "batch": {"system": "slurm"},
            "tags": {},
            "cpu_percent": 97.0,
            "rss_bytes": 2**30,
            "output_bytes": 1234,
            "callback": "tcp",
        }
        return {**made, **changes}

    return make


@pytest.fixture
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but the test's."""
    for name in [name for name in os.environ if name.startswith(("JOBMON_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JOBMON_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that broke off is asked for again at once."""
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)


@pytest.fixture
def jobmon(
    clean_environment: None, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """The command line, in this process; keywords are its environment."""

    def run(*words: str, **environ: str) -> Result:
        capfdbinary.readouterr()
        with monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            status = main(list(words))
            sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Result(status, out, err.decode())

    return run


@pytest.fixture
def at_fake(jobmon: Callable[..., Result], context: Context) -> Callable[..., Result]:
    """The command line as alice at the fake server."""
    return lambda *words: jobmon(*words, JOBMON_CREDENTIAL=context.credential)


@pytest.fixture
def person(tmp_path: Path, fake: FakeServer, context: Context) -> Iterator[Person]:
    """Alice at a shell; the holders that her commands leave are ended."""
    fake.document("GET /v1/whoami", PEER)
    fake.document("GET /v1/jobs/4711", {"id": "4711", "owner": "alice"})
    fake.answer("4711", PS)
    runtime = Path(tempfile.mkdtemp(prefix="jobmon-run-"))  # a socket's name is short, pytest's directories are not
    person = Person(tmp_path, runtime, context)
    yield person
    shutil.rmtree(runtime)
    for pid in person.holders():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
