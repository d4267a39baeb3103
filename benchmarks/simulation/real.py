"""Real jobs among the simulated ones: processes under the real agent, on this machine.

They are the demo's own kinds of work, started as a batch system would: a
directory, stdout and stderr in files there, a command under the agent.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from jobmon_console.demo import work
from jobmon_pki.credential_files import credential_name, write_credential
from jobmon_pki.site import Site

KINDS = ("print", "hang", "write", "compute")  # those that do not end by themselves
STARTED = 0.05  # s between two starts: an agent's own start takes a quarter of a second of CPU
GONE = 5.0  # s for the agents' last words


class RealJobs:
    """Jobs under the real agent.

    Args:
        site: issues their credentials.
        directory: to run in.
    """

    def __init__(self, site: Site, directory: Path) -> None:
        self._site = site
        self._directory = directory
        self._agent = directory / "jobmond.pyz"
        self.jobs: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, owner: str, count: int) -> None:
        """Start so many, of one owner.

        Raises:
            PkiError, OSError: they cannot be started.
        """
        self.pack()
        ids = [f"real-{kind}-{number + 1}" for kind, number in zip(itertools.cycle(KINDS), range(count), strict=False)]
        for credential in self._site.issue_job_credentials(owner, ids, None, time.time(), "fleet"):
            path = self._directory / credential_name(credential.job)
            write_credential(path, credential)
            self.run(credential.job, path, ["python3", "work.py", credential.job.split("-")[1], "0"])
            time.sleep(STARTED)

    def pack(self) -> None:
        """Make the agent's file."""
        command = [sys.executable, "-P", "-m", "jobmon_console.cli.main", "agent", "--out", str(self._agent)]
        subprocess.run([*command, "--python", sys.executable], check=True, capture_output=True)

    def run(self, job: str, credential: Path, command: list[str]) -> None:
        """Run a command as a job."""
        sandbox = self._directory / "jobs" / job
        sandbox.mkdir(parents=True)
        shutil.copyfile(work.__file__, sandbox / "work.py")
        under = [sys.executable, "-I", "-S", str(self._agent), "--credential", str(credential), "--"]
        with (sandbox / "job.out").open("wb") as out, (sandbox / "job.err").open("wb") as err:
            self.jobs[job] = subprocess.Popen(
                under + command, cwd=sandbox, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )

    def sandbox(self, job: str) -> Path:
        """The directory a job runs in."""
        return self._directory / "jobs" / job

    def stop(self) -> None:
        """Leave no job and no agent behind."""
        for process in self.jobs.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GONE
        while (left := self._agents()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.jobs.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _agents(self) -> list[int]:
        """Processes that run this directory's archive: agents, and jobs that are not yet what they will be."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.fsencode(self._agent) in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found
