"""Real jobs for the tests: trees of processes, started, found and cleared away again.

What is cleared away is found without the agent's own code.
"""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import uuid as uuids
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent.job import Job
from jobmon_agent.pidstat import start_time
from jobmon_agent.verbs import VERBS as KNOWN
from jobmon_wire import frames
from jobmon_wire.verbs import VERBS, check_arguments

FUNCTIONS = dict(KNOWN)  # imported before anything is measured or watched

HERE = Path(__file__).parent
AGENT = Path(FUNCTIONS["ps"].__code__.co_filename).parent.parent
DEADLINE = 60.0  # s; the machine may be busy


def until(claim: Callable[[], Any], deadline: float = DEADLINE) -> Any:
    """Wait for a claim to hold and give what it said; fail when it does not in time."""
    end = time.monotonic() + deadline
    while not (found := claim()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)
    return found


def is_alive(pid: int) -> bool:
    try:
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


def read_pid(path: Path) -> int:
    """The process id that a job writes to a file."""
    return int(until(lambda: path.exists() and path.read_text().strip()))


class Yard:
    """Jobs of one test, each with a sandbox of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._started: list[tuple[subprocess.Popen[bytes], Job]] = []
        self._others: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        command: list[str] | str,
        *,
        is_leader: bool = True,
        output: bool = True,
        groups: tuple[Path, ...] = (),
        limits: dict[int, int] | None = None,
    ) -> Job:
        """Start a job, in control groups and under limits of the test's own; text is a line for the shell."""
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        identity = str(uuids.uuid4())
        sandbox = self.directory / identity[:8]
        sandbox.mkdir()
        with open(sandbox / "out.log", "ab") as out:
            process = subprocess.Popen(
                argv,
                cwd=sandbox,
                env=dict(os.environ, JOBMON_JOB_ID=identity),
                stdin=subprocess.DEVNULL,
                stdout=out if output else subprocess.DEVNULL,
                start_new_session=is_leader,
                preexec_fn=lambda: _prepare(is_leader, groups, limits or {}),
            )
        job = self.job(process.pid, identity, sandbox, output)
        self._started.append((process, job))
        return job

    def job(self, pid: int, identity: str, sandbox: Path, output: bool = True) -> Job:
        """What the agent would hold of a process."""
        return Job(
            uuid=identity,
            pid=pid,
            starttime=start_time(pid),
            pidfd=os.pidfd_open(pid),
            sandbox=os.open(sandbox, os.O_PATH | os.O_DIRECTORY),
            sandbox_path=os.path.realpath(sandbox),
            stdout=os.open(sandbox / "out.log", os.O_RDONLY) if output else None,
            stderr=None,
            group=os.getpgrp(),
            mode="exec",
        )

    def bystander(self, command: list[str], **options: Any) -> int:
        """Start a process that belongs to no job."""
        environment = {key: value for key, value in os.environ.items() if key != "JOBMON_JOB_ID"}
        process = subprocess.Popen(command, env=environment, **options)
        self._others.append(process)
        return process.pid

    def reap(self, job: Job) -> int:
        """Wait for the job's end, as a batch system does."""
        return next(process for process, started in self._started if started == job).wait(DEADLINE)

    def clear(self) -> None:
        """Kill every process of every job and close what they hold."""
        for process, job in self._started:
            for pid in self._processes_of(process.pid, job.uuid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(DEADLINE)
            for descriptor in (job.pidfd, job.sandbox, job.stdout):
                if descriptor is not None:
                    os.close(descriptor)
        for other in self._others:
            other.kill()
            other.wait(DEADLINE)
        self._started, self._others = [], []

    def _processes_of(self, leader: int, identity: str) -> list[int]:
        found = [leader]
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                marked = f"JOBMON_JOB_ID={identity}".encode() in Path("/proc", name, "environ").read_bytes()
                if (marked or os.getsid(int(name)) == leader) and int(name) != os.getpid():
                    found.append(int(name))
        return found


def _prepare(is_leader: bool, groups: tuple[Path, ...], limits: dict[int, int]) -> None:
    """Be put where a batch system puts a job, before it is one."""
    if not is_leader:
        os.setpgrp()
    for group in groups:
        enter(group)
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))


def enter(group: Path) -> None:
    """Go into a control group."""
    with open(group / "cgroup.procs", "w") as file:
        file.write(str(os.getpid()))


def hierarchy(controller: str) -> Path | None:
    """Where the hierarchy of a controller is mounted and may be written; "" is version 2."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        place = Path(fields.split()[4])
        is_it = kind == "cgroup2" if not controller else kind == "cgroup" and controller in options.split(",")
        if is_it and os.access(place, os.W_OK):
            return place
    return None


@contextlib.contextmanager
def a_group(controller: str, name: str) -> Iterator[Path]:
    """A control group of the test's own, with those above it; what is left in it is killed, and all are removed."""
    place = hierarchy(controller)
    if place is None:
        pytest.skip(f"no control groups of {controller or 'version 2'} that this user may make")
    first, _, rest = f"jobmon-test-{uuids.uuid4().hex[:8]}/{name}".partition("/")
    group = place / first / rest
    group.mkdir(parents=True)
    try:
        yield group
    finally:
        for directory, _, _ in os.walk(place / first, topdown=False):
            until(lambda path=directory: _is_removed(path))


def _is_removed(path: str) -> bool:
    try:
        for pid in map(int, Path(path, "cgroup.procs").read_text().split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.rmdir(path)
    except OSError:  # a process in it has not gone yet
        return not os.path.exists(path)
    return True


def observe(python: str, what: str, job: Job, *, as_user: Sequence[str] = (), **environment: str) -> Any:
    """What an agent of that Python sees of a job: an act of ``observe.py``."""
    ran = subprocess.run(
        [*as_user, python, "-I", "-S", "-B", str(HERE / "observe.py"), str(AGENT), what, job.uuid, str(job.pid)],
        capture_output=True,
        env={"PATH": os.environ["PATH"], **environment},
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    return json.loads(ran.stdout)


def kinds(yard: Yard, what: str, *, as_user: Sequence[str] = (), groups: tuple[Path, ...] = ()) -> Job:
    """A job of many processes, all of which are there: an act of ``kinds.py``."""
    job = yard.start([*as_user, sys.executable, "-I", "-S", str(HERE / "kinds.py"), what], groups=groups)
    until(Path(job.sandbox_path, "ready").exists, 60)
    return job


@contextlib.contextmanager
def a_yard(directory: Path) -> Iterator[Yard]:
    """Where jobs are started, and cleared away at its end."""
    jobs = Yard(directory)
    try:
        yield jobs
    finally:
        jobs.clear()


def answer(job: Job, verb: str, **arguments: Any) -> Iterator[tuple[int, Any]]:
    """The frames of a verb, its arguments checked and filled in as the agent does."""
    for type_, payload in FUNCTIONS[verb](job, check_arguments(VERBS[verb], arguments)):
        size = len(payload if type_ == frames.DATA else frames.write_object(type_, frames.CHANNEL, payload))
        assert size <= frames.limits.FRAME_PAYLOAD + frames.HEADER_BYTES
        yield type_, payload


def data(job: Job, verb: str, **arguments: Any) -> bytes:
    """The bytes a verb answers."""
    return b"".join(payload for type_, payload in answer(job, verb, **arguments) if type_ == frames.DATA)


def record(job: Job, verb: str, **arguments: Any) -> dict[str, Any]:
    """The one record a verb answers."""
    (found,) = [payload for type_, payload in answer(job, verb, **arguments) if type_ == frames.RECORD]
    return dict(found)


def python(script: str) -> list[str]:
    """A command that runs a script in this Python, started fast."""
    return [sys.executable, "-I", "-S", "-c", script]
