"""How long one command takes on a running job, beside what a process costs at all.

Run after ``make``::

    .venv/bin/python benchmarks/commands.py [--runs 15]

Brings up a demo and runs each command as a person would (a new process): with a
cold TLS connection, and through the connection holder.  The limits are measured
in the same run, pair by pair: of a cold command an interpreter that opens the same
mutual TLS connection and asks ``whoami`` with nothing of ours imported, of one
through the holder an interpreter that does nothing.  Where there is an sshd,
``true`` and ``tail`` through ssh's ControlMaster stand beside them.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.table import Row, Target, at_most, show

RUNS = 15  # repetitions of a command
JOBMON = [str(Path(sys.executable).with_name("jobmon"))]
NOTHING = [sys.executable, "-I", "-S", "-c", "pass"]
HANDSHAKE = """
import http.client, ssl, sys
path, host, port = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
text = open(path).read().split("-----BEGIN JOBMON SERVER CA-----")[1].split("-----END")[0]
context.load_verify_locations(cadata="-----BEGIN CERTIFICATE-----" + text + "-----END CERTIFICATE-----\\n")
context.load_cert_chain(path)
connection = http.client.HTTPSConnection(host, int(port), context=context)
connection.request("GET", "/v1/whoami")
connection.getresponse().read()
"""
CHOSEN = "demo-print-1"  # a job of the demo that goes on
COMMANDS = {
    "jobs --json": ["jobs", "--json"],
    "ps": ["ps", "{job}"],
    "top -n 2 -d 0.2": ["top", "-n", "2", "-d", "0.2", "{job}"],
    "ls -l": ["ls", "-l", "{job}"],
    "head -n 3": ["head", "-n", "3", "{job}"],
    "tail": ["tail", "{job}"],
    "node": ["node", "{job}"],
    "log": ["log", "{job}"],
    "audit": ["audit", "{job}"],
}


COLD = {"ps": at_most(100)}  # what a person does not wait for
HELD = ("jobs --json", "ps", "ls -l", "head -n 3", "tail", "node")
PATIENCE = 20.0  # s for a holder or an sshd to be there
SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host
PidFile none
AuthorizedKeysFile {directory}/user.pub
StrictModes no
UsePAM no
PermitRootLogin yes
SetEnv HOME={directory}
"""  # HOME: the login shell must not read a person's start-up files


class Took(NamedTuple):
    """One run."""

    wall: float  # s
    cpu: float  # s, of the process and those it waited for


def run(command: list[str]) -> Took:
    """Run a command once, to its end: to wait with a limit Python looks every so often, up to 50 ms too late."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def row(runs: int, name: str, command: list[str], bare: list[str], target: Target | None = None) -> Row:
    """Milliseconds of wall time of a command, each run beside one of its limit."""
    pairs = [(run(command), run(bare)) for _ in range(runs)]
    cpu = statistics.median(own.cpu * 1e3 for own, _ in pairs)
    walls = [own.wall * 1e3 for own, _ in pairs]
    limits = [limit.wall * 1e3 for _, limit in pairs]
    return Row(name, walls, "ms", target, limits, is_paired=True, note=f"{cpu:.1f} ms of CPU")


def measure(site: dict[str, object], runs: int) -> Iterator[Row]:
    """The rows of a running demo."""
    config = Path(str(site["config"]))
    credential = next(config.parent.rglob("alice.jobmon"))
    host, _, port = str(site["server"]).removeprefix("https://").partition(":")
    handshake = [sys.executable, "-I", "-S", "-c", HANDSHAKE, str(credential), host, port]
    yield row(runs, "python -I -S", NOTHING, NOTHING)
    yield row(runs, "bare request", handshake, NOTHING)
    os.environ["JOBMON_HOLDER"] = "off"
    for name in COMMANDS:
        yield row(runs, f"jobmon {name}, cold", words_of(name), handshake, COLD.get(name))
    del os.environ["JOBMON_HOLDER"]
    with holder():
        for name in HELD:
            yield row(runs, f"jobmon {name}, held", words_of(name), NOTHING, at_most(40))
    yield from measure_ssh(runs, config.parent / "output.txt")


def words_of(name: str) -> list[str]:
    """The whole command line."""
    return [*JOBMON, *(word.format(job=CHOSEN) for word in COMMANDS[name])]


@contextlib.contextmanager
def holder() -> Iterator[None]:
    """A connection holder of this run's own."""
    with tempfile.TemporaryDirectory(prefix="jobmon-bench-") as directory:
        os.environ["XDG_RUNTIME_DIR"] = directory
        try:
            run(words_of("ps"))
            wait_for(lambda: any(Path(directory).rglob("*.holder")))
            yield
        finally:
            run([*JOBMON, "logout"])
            del os.environ["XDG_RUNTIME_DIR"]


def measure_ssh(runs: int, file: Path) -> Iterator[Row]:
    """The same by ssh with a ControlMaster that is up, to an sshd of this run's own."""
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None or shutil.which("ssh") is None:
        yield Row("ssh", [0.0], "ms", note="not compared: there is no sshd here; install openssh-server")
        return
    file.write_text("a line of output\n" * 1000)
    with tempfile.TemporaryDirectory(prefix="jobmon-ssh-") as directory, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        for name in ("host", "user"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{directory}/{name}"])
        Path(directory, "sshd_config").write_text(SSHD.format(port=port, directory=directory))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        options = ["-F", "none", "-p", str(port), "-i", f"{directory}/user", "-S", f"{directory}/mux"]
        quiet = [*options, "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "127.0.0.1"]
        with subprocess.Popen(
            [sshd, "-D", "-e", "-f", f"{directory}/sshd_config"], stderr=subprocess.DEVNULL
        ) as daemon:
            try:
                wait_for(lambda: subprocess.run(["ssh", "-fNM", *quiet], stderr=subprocess.DEVNULL).returncode == 0)
                yield row(runs, "ssh true, ControlMaster", ["ssh", *quiet, "true"], NOTHING)
                yield row(runs, "ssh tail, ControlMaster", ["ssh", *quiet, f"tail -n 10 {file}"], NOTHING)
                run(["ssh", "-O", "exit", *quiet])
            finally:
                daemon.terminate()


def wait_for(what: object) -> None:
    """Ask until it is so."""
    until = time.monotonic() + PATIENCE
    while not what():  # type: ignore[operator]
        if time.monotonic() > until:
            raise SystemExit("what is to be measured did not come up in time")
        time.sleep(0.05)


def rows(runs: int = RUNS) -> Iterator[Row]:
    """Bring up a demo, measure, take it down."""
    demo = subprocess.Popen([*JOBMON, "demo", "--headless", "--jobs", "8"], stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout is not None
        site = json.loads(demo.stdout.readline())
        os.environ["JOBMON_CONFIG"] = str(site["config"])
        yield from measure(site, runs)
    finally:
        demo.terminate()
        demo.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the demo is to end all the same
    show(rows(arguments.runs))


if __name__ == "__main__":
    main()
