"""A job that writes faster than anybody reads is not slowed by a follow, and neither fills the agent's memory."""

import json
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from jobmon_agent.place import BACKLOG
from jobmon_agent.verbs import VERBS

AGENT = Path(VERBS["tail"].__code__.co_filename).parent.parent
SCRIPT = Path(__file__).with_name("flood_script.py")
GROWTH = 2**20  # bytes of memory a follow may gain while it runs
PAIRS = 2
TRIES = 12  # pairs of runs, at most: the fastest of so many are equally fast, whatever else runs here
LINE = 64  # bytes


def flood(python: Path, sandbox: Path, seconds: float, how: str) -> dict[str, Any]:
    """What the script prints."""
    ran = subprocess.run(
        [str(python), "-I", "-S", "-B", str(SCRIPT), str(AGENT), str(sandbox), str(seconds), how],
        capture_output=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    return dict(json.loads(ran.stdout))


@pytest.mark.promise(38)
def test_a_slow_reader_of_the_latest_is_told_exactly_how_much_was_skipped(python: Path, tmp_path: Path) -> None:
    found = flood(python, tmp_path / "sandbox", 0.8, "slowly")

    assert found["skipped"] > BACKLOG
    assert found["seen"] + found["skipped"] == found["size"] == found["lines"] * LINE
    assert found["places"]
    assert all(found["places"])
    assert found["grown"] < GROWTH
    # A watch that was not used up by the first write would have the job pay for an event at each.
    assert found["watched"] < 0.5


@pytest.mark.promise(38)
def test_a_job_that_is_followed_loses_nothing_of_its_rate(python: Path, pythons: list[Path], tmp_path: Path) -> None:
    lengths = [1.0] * PAIRS + [0.5] * (TRIES - PAIRS)
    if python in (pythons[0], pythons[-1]):
        lengths[0] = 5.0
    alone, followed = [], []
    for pair, seconds in enumerate(lengths):
        alone.append(flood(python, tmp_path / f"alone-{pair}", 0.5, "another"))
        followed.append(flood(python, tmp_path / f"followed-{pair}", seconds, "all"))
        # What else runs on the machine slows either now and then: the fastest tell.
        if pair + 1 >= PAIRS and is_as_fast(followed, alone):
            break

    assert is_as_fast(followed, alone)
    assert all(run["seen"] == run["size"] for run in followed)
    assert max(run["grown"] for run in followed) < GROWTH


def is_as_fast(followed: list[dict[str, Any]], alone: list[dict[str, Any]]) -> bool:
    """Whether a followed job neither works more for its lines nor is held up in its writes.

    Either the fastest of all runs are alike, or the runs of the same moment: one that is alone by luck on a
    machine that other work slows would else outdo all that follow.
    """
    fastest = max(run["best"] for run in followed) / max(run["best"] for run in alone)
    beside = median(run["best"] / other["best"] for run, other in zip(followed, alone, strict=True))
    held = min(run["held"] / run["lines"] for run in followed) * 1e6  # of a second, at a million lines a second
    return max(fastest, beside) >= 0.95 and held <= 0.05
