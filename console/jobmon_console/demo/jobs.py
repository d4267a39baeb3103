"""The demo's jobs: who owns which, of what kind, and how each is started.

A job is what a batch system would make of it: a directory of its own, stdout
and stderr in files there, and a command under the agent.
"""

import itertools
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from jobmon_console.demo import work
from jobmon_console.demo.site import OWNERS, Site

__all__ = ["Job", "plan", "start"]

SHARE = 4  # every fourth job is the second owner's
FIRST_END = 6.0  # s until the first job that ends does so: time to see it run
STAGGER = 2.0  # s between those ends
LAST_END = 60.0  # s


class Job(NamedTuple):
    """One job of the demo."""

    id: str
    owner: str
    kind: str
    seconds: float  # until it ends, for the kinds that do


def plan(count: int) -> list[Job]:
    """The jobs of a demo of ``count``."""
    jobs = []
    for index, kind in zip(range(count), itertools.cycle(work.KINDS), strict=False):
        owner = OWNERS[1] if index % SHARE == SHARE - 1 else OWNERS[0]
        seconds = min(FIRST_END + STAGGER * (index % (2 * len(work.KINDS))), LAST_END)
        jobs.append(Job(f"demo-{kind}-{index // len(work.KINDS) + 1}", owner, kind, seconds))
    return jobs


def start(site: Site, jobs: list[Job]) -> None:
    """Start the jobs and wait until the server knows every one.

    Raises:
        DemoError: a command failed, or a job did not register.
    """
    agent = site.directory / "jobmond.pyz"
    site.command("agent", "--out", str(agent), "--python", sys.executable)
    credentials = site.directory / "credentials"
    credentials.mkdir(mode=0o700)
    for owner in OWNERS:
        if ids := [job.id for job in jobs if job.owner == owner]:
            site.issue_jobs(owner, ids, credentials)
    for job in jobs:
        _start(site, job, agent, credentials / f"{job.id}.jobmon")
    wanted = {job.id for job in jobs}
    site.processes.wait_until(
        lambda: wanted <= {row["id"] for row in site.jobs() if row["state"] != "starting"}, "registration of the jobs"
    )


def _start(site: Site, job: Job, agent: Path, credential: Path) -> None:
    sandbox = site.directory / "jobs" / job.id
    sandbox.mkdir(parents=True)
    shutil.copyfile(work.__file__, sandbox / "work.py")
    python = "python3" if shutil.which("python3") else sys.executable
    command = (python, "work.py", job.kind, f"{job.seconds:g}")
    with (sandbox / "job.out").open("wb") as stdout, (sandbox / "job.err").open("wb") as stderr:
        under = (sys.executable, "-I", "-S", str(agent), "--credential", str(credential), "--")
        site.processes.start(under + command, sandbox, stdout, stderr)
