"""What operators ask a running server: numbers of all jobs together, and whether it does its work.

The desk answers from a thread of its own; nobody's name and no job's id ever
leaves by it.
"""

import asyncio
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobmon_pki.site import Site
from jobmon_server import status
from jobmon_server.configuration import Address
from jobmon_server.desk import SOCKET, Desk
from jobmon_server.doors import Door
from jobmon_server.figures import Source
from jobmon_server.health import Health
from tests.ports import free_ports
from tests.server.house import House, NoDenials, a_job
from tests.server.running import (
    RunningServer,
    call,
    client_context,
    new_site,
    person_credential,
    start_server,
)

PATIENCE = 60.0  # s; the machine may be busy
SECRETS = ("charlotte", "4711-of-hers", "wn666")  # whose job, which, where

Get = Callable[[str], Awaitable[tuple[int, bytes]]]


class Counter:
    """The desk of a house, and what of its server a test may break."""

    def __init__(self, house: House, port: int) -> None:
        self.house = house
        self.side = asyncio.new_event_loop()  # as a second loop of the server's
        self._thread = threading.Thread(target=self.side.run_forever)
        self._thread.start()
        loops = {"main": asyncio.get_running_loop(), "side": self.side}
        self.health = Health(loops, house.state.store)
        self.desk = Desk(loops, Source(house.state, {"users": Door((), NoDenials())}), self.health)
        self._directory = tempfile.TemporaryDirectory(prefix="jobmon-desk-")
        self.port = port
        self.desk.open(Path(self._directory.name), Address("127.0.0.1", port))

    async def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """Ask at the port, from a thread: the loop must go on meanwhile."""
        return await asyncio.to_thread(fetch, self.port, path, method)

    def close(self) -> None:
        """End the desk and the second loop."""
        self.desk.close()
        asyncio.run_coroutine_threadsafe(_cancel_all(), self.side).result(PATIENCE)
        self.side.call_soon_threadsafe(self.side.stop)
        self._thread.join()
        self.side.close()
        self._directory.cleanup()


async def _cancel_all() -> None:
    """End what was asked of this loop while it hung."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def fetch(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()


@pytest.fixture
async def counter(house: House) -> AsyncIterator[Counter]:
    counter = Counter(house, free_ports(1)[0])
    yield counter
    counter.close()


@pytest.fixture(scope="module")
def watched() -> Iterator[tuple[Site, RunningServer, int]]:
    """A server as a process, whose metrics are on."""
    with tempfile.TemporaryDirectory(prefix="jobmon-desk-") as directory:
        site, (port,) = new_site(Path(directory) / "site"), free_ports(1)
        with site.config_path.open("a") as file:
            file.write(f'metrics = "127.0.0.1:{port}"\n')
        with start_server(site.config_path) as server:
            yield site, server, port


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Each figure by its name and labels."""
    families = text_string_to_metric_families(text.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


async def test_jobs_are_counted_by_state_and_agents_by_their_way(counter: Counter) -> None:
    registry = counter.house.state.registry
    for number, (state, callback) in enumerate(
        (("running", "udp"), ("running", None), ("silent", "tcp"), ("ended", None))
    ):
        job = a_job(f"u{number}", state=state)
        job.callback = callback
        registry.add(job)

    found = samples((await counter.get("/metrics"))[1])

    states = {state: found[of("jobmon_jobs", state=state)] for state in ("running", "silent", "ended", "lost")}
    assert states == {"running": 2, "silent": 1, "ended": 1, "lost": 0}
    ways = {way: found[of("jobmon_agents", callback=way)] for way in ("udp", "tcp", "none")}
    assert ways == {"udp": 1, "tcp": 1, "none": 1}, "the ended one has no agent"


async def test_an_agents_channel_and_a_persons_stream_are_counted(counter: Counter) -> None:
    async with counter.house.agent(), counter.house.user() as user, user.stream("GET", "/v1/jobs/watch") as response:
        lines = response.aiter_raw()  # held: the answer is hung up on with its reader
        await anext(lines)
        found = samples((await counter.get("/metrics"))[1])

    assert (found[of("jobmon_channels")], found[of("jobmon_streams")]) == (1, 1)


async def test_no_figure_names_a_person_a_job_or_a_node(counter: Counter) -> None:
    owner, job_id, node = SECRETS
    async with counter.house.agent(owner, job_id, node=node):
        told = [(await counter.get(path))[1].decode() for path in ("/metrics", "/status", "/healthz")]

    assert '"channels": 1' in told[1], "she was there"
    assert [secret for secret in SECRETS for text in told if secret in text] == []


async def test_names_of_metrics_end_in_their_units_and_counters_in_total(counter: Counter) -> None:
    text = (await counter.get("/metrics"))[1].decode()

    families = list(text_string_to_metric_families(text))
    assert all(family.name.startswith("jobmon_") and family.documentation for family in families)
    counters = {sample.name for family in families if family.type == "counter" for sample in family.samples}
    assert counters == {"jobmon_beats_total", "jobmon_datagrams_refused_total", "jobmon_handshakes_total"}
    labels = {name for family in families for sample in family.samples for name in sample.labels}
    assert labels == {"state", "callback", "port", "cluster", "version"}


async def test_a_server_that_works_is_well(counter: Counter) -> None:
    status_, body = await counter.get("/healthz")

    assert (status_, json.loads(body)["status"]) == (200, "ok")
    assert set(json.loads(body)["checks"]) == {"loop main", "loop side", "sweep", "store"}


async def test_a_store_that_takes_nothing_is_said(counter: Counter) -> None:
    counter.house.state.store._connection.execute("PRAGMA query_only = ON")

    status_, body = await counter.get("/healthz")

    counter.house.state.store._connection.execute("PRAGMA query_only = OFF")
    assert (status_, json.loads(body)["status"]) == (503, "failing")
    assert "readonly" in json.loads(body)["checks"]["store"]


async def test_a_loop_that_hangs_is_said_by_name(counter: Counter) -> None:
    go_on = threading.Event()
    counter.side.call_soon_threadsafe(go_on.wait, PATIENCE)

    status_, body = await counter.get("/healthz")

    go_on.set()
    checks = json.loads(body)["checks"]
    assert (status_, checks["loop main"]) == (503, "ok")
    assert "no answer" in checks["loop side"]


async def test_a_sweep_that_has_stopped_is_said(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter.health, "_swept", counter.health._swept - 60)
    stopped = await counter.get("/healthz")
    counter.desk.note()
    counter.desk._examined = 0.0

    assert (stopped[0], (await counter.get("/healthz"))[0]) == (503, 200)


async def test_only_questions_are_answered(counter: Counter) -> None:
    assert [(await counter.get(path))[0] for path in ("/", "/v1/jobs", "/metrics/../site.toml")] == [404] * 3
    assert (await counter.get("/metrics", "POST"))[0] == 405


async def test_a_head_that_is_too_long_or_does_not_come_holds_up_nobody(counter: Counter) -> None:
    with socket.create_connection(("127.0.0.1", counter.port), PATIENCE) as silent:
        with socket.create_connection(("127.0.0.1", counter.port), PATIENCE) as long:
            with contextlib.suppress(ConnectionError):
                long.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 200_000)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.to_thread(long.recv, 10) == b""
        silent.sendall(b"GET /met")
        assert (await counter.get("/metrics"))[0] == 200


def test_the_status_of_a_running_server_is_told_to_people_and_scripts(
    watched: tuple[Site, RunningServer, int],
) -> None:
    site, _, _ = watched
    command = [sys.executable, "-m", "jobmon_server", "status", "--config", str(site.config_path)]

    people = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    script = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)

    assert [line.split()[0] for line in people.splitlines()] == [
        "server", "health", "jobs", "agents", "people", "beats", "handshakes", "waiting", "store", "certificate",
    ]  # fmt: skip
    assert "cluster caf" in people
    assert (script["cluster"], script["jobs"]["running"], script["health"]["store"]) == ("caf", 0, "ok")
    assert (site.directory / SOCKET).stat().st_mode & 0o777 == 0o600


def test_a_reader_who_has_seen_enough_of_the_status_gets_no_traceback(
    watched: tuple[Site, RunningServer, int],
) -> None:
    command = [sys.executable, "-m", "jobmon_server", "status", "--config", str(watched[0].config_path)]
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)

    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_handshakes_are_counted_by_port_and_what_is_none_is_not(
    watched: tuple[Site, RunningServer, int], tmp_path: Path
) -> None:
    site, server, port = watched
    ports = [of("jobmon_handshakes_total", port=name) for name in ("users", "agents")]
    before = samples(fetch(port, "/metrics")[1])
    context = client_context(person_credential(site, "alice"), site.server_ca_pem(), tmp_path)
    assert call(server.users, context).status == 200
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.agents), PATIENCE) as plain:
        plain.sendall(b"no handshake at all\n")
        plain.recv(100)

    after = samples(fetch(port, "/metrics")[1])

    assert [after[name] - before[name] for name in ports] == [1, 0]


def test_where_no_server_runs_the_status_is_5_and_says_what_to_do(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    from jobmon_server.cli import main

    assert main(["status", "--config", str(site.config_path)]) == 5
    assert "no server answers" in capsys.readouterr().err


def test_a_server_that_is_not_well_is_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from jobmon_server.cli import main

    told: dict[str, Any] = {
        **dict.fromkeys(("channels", "streams", "shells", "waiting", "unwritten", "refused_datagrams"), 0),
        "cluster": "caf",
        "version": "1",
        "started": "2026-11-26T18:36:37.649Z",
        "certificate_end": "2027-02-24",
        "jobs": {},
        "agents": {},
        "handshakes": {},
        "beats_per_second": 0.0,
        "store_bytes": 0,
        "health": {"store": "the server cannot write its store: disk full", "sweep": "ok"},
    }
    monkeypatch.setattr(status, "ask", lambda path: told)

    assert main(["status", "--config", "server.toml"]) == 1
    assert "store: the server cannot write" in capsys.readouterr().out


def test_without_the_key_nothing_listens_but_the_two_ports(server: RunningServer) -> None:
    listening = set()
    inodes = {os.readlink(path) for path in Path(f"/proc/{server.process.pid}/fd").iterdir()}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{server.process.pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                listening.add(int(fields[1].rsplit(":", 1)[1], 16))

    assert listening == {server.users, server.agents}
