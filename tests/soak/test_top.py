"""A job of 4 GB is not held up by `top` in half a minute: promise 21 at its full size."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.test_top import GIB, LEAST, large_job, pause, read_maps, watch, worst
from tests.agent.trees import Yard, a_yard

SECONDS = 30


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """Where jobs are started; whatever of them is left is killed after the test."""
    with a_yard(tmp_path) as jobs:
        yield jobs


@pytest.mark.promise(21)
def test_a_job_of_4_gb_is_not_held_up_by_half_a_minute_of_top(yard: Yard, pythons: list[Path]) -> None:
    job = large_job(yard, 4 * GIB)

    quiet = worst(job, lambda: pause(SECONDS))
    watched = worst(job, lambda: watch(job, SECONDS, pythons))
    naive = worst(job, lambda: read_maps(job, 10))

    print(f"\nlongest sleep: quiet {1e3 * quiet:.2f} ms, top {1e3 * watched:.2f} ms, maps {1e3 * naive:.2f} ms")
    assert watched < 3 * max(quiet, LEAST)
    assert naive >= 3 * max(quiet, LEAST)
