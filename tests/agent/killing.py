"""Jobs whose agents are killed at any moment, and the proof that the jobs did not notice."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.agent.trees import is_alive

STATUS = 33
# It notes that it runs, writes numbered lines, waits once on the way so that there is something to kill, and ends.
JOB = """\
import sys
with open("runs", "a") as file: file.write("once ")
lines, length = int(sys.argv[1]), int(sys.argv[2])
for number in range(lines):
    sys.stdout.write("%0*d\\n" % (length - 1, number))
    if number == lines // 2:
        sys.stdout.flush()
        sys.stdin.readline()
sys.stdout.flush()
sys.exit(33)
"""
LINE = 64  # bytes, of a line of a small job
LINES = 2**14  # of a large one: it writes as fast as a program can that has nothing to compute
PATIENCE = 60.0  # s for half a job; the machine may be busy
LATEST = 0.3  # s in which the helpers come, register and serve, where the machine has nothing else to do
AS_IT_WRITES = 0.01  # s that half a MiB takes to write


def kill_agents_during(launcher: Any, pythons: list[Path], mode: str, kills: int, size: int) -> None:
    """Run jobs until so many of them have had all the agent's processes killed; each writes ``size`` bytes, once.

    A third of them loses its agent at some moment of the start, a third while
    it waits in the middle of its work, when the agent is there for sure, and a
    third while it writes on.
    """
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    length = max(LINE, size // LINES)
    expected = hashlib.sha256()
    for number in range(size // length):
        expected.update(b"%0*d\n" % (length - 1, number))
    output, runs = launcher.directory / "output", launcher.directory / "runs"
    done, turn, moments = 0, 0, (_start, _pause, _write)
    while done < kills:
        turn += 1
        assert turn < 4 * kills + 20, f"only {done} of {turn} jobs had an agent to kill"
        python = pythons[turn % len(pythons)]
        command = [sys.executable, "-I", "-S", "-c", JOB, str(size // length), str(length)]
        with open(output, "wb") as file:
            job = launcher.start(launcher.line(python, *command, mode=mode), stdin=subprocess.PIPE, stdout=file)
        helpers = moments[turn % len(moments)](launcher, job, mode, output, size // 2, chance)
        done += _kill(helpers)
        if job.stdin:  # else it writes on meanwhile
            _wait_for_death(helpers)
        job.communicate(b"go\n" if job.stdin else None, timeout=60)
        with open(output, "rb") as file:
            found = (job.returncode, hashlib.file_digest(file, "sha256").hexdigest(), runs.read_text())
        assert found == (STATUS, expected.hexdigest(), "once "), f"seed {seed}, turn {turn}"
        runs.unlink()


def _start(launcher: Any, job: Any, mode: str, output: Path, half: int, chance: random.Random) -> set[int]:
    """The helpers at some moment of the start."""
    _pass(chance.uniform(0, LATEST))
    return launcher.helpers(job.pid, mode)


def _pause(launcher: Any, job: Any, mode: str, output: Path, half: int, chance: random.Random) -> set[int]:
    """The helpers when the job waits in the middle of its work."""
    _wait(lambda: output.stat().st_size >= half)
    _pass(chance.uniform(0, LATEST))
    return launcher.helpers(job.pid, mode)


def _write(launcher: Any, job: Any, mode: str, output: Path, half: int, chance: random.Random) -> set[int]:
    """The helpers while the job writes on."""
    helpers = _pause(launcher, job, mode, output, half, chance)
    with job.stdin:
        job.stdin.write(b"go\n")
    job.stdin = None
    _pass(chance.uniform(0, AS_IT_WRITES))
    return helpers


def _wait_for_death(helpers: set[int]) -> None:
    _wait(lambda: not any(map(is_alive, helpers)))


def _wait(claim: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not claim():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.002)


def _pass(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.002)


def _kill(helpers: set[int]) -> bool:
    """Kill them; whether any was there."""
    hit = False
    for pid in helpers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            hit = True
    return hit
