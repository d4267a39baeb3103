"""A demo for the whole session, sites made by hand for tests that break things."""

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.sites import ANSWER, JOBMON, PYTHON, Demo, Site, start_demo, wait_until

JOBS = 16  # two of each kind


@pytest.fixture(scope="session")
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
def make_site(tmp_path: Path) -> Iterator[Callable[[str], "OwnSite"]]:
    """Makes sites by hand, each with a server that the test may kill."""
    made: list[OwnSite] = []

    def make(cluster: str) -> OwnSite:
        made.append(OwnSite(cluster, tmp_path / cluster))
        return made[-1]

    yield make
    for each in made:
        each.stop()


class OwnSite(Site):
    """A site with its own authorities, and a server started here."""

    def __init__(self, cluster: str, directory: Path) -> None:
        directory.mkdir()
        super().__init__(directory / "config.toml", directory)
        self.cluster = cluster
        self.home = directory / "site"
        self.server: subprocess.Popen[str] | None = None
        users, agents = _free_ports()
        ports = ("--users-port", str(users), "--agents-port", str(agents))
        self._do(
            *PYTHON,
            "-m",
            "jobmon_server",
            "--init",
            str(self.home),
            "--host",
            "localhost",
            "--cluster",
            cluster,
            *ports,
        )
        for person, powers in (("alice", ()), ("admin", ("--admin", cluster))):
            issue = ("pki", "issue", "--site", str(self.home), "--person", person, *powers)
            self._do(*JOBMON, *issue, "--out", str(directory / f"{person}.jobmon"))
        self.config.touch(0o600)
        lines = [f'[context.{person}]\ncredential = "{person}.jobmon"' for person in ("alice", "admin")]
        self.config.write_text("\n".join(lines))
        self.start_server()

    def start_server(self) -> None:
        """Start the server and wait until it accepts connections."""
        log = self.scratch / "server.log"
        with log.open("w") as stdout:
            self.server = subprocess.Popen(
                (*PYTHON, "-m", "jobmon_server", "--config", str(self.home / "server.toml")),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                text=True,
            )
        wait_until(lambda: log.read_text().startswith("jobmon server:"))

    def stop(self) -> None:
        """End the jobs, then the server."""
        self.end_jobs()
        if self.server is not None:
            self.server.terminate()
            self.server.wait(ANSWER)

    def _do(self, *command: str) -> None:
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=ANSWER)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
