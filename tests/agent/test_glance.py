"""A glance tells of a job's few processes what a look tells, and sees when it must give way to one."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent import vitals
from jobmon_agent.glance import FEW, Glance
from jobmon_agent.health import Health
from jobmon_agent.idle import _Idle
from jobmon_agent.lull import AS_BEFORE, AS_STILL
from jobmon_agent.pidstat import start_time


class _Job:
    """A process as a job, as far as a glance needs one."""

    uuid, mode, group = "0" * 36, "exec", 0

    def __init__(self, pid: int, output: int) -> None:
        self.pid, self.starttime = pid, start_time(pid)
        self.uuid = f"{pid:036d}"
        self.stdout = self.stderr = output


class _Shell:
    """A shell that does what it is told, and its output's file."""

    def __init__(self, path: Any) -> None:
        self._output = path.open("wb")
        self.process = subprocess.Popen(["sh"], stdin=subprocess.PIPE, stdout=self._output)
        self.stream = os.open(path, os.O_RDONLY)
        self.job: Any = _Job(self.process.pid, self.stream)

    def do(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._output.close()
        os.close(self.stream)


@pytest.fixture
def shell(tmp_path: Any) -> Iterator[_Shell]:
    made = _Shell(tmp_path / "output")
    yield made
    made.close()


def glance_at(shell: _Shell) -> Glance:
    sample, state = vitals.sample(shell.job, None)
    assert 0 < len(state.members) <= FEW
    glance = Glance(shell.job, sample, state.members)
    assert glance.is_good
    return glance


def test_a_glance_tells_what_a_look_tells(shell: _Shell, until: Callable[[Any], Any]) -> None:
    glance = glance_at(shell)
    shell.do("i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; echo done")
    until(lambda: os.fstat(shell.stream).st_size)

    seen, looked = glance.look(time.monotonic()), vitals.sample(shell.job, None)[0]

    assert seen is not None
    assert seen.cpu_percent is not None
    assert seen.cpu_percent > 10
    assert (seen.output_bytes, seen.output_at) == (looked.output_bytes, looked.output_at) == (5, looked.output_at)
    assert (seen.state, seen.processes) == (looked.state, looked.processes)
    assert abs(seen.rss_bytes - looked.rss_bytes) <= 2**20
    glance.close()


def test_a_glance_gives_way_to_a_look_when_a_process_has_begun(shell: _Shell, until: Callable[[Any], Any]) -> None:
    glance = glance_at(shell)
    assert glance.look(time.monotonic()) is not None

    shell.do("sleep 600 & echo $!")
    until(lambda: os.fstat(shell.stream).st_size)

    assert glance.look(time.monotonic()) is None
    glance.close()
    os.kill(int(os.pread(shell.stream, 16, 0)), 9)


def test_a_glance_gives_way_to_a_look_when_a_process_has_ended(shell: _Shell, until: Callable[[Any], Any]) -> None:
    shell.do("sleep 600 & echo $!")
    until(lambda: os.fstat(shell.stream).st_size)
    glance = glance_at(shell)
    assert glance.look(time.monotonic()) is not None

    os.kill(int(os.pread(shell.stream, 16, 0)), 9)

    until(lambda: glance.look(time.monotonic()) is None)
    glance.close()


def test_beats_tell_of_a_new_process_though_the_job_was_quiet_for_long(
    shell: _Shell, until: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobmon_agent.health._GLANCES", 0.0)
    monkeypatch.setattr("jobmon_agent.health._FIRST_PAUSE", 960.0)
    health = Health(shell.job)
    assert [health.glance().processes for _ in range(3)] == [1, 1, 1]

    shell.do("sleep 600 & echo $!")
    until(lambda: os.fstat(shell.stream).st_size)

    assert health.glance().processes == 2
    os.kill(int(os.pread(shell.stream, 16, 0)), 9)
    until(lambda: health.glance().processes == 1)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every look at a job's processes, where each beat may have one and each look is at the whole node."""
    counted: list[int] = []
    sample = vitals.sample

    def counting(*arguments: Any) -> Any:
        counted.append(1)
        return sample(*arguments)

    monkeypatch.setattr("jobmon_agent.health._GLANCES", 0.0)
    monkeypatch.setattr("jobmon_agent.health._FIRST_PAUSE", 0.0)
    monkeypatch.setattr("jobmon_agent.vitals.FIRST_SCANS", 0.0)
    monkeypatch.setattr("jobmon_agent.vitals.sample", counting)
    return counted


def rest(shell: _Shell, until: Callable[[Any], Any]) -> None:
    """Wait until the shell waits for its next line."""
    ran: list[Any] = []

    def has_rested() -> bool:
        ran.append(time.clock_gettime(~shell.process.pid << 3 | 2))
        with open(f"/proc/{shell.process.pid}/syscall") as file:
            return len(ran) > 2 and ran[-1] == ran[-2] and file.read(2) == "0 "

    until(has_rested)


@pytest.mark.promise(25)
def test_a_job_that_has_not_run_since_the_last_glance_is_still(
    shell: _Shell, until: Callable[[Any], Any], looks: list[int]
) -> None:
    health = Health(shell.job)
    rest(shell, until)
    assert not health.is_still()
    until(lambda: health.glance() and health.is_still())

    shell.do("echo done")
    until(lambda: os.fstat(shell.stream).st_size)

    assert not health.is_still()
    assert health.glance().output_bytes == 5


def test_a_job_that_used_processor_time_is_not_still_before_a_glance_has_said_that_it_rests(
    shell: _Shell, until: Callable[[Any], Any], looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobmon_agent.health._FIRST_PAUSE", 960.0)
    health = Health(shell.job)
    rest(shell, until)
    until(lambda: health.glance() and health.is_still())

    shell.do("i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; echo done")
    until(lambda: os.fstat(shell.stream).st_size)
    rest(shell, until)
    busy = health.glance().cpu_percent

    assert busy
    assert not health.is_still()


def test_a_still_job_is_glanced_at_from_time_to_time_all_the_same(
    shell: _Shell, until: Callable[[Any], Any], looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    health = Health(shell.job)
    rest(shell, until)
    until(lambda: health.glance() and health.is_still())

    monkeypatch.setattr("jobmon_agent.health._STILL_GLANCES", 0.0)
    health.glance()

    assert not health.is_still()


@pytest.mark.promise(25)
def test_no_one_looks_again_at_a_job_that_has_not_run_since_the_whole_node_was_looked_at(
    shell: _Shell, until: Callable[[Any], Any], looks: list[int]
) -> None:
    health = Health(shell.job)
    rest(shell, until)
    for _ in range(3):
        health.glance()
    before = len(looks)
    assert before > 1

    for _ in range(5):
        health.glance()
    assert len(looks) == before

    shell.do("sleep 600 & echo $!")
    until(lambda: os.fstat(shell.stream).st_size)
    assert health.glance().processes == 2
    os.kill(int(os.pread(shell.stream, 16, 0)), 9)


def test_a_job_that_runs_while_the_node_is_looked_at_is_looked_at_again(
    shell: _Shell, until: Callable[[Any], Any], looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = vitals.sample

    def running(*arguments: Any) -> Any:
        found = sample(*arguments)
        size = os.fstat(shell.stream).st_size
        shell.do("echo $$")
        until(lambda: os.fstat(shell.stream).st_size > size)
        return found

    monkeypatch.setattr("jobmon_agent.vitals.sample", running)
    health = Health(shell.job)
    for _ in range(5):
        rest(shell, until)
        health.glance()

    assert len(looks) == 5


def test_a_still_job_is_looked_at_when_it_is_time_to_look_for_daemons_that_it_left(
    shell: _Shell, until: Callable[[Any], Any], looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobmon_agent.vitals.FIRST_SCANS", 960.0)
    monkeypatch.setattr("jobmon_agent.health._FIRST_PAUSE", 960.0)
    health = Health(shell.job)
    rest(shell, until)
    until(lambda: health.glance() and health.is_still())

    monkeypatch.setattr(health, "_next_look", 0.0)

    assert not health.is_still()
    before = len(looks)
    health.glance()
    assert len(looks) == before + 1


def idle_beside(shell: _Shell, log: Path) -> Any:
    """An idle process beside the shell, whose progress is written to that file; it has a session."""
    directory = os.open(log.parent, os.O_RDONLY | os.O_DIRECTORY)
    descriptors = {"sandbox": directory, "stdout": shell.stream, "stderr": shell.stream}
    facts = {name: getattr(shell.job, name) for name in ("uuid", "pid", "starttime", "group", "mode")}
    return _Idle({**facts, "log": log.name, "descriptors": descriptors})


@pytest.mark.promise(25)
def test_the_idle_process_asks_for_a_job_the_more_seldom_while_it_sleeps(
    shell: _Shell, until: Callable[[Any], Any], looks: list[int], tmp_path: Path
) -> None:
    idle = idle_beside(shell, tmp_path / "progress")
    assert idle._look()[1] == AS_BEFORE

    rest(shell, until)
    until(lambda: idle._look()[1] == AS_STILL)
    shell.do("echo done")
    until(lambda: os.fstat(shell.stream).st_size)

    assert idle._look()[1] == AS_BEFORE
    os.close(idle._facts["descriptors"]["sandbox"])


def test_progress_that_a_job_wrote_just_before_it_fell_asleep_is_told_all_the_same(
    shell: _Shell, until: Callable[[Any], Any], looks: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "progress"
    idle = idle_beside(shell, log)
    idle._told_progress = time.monotonic()  # others were told of a moment ago, so nobody looks yet
    shell.do(f"echo 42 > {log}; echo done")
    until(lambda: os.fstat(shell.stream).st_size)
    rest(shell, until)
    until(lambda: idle._look()[1] == AS_STILL)

    monkeypatch.setattr("jobmon_agent.idle._PROGRESS_EVERY", 0.0)

    assert idle._look() is None
    os.close(idle._facts["descriptors"]["sandbox"])
