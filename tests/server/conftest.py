"""A site of its own for each test that asks, and one server for all of a module's."""

import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobmon_pki.site import Site
from tests.agent.conftest import old_or_new, tree
from tests.server.house import House
from tests.server.nodes import Nodes
from tests.server.running import RunningServer, new_site, start_server

__all__ = ["contexts", "desk", "house", "nodes", "old_or_new", "server", "site", "tree"]


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


@pytest.fixture(scope="module")
def contexts() -> dict[Any, Any]:
    """People's TLS, made once for each site."""
    return {}


@pytest.fixture
async def house(site: Site, desk: Path, tmp_path: Path, contexts: dict[Any, Any]) -> AsyncIterator[House]:
    """The server within the test's process, with an empty store."""
    site.store_path = tmp_path / "store.sqlite"
    house = House(site, desk, contexts)
    await house.start()
    yield house
    await house.stop()


@pytest.fixture
def at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set forward means that time passed and the server was there; else it stood still."""
    monkeypatch.setattr("jobmon_server.state.STOOD_STILL", math.inf)


@pytest.fixture
def nodes(tree: Path, tmp_path: Path) -> Nodes:
    """Worker nodes."""
    directory = tmp_path / "node"
    directory.mkdir()
    return Nodes(tree, directory)
