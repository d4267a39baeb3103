"""`top` looks at a job again and again, and the job does not notice: promises 20 and 21."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent.job import Job
from jobmon_agent.proc import share_of_memory
from tests.agent import stalls
from tests.agent.asking import ask_under
from tests.agent.trees import Yard, until

GIB = 2**30
SIZE = GIB  # resident bytes of the job, in small pages
TICKS = 4  # s that each look goes on
TRIES = 3
LEAST = 0.001  # s; below, a job that sleeps waits for nothing that matters


def large_job(yard: Yard, size: int) -> Job:
    job = yard.start([sys.executable, "-I", "-S", str(Path(stalls.__file__)), str(size)])
    until(Path(job.sandbox_path, "stalls").exists, 120)
    return job


def worst(job: Job, act: Callable[[], Any]) -> float:
    """Seconds that the job was made to sleep in one go at most, while something else is done."""
    began = time.monotonic()
    act()
    windows = stalls.read(Path(job.sandbox_path, "stalls"), began, time.monotonic())
    assert windows
    return max(window.slept for window in windows)


def pause(seconds: float) -> None:
    for _ in range(int(seconds / 0.05)):
        time.sleep(0.05)


def watch(job: Job, seconds: int, pythons: list[Path]) -> None:
    """`top`, once a second, under each Python at the same time."""
    asked = (job, "top", {"delay": 1.0, "count": seconds})
    with ThreadPoolExecutor(len(pythons)) as pool:
        told = list(pool.map(lambda python: ask_under(python, asked)[0], pythons))
    assert [len(each["processes"]) for each in told] == [seconds] * len(pythons)


def read_maps(job: Job, seconds: int) -> None:
    """What `top` would do to tell each process's share of memory."""
    for _ in range(seconds):
        assert (share_of_memory(job.pid) or 0) > GIB // 2
        pause(1.0)


@pytest.mark.promise(21)
def test_a_large_job_is_not_held_up_by_top(yard: Yard, pythons: list[Path]) -> None:
    job = large_job(yard, SIZE)

    # On a busy machine a quiet job may be held up, too: then the measure says nothing, and is taken again.
    assert any(tells_apart(job, pythons) for _ in range(TRIES))


def tells_apart(job: Job, pythons: list[Path]) -> bool:
    """Whether `top` is harmless by a measure that sees the harm of memory maps."""
    bound = 3 * max(worst(job, lambda: pause(2)), LEAST)
    return worst(job, lambda: watch(job, TICKS, pythons)) < bound <= worst(job, lambda: read_maps(job, 3))


# In the copy of the agent every look is one at the whole node, and comes soon: else a test would take half an hour.
HURRIED = {
    "top": "MARKS_EVERY = 0.2",
    "health": "_GLANCES = _FIRST_PAUSE = _LAST_PAUSE = 0.0",
    "vitals": "FIRST_SCANS = SCAN_EVERY = SCAN_UNLISTED = 0.2",
}


@pytest.fixture
def hurried(launcher: Any, tree: Path, tmp_path: Path) -> None:
    launcher.agent = tmp_path / "hurried"
    shutil.copytree(tree, launcher.agent, ignore=shutil.ignore_patterns("__pycache__"))
    for module, line in HURRIED.items():
        with open(launcher.agent / "jobmon_agent" / f"{module}.py", "a") as file:
            file.write(f"\n{line}\n")


def is_daemon(process: Path) -> bool:
    try:
        return (process / "cmdline").read_bytes() == b"sleep\x00301\x00"
    except OSError:
        return False


def is_orphan(process: Path) -> bool:
    """Its shell is not its parent any more."""
    try:
        parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        return (Path("/proc") / parent / "comm").read_text() != "sh\n"
    except OSError:
        return False


@pytest.mark.promise(20)
@pytest.mark.skipif(shutil.which("strace") is None, reason="the program strace is missing, by which opens are seen")
def test_neither_top_nor_the_idle_agent_reads_a_memory_map_or_a_command_line(
    launcher: Any, hurried: None, server: Any, bell: Any, tmp_path: Path, until: Callable[..., Any], python: Path
) -> None:

    def at_rest() -> list[int]:
        """The idle process and the worker, when there is no other."""
        found: list[int] = launcher.agents()
        return found if len(found) == 2 else []

    server.ping = 5.0  # a traced agent is slow: no channel shall be given up for lost
    # Daemons with the mark and without any, so that the agent looks for them; a bystander is the test itself.
    # Seen while their parent is there they would be known by it, and not be asked for a mark.
    script = "read line; (setsid sleep 301 & setsid env -i sleep 301 &); exec sleep 300"
    started = launcher.start(launcher.line(python, "sh", "-c", script), stdin=subprocess.PIPE)
    channel = server.channel()
    started.stdin.write(b"\n")
    started.stdin.close()
    until(lambda: sum(is_orphan(process) for process in Path("/proc").glob("[0-9]*") if is_daemon(process)) > 1)
    channel.end_of(channel.ask("top", count=1))  # what is imported at the first request is read from files, too
    until(lambda: bell.beats)
    agents = until(at_rest)  # the process that answered is let go of at a beat
    trace = tmp_path / "trace"
    line = ["strace", "-f", "-qq", "-e", "trace=openat,open,openat2", "-o", str(trace)]
    tracer = subprocess.Popen([*line, *(f"-p{pid}" for pid in agents)])

    def opened() -> list[tuple[int, str]]:
        return [(int(pid), path) for pid, path in re.findall(r'^(\d+) .*?"(/proc/[^"]*)"', trace.read_text(), re.M)]

    try:
        until(lambda: all("TracerPid:\t0" not in Path(f"/proc/{pid}/status").read_text() for pid in agents))

        channel.end_of(channel.ask("top", delay=0.2, count=8))
        # That of top, and one at least for a beat.
        until(lambda: len({pid for pid, path in opened() if path.endswith("/environ")}) > 1)
    finally:
        tracer.terminate()
        tracer.wait()

    found = opened()
    assert sum(path.endswith("/stat") for _, path in found) > 16  # the trace saw the looks
    assert not [path for _, path in found if path.endswith(("/cmdline", "/smaps", "/smaps_rollup", "/maps"))]
    environments = [(pid, path) for pid, path in found if path.endswith("/environ")]
    # Of eight ticks each at one; others may be within execve, and are looked at again.
    daemons = [(pid, path) for pid, path in environments if is_daemon(Path(path).parent)]
    assert daemons
    assert len(daemons) == len(set(daemons))
    assert not [path for pid, path in environments if pid in agents]  # by a process that may be killed
