"""How long one command takes on a running job, beside what a process costs at all.

Run after ``make``::

    .venv/bin/python benchmarks/commands.py [--runs 15]

Brings up a demo, runs each command as a person would (a new process), and prints
two tables: with a cold TLS connection, and through the connection holder.  The
limits are measured in the same run: an interpreter that does nothing, and one
that opens the same mutual TLS connection and asks ``whoami`` with nothing of ours
imported; each command's ratios are to these, pair by pair.  Where there is an
sshd, ``true`` and ``tail`` through ssh's ControlMaster stand beside them.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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
    """Run a command once."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=60)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


class Table:
    """Prints rows as they are measured, each run beside one of each limit."""

    def __init__(self, runs: int, limits: dict[str, list[str]]) -> None:
        self._runs = runs
        self._limits = limits
        ratios = "".join(f"   x {name}" for name in limits)
        print(f"{'milliseconds':<20} {'min':>7} {'median':>7} {'max':>7} {'cpu':>7}{ratios}")

    def row(self, name: str, command: list[str]) -> None:
        """Measure and print one line: wall time, median of CPU, medians and spread of the ratios of wall time."""
        own: list[Took] = []
        ratios: dict[str, list[float]] = {limit: [] for limit in self._limits}
        for _ in range(self._runs):
            own.append(run(command))
            for limit, bare in self._limits.items():
                ratios[limit].append(own[-1].wall / run(bare).wall)
        wall = sorted(took.wall * 1e3 for took in own)
        cpu = statistics.median(took.cpu * 1e3 for took in own)
        shown = "".join(f"{spread(found):>{len(limit) + 5}}" for limit, found in ratios.items())
        print(f"{name:<20} {wall[0]:7.1f} {statistics.median(wall):7.1f} {wall[-1]:7.1f} {cpu:7.1f}{shown}", flush=True)


def spread(ratios: list[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def measure(site: dict[str, object], runs: int) -> None:
    """Print the tables for a running demo."""
    config = Path(str(site["config"]))
    credential = next(config.parent.rglob("alice.jobmon"))
    host, _, port = str(site["server"]).removeprefix("https://").partition(":")
    handshake = [sys.executable, "-I", "-S", "-c", HANDSHAKE, str(credential), host, port]
    cores = os.cpu_count()
    print(f"{platform.platform()}, {cores} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    print(f"{runs} runs each; ratios of wall time pair by pair, median and quartiles")
    print("\ncold: a new process and a new connection")
    table = Table(runs, {"bare request   ": handshake, "python -I -S    ": NOTHING})
    table.row("python -I -S", NOTHING)
    table.row("bare request", handshake)
    os.environ["JOBMON_HOLDER"] = "off"
    for name in COMMANDS:
        table.row(name, words_of(name))
    print("\nthrough the connection holder, and through ssh's")
    del os.environ["JOBMON_HOLDER"]
    table = Table(runs, {"python -I -S    ": NOTHING})
    with holder():
        for name in HELD:
            table.row(name, words_of(name))
    measure_ssh(table, config.parent / "output.txt")


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


def measure_ssh(table: Table, file: Path) -> None:
    """The same by ssh with a ControlMaster that is up, to an sshd of this run's own."""
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None or shutil.which("ssh") is None:
        print("ssh is not compared: there is no sshd here; install openssh-server")
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
                table.row("ssh true", ["ssh", *quiet, "true"])
                table.row("ssh tail", ["ssh", *quiet, f"tail -n 10 {file}"])
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


def main() -> None:
    """Bring up a demo, measure, take it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    demo = subprocess.Popen([*JOBMON, "demo", "--headless", "--jobs", "8"], stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout is not None
        site = json.loads(demo.stdout.readline())
        os.environ["JOBMON_CONFIG"] = str(site["config"])
        measure(site, arguments.runs)
    finally:
        demo.terminate()
        demo.wait()


if __name__ == "__main__":
    main()
