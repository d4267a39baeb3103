"""A server inside the test, on real sockets with real certificates, and those who call it.

``House`` runs both ports in the test's loop, so a test may look at its state,
move its clock and start it anew.  ``Agent`` is a double that speaks frames over
a real channel; ``House.user`` gives an ordinary HTTP client.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from jobmon_pki.names import display, parse
from jobmon_pki.profiles import ADMIN, JOB, OWNER
from jobmon_pki.site import Site
from jobmon_server.application import build
from jobmon_server.configuration import Address, Configuration
from jobmon_server.doors import Door
from jobmon_server.jobs import Job, new_job
from jobmon_server.peer import Peer
from jobmon_server.ports import Port, bind_datagrams
from jobmon_server.registry import Registry
from jobmon_server.state import State
from jobmon_server.tls import TLSFiles
from jobmon_wire import frames, limits
from jobmon_wire.credential import Credential
from jobmon_wire.frames import Frame, FrameReader
from jobmon_wire.records import TCP
from tests.ports import free_ports
from tests.server.running import client_context, job_credential, person_credential

PATIENCE = 30.0  # s; the machine may be busy
PING = 0.3  # s; three missed are one second

REGISTRATION: dict[str, Any] = {
    "epoch": 1_700_000_000_000,
    "agent": "0.1.0",
    "python": "3.11.7",
    "mode": "exec",
    "pid": 4711,
    "started": 1_700_000_000.0,
    "command": "sleep 600",
    "name": "sleep",
    "cwd": "/scratch/1",
    "user": "alice",
    "node": "wn001.example.org",
    "cpus": 8,
    "memory": 2**34,
    "kernel": "Linux 6.1.0",
    "batch": {"system": "slurm", "array": "12_3"},
    "tags": {"campaign": "run3"},
    "stdout": "file",
    "stderr": "file",
    "protocol": 1,
}

END_REPORT: dict[str, Any] = {
    "epoch": 1_700_000_000_000,
    "ended": 1_700_000_100.0,
    "exit": {"code": 3, "signal": None, "core": False, "source": "pidfd"},
    "stdout": "bGFzdCB3b3Jkcwo=",  # "last words\n"
    "stderr": "",
    "stdout_bytes": 1000,
    "stderr_bytes": 0,
    "peak_rss": 2**20,
    "cpu_seconds": 1.5,
    "survivors": 0,
}


class NoDenials:
    """Nothing is revoked."""

    def reason(self, identity: object) -> str | None:
        """Never a reason."""
        return None


class Clock:
    """The time, and a shift that tests may change."""

    def __init__(self) -> None:
        self.shift = 0.0  # s

    def __call__(self) -> float:
        return time.time() + self.shift


class House:
    """One server in this process."""

    def __init__(self, site: Site, desk: Path, contexts: dict[Any, ssl.SSLContext]) -> None:
        self.site = site
        self.desk = desk
        self.clock = Clock()
        self.lost_after = 900.0
        self.callback = TCP
        self.state: State
        self._contexts = contexts
        self._ports: list[Port] = []
        self._numbers = free_ports(2)

    @property
    def users(self) -> int:
        """Number of the users' port."""
        return self._numbers[0]

    @property
    def agents(self) -> int:
        """Number of the agents' port."""
        return self._numbers[1]

    async def start(self) -> None:
        """Start it; after ``stop``, start it anew on the same ports."""
        site = self.site
        addresses = [Address("127.0.0.1", number) for number in self._numbers]
        times = (PING, PING, 60.0, self.lost_after, 86400.0)
        configuration = Configuration(site.directory, *addresses, self.callback, *times, "info")
        self.state = State.open(configuration, site, self.clock)
        await self.state.start()
        apps = build(self.state)
        doors = (
            (site.people_ca, Door((OWNER, ADMIN), NoDenials(), issuer_key_id=site.people_key_id())),
            (site.job_ca, Door((JOB,), NoDenials(), issuer_key_id=site.job_key_id())),
        )
        *sockets, datagrams = _bind_all(addresses, self.callback != TCP)
        for sock, (anchor, door), app in zip(sockets, doors, apps, strict=True):
            assert sock is not None
            files = TLSFiles(site.server_certificate, site.server_key, anchor)
            port = Port(sock, files, door)
            await port.open(app)
            self._ports.append(port)
        self._numbers = [port.number for port in self._ports]
        if datagrams is not None:
            self.state.beats.listen(datagrams)

    async def call_back_by(self, callback: str) -> None:
        """Start it anew with that callback, on other ports: the number may be another program's for datagrams."""
        await self.stop()
        self.callback, self._numbers = callback, free_ports(2)
        await self.start()

    async def stop(self) -> None:
        """Stop it as the daemon does."""
        for port in self._ports:
            port.refuse_new()
        await self.state.stop()
        for port in self._ports:
            await port.close(1.0)
        self._ports.clear()

    def be_patient(self) -> float:
        """Have jobs count as silent after so many seconds that no busy machine makes them; the clock can be set on."""
        self.state.configuration = self.state.configuration._replace(ping=60.0)
        return 3 * 60.0

    @contextlib.asynccontextmanager
    async def user(self, person: str = "alice", *clusters: str) -> AsyncIterator[httpx.AsyncClient]:
        """An HTTP client with a person's certificate."""
        base = f"https://localhost:{self.users}"
        async with httpx.AsyncClient(
            verify=self.person_context(person, *clusters), base_url=base, timeout=PATIENCE, trust_env=False
        ) as client:
            yield client

    def person_context(self, person: str, *clusters: str) -> ssl.SSLContext:
        """TLS with a person's certificate."""
        if (person, clusters) not in self._contexts:
            credential = person_credential(self.site, person, *clusters)
            self._contexts[person, clusters] = self.context(credential)
        return self._contexts[person, clusters]

    def context(self, credential: Credential) -> ssl.SSLContext:
        """TLS with a credential."""
        return client_context(credential, self.site.server_ca_pem(), self.desk)

    def job(self, owner: str = "alice", job_id: str = "4711.0") -> Credential:
        """A new job's credential."""
        return job_credential(self.site, owner, job_id)

    @contextlib.asynccontextmanager
    async def agent(
        self, owner: str = "alice", job_id: str = "4711.0", credential: Credential | None = None, **said: Any
    ) -> AsyncIterator["Agent"]:
        """An agent that is registered and has its channel open."""
        agent = Agent(self, credential or self.job(owner, job_id))
        try:
            await agent.connect()
            status, answer = await agent.register(**said)
            assert status == 200, answer
            await agent.open_channel()
            yield agent
        finally:
            await agent.close()


class Agent:
    """An agent's side of the agents' port."""

    def __init__(self, house: House, credential: Credential) -> None:
        self.house = house
        self.credential = credential
        self.uuid = credential.uuid
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self.pings = 0
        self.answers_pings = True
        self.ended = asyncio.Event()  # the channel's response has come to its end
        self._reading: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self) -> None:
        """Open the TLS connection."""
        context = self.house.context(self.credential)
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self.house.agents, ssl=context, server_hostname="localhost", limit=2**20
        )

    async def register(self, **said: Any) -> tuple[int, dict[str, Any]]:
        """Register; give status and answer."""
        return await self.post("/v1/register", {**REGISTRATION, **said})

    async def end(self, **said: Any) -> tuple[int, dict[str, Any]]:
        """Report the end over a connection of its own."""
        other = Agent(self.house, self.credential)
        await other.connect()
        try:
            return await other.post("/v1/end", {**END_REPORT, **said})
        finally:
            await other.close()

    async def post(self, path: str, document: Any) -> tuple[int, dict[str, Any]]:
        """One request and its answer on this connection."""
        assert self._writer is not None
        body = json.dumps(document).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        status, headers = await self._head()
        length = int(headers.get("content-length", "0"))
        return status, json.loads(await self._reader.readexactly(length) or b"{}")

    async def open_channel(self) -> int:
        """Begin the exchange; give its status."""
        assert self._writer is not None
        self._writer.write(b"POST /v1/channel HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        status, _ = await self._head()
        if status == 200:
            self._reading = asyncio.create_task(self._read())
        return status

    async def send(self, *parts: bytes) -> None:
        """Send frames in one chunk."""
        assert self._writer is not None
        data = b"".join(parts)
        self._writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self._writer.drain()

    async def next(self, kind: int) -> Frame:
        """The next frame that is no ping; it must be of this type."""
        async with asyncio.timeout(PATIENCE):
            frame = await self.frames.get()
        assert frame.type == kind, frame
        return frame

    async def vitals(self, **figures: Any) -> None:
        """Send a beat."""
        known = {"at": time.time(), "cpu_percent": 99.0, "rss_bytes": 2**20, "processes": 1}
        document = {**known, "output_bytes": 10, "output_at": self.house.clock(), **figures}
        await self.send(frames.write_object(frames.VITALS, frames.CHANNEL, document))

    async def over(self, **said: Any) -> None:
        """Tell in haste that the job has ended."""
        document = {name: END_REPORT[name] for name in ("epoch", "ended", "exit")}
        await self.send(frames.write_object(frames.OVER, frames.CHANNEL, document | said))

    async def say(self, text: str) -> None:
        """Send a line of progress."""
        await self.send(frames.write_object(frames.LOG, frames.CHANNEL, {"at": self.house.clock(), "text": text}))

    async def answer(self, request: bytes, *parts: bytes) -> None:
        """Answer with DATA and an END."""
        data = [frames.write_frame(frames.DATA, request, part) for part in parts]
        await self.send(*data, frames.write_object(frames.END, request, {"status": "done"}))

    async def close(self) -> None:
        """Vanish: the connection is cut without a word."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    async def _head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(PATIENCE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), headers

    async def _read(self) -> None:
        reader = FrameReader(frames.DOWN)
        try:
            while length := int(await self._reader.readline(), 16):
                data = (await self._reader.readexactly(length + 2))[:-2]
                for frame in reader.feed(data):
                    if frame.type == frames.PING:
                        self.pings += 1
                        if self.answers_pings:
                            await self.send(frames.write_frame(frames.PONG, payload=frame.payload))
                    else:
                        self.frames.put_nowait(frame)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass  # the connection was cut; what came before is in the queue
        finally:
            self.ended.set()


class Reader:
    """Reads the frames of an answer."""

    def __init__(self, response: httpx.Response) -> None:
        self._parts = response.aiter_raw()
        self._reader = FrameReader(frames.ANSWER)
        self._waiting: list[Frame] = []

    async def next(self) -> Frame:
        """The next frame."""
        async with asyncio.timeout(PATIENCE):
            while not self._waiting:
                self._waiting = self._reader.feed(await anext(self._parts))
        return self._waiting.pop(0)

    async def rest(self) -> list[Frame]:
        """All frames to the end of the response."""
        found, self._waiting = self._waiting, []
        async with asyncio.timeout(PATIENCE):
            async for part in self._parts:
                found += self._reader.feed(part)
        return found


def rows(response: httpx.Response) -> list[dict[str, Any]]:
    """The lines of an NDJSON answer."""
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


async def until(what: Any, patience: float = PATIENCE) -> Any:
    """Ask until the answer is true; give it."""
    deadline = time.monotonic() + patience
    while not (found := what()):
        assert time.monotonic() < deadline, f"not within {patience} s"
        await asyncio.sleep(0.01)
    return found


def _bind_all(addresses: list[Address], with_datagrams: bool) -> tuple[socket.socket | None, ...]:
    """The sockets of both ports and of the datagrams, which have the agents' number."""
    return *map(_bind, addresses), bind_datagrams(addresses[1]) if with_datagrams else None


def _bind(address: Address) -> socket.socket:
    # asyncio sends small parts at once only where the socket says that it is TCP.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address.host, address.port))
    sock.setblocking(False)
    return sock


PEOPLE = "/DC=org/DC=example/OU=People/CN="


def a_job(uuid: str, job_id: str = "1", owner: str = "alice", cluster: str = "caf", state: str = "running") -> Job:
    """A job that has just registered."""
    job = new_job(uuid, job_id, parse(PEOPLE + owner), cluster, 1000.0)
    job.state = state
    return job


def registry_of(*jobs: Job) -> Registry:
    """A registry that has taken in the jobs, one after the other."""
    registry = Registry()
    for job in jobs:
        registry.add(job)
    return registry


def person(name: str, *clusters: str) -> Peer:
    """A person; with clusters, an administrator."""
    rdns = parse(PEOPLE + name)
    role = "admin" if clusters else "owner"
    return Peer(role, rdns, name, display(rdns), "f", "5", 1e10, "", clusters, "::1")


def ask(verb: str, **arguments: Any) -> dict[str, Any]:
    """The body of a query."""
    return {"json": {"verb": verb, "arguments": arguments}}


WINDOW = limits.CREDIT_WINDOW
