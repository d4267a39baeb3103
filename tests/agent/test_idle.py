"""The process that stays beside a job is small, keeps a worker alive, and goes when the job goes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.agent.bell import Bell
from tests.agent.test_beats import settled, workers

LARGEST = 12 * 1024  # KiB resident; 8 to 9 MB are usual, TLS would make it 18
HEAVY = (b"_ssl", b"_hashlib", b"_json", b"_asyncio", b"_ctypes")
LARGE = {"ssl", "hashlib", "socket", "json", "asyncio", "typing"}
# In the copy of the agent the idle process writes down what it has loaded when it has nothing more to do.
TELLING = """

_run = _Idle.run


def _run_and_tell(self):
    _run(self)
    import sys

    with open(%r, "w") as file:
        file.write(" ".join(sys.modules))


_Idle.run = _run_and_tell
"""


def agents(launcher: Any, job: int) -> tuple[int, int]:
    """The idle process and its worker."""
    found = {pid: int(_status(pid)["PPid"]) for pid in launcher.agents() if pid != job}
    [(worker, idle)] = [(pid, parent) for pid, parent in found.items() if parent in found]
    return idle, worker


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def test_the_idle_process_is_small_and_has_loaded_nothing_heavy(launcher: Any, server: Any, python: Path) -> None:
    job = launcher.start(launcher.line(python, "sleep", "30"))
    server.channel()

    idle, worker = agents(launcher, job.pid)

    assert int(_status(idle)["VmRSS"].split()[0]) < LARGEST
    assert not [name for name in HEAVY if name in Path(f"/proc/{idle}/maps").read_bytes()]
    assert b"_ssl" in Path(f"/proc/{worker}/maps").read_bytes()  # they can be seen where they are


@pytest.mark.promise(23)
def test_in_all_its_life_the_idle_process_imports_nothing_large(
    launcher: Any, server: Any, bell: Bell, until: Any, python: Path, tree: Path, tmp_path: Path
) -> None:
    launcher.agent, loaded = tmp_path / "telling", tmp_path / "loaded"
    shutil.copytree(tree, launcher.agent, ignore=shutil.ignore_patterns("__pycache__"))
    with open(launcher.agent / "jobmon_agent" / "idle.py", "a") as file:
        file.write(TELLING % str(loaded))
    job, idle = settled(launcher, server, bell, until, python)
    number, channels = len(bell.beats), len(server.channels)

    until(lambda: len(bell.beats) > number + 2)  # answered ones
    bell.pending += 1
    bell.ring()
    until(lambda: len(server.channels) > channels)
    until(lambda: not workers(launcher, idle))
    job.kill()
    until(lambda: server.ends and not Path(f"/proc/{idle}").exists())

    modules = set(loaded.read_text().split())
    assert {"jobmon_agent.beats", "_socket"} < modules
    assert modules & LARGE == loaded_by_itself(python, tmp_path) & {"typing"}


def loaded_by_itself(python: Path, directory: Path) -> set[str]:
    """What this Python loads to run a program of several files: 3.9 does so with typing."""
    (directory / "bare").mkdir()
    (directory / "bare" / "__main__.py").write_text("import sys; print(*sys.modules)")
    told = subprocess.run([python, "-I", "-S", directory / "bare"], capture_output=True, text=True, check=True)
    return set(told.stdout.split())


def test_the_agent_holds_nothing_of_the_jobs_open_and_stands_in_a_group_of_its_own(launcher: Any, server: Any) -> None:
    inherited, other = os.pipe()
    job = launcher.start(launcher.line(None, "sleep", "30"), stdout=other, pass_fds=[other])
    os.close(other)
    server.channel()
    idle, worker = agents(launcher, job.pid)

    job.kill()
    job.wait()

    os.set_blocking(inherited, True)
    assert os.read(inherited, 1) == b""  # the end, though the agent may still run
    os.close(inherited)
    assert {int(_group(pid)) for pid in (idle, worker) if Path(f"/proc/{pid}").exists()} <= {idle}


def _group(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[2]


def test_a_worker_that_is_killed_is_replaced(launcher: Any, server: Any, until: Any) -> None:
    job = launcher.start(launcher.line(None, "sh", "-c", "sleep 3; exit 6"))
    server.channel()
    _, worker = agents(launcher, job.pid)

    os.kill(worker, signal.SIGKILL)

    until(lambda: len(server.channels) == 2)
    assert agents(launcher, job.pid)[1] != worker
    until(lambda: server.ends)
    assert server.ends[0]["exit"]["code"] in (6, None)


def test_a_worker_ends_with_the_idle_process(launcher: Any, server: Any, until: Any) -> None:
    job = launcher.start(launcher.line(None, "sleep", "30"))
    channel = server.channel()
    channel.ask("tail", file="stdout", follow=True)
    channel.ask("top")
    idle, _ = agents(launcher, job.pid)

    os.kill(idle, signal.SIGKILL)

    until(lambda: set(launcher.agents()) <= {job.pid})
    assert job.poll() is None


def test_signals_meant_for_jobs_do_not_end_the_agent(launcher: Any, server: Any, until: Any) -> None:
    job = launcher.start(launcher.line(None, "sh", "-c", "read x", mode="--exec"), stdin=-1)
    server.channel()
    pair = agents(launcher, job.pid)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU):
        for pid in pair:
            os.kill(pid, number)
    job.stdin.close()

    until(lambda: server.ends)
    assert job.wait() == 1


def test_the_worker_leaves_no_core_file_with_the_key_in_it(launcher: Any, server: Any) -> None:
    job = launcher.start(launcher.line(None, "sleep", "30"))
    server.channel()

    idle, worker = agents(launcher, job.pid)

    assert "Max core file size        0                    0" in Path(f"/proc/{worker}/limits").read_text()
    assert idle != worker
