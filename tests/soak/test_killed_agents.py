"""A thousand times the agent is killed at any moment while a job writes: not a byte is lost, the status is the same.

Not part of ``make test``; ``make soak`` runs it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.agent.killing import kill_agents_during

KILLS = int(os.environ.get("JOBMON_SOAK_KILLS", "1000"))
SIZE = 100 * 2**20  # bytes a job, each time over the last one's: TMPDIR had better be in memory


@pytest.mark.promise(14)
def test_a_thousand_killed_agents_lose_no_byte_of_the_job(launcher: Any, pythons: list[Path], mode: str) -> None:
    kill_agents_during(launcher, pythons, mode, KILLS, SIZE)
