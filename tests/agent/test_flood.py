"""A job that writes faster than anybody reads is not slowed by a follow, and neither fills the agent's memory."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent.place import BACKLOG
from jobmon_agent.verbs import VERBS

AGENT = Path(VERBS["tail"].__code__.co_filename).parent.parent
SCRIPT = Path(__file__).with_name("flood_script.py")
GROWTH = 2**20  # bytes of memory a follow may gain while it runs
PAIRS = 3
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


@pytest.mark.promise(38)
def test_a_job_that_is_followed_for_five_seconds_loses_nothing_of_its_rate(old_or_new: Path, tmp_path: Path) -> None:
    alone, followed = [], []
    for pair in range(PAIRS):
        alone.append(flood(old_or_new, tmp_path / f"alone-{pair}", 1, "nobody"))
        followed.append(flood(old_or_new, tmp_path / f"followed-{pair}", 5 if not pair else 1, "all"))

    # Lines for a second of the job's own CPU: what else runs on the machine does not count.
    rates = [max(run["lines"] / run["used"] for run in runs) for runs in (alone, followed)]
    assert rates[1] >= 0.95 * rates[0]
    assert all(run["seen"] == run["size"] for run in followed)
    assert max(run["grown"] for run in followed) < GROWTH
