"""A demo for the whole session, sites made by hand for tests that break things."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.sites import ANSWER, Demo, OwnSite, Site, start_demo

JOBS = 16  # two of each kind


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A headless demo; tests look at its jobs and leave them as they are."""
    started = start_demo(JOBS, TMPDIR=str(tmp_path_factory.mktemp("demo")))
    try:
        yield started
    finally:
        started.front.send_signal(signal.SIGINT)
        _, stderr = started.front.communicate(timeout=ANSWER)
    assert (started.front.returncode, stderr) == (0, "")


@pytest.fixture
def site(demo: Demo, tmp_path: Path) -> Iterator[Site]:
    """The demo's site, for one test; jobs the test starts end with it."""
    found = Site(Path(json.loads(demo.line)["config"]), tmp_path)
    yield found
    found.end_jobs()


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[[str], OwnSite]]:
    """Makes sites by hand, each with a server that the test may kill."""
    made: list[OwnSite] = []

    def make(cluster: str) -> OwnSite:
        made.append(OwnSite(cluster, tmp_path / cluster))
        return made[-1]

    yield make
    for each in made:
        each.stop()
