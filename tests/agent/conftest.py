"""What the agent's tests stand on: real Pythons, a real credential, a server of TLS and frames, real agents."""

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobmon_console.pack import write_agent
from jobmon_pki.credential_files import write_credential
from jobmon_pki.names import parse
from jobmon_pki.site import Site
from jobmon_wire import frames
from jobmon_wire.documents import read_object, write_document
from jobmon_wire.frames import Frame, FrameReader, write_frame, write_object
from tests.agent.bell import Bell
from tests.agent.follows import job_until_stop, log_of_job  # noqa: F401
from tests.agent.trees import Yard, a_yard
from tests.pythons import PYTHONS

ROOT = Path(__file__).parents[2] / "agent"
DEADLINE = 60.0  # s; the machine may be busy
MARKER = "JOBMON_TEST_RUN"


def wait_for(claim: Callable[[], Any], deadline: float = DEADLINE) -> Any:
    """Poll until the claim is true; give what it gave."""
    end = time.monotonic() + deadline
    while True:
        if value := claim():
            return value
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


PATHS = [Path(each.path) for each in PYTHONS]


@pytest.fixture(scope="session")
def pythons() -> list[Path]:
    return PATHS


@pytest.fixture(params=PATHS, ids=lambda path: path.resolve().name)
def python(request: pytest.FixtureRequest) -> Path:
    """Each Python of this machine in turn."""
    return request.param


@pytest.fixture(params=sorted({PATHS[0], PATHS[-1]}), ids=lambda path: path.resolve().name)
def old_or_new(request: pytest.FixtureRequest) -> Path:
    """The oldest and the newest Python, for tests of much work."""
    return request.param


@pytest.fixture
def another_python(request: pytest.FixtureRequest, pythons: list[Path]) -> Path:
    """A Python of this machine, another for each case of a test: where every case under every Python takes too long."""
    call = getattr(request.node, "callspec", None)
    case = sum(call.indices.values()) if call else 0
    return pythons[(zlib.crc32(request.function.__name__.encode()) + case) % len(pythons)]


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent as a directory: compiled once for each Python, so that many agents start in short time."""
    path = tmp_path_factory.mktemp("tree") / "jobmond"
    path.mkdir()
    shutil.copy(ROOT / "jobmon_agent" / "__main__.py", path)
    for package in ("jobmon_agent", "jobmon_wire"):
        shutil.copytree(ROOT / package, path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return path


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent in one file, as users have it, with the byte code of every Python that tests run it on."""
    path = tmp_path_factory.mktemp("pyz") / "jobmond.pyz"
    write_agent(path, [python.path for python in PYTHONS])
    return path


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Authorities, and a certificate of the server for 127.0.0.1."""
    base = parse("/DC=org/DC=example")
    directory = tmp_path_factory.mktemp("site") / "site"
    return Site.create(
        directory, ["127.0.0.1"], "test", base, "https://127.0.0.1:9", "https://127.0.0.1:9", time.time()
    )


class Exchange:
    """One channel, as the server sees it."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.outbound: list[bytes] = []
        self.is_open = True
        self.must_close = False

    def send(self, data: bytes) -> None:
        """Queue frames for the agent."""
        self.outbound.append(data)

    def ask(self, verb: str, **arguments: Any) -> bytes:
        """Send a request; its id."""
        request = uuid.uuid4().bytes
        self.send(write_object(frames.REQUEST, request, {"verb": verb, "arguments": arguments}))
        return request

    def of(self, request: bytes) -> list[Frame]:
        """The frames of one request so far."""
        return [frame for frame in self.frames if frame.request == request]

    def objects(self, type_: int) -> list[dict[str, Any]]:
        """The objects of all frames of a type so far."""
        return [frame.document() for frame in list(self.frames) if frame.type == type_]

    def end_of(self, request: bytes) -> dict[str, Any]:
        """Wait for the request's END."""
        wait_for(lambda: any(frame.type == frames.END for frame in self.of(request)))
        ends = [frame for frame in self.of(request) if frame.type == frames.END]
        assert len(ends) == 1
        return ends[0].document()


class Server:
    """A server of the agents' port: TLS with client certificates, three routes, no memory."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(site.server_certificate, site.server_key)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.load_verify_locations(site.job_ca)
        self.context.verify_flags |= 0x80000  # partial chain: the Job CA is an intermediate
        self.registrations: list[dict[str, Any]] = []
        self.ends: list[dict[str, Any]] = []
        self.channels: list[Exchange] = []
        self.refusals: list[tuple[int, str]] = []  # status and extra head for the next requests
        self.errors: list[str] = []
        self.departed = 0  # connections that have ended
        self.ping = 0.2
        self.quiet = 60.0
        self.grants_leave = True
        self.ends_with_leave = False  # the channel's end comes in one piece with the word that grants it
        self.callback = "auto"
        self.bell: Bell | None = None  # where it takes datagrams
        self.address = "127.0.0.1"
        self.port = 0
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self.start()

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._stopping = False
        self._listener = socket.create_server((self.address, self.port))
        self._listener.settimeout(0.02)
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept)

    def stop(self) -> None:
        """Close everything at once, as a killed server does."""
        self._stopping = True
        for thread in self._threads:
            thread.join(DEADLINE)
        self._threads.clear()
        self._listener.close()

    def channel(self, number: int = -1) -> Exchange:
        """Wait for the channel of that number, by default the last."""
        wait_for(lambda: len(self.channels) > max(number, 0))
        return self.channels[number]

    def _spawn(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping:
            try:
                plain, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._spawn(self._serve, plain)

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(DEADLINE)
        try:
            secure = self.context.wrap_socket(plain, server_side=True)
        except (OSError, ssl.SSLError) as error:
            self.errors.append(str(error))
            plain.close()
            self.departed += 1
            return
        with secure:
            secure.settimeout(0.02)
            try:
                while not self._stopping and self._request(secure):
                    pass
            except (OSError, ssl.SSLError) as error:
                self.errors.append(str(error))
        self.departed += 1

    def _read(self, secure: ssl.SSLSocket) -> bytes | None:
        """Bytes, b"" at the end, None when none came."""
        try:
            return secure.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return None

    def _request(self, secure: ssl.SSLSocket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            part = self._read(secure)
            if part == b"" or self._stopping:
                return False
            data += part or b""
        head, body = data.split(b"\r\n\r\n", 1)
        path = head.split(b" ")[1].decode()
        if path == "/v1/channel":
            self._serve_channel(secure, body)
            return False
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
        while len(body) < length:
            body += self._read(secure) or b""
        status, extra, answer = self._answer(path, read_object(body), secure)
        response = f"HTTP/1.1 {status} X\r\n{extra}Content-Length: {len(answer)}\r\n\r\n".encode() + answer
        secure.sendall(response if status != 204 else b"HTTP/1.1 204 X\r\n\r\n")
        return True

    def _answer(self, path: str, document: dict[str, Any], secure: ssl.SSLSocket) -> tuple[int, str, bytes]:
        if self.refusals:
            return (*self.refusals.pop(0), b"{}")
        if path == "/v1/register":
            self.registrations.append(document)
            beats = self.bell.told(secure.getpeercert(True) or b"") if self.bell else None
            said = {"ping": self.ping, "quiet": self.quiet, "beats": beats, "callback": self.callback, "protocol": 1}
            return 200, "", write_document(said)
        if path == "/v1/trial":
            return 200, "", write_document({"beats": self.bell and self.bell.told(secure.getpeercert(True) or b"")})
        assert path == "/v1/end"
        self.ends.append(document)
        return 204, "", b""

    def _serve_channel(self, secure: ssl.SSLSocket, body: bytes) -> None:
        secure.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        exchange = Exchange()
        self.channels.append(exchange)
        reader, next_ping = FrameReader(frames.UP), 0.0
        try:
            while not self._stopping and not exchange.must_close:
                now = time.monotonic()
                if now >= next_ping:
                    next_ping = now + self.ping
                    exchange.send(write_frame(frames.PING, payload=b"12345678"))
                while exchange.outbound:
                    part = exchange.outbound.pop(0)
                    secure.sendall(b"%x\r\n%s\r\n" % (len(part), part))
                body, taken = _unchunk(body)
                exchange.frames += reader.feed(taken)
                if self.bell and self.grants_leave and any(frame.type == frames.LEAVE for frame in exchange.frames):
                    if self.ends_with_leave:
                        leave = write_frame(frames.LEAVE)
                        secure.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(leave), leave))
                        return
                    exchange.send(write_frame(frames.LEAVE))
                part = self._read(secure)
                if part == b"":
                    return
                body += part or b""
        finally:
            exchange.is_open = False


def _unchunk(data: bytes) -> tuple[bytes, bytes]:
    """What is left, and the content of the whole chunks."""
    content = b""
    while (end := data.find(b"\r\n")) >= 0:
        length = int(data[:end], 16)
        if len(data) < end + 4 + length:
            break
        content += data[end + 2 : end + 2 + length]
        data = data[end + 4 + length :]
    return data, content


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    """A server that listens, and stops after the test."""
    server = Server(site)
    yield server
    if not server._stopping:
        server.stop()


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """Where jobs are started without an agent; whatever of them is left is killed after the test."""
    with a_yard(tmp_path) as jobs:
        yield jobs


@pytest.fixture
def bell(server: Server) -> Iterator[Bell]:
    """The server takes datagrams, and wants a beat five times a second."""
    server.ping = 2.0  # s; with less, either end takes the other for dead on a busy machine
    server.bell = Bell(0.2)
    yield server.bell
    server.bell.close()


@pytest.fixture
def credential(site: Site, server: Server, tmp_path: Path) -> Path:
    """A new job's credential for that server, outside the job's directory."""
    owner, now = site.person_name("alice"), time.time()
    [made] = site.issue_job_credentials(owner, ["job-1"], 3600.0, now)
    path = tmp_path / "job-1.jobmon"
    write_credential(path, made._replace(server=f"https://127.0.0.1:{server.port}"))
    return path


class Launcher:
    """Starts commands under the agent in a directory of their own, and leaves nothing behind."""

    def __init__(self, agent: Path, credential: Path, directory: Path) -> None:
        self.agent = agent
        self.credential = credential
        self.directory = directory
        self.marker = uuid.uuid4().hex
        self._started: list[subprocess.Popen[bytes]] = []
        directory.mkdir()

    def environment(self, **more: str) -> dict[str, str]:
        """A small environment, by which the test's processes are found again."""
        return {"PATH": os.environ["PATH"], "LANG": "C", MARKER: self.marker, **more}

    def line(self, python: Path | str | None, *command: str, mode: str = "--exec") -> list[str]:
        """The command under the agent."""
        start = [str(python or sys.executable), "-I", "-S", str(self.agent)]
        return [*start, "--credential", str(self.credential), mode, "--", *command]

    def start(self, line: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a command line in the job's directory."""
        options.setdefault("env", self.environment())
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(line, cwd=self.directory, **options)
        self._started.append(process)
        return process

    def run(self, line: list[str], *, timeout: float = DEADLINE, **options: Any) -> tuple[int, bytes, bytes]:
        """Run a command line to its end: return code, output, errors."""
        process = self.start(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        output, errors = process.communicate(timeout=timeout)
        return process.returncode, output, errors

    def agents(self) -> list[int]:
        """The agent's processes: they are in a group whose leader is one of them and runs the agent."""
        return [pid for pid in self.processes() if str(self.agent).encode() in _content(f"/proc/{pid}/cmdline")]

    def processes(self) -> list[int]:
        """All processes of this test that are left."""
        text = f"{MARKER}={self.marker}".encode()
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and text in _content(f"/proc/{name}/environ").split(b"\0"):
                found.append(int(name))
        return found

    def helpers(self, job: int, mode: str) -> set[int]:
        """The agent's processes without the job, and without the waiter whose child it is."""
        # Looked at first: a child of the waiter's that comes between the two looks is the job on its way.
        found = set(self.agents()) - {job}
        children = Path(f"/proc/{job}/task/{job}/children").read_text().split() if mode == "--wrap" else []
        return found - set(map(int, children))

    def clean(self) -> None:
        """Kill what is left."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        wait_for(self._kill_all)

    def _kill_all(self) -> bool:
        left = self.processes()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


@pytest.fixture
def launcher(tree: Path, credential: Path, tmp_path: Path) -> Iterator[Launcher]:
    """Starts jobs in tmp_path/job."""
    launcher = Launcher(tree, credential, tmp_path / "job")
    yield launcher
    launcher.clean()


@pytest.fixture(params=["--exec", "--wrap"])
def mode(request: pytest.FixtureRequest) -> str:
    """Both ways to start a job."""
    return request.param


@pytest.fixture
def until() -> Callable[..., Any]:
    """``wait_for``, for tests."""
    return wait_for
