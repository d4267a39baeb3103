"""A site of its own for each test that asks, and one server for all of a module's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon_pki.site import Site
from tests.server.running import RunningServer, new_site, start_server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A new site."""
    return new_site(tmp_path_factory.mktemp("site") / "site")


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[RunningServer]:
    """The real server of the site, as a process."""
    with start_server(site.config_path) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """An empty directory for credential files."""
    path = tmp_path / "desk"
    path.mkdir()
    return path
