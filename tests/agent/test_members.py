"""A job's processes are found by whatever rule still holds, and nobody else's are: promise 32, table 3.2."""

import contextlib
import os
import signal
import subprocess
import uuid as uuids
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent import members as members_module
from jobmon_agent import proc
from jobmon_agent.cgroup import Cgroup
from jobmon_agent.job import Job
from jobmon_agent.members import Members
from jobmon_agent.pidstat import start_time
from tests.agent.trees import Yard, a_group, a_yard, enter, is_alive, kinds, observe, read_pid, record, until
from tests.pythons import PYTHONS

NOBODY = 65534  # a user who is not root, on every Linux
POWERS = "+dac_override,+dac_read_search"  # reads root's files; no power over other processes
WAYS = {"child", "group", "session", "double", "daemon", "bare", "overwritten", "undumpable"}
LOST = {"bare", "overwritten"}  # daemons without a mark, which only a control group finds
EVERY_PYTHON = pytest.mark.parametrize("python", PYTHONS, ids=[python.version for python in PYTHONS])
HIERARCHIES = pytest.mark.parametrize("controller", ["memory", ""], ids=["version1", "version2"])


def unprivileged() -> list[str]:
    """What makes a command run as a user who may look into no process but its own."""
    if os.geteuid():
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--inh-caps={POWERS}", f"--ambient-caps={POWERS}"]


def start_ways(yard: Yard, *groups: Path) -> tuple[Job, dict[str, int]]:
    job = kinds(yard, "ways", as_user=unprivileged(), groups=groups)
    return job, {way: read_pid(Path(job.sandbox_path, way)) for way in WAYS}


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Job, dict[str, int]]]:
    """A job of processes that left it in every way, in no control group of its own."""
    with a_yard(tmp_path_factory.mktemp("ways")) as jobs:
        job, pids = start_ways(jobs)
        yield job, pids
        for pid in pids.values():  # some carry no mark by which the yard would find them
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module", params=["memory", ""], ids=["version1", "version2"])
def grouped_ways(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Job, dict[str, int], Path]]:
    """The same in a control group as Slurm makes one."""
    with (
        a_group(request.param, "uid_0/job_17/step_batch/task_0") as group,
        a_yard(tmp_path_factory.mktemp("ways")) as jobs,
    ):
        job, pids = start_ways(jobs, group)
        yield job, pids, group
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.promise(32)
@EVERY_PYTHON
def test_each_way_to_leave_a_job_is_seen_through_but_for_daemons_without_a_mark(
    python: Any, ways: tuple[Job, dict[str, int]]
) -> None:
    job, pids = ways

    rows = observe(python.path, "ps", job, as_user=unprivileged())

    assert {row["pid"] for row in rows} == {job.pid, *(pids[way] for way in WAYS - LOST)}


@pytest.mark.promise(32)
def test_tree_and_session_find_by_themselves_all_but_daemons(ways: tuple[Job, dict[str, int]]) -> None:
    job, pids = ways

    rows = observe(PYTHONS[0].path, "ps", job._replace(uuid="of a mark that nobody has"), as_user=unprivileged())

    assert {row["pid"] for row in rows} == {job.pid, *(pids[way] for way in WAYS - LOST - {"daemon"})}


@pytest.mark.promise(32)
@EVERY_PYTHON
def test_the_jobs_control_group_finds_the_daemons_without_a_mark(
    python: Any, grouped_ways: tuple[Job, dict[str, int], Path]
) -> None:
    job, pids, group = grouped_ways

    rows = observe(python.path, "ps", job, as_user=unprivileged(), SLURM_JOB_ID="17")

    assert {row["pid"] for row in rows} == {job.pid, *pids.values()}
    assert observe(python.path, "own", job, as_user=unprivileged(), SLURM_JOB_ID="17") == str(group.parent.parent)


def test_a_group_that_does_not_name_the_job_adds_nobody(grouped_ways: tuple[Job, dict[str, int], Path]) -> None:
    job, pids, _ = grouped_ways

    rows = observe(PYTHONS[-1].path, "ps", job, as_user=unprivileged(), SLURM_JOB_ID="1")

    assert {row["pid"] for row in rows} == {job.pid, *(pids[way] for way in WAYS - LOST)}


@pytest.mark.promise(32)
@pytest.mark.parametrize("look", [Members.scan, Members.follow], ids=["scan", "follow"])
def test_a_member_stays_one_when_its_parent_dies(yard: Yard, look: Callable[[Members], dict[int, Any]]) -> None:
    job = yard.start(
        "sh -c 'echo $$ > parent.pid; "
        'setsid env -i sh -c "echo \\$\\$ > lost.pid; exec sleep 300" & wait\' & sleep 300'
    )
    lost, parent = (read_pid(Path(job.sandbox_path, name)) for name in ("lost.pid", "parent.pid"))
    members = Members(job)
    assert lost in members.scan()

    os.kill(parent, signal.SIGKILL)
    until(lambda: not is_alive(parent))

    assert lost in look(members)
    assert lost in look(Members(job))  # another, in a process that was forked from this one
    members_module._remembered.clear()
    assert lost not in Members(job).scan()  # it was by memory alone
    os.kill(lost, signal.SIGKILL)


def test_children_are_followed_without_a_look_at_the_whole_node(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    job = yard.start("while [ ! -e go ]; do sleep 0.02; done; sleep 300 & (sleep 301 & wait) & wait")
    members = Members(job)
    members.scan()
    monkeypatch.setattr("jobmon_agent.members.read_processes", lambda: pytest.fail("looked at the whole node"))

    Path(job.sandbox_path, "go").touch()

    until(lambda: {300, 301} <= {argument(pid) for pid in members.follow()})


def argument(pid: int) -> int:
    """What a process that sleeps was told; 0, where it is another's, is about to sleep, or has ended."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1])
    return 0


@contextlib.contextmanager
def in_group(group: Path, script: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same batch job, as a batch job's script starts it; all in the group are killed at the end."""
    process = subprocess.Popen(
        ["sh", "-c", script],
        preexec_fn=lambda: enter(group),
        env={"PATH": os.environ["PATH"], **environment},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for pid in inside(group):
            os.kill(pid, signal.SIGKILL)
        process.wait(10)


def inside(group: Path) -> dict[int, str]:
    """The processes in a group, and what they run."""
    found = {}
    for pid in map(int, (group / "cgroup.procs").read_text().split()):
        with contextlib.suppress(OSError):
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return found


@HIERARCHIES
def test_the_batch_jobs_script_and_what_it_started_beside_are_no_members(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, controller: str
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    uuid = str(uuids.uuid4())
    service, sibling = "(setsid sleep 301 &)", "sleep 304 &"
    job = f"setsid env JOBMON_JOB_ID={uuid} sh -c '(setsid env -i sleep 302 &); exec sleep 303' &"
    with (
        a_group(controller, "job_17/step_batch") as group,
        # Start times are told in ticks of 10 ms: the service is some of them older than the job.
        in_group(group, f"{service}\nsleep 0.05\n{job}\n{sibling}\nwait") as script,
    ):
        commands = {f"sleep {number}" for number in (301, 302, 303, 304)}
        until(lambda: commands <= set(inside(group).values()))
        pids = {command: pid for pid, command in inside(group).items()}
        job_pid = pids["sleep 303"]
        looked = Job(uuid, job_pid, start_time(job_pid), None, 0, "/", None, None, os.getpgrp(), "exec")

        found = set(Members(looked).scan())

        assert Cgroup(looked).own == str(group.parent)
        assert script.pid in inside(group)  # a rule that asked for the group alone would take all of them
        assert found == {job_pid, pids["sleep 302"]}


@HIERARCHIES
def test_another_job_in_the_same_group_is_no_member(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, controller: str
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with a_group(controller, "job_17") as group:
        job = yard.start("exec sleep 300", groups=(group,))
        other = yard.start("(setsid sleep 301 & echo $! > daemon.pid); exec sleep 300", groups=(group,))
        daemon = read_pid(Path(other.sandbox_path, "daemon.pid"))

        found = set(Members(job).scan())

        assert {other.pid, daemon} < set(inside(group))  # all of one user, the daemon left to nobody
        assert found == {job.pid}


@HIERARCHIES
def test_a_shell_that_the_agent_runs_in_the_jobs_group_is_no_member(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, controller: str
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with a_group(controller, "job_17") as group:
        job = yard.start("exec sleep 300", groups=(group,))
        with in_group(group, "setsid sleep 301 & wait") as agent:
            until(lambda: "sleep 301" in inside(group).values())

            assert set(Members(job._replace(group=agent.pid)).scan()) == {job.pid}


@HIERARCHIES
def test_kill_reaches_a_daemon_of_the_group_and_no_bystander_in_it(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, controller: str
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with a_group(controller, "job_17") as group:
        job = yard.start(
            "(setsid env -i sh -c 'echo $$ > lost.pid; exec sleep 300' &); exec sleep 300", groups=(group,)
        )
        lost = read_pid(Path(job.sandbox_path, "lost.pid"))
        with in_group(group, "exec sleep 300", JOBMON_JOB_ID="another") as bystander:
            killed = record(job, "kill", signal="KILL")

            assert set(killed["sent"]) == {job.pid, lost}
            assert bystander.poll() is None
            yard.reap(job)


@pytest.mark.promise(32)
@pytest.mark.parametrize("looks", [6, 10**6], ids=["for a moment", "for long"])
def test_kill_spares_another_jobs_process_that_becomes_another_program_just_then(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with a_group("memory", "job_17") as group:
        job = yard.start("exec sleep 300", groups=(group,))
        with in_group(group, "exec sleep 300", JOBMON_JOB_ID="another") as bystander:
            as_in_exec(monkeypatch, bystander.pid, looks)
            killed = record(job, "kill", signal="KILL")

            assert set(killed["sent"]) == {job.pid}
            assert bystander.poll() is None
            yard.reap(job)


@pytest.mark.promise(32)
def test_a_daemon_that_became_another_program_when_it_was_looked_at_is_found_by_the_next_look(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with a_group("memory", "job_17") as group:
        job = yard.start(
            "(setsid sh -c 'echo $$ > lost.pid; exec env -i sleep 300' &); exec sleep 300", groups=(group,)
        )
        lost = read_pid(Path(job.sandbox_path, "lost.pid"))
        until(lambda: "sleep 300" in inside(group).get(lost, ""))
        members = Members(job)
        with pytest.MonkeyPatch.context() as moment:
            as_in_exec(moment, lost, 10**6)
            assert set(members.scan()) == {job.pid}

        assert set(members.scan()) == {job.pid, lost}

        as_in_exec(monkeypatch, lost, 2)
        assert set(Members(job).scan()) == {job.pid, lost}  # by the same look, if it is for a moment


def as_in_exec(monkeypatch: pytest.MonkeyPatch, pid: int, looks: int) -> None:
    """So many looks find no environment of a process, nor where it is, as within execve."""
    left, read_file = [looks], proc.read_file

    def read(path: str, longest: int) -> bytes:
        if path not in (f"/proc/{pid}/environ", f"/proc/{pid}/stat") or left[0] <= 0:
            return read_file(path, longest)
        left[0] -= 1
        if path.endswith("environ"):
            return b""
        name, _, fields = read_file(path, longest).rpartition(b") ")
        return name + b") " + b" ".join([*fields.split()[:45], b"0", b"0", b"0", b"0", b"0"])

    monkeypatch.setattr(proc, "read_file", read)
