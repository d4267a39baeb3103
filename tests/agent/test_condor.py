"""A job of HTCondor: known by its advertisements, and what the starter does to its process reaches the job."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
STARTER = Path(__file__).parent / "starter.py"
# It says what it is told, once for each time; not by print, in the midst of which a signal may come.
LISTENS = """
import os, signal, sys, time
def say(text):
    os.write(1, (text + "\\n").encode())
def hear(number, frame):
    say(signal.Signals(number).name)
    if number == signal.SIGTERM:
        sys.exit(9)
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCONT):
    signal.signal(number, hear)
say("pid %d" % os.getpid())
while True:
    time.sleep(0.01)
"""


class Started:
    """A starter with its job under the agent."""

    def __init__(self, launcher: Any, line: list[str], **environ: str) -> None:
        self.scratch: Path = launcher.directory
        self.process = launcher.start(
            [sys.executable, str(STARTER), str(self.scratch), *line],
            env=launcher.environment(**environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.job_pid = self.told()["job_pid"]

    def told(self) -> dict[str, Any]:
        """Its next line."""
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def send(self, name: str) -> None:
        """Have it send the signal."""
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()

    def output(self) -> str:
        """What the job has printed."""
        return (self.scratch / "out").read_text()

    def state(self) -> str:
        """The letter of the job's process."""
        return Path(f"/proc/{self.job_pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.promise(46)
def test_the_job_registers_as_what_its_advertisements_say(
    launcher: Any, server: Any, python: Path, until: Callable[..., Any]
) -> None:
    started = Started(launcher, launcher.line(python, "sleep", "60"), SLURM_JOB_ID="2", SLURM_JOB_PARTITION="pilots")
    until(lambda: server.registrations)
    started.send("KILL")

    [said] = server.registrations
    assert (said["name"], said["pid"], said["cwd"]) == ("fit", started.job_pid, str(started.scratch))
    assert said["batch"] == {
        "system": "htcondor",
        "id": "1234.7",
        "global_id": "schedd.example.org#1234.7#1700000000",
        "cluster": "schedd.example.org",
        "user": "alice",
        "node": "wn042.example.org",
        "slot": "slot1_2",
        "cpus": "4",
        "memory": str(8192 * 2**20),
        "restarts": "1",
        "slurm.id": "2",
        "slurm.queue": "pilots",
    }
    assert started.told() == {"signal": 9, "code": -9}


def test_a_soft_kill_reaches_the_job_once_and_the_starter_sees_its_own_end(
    launcher: Any, server: Any, old_or_new: Path, until: Callable[..., Any]
) -> None:
    started = Started(launcher, launcher.line(old_or_new, sys.executable, "-S", "-c", LISTENS))
    until(lambda: started.output() and server.channels)
    started.send("USR1")
    until(lambda: "SIGUSR1" in started.output())
    started.send("TERM")
    told = started.told()
    until(lambda: server.ends)

    assert started.output().splitlines() == [f"pid {started.job_pid}", "SIGUSR1", "SIGTERM"]
    assert told == {"signal": None, "code": 9}
    assert server.ends[0]["exit"]["code"] == 9


def test_a_suspension_stops_the_job_itself(launcher: Any, old_or_new: Path, until: Callable[..., Any]) -> None:
    started = Started(launcher, launcher.line(old_or_new, sys.executable, "-S", "-c", LISTENS))
    until(started.output)
    started.send("STOP")
    until(lambda: started.state() == "T")
    started.send("CONT")
    until(lambda: "SIGCONT" in started.output())
    started.send("TERM")

    assert started.told() == {"signal": None, "code": 9}


def test_the_example_runs_as_it_is_written(
    launcher: Any, server: Any, pyz: Path, credential: Path, until: Callable[..., Any]
) -> None:
    lines = (DEPLOY / "htcondor.sub").read_text().replace("$(Process)", "7").splitlines()
    submit = {key.strip(): value.strip() for key, equals, value in (line.partition("=") for line in lines) if equals}
    shutil.copy(pyz, launcher.directory / "jobmond.pyz")
    shutil.copy(credential, launcher.directory / "sim-7.jobmon")
    simulate = launcher.directory / "simulate"
    simulate.write_text('#!/bin/sh\necho "simulates $*"\nsleep 0.2\nexit 4\n')
    simulate.chmod(0o755)

    started = Started(launcher, [submit["executable"], *shlex.split(submit["arguments"].strip('"'))])
    told = started.told()
    until(lambda: server.ends)

    assert {path.strip() for path in submit["transfer_input_files"].split(",")} == {
        "jobmond.pyz",
        "sim-7.jobmon",
        "simulate",
    }
    assert (told["code"], started.output()) == (4, "simulates --seed 7\n")
    assert server.registrations[0]["mode"] == "exec"
