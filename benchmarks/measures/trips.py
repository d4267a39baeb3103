"""Round trips: a person's question to a job's agent and back, and a line of output on its way to a person.

Beside them the same through ``ssh`` with ControlMaster, where this machine has
an ``sshd``: a private one, on a free port of the loopback network.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measures.people import Person
from benchmarks.simulation.crew import Crew
from benchmarks.simulation.fleet import Server, Settings
from benchmarks.simulation.jobs import Plan
from benchmarks.simulation.passes import sign
from benchmarks.simulation.real import RealJobs
from benchmarks.simulation.throwaway import Throwaway, free_ports
from benchmarks.table import Row, at_most
from jobmon_agent.tls import read_address
from jobmon_console import calls
from jobmon_pki.credential_files import write_credential
from jobmon_wire import frames

ASKED = 200  # questions of one kind
WOKEN = 15  # wake-ups
LINES = 200  # of output
PAUSE = 0.03  # s between two lines: a person's program, no flood
QUIET = 0.3  # s until an agent leaves its channel, where it is to be rung
HELD = 3600.0  # s, where it is to stay
PATIENCE = 30.0  # s until a job is there
BEAT = 1.0  # s; an agent can be rung once it has answered a challenge
SSHD = "/usr/sbin/sshd"
WRITER = f"""
import os, time
while True:
    time.sleep({PAUSE})
    os.write(1, b"%.9f\\n" % time.monotonic())
"""


def rows() -> Iterator[Row]:
    """Every round trip."""
    yield from _held()
    yield _woken()


def _held() -> Iterator[Row]:
    """With the agent's channel open."""
    plan = Plan(("alice",), 1, time.time())
    with Throwaway(plan.owners, log="warning", quiet=HELD) as house, _real(house) as (real, job):
        address = read_address(house.site.agents_url)
        server = Server(address, "127.0.0.1", house.site.server_ca_pem())
        crew = Crew(plan, sign(house.site, plan, range(1)), server, Settings())
        person = Person(house.context("alice"))
        try:
            crew.prepare()
            crew.go()
            crew.wait(lambda report: report["channels"] == 1, PATIENCE)
            asked = [_milliseconds(lambda: person.ask(calls.whoami())) for _ in range(ASKED)]
            echoed = [person.latency(plan.id(0), "head", lines=1) for _ in range(ASKED)]
            yield Row("question to the server alone", asked, "ms")
            yield Row("command to a simulated agent, as an echo", echoed, "ms", at_most(2), asked)
            forked = [_milliseconds(lambda: subprocess.run(["/bin/true"], check=True)) for _ in range(ASKED)]
            first = [_first(person, job) for _ in range(ASKED)]
            yield Row("command to a real agent: ps, a first one", first, "ms", at_most(4), forked)
            answered = [person.latency(job, "ps") for _ in range(ASKED)]
            yield Row("the same, one after the other", answered, "ms", at_most(4), forked)
            output = real.sandbox(job) / "job.out"
            yield Row("tail -f: from write to reader", _followed(person, job), "ms", at_most(1), list(_piped()))
            if os.access(SSHD, os.X_OK) and not os.geteuid():
                with _ssh(house.directory) as ssh:
                    asked = [_milliseconds(lambda: _run(ssh, f"ps -p {os.getpid()}")) for _ in range(ASKED // 5)]
                    yield Row("ssh, ControlMaster: ps", asked, "ms")
                    yield Row("ssh, ControlMaster: tail -f", list(_followed_by_ssh(ssh, output)), "ms")
        finally:
            person.close()
            crew.stop()


def _first(person: Person, job: str) -> float:
    """Milliseconds of a ``ps`` for which the agent has no process at hand: one that fails is given up."""
    for _ in person.query(job, "cat", file="there is no such file"):
        pass
    return person.latency(job, "ps")


def _woken() -> Row:
    """With the channel closed: the agent is rung by a datagram, and opens it."""
    with Throwaway(("alice",), log="warning", quiet=QUIET, beat=BEAT) as house, _real(house) as (_, job):
        person = Person(house.context("alice"))
        port = read_address(house.site.agents_url).port
        times, fresh = [], []
        for _ in range(WOKEN):
            _wait(lambda: not _connections(port), "the agent's leaving")
            times.append(person.latency(job, "ps"))
            fresh.append(_milliseconds(lambda: Person(house.context("alice")).close()))
        person.close()
    return Row("ps after a wake-up by datagram", times, "ms", at_most(60), fresh)


@contextmanager
def _real(house: Throwaway) -> Iterator[tuple[RealJobs, str]]:
    """A running server, and a job under the real agent that writes the time again and again."""
    house.start()
    real = RealJobs(house.site, house.directory)
    try:
        real.pack()
        credential = house.site.issue_job_credentials("alice", ["writer"], None, time.time())[0]
        path = house.directory / "writer.jobmon"
        write_credential(path, credential)
        real.run("writer", path, [sys.executable, "-I", "-S", "-c", WRITER])
        person = Person(house.context("alice"))
        _wait(lambda: b'"writer"' in person.ask(calls.jobs()), "the job's registration")
        person.close()
        yield real, "writer"
    finally:
        real.stop()


def _followed(person: Person, job: str) -> list[float]:
    """Milliseconds from each line's writing to its coming."""
    times: list[float] = []
    query = person.query(job, "tail", lines=0, follow=True)
    for frame in query:
        if frame.type == frames.DATA:
            times += _ages(frame.payload)
        if len(times) >= LINES:
            break
    query.close()
    person.close()  # the answer has no end
    return times


def _piped() -> Iterator[float]:
    """The same through a pipe."""
    command = [sys.executable, "-I", "-S", "-c", WRITER]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(LINES):
            yield from _ages(process.stdout.readline())
        process.kill()


def _followed_by_ssh(ssh: list[str], output: Path) -> Iterator[float]:
    with subprocess.Popen([*ssh, f"tail -n 0 -f {output}"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(LINES):
            yield from _ages(process.stdout.readline())
        process.kill()


def _ages(lines: bytes) -> list[float]:
    now = time.monotonic()
    return [(now - float(line)) * 1e3 for line in lines.split()]


@contextmanager
def _ssh(directory: Path) -> Iterator[list[str]]:
    """The words of ``ssh`` to a private sshd, over a master that is connected."""
    home = directory / "ssh"
    home.mkdir(mode=0o700)
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd insists to lock itself in
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
    shutil.copy(home / "user.pub", home / "authorized")
    (port,) = free_ports(1)
    options = {"HostKey": home / "host", "AuthorizedKeysFile": home / "authorized", "PidFile": "none", "UsePAM": "no"}
    options |= {"ListenAddress": f"127.0.0.1:{port}", "StrictModes": "no", "PermitRootLogin": "prohibit-password"}
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    daemon = subprocess.Popen([SSHD, "-D", "-f", "/dev/null", *words], stderr=subprocess.DEVNULL)
    client = ["ssh", "-F", "none", "-p", str(port), "-i", str(home / "user"), "-o", f"ControlPath={home / 'master'}"]
    client += ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={home / 'known'}", "-o", "LogLevel=ERROR"]
    client += ["-l", "root", "127.0.0.1"]
    try:
        _wait(lambda: _listens(port), "sshd")
        subprocess.run([client[0], "-M", "-N", "-f", *client[1:]], check=True)
        yield client
        subprocess.run([client[0], "-O", "exit", *client[1:]], check=True, capture_output=True)
    finally:
        daemon.terminate()
        daemon.wait()


def _run(ssh: list[str], command: str) -> None:
    subprocess.run([*ssh, command], check=True, stdout=subprocess.DEVNULL)


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def _wait(claim: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not claim():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {PATIENCE:.0f} s")
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _connections(port: int) -> int:
    """Open TCP connections to a port of this machine, by the server's end."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ends = [line.split()[1:4] for line in lines]
    return sum(1 for local, _, state in ends if int(local.partition(":")[2], 16) == port and state == "01")
