"""Jobs whose agents are killed at any moment, and the proof that the jobs did not notice."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

STATUS = 33
# It writes numbered lines of 64 bytes, waits once on the way so that there is something to kill, and ends.
JOB = """\
import sys
lines = int(sys.argv[1])
for number in range(lines):
    sys.stdout.write("%063d\\n" % number)
    if number == lines // 2:
        sys.stdout.flush()
        sys.stdin.readline()
sys.stdout.flush()
sys.exit(33)
"""
LINE = 64  # bytes


def kill_agents_during(launcher: Any, pythons: list[Path], mode: str, kills: int, size: int) -> None:
    """Run jobs until so many of them have had all the agent's processes killed; each writes ``size`` bytes."""
    seed = random.randrange(2**32)
    moments = random.Random(seed)
    expected = hashlib.sha256(b"".join(b"%063d\n" % number for number in range(size // LINE))).hexdigest()
    done = turn = 0
    while done < kills:
        turn += 1
        assert turn < 4 * kills + 20, f"only {done} of {turn} jobs had an agent to kill"
        python = pythons[turn % len(pythons)]
        command = ["/usr/bin/env", "python3", "-I", "-S", "-c", JOB, str(size // LINE)]
        with open(launcher.directory / "output", "wb") as output:
            job = launcher.start(launcher.line(python, *command, mode=mode), stdin=subprocess.PIPE, stdout=output)
        done += _kill(launcher, job.pid, mode, moments)
        job.communicate(b"go\n", timeout=60)
        found = hashlib.sha256((launcher.directory / "output").read_bytes()).hexdigest()
        assert (job.returncode, found) == (STATUS, expected), f"seed {seed}, turn {turn}"


def _kill(launcher: Any, job: int, mode: str, moments: random.Random) -> bool:
    """Kill the helpers at some moment of the 0.3 s in which they come, register and serve; whether any was hit."""
    end = time.monotonic() + moments.uniform(0, 0.3)
    while time.monotonic() < end:
        time.sleep(0.002)
    hit = False
    for pid in launcher.helpers(job, mode):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            hit = True
    return hit
