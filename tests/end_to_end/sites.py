"""Sites of real commands, for tests that act as their users do: a demo's, and ones made by hand."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.ports import free_ports

PYTHON = (sys.executable, "-P")
JOBMON = (*PYTHON, "-m", "jobmon_console.cli.main")
START = 60.0  # s; a whole site on a busy machine
ANSWER = 30.0  # s; far beyond any command's time, for the harm of hanging for ever


def wait_until(claim: Callable[[], Any], limit: float = 60.0, every: float = 0.03) -> Any:
    """The claim's value as soon as it is true."""
    deadline = time.monotonic() + limit
    while True:
        if value := claim():
            return value
        assert time.monotonic() < deadline, f"not within {limit:g} s"
        time.sleep(every)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that only waits for its parent's look does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Job:
    """A job under the agent, started here as a batch system would."""

    def __init__(self, site: "Site", name: str, owner: str, program: str, *options: str) -> None:
        self.id = name
        self.sandbox = site.scratch / name
        self.sandbox.mkdir()
        done = site.jobmon("credential", "--id", name, "--out", str(site.scratch), context=owner)
        assert done.returncode == 0, done.stderr
        python = (*site.on_worker, *PYTHON, "-I", "-S", str(site.agent))
        self.credential = site.scratch / f"{name}.jobmon"
        agent = (*python, "--credential", str(self.credential), *options)
        with (self.sandbox / "job.out").open("wb") as out, (self.sandbox / "job.err").open("wb") as err:
            self.process = subprocess.Popen(
                (*agent, "--", sys.executable, "-u", "-S", "-c", program),
                cwd=self.sandbox,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        site.wait_for(name, lambda row: row["state"] != "starting")

    def agents(self) -> list[int]:
        """The processes of its agent, and of no other site's whose job is called the same."""
        marks = (b"jobmond.pyz", os.fsencode(self.credential))
        found = []
        for entry in Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            except OSError:
                continue
            if all(mark in line for mark in marks):
                found.append(int(entry.name))
        return found


class Site:
    """A running site: its configuration, its commands, its jobs."""

    def __init__(self, config: Path, scratch: Path) -> None:
        self.config = config
        self.scratch = scratch
        self.agent = scratch / "jobmond.pyz"
        self.jobs: list[Job] = []
        self.on_worker: tuple[str, ...] = ()  # what a command line begins with that is to run on a worker node
        self._count = 0

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBMON_")}
        return kept | {"JOBMON_CONFIG": str(self.config), "COLUMNS": "200"}

    def jobmon(self, *words: str, context: str | None = "alice") -> subprocess.CompletedProcess[str]:
        """Run `jobmon WORDS…` as one of the people; the output as text, malformed bytes escaped."""
        return subprocess.run(
            (*JOBMON, *words, *(("--context", context) if context else ())),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=ANSWER,
            check=False,
        )

    def start_jobmon(self, *words: str, context: str = "alice") -> subprocess.Popen[str]:
        """Start `jobmon WORDS…`, to be read as it goes on; whoever starts it ends it."""
        return subprocess.Popen(
            (*JOBMON, *words, "--context", context),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, *words: str, context: str = "alice") -> list[dict[str, Any]]:
        """What `jobmon jobs --json` prints."""
        done = self.jobmon("jobs", "--json", *words, context=context)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def wait_for(self, job: str, claim: Callable[[dict[str, Any]], Any], limit: float = 60.0) -> dict[str, Any]:
        """The job's row as soon as the claim holds for it."""

        def row() -> dict[str, Any] | None:
            return next((row for row in self.rows(context="admin") if row["id"] == job and claim(row)), None)

        found: dict[str, Any] = wait_until(row, limit)
        return found

    def start_job(self, program: str, *options: str, owner: str = "alice") -> Job:
        """Start a Python program as a job and wait until it is listed."""
        self._count += 1
        if not self.agent.exists():
            # With byte code for the one interpreter that jobs run on here: all of a machine take many seconds.
            built = self.jobmon("agent", "--out", str(self.agent), "--python", sys.executable, context=None)
            assert built.returncode == 0, built.stderr
        job = Job(self, f"e2e-{os.path.basename(self.scratch)}-{self._count}", owner, program, *options)
        self.jobs.append(job)
        return job

    def end_jobs(self) -> None:
        """Leave no job, and no agent, behind."""
        for job in self.jobs:
            job.process.kill()
            job.process.wait()
        for job in self.jobs:
            for pid in job.agents():
                # It would try to report the job's end; the site may be gone already.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


class OwnSite(Site):
    """A site with its own authorities, and a server started here."""

    def __init__(self, cluster: str, directory: Path, settings: str = "", host: str = "localhost") -> None:
        directory.mkdir()
        super().__init__(directory / "config.toml", directory)
        self.cluster = cluster
        self.home = directory / "site"
        self.server: subprocess.Popen[str] | None = None
        users, agents = free_ports(2)
        ports = ("--users-port", str(users), "--agents-port", str(agents))
        self._do(
            *PYTHON,
            "-m",
            "jobmon_server",
            "--init",
            str(self.home),
            "--host",
            host,
            "--cluster",
            cluster,
            *ports,
        )
        self._template = (self.home / "server.toml").read_text()
        (self.home / "server.toml").write_text(self._template + settings)
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
        wait_until(lambda: log.read_text().startswith("jobmon server:"), START)

    def reload(self, settings: str) -> None:
        """Have the running server read other settings than those the site was made with."""
        assert self.server is not None
        path = self.home / "server.toml"
        path.write_text(self._template + settings)
        self.server.send_signal(signal.SIGHUP)

    @property
    def agents_port(self) -> int:
        """The number of the port that its agents call."""
        return int(re.findall(r" agents https://\S+:(\d+) ", (self.scratch / "server.log").read_text())[0])

    def stop(self) -> None:
        """End the jobs, then the server."""
        self.end_jobs()
        if self.server is not None:
            self.server.terminate()
            self.server.wait(ANSWER)

    def _do(self, *command: str) -> None:
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=ANSWER)


class Demo(NamedTuple):
    """A headless demo: its front's process, and the line it printed."""

    front: subprocess.Popen[str]
    line: str


def start_demo(jobs: int, **more: str) -> Demo:
    """Start a headless demo and wait for its line."""
    front = subprocess.Popen(
        (*JOBMON, "demo", "--headless", "--jobs", str(jobs)),
        env=os.environ | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert front.stdout is not None
    readable, _, _ = select.select([front.stdout], [], [], START)
    line = front.stdout.readline() if readable else ""
    if not line:
        front.terminate()
        pytest.fail(f"the demo did not start: {front.communicate(timeout=ANSWER)[1]}")
    return Demo(front, line)
