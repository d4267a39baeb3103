"""Five hundred times the server is killed at a random moment under load: nothing is lost, nothing is done twice.

Not part of ``make test``; ``make soak`` runs it.
"""

import os
from pathlib import Path

import pytest

from tests.end_to_end.test_crashes import crash
from tests.network.lab import missing

KILLS = int(os.environ.get("JOBMON_SOAK_SERVER_KILLS", "500"))
SEEDS = (1, 2, 3, 4, 5)
JOBS = 6


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("seed", SEEDS)
def test_five_hundred_killed_servers_lose_no_request_and_do_none_twice(tmp_path: Path, seed: int) -> None:
    crash(tmp_path / "crash", KILLS // len(SEEDS), JOBS, seed)
