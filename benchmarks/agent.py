"""What the agent weighs and costs on every Python of this machine, beside the least that anything could.

Run after ``make``::

    .venv/bin/python benchmarks/agent.py [--runs 9] [--minutes 5]

Brings up a demo's site, packs the agent with every Python it finds, and prints
one table.  A row's limit is measured in the same run under the same Python: an
interpreter that only waits (memory), that only sends as many datagrams (CPU of
beats), that only becomes the command (CPU before it starts), the plainest loop
over /proc (``ps``), a pipe (``tail``), and ``open`` without any check (paths).  Ratios are to that.
The budgets are the agent's promises, docs/agent.md.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.table import Row, at_most, show
from tests.pythons import PYTHONS, Python

JOBMON = [str(Path(sys.executable).with_name("jobmon"))]
RUNS = 9  # repetitions of a figure
MINUTES = 5.0  # that idle agents are watched: a dozen beats each
BEAT = 25.0  # s; the site's own interval
SETTLED = 95.0  # s until every worker has left: a minute without requests, and the start
CPU_OF_JOB = "read line < /proc/$$/schedstat; echo $line"  # ns of CPU of this very process, exec and all before it

# The least that may wait for a job and for a datagram.
WAITS = "import os, select, _socket; print(os.getpid(), flush=True); select.poll().poll()"
# The least that becomes a job.
BECOMES = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
# The least that sends a beat and takes its answer, every 25 s, at most as late as agents do.
SENDS = """
import _socket, os, select, sys
own = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM); own.connect(("127.0.0.1", int(sys.argv[1])))
waiting = select.poll(); waiting.register(own.fileno(), 1)
print(os.getpid(), flush=True)
while True:
    waiting.poll(int(1000 * float(sys.argv[2]))); own.send(bytes(108)); waiting.poll(); own.recv(200)
"""


class Idle(NamedTuple):
    """An idle process after a while."""

    rss: float  # MiB
    anonymous: float  # MiB
    cpu: float  # ms an hour


def schedstat(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def weigh(pid: int) -> tuple[float, float]:
    """MiB resident, and anonymous of them."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))  # type: ignore[return-value]


@contextmanager
def an_echo() -> Iterator[int]:
    """The port of a socket that answers datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                _, where = end.recvfrom(200)
                end.sendto(bytes(60), where)

        threading.Thread(target=answer, daemon=True).start()
        yield end.getsockname()[1]


@contextmanager
def a_site() -> Iterator[None]:
    """A demo's server, with alice's credential in the environment."""
    demo = subprocess.Popen([*JOBMON, "demo", "--headless", "--jobs", "1"], stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout is not None
        site = json.loads(demo.stdout.readline())
        os.environ["JOBMON_CONFIG"] = str(site["config"])
        os.environ["JOBMON_CONTEXT"] = "alice"
        yield
    finally:
        demo.terminate()
        demo.wait()


class Bench:
    """The agent packed for every Python, and a directory to work in."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.agent = directory / "jobmond.pyz"
        pythons = [word for python in PYTHONS for word in ("--python", python.path)]
        subprocess.run([*JOBMON, "agent", "--out", str(self.agent), *pythons], check=True, capture_output=True)
        self._number = 0

    def line(self, python: Python, *command: str) -> list[str]:
        """A command under the agent, with a credential of its own."""
        self._number += 1
        job = f"bench-{self._number}"
        made = [*JOBMON, "credential", "--id", job, "--out", str(self.directory)]
        subprocess.run(made, check=True, capture_output=True)
        credential = str(self.directory / f"{job}.jobmon")
        return [python.path, "-I", "-S", str(self.agent), "--credential", credential, "--exec", "--", *command]


def idle_processes(bench: Bench, minutes: float, echo: int) -> tuple[dict[str, Idle], dict[str, Idle]]:
    """The idle agents of all Pythons and, beside each, the least: measured side by side over the same minutes."""
    agents: dict[str, int] = {}
    waiting: dict[str, int] = {}
    sending: dict[str, int] = {}
    started: list[subprocess.Popen[str]] = []
    output = (bench.directory / "output").open("w")

    def start(line: list[str], **options: object) -> subprocess.Popen[str]:
        started.append(subprocess.Popen(line, text=True, cwd=bench.directory, **options))  # type: ignore[call-overload]
        return started[-1]

    def pid_of(line: list[str]) -> int:
        process = start(line, stdout=subprocess.PIPE)
        assert process.stdout is not None
        return int(process.stdout.readline())

    try:
        for python in PYTHONS:
            job = start(bench.line(python, "sleep", "86400"), stdout=output, stderr=output)
            bare = [python.path, "-I", "-S", "-c"]
            waiting[python.version] = pid_of([*bare, WAITS])
            sending[python.version] = pid_of([*bare, SENDS, str(echo), str(BEAT)])
            agents[python.version] = _idle_agent(bench, job.pid)
        time.sleep(SETTLED)
        before = {pid: schedstat(pid) for pid in [*agents.values(), *sending.values()]}
        time.sleep(minutes * 60)
        hourly = 60 / minutes * 1e3
        cpu = {pid: (schedstat(pid) - used) * hourly for pid, used in before.items()}
        return (
            {version: Idle(*weigh(pid), cpu[pid]) for version, pid in agents.items()},
            {version: Idle(*weigh(pid), cpu[sending[version]]) for version, pid in waiting.items()},
        )
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
            process.wait()
            if process.stdout:
                process.stdout.close()
        output.close()


def _idle_agent(bench: Bench, job: int) -> int:
    """The agent's process beside a job: it runs the archive, and has no parent that does."""
    credential, deadline = str(bench.directory / f"bench-{bench._number}.jobmon"), time.monotonic() + 30
    while time.monotonic() < deadline:
        ours = {}
        for entry in Path("/proc").iterdir():
            try:
                is_ours = entry.name.isdigit() and credential in (entry / "cmdline").read_text()
                if is_ours and int(entry.name) != job:
                    ours[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
        idle = [pid for pid, parent in ours.items() if parent not in ours and parent != job]
        if len(ours) == 2 and len(idle) == 1:  # with its worker; the herald, the job's child, has gone
            return idle[0]
        time.sleep(0.05)
    raise SystemExit("the agent did not start")


def cpu_before_start(bench: Bench, python: Python, runs: int) -> tuple[list[float], list[float]]:
    """Milliseconds of CPU of a process whose command has just begun: under the agent, and under the Python alone."""
    command = ["sh", "-c", CPU_OF_JOB]
    line = bench.line(python, *command)
    bare = [python.path, "-I", "-S", "-c", BECOMES, *command]

    def measure(words: list[str]) -> float:
        told = subprocess.run(words, capture_output=True, text=True, check=True, cwd=bench.directory).stdout
        return int(told.split()[0]) / 1e6

    return [measure(line) for _ in range(runs)], [measure(bare) for _ in range(runs)]


def inside(bench: Bench, python: Python, script: str, runs: int) -> tuple[list[float], list[float]]:
    """Two lists of milliseconds that a script prints, ours and the least, from within the archive's modules."""
    path = Path(__file__).with_name("inside") / script
    told = subprocess.run(
        [python.path, "-I", "-S", str(path), str(bench.agent), str(runs)],
        capture_output=True,
        text=True,
        check=True,
        cwd=bench.directory,
    ).stdout
    ours, least = json.loads(told)
    return ours, least


def row(what: str, python: str, ours: list[float], least: list[float], budget: float, unit: str) -> Row:
    """One figure of one Python, beside the least that anything could cost there."""
    return Row(f"{what}, {python}", ours, unit, at_most(budget), least)


def rows(runs: int = RUNS, minutes: float = MINUTES) -> Iterator[Row]:
    """Measure, a row after the other.

    Args:
        runs: repetitions of each figure.
        minutes: how long idle agents are watched.
    """
    with tempfile.TemporaryDirectory() as directory, a_site(), an_echo() as echo:
        bench = Bench(Path(directory))
        for python in PYTHONS:
            yield row("CPU before the job", python.version, *cpu_before_start(bench, python, runs), 60, "ms")
        for what, script, budget, unit in INSIDE:
            for python in PYTHONS:
                yield row(what, python.version, *inside(bench, python, script, runs), budget, unit)
        agents, least = idle_processes(bench, minutes, echo)
        columns: tuple[tuple[str, Callable[[Idle], float], float, str], ...] = (
            ("idle resident", lambda idle: idle.rss, 9, "MiB"),
            ("idle anonymous", lambda idle: idle.anonymous, 4.5, "MiB"),
            ("idle CPU an hour", lambda idle: idle.cpu, 40, "ms"),
        )
        for what, figure, budget, unit in columns:
            for version, idle in agents.items():
                yield row(what, version, [figure(idle)], [figure(least[version])], budget, unit)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long idle agents are watched")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # the demo and the agents are to end all the same
    show(rows(arguments.runs, arguments.minutes))


INSIDE = (
    ("ps of 1,000 processes", "processes.py", 100, "ms"),
    ("tail, write to frame", "latency.py", 1, "ms"),
    ("open of a path", "paths.py", 0.1, "ms"),
)


if __name__ == "__main__":
    main()
