"""What the agent costs a job before the job starts is little."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

TIMES = 7


def cost(launcher: Any, line: list[str]) -> float:
    """Seconds of processor time of a command and of what it has waited for: what the batch system bills."""
    job = launcher.start(line)
    _, status, used = os.wait4(job.pid, 0)
    job.returncode = status
    return used.ru_utime + used.ru_stime


@pytest.mark.promise(24)
def test_the_time_before_the_job_is_little(launcher: Any, server: Any, python: Path) -> None:
    line = launcher.line(python, "/bin/true")

    # The least of them: what a busy machine adds, which has other things in its caches, is none of the agent's.
    bare = min(cost(launcher, ["/bin/true"]) for _ in range(TIMES))
    under = min(cost(launcher, line) for _ in range(TIMES))

    assert under - bare < 0.060
