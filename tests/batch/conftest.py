"""Clusters of Slurm with a site of JobMon's beside them, once a session for each flavour."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.batch.slurm import FLAVOURS, Slurm, missing
from tests.end_to_end.sites import OwnSite, wait_until

PING = 1.0  # s between beats, so that silence shows within the tests' time
PYTHON = "/usr/bin/python3 -I -S"  # of the system: the user that jobs run as cannot read root's own
LIMIT = 90.0  # s until a job has come where it is waited for; Slurm starts one a second


class Submitted:
    """A job in Slurm, and what JobMon says of it."""

    def __init__(self, cluster: "Cluster", name: str, number: str, directory: Path) -> None:
        self._cluster = cluster
        self.name = name
        self.number = number
        self.directory = directory

    def when(self, state: str, limit: float = LIMIT) -> dict[str, Any]:
        """Its record as soon as it is in that state."""
        return self._cluster.site.wait_for(self.name, lambda row: row["state"] == state, limit)

    def shown(self) -> str:
        """Its line of ``jobmon jobs``."""
        done = self._cluster.site.jobmon("jobs", f"id={self.name}", "--no-header")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def log(self) -> list[str]:
        """The texts of its log."""
        done = self._cluster.site.jobmon("log", "--json", self.name)
        return [json.loads(line)["text"] for line in done.stdout.splitlines()]


class Cluster:
    """Slurm and a site."""

    def __init__(self, slurm: Slurm, site: OwnSite) -> None:
        self.slurm = slurm
        self.site = site
        self._count = 0
        self.agent = slurm.home / "jobmond.pyz"
        assert site.jobmon("agent", "--out", str(self.agent), context=None).returncode == 0
        self.agent.chmod(0o644)

    def submit(self, program: str, *options: str, agent: str = "", launcher: str = "", tasks: int = 0) -> Submitted:
        """Submit a job that runs the program by the shell.

        Args:
            program: for /bin/sh -c, in single quotes.
            options: of sbatch.
            agent: options of the agent.
            launcher: what starts the agent on the node, as srun does.
            tasks: of an array, each of which has a credential of its own.
        """
        self._count += 1
        name = f"{self.slurm.flavour}-{self._count}"
        directory = self.slurm.directory(name)
        names = [f"{name}-{task}" for task in range(1, tasks + 1)] or [name]
        self.give_credentials(names, directory)
        credential = f"{name}-$SLURM_ARRAY_TASK_ID" if tasks else name
        script = (
            "#!/bin/sh\n"
            f"exec {launcher} {PYTHON} {self.agent} --credential {credential}.jobmon {agent}"
            f" -- /bin/sh -c '{program}'\n"
        )
        output = ("-o", str(directory / ("out-%a" if tasks else "out")))
        return Submitted(self, names[0], self.slurm.submit(script, directory, *output, *options), directory)

    def give_credentials(self, names: list[str], directory: Path) -> None:
        """Put credentials of jobs with these ids into the user's directory."""
        words = [word for name in names for word in ("--id", name)]
        done = self.site.jobmon("credential", *words, "--out", str(directory))
        assert done.returncode == 0, done.stderr
        for name in names:
            self.slurm.give(directory / f"{name}.jobmon")

    def wait(self, claim: Any, limit: float = LIMIT) -> Any:
        """The claim's value as soon as it is true."""
        return wait_until(claim, limit)


@pytest.fixture(scope="session", params=FLAVOURS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Slurm of each flavour in turn."""
    if why := missing(request.param):
        pytest.skip(why)
    slurm = Slurm(request.param)
    try:
        site = OwnSite("caf", tmp_path_factory.mktemp(request.param) / "site", f"ping = {PING}\nbeat = {PING}\n")
        try:
            yield Cluster(slurm, site)
        finally:
            slurm.stop()
            site.stop()
    finally:
        slurm.stop()
        shutil.rmtree(slurm.home, ignore_errors=True)
