"""A race for a path: one process exchanges parts of it while an agent's Python reads it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jobmon_agent
from tests.pythons import Python

AGENT = Path(jobmon_agent.__file__).parent.parent
SCRIPT = Path(__file__).with_name("race_script.py")
PARTS = ("dir", "dir/file")
TRIES = 100_000  # of each race, over all Pythons together or in each

# Exchanges two names as fast as it can until it is killed, and counts.  RENAME_EXCHANGE is 2.
SWAPPER = """
import ctypes, mmap, os, struct, sys
swap = ctypes.CDLL(None).syscall
here, there, count = (os.fsencode(path) for path in sys.argv[1:])
number = {"x86_64": 316, "aarch64": 276, "ppc64le": 357, "s390x": 347}[os.uname().machine]
with open(count, "r+b") as file:
    counter = mmap.mmap(file.fileno(), 8)
done = 0
while True:
    for _ in range(100):
        done += swap(number, -100, here, -100, there, 2) == 0
    counter[:8] = struct.pack("Q", done)
"""


def race(python: Python, directory: Path, part: str, tries: int) -> dict[str, Any]:
    """What came of so many tries, and at least as many exchanges."""
    ran = subprocess.run(
        [python.path, "-I", "-S", "-B", str(SCRIPT), str(AGENT), str(directory), part, str(tries)]
        + [sys.executable, "-I", "-S", "-c", SWAPPER],
        capture_output=True,
        timeout=600,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    return dict(json.loads(ran.stdout))


def assert_nothing_leaked(outcome: dict[str, Any], tries: int) -> None:
    """The race was one, and it was never lost."""
    assert outcome["control"]["secret"] > 0, "the naive reader never lost the race: the test is void"
    assert outcome["found"]["secret"] == 0
    assert min(outcome["found"]["public"], outcome["found"]["refused"]) > tries / 100
    assert sum(outcome["found"].values()) >= tries
    assert outcome["swaps"] >= tries
    assert outcome["descriptors"][0] == outcome["descriptors"][1]
