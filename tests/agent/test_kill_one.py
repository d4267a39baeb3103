"""A signal meant for one process of a job reaches that very process: not its children, not its job, not a later one."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent import signals
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.proc import read_process
from jobmon_wire import frames
from tests.agent.asking import ask_under
from tests.agent.trees import Yard, is_alive, read_pid, record, until

pytestmark = pytest.mark.promise(34)

# A worker with a child of its own, beside another worker; the job goes on when one of them has ended.
WORKERS = """
sh -c 'echo $$ > worker.pid; sleep 300 & echo $! > child.pid; wait' &
sleep 300 & echo $! > sibling.pid
while :; do sleep 0.05; done
"""
# It hears TERM and stays, and so does its child.
STUBBORN = """
sh -c 'trap "" TERM; sleep 300 & echo $! > child.pid; echo $$ > worker.pid; while :; do sleep 0.05; done' &
while :; do sleep 0.05; done
"""
TIDY = """
sh -c 'trap "echo clean > clean; exit 0" TERM; echo $$ > worker.pid; while :; do sleep 0.05; done' &
while :; do sleep 0.05; done
"""


def pid_in(job: Job, name: str) -> int:
    return read_pid(Path(job.sandbox_path, name + ".pid"))


def row_of(job: Job, pid: int) -> dict[str, Any]:
    return next(row for row in record(job, "ps")["processes"] if row["pid"] == pid)


def state(pid: int) -> str:
    process = read_process(pid)
    return process.state if process else ""


def refusal(job: Job, **arguments: Any) -> str:
    """What is said instead of signalling."""
    with pytest.raises(VerbFailure) as failed:
        record(job, "kill", **arguments)
    assert failed.value.code == "action-failed"
    return failed.value.message


@pytest.fixture(params=["pidfd", "no pidfd"])
def with_and_without_pidfd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no pidfd":
        monkeypatch.setattr(signals, "open_pidfd", lambda pid: None)


@pytest.mark.usefixtures("with_and_without_pidfd")
def test_one_process_ends_and_its_child_its_sibling_and_the_job_live_on(yard: Yard) -> None:
    job = yard.start(WORKERS)
    worker, child, sibling = (pid_in(job, name) for name in ("worker", "child", "sibling"))

    said = record(job, "kill", pid=worker, started=row_of(job, worker)["started_exactly"])

    assert said == {"signal": "TERM", "sent": [worker], "killed": [], "left": []}
    assert not is_alive(worker)
    assert [is_alive(pid) for pid in (child, sibling, job.pid)] == [True] * 3


def test_the_same_under_every_python(yard: Yard, python: Path) -> None:
    job, other = yard.start(WORKERS), yard.start(["sleep", "300"])
    worker, child, sibling = (pid_in(job, name) for name in ("worker", "child", "sibling"))
    (told,) = ask_under(python, (job, "ps", {}))
    starts = {row["pid"]: row["started_exactly"] for row in told["processes"]}

    wrong, foreign, whole, done = ask_under(
        python,
        (job, "kill", {"pid": worker, "started": starts[child] + "0"}),
        (job, "kill", {"pid": other.pid}),
        (job, "kill", {"started": starts[worker]}),
        (job, "kill", {"pid": worker, "started": starts[worker], "signal": "KILL"}),
    )

    assert [answer["code"] for answer in (wrong, foreign, whole)] == ["action-failed", "action-failed", "bad-request"]
    assert done == {"signal": "KILL", "sent": [worker], "killed": [], "left": []}
    assert not is_alive(worker)
    assert [is_alive(pid) for pid in (child, sibling, job.pid, other.pid)] == [True] * 4


@pytest.mark.usefixtures("with_and_without_pidfd")
def test_after_the_grace_that_process_alone_is_killed(yard: Yard) -> None:
    job = yard.start(STUBBORN)
    worker, child = pid_in(job, "worker"), pid_in(job, "child")
    began = time.monotonic()

    said = record(job, "kill", pid=worker, grace=0.3)

    assert time.monotonic() - began >= 0.3
    assert said == {"signal": "TERM", "sent": [worker], "killed": [worker], "left": []}
    assert not is_alive(worker)
    assert [is_alive(child), is_alive(job.pid)] == [True, True]


def test_one_that_ends_by_itself_within_the_grace_is_not_killed(yard: Yard) -> None:
    job = yard.start(TIDY)
    worker = pid_in(job, "worker")

    said = record(job, "kill", pid=worker, grace=8.0)

    assert said == {"signal": "TERM", "sent": [worker], "killed": [], "left": []}
    assert Path(job.sandbox_path, "clean").read_text() == "clean\n"


def test_what_has_the_number_when_the_grace_is_over_is_not_killed(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if another process had it: the number's owner looks younger by then.
    job = yard.start(STUBBORN)
    worker = pid_in(job, "worker")
    real = signals.read_process
    is_over: list[bool] = []

    def reread(pid: int) -> Any:
        process = real(pid)
        if process is not None and pid == worker and is_over:
            process.starttime += 1
        return process

    monkeypatch.setattr(signals, "read_process", reread)
    monkeypatch.setattr(signals, "_await_one", lambda target, deadline: is_over.append(True))

    said = record(job, "kill", pid=worker, grace=0.1)

    assert is_over
    assert said == {"signal": "TERM", "sent": [worker], "killed": [], "left": []}
    assert is_alive(worker)


def test_stop_and_continue_reach_one_process_and_no_kill_follows(yard: Yard) -> None:
    job = yard.start(WORKERS)
    worker, sibling = pid_in(job, "worker"), pid_in(job, "sibling")

    said = record(job, "kill", pid=worker, signal="STOP")
    until(lambda: state(worker) == "T")
    states = state(sibling), state(job.pid)
    record(job, "kill", pid=worker, signal="CONT")

    assert said == {"signal": "STOP", "sent": [worker], "killed": [], "left": [worker]}
    assert "T" not in states
    until(lambda: state(worker) != "T")


def test_a_stopped_process_is_let_go_on_so_that_it_hears_term(yard: Yard) -> None:
    job = yard.start(TIDY)
    worker = pid_in(job, "worker")
    record(job, "kill", pid=worker, signal="STOP")
    until(lambda: state(worker) == "T")

    said = record(job, "kill", pid=worker, grace=8.0)

    assert (said["killed"], said["left"]) == ([], [])
    assert Path(job.sandbox_path, "clean").exists()


@pytest.mark.usefixtures("with_and_without_pidfd")
def test_another_start_than_the_one_that_was_seen_is_another_process(yard: Yard) -> None:
    job = yard.start(WORKERS)
    worker = pid_in(job, "worker")
    started = row_of(job, worker)["started_exactly"]
    ticks, _, boot = started.partition(":")
    assert len(boot) == 8

    for wrong in (f"{int(ticks) - 1}:{boot}", f"{ticks}:{boot[::-1]}x", ticks, "x"):
        assert "another process now" in refusal(job, pid=worker, started=wrong, signal="KILL")

    assert is_alive(worker)
    assert record(job, "kill", pid=worker, started=started, signal="KILL")["sent"] == [worker]


def test_the_start_that_ps_tells_stays_when_the_clock_is_set(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    job = yard.start(["sleep", "300"])
    before = row_of(job, job.pid)
    monkeypatch.setattr("jobmon_agent.processes.boot_moment", lambda: 1.0)

    after = row_of(job, job.pid)

    assert before["started"] != after["started"]
    assert before["started_exactly"] == after["started_exactly"]


def test_processes_of_others_are_no_processes_of_the_job(yard: Yard) -> None:
    job, other = yard.start(WORKERS), yard.start(["sleep", "300"])
    bystander = yard.bystander(["sleep", "300"], start_new_session=True)  # else it is in the agent's group here
    ended = yard.bystander(["true"], start_new_session=True)
    until(lambda: not is_alive(ended))

    for pid in (other.pid, bystander, ended, 2**22):
        for signal_ in ("KILL", "CONT"):
            assert f"{pid} is no running process of this job" in refusal(job, pid=pid, signal=signal_)

    assert is_alive(other.pid)
    assert is_alive(bystander)
    assert record(other, "kill", pid=other.pid, signal="KILL")["sent"] == [other.pid]


@pytest.mark.parametrize("pid", [1, 0, -1])
def test_numbers_that_are_no_process_of_a_job_are_not_even_taken(yard: Yard, pid: int) -> None:
    job = yard.start(["sleep", "300"])

    with pytest.raises(ValueError, match="pid must be from 2"):
        record(job, "kill", pid=pid, signal="CONT")


def test_a_start_without_a_number_is_refused_and_never_taken_for_the_whole_job(yard: Yard) -> None:
    job = yard.start(WORKERS)

    with pytest.raises(VerbFailure, match="name it by pid") as failed:
        record(job, "kill", started=row_of(job, job.pid)["started_exactly"], signal="KILL")

    assert failed.value.code == "bad-request"
    assert is_alive(job.pid)


def test_a_process_that_may_not_be_signalled_is_said_to_be_there(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    job = yard.start(["sleep", "300"])

    def refuse(*arguments: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(signals, "_send_through", refuse)

    assert "runs as another user now" in refusal(job, pid=job.pid)


def test_the_agents_own_processes_are_refused_and_live(launcher: Any, server: Any, until: Any, mode: str) -> None:
    with open(launcher.directory / "out", "wb") as out:
        line = launcher.line(None, "sh", "-c", "sleep 300 & echo $!; wait; exec sleep 300", mode=mode)
        job = launcher.start(line, stdout=out)
    channel = server.channel()
    child = int(until(lambda: (launcher.directory / "out").read_text().strip()))
    own = launcher.helpers(job.pid, mode) | ({job.pid} if mode == "--wrap" else set())

    refused = {pid: channel.end_of(channel.ask("kill", pid=pid, signal="KILL")) for pid in sorted(own)}
    done = channel.ask("kill", pid=child, signal="KILL")

    assert len(own) >= 2
    for pid, end in refused.items():
        assert end["code"] == "action-failed", end
        assert "belongs to JobMon's agent" in end["message"] or f"{pid} is no running process" in end["message"]
    assert any("belongs to JobMon's agent" in end["message"] for end in refused.values())
    # The control: the same channel signals what is the job's.
    assert channel.end_of(done) == {"status": "done"}
    assert channel.of(done)[0].document()["sent"] == [child]
    assert channel.of(done)[0].type == frames.RECORD
    until(lambda: not is_alive(child))
    assert all(map(is_alive, own))
    assert job.poll() is None


def test_the_first_process_of_a_job_can_be_the_one(yard: Yard) -> None:
    job = yard.start("setsid sleep 300 & echo $! > child.pid; wait")
    child = pid_in(job, "child")

    said = record(job, "kill", pid=job.pid)

    assert said["sent"] == [job.pid]
    assert yard.reap(job) == -signal.SIGTERM
    assert is_alive(child)
    assert os.getpgid(child) == child
