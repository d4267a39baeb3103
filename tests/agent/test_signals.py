"""A signal reaches every process of the job and no other, whatever numbers are used again."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import jobmon_agent
from jobmon_agent import signals
from jobmon_agent.job import Job
from jobmon_agent.proc import read_process
from jobmon_agent.signals import Target, send
from tests.agent.trees import Yard, answer, is_alive, read_pid, record, until
from tests.agent.trees import python as running_python
from tests.pythons import PYTHONS

AGENT = Path(jobmon_agent.__file__).parents[1]
SCRIPT = Path(__file__).with_name("kill_script.py")
STORMS = 1000  # of 8 forks each, over all Pythons
MANY = 1_000_000  # storms; never reached

DAEMON = "(setsid sh -c 'echo $$ > daemon.pid; exec sleep 300' </dev/null >/dev/null 2>&1 &)"


def test_term_ends_the_whole_tree_and_its_daemon_and_nothing_beside(yard: Yard) -> None:
    job = yard.start(DAEMON + "; sleep 300 & setsid sleep 300 & wait")
    daemon = read_pid(Path(job.sandbox_path, "daemon.pid"))
    other = yard.start(["sleep", "300"])
    bystander = yard.bystander(["sleep", "300"])
    members = until(lambda: len(found := [row["pid"] for row in record(job, "ps")["processes"]]) == 4 and found)

    said = record(job, "kill", signal="TERM")

    assert said == {"signal": "TERM", "sent": sorted(members), "killed": [], "left": []}
    assert daemon in members
    assert not any(map(is_alive, members))
    assert is_alive(other.pid)
    assert is_alive(bystander)
    assert yard.reap(job) == -signal.SIGTERM


def test_parents_are_signalled_first_lest_a_shell_ends_well(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[int] = []
    real = signals.send
    monkeypatch.setattr(
        signals, "send", lambda job, target, number: order.append(target.pid) or real(job, target, number)
    )
    job = yard.start("sh -c 'sleep 300 & wait' & wait; exit 0")
    until(lambda: len(record(job, "ps")["processes"]) == 3)
    expected = [row["pid"] for row in record(job, "ps")["processes"]]

    record(job, "kill", signal="TERM")

    assert order[:3] == expected
    assert yard.reap(job) == -signal.SIGTERM


def test_what_ignores_term_is_killed_after_the_grace(yard: Yard) -> None:
    job = yard.start("trap '' TERM; touch ready; while :; do sleep 0.05; done")
    until(Path(job.sandbox_path, "ready").exists)
    began = time.monotonic()

    said = record(job, "kill", signal="TERM", grace=0.3)

    assert time.monotonic() - began >= 0.3
    assert job.pid in said["sent"]
    assert job.pid in said["killed"]
    assert said["left"] == []
    assert yard.reap(job) == -signal.SIGKILL


def test_a_job_that_cleans_up_within_the_grace_ends_by_itself(yard: Yard) -> None:
    job = yard.start("trap 'sleep 0.3; echo clean; exit 7' TERM; touch ready; while :; do sleep 0.05; done")
    until(Path(job.sandbox_path, "ready").exists)

    said = record(job, "kill", signal="TERM", grace=8.0)

    assert said["killed"] == said["left"] == []
    assert yard.reap(job) == 7
    assert Path(job.sandbox_path, "out.log").read_text().endswith("clean\n")


def test_another_signal_has_no_kill_after_it(yard: Yard) -> None:
    # One process: a shell whose child is stopped between vfork and exec waits for it, and does not stop before.
    job = yard.start("touch ready; exec sleep 300")
    until(Path(job.sandbox_path, "ready").exists)

    said = record(job, "kill", signal="STOP")
    until(lambda: read_process(job.pid).state == "T")  # type: ignore[union-attr]
    record(job, "kill", signal="CONT")

    assert job.pid in said["sent"]
    assert job.pid in said["left"]
    assert said["killed"] == []
    until(lambda: read_process(job.pid).state != "T")  # type: ignore[union-attr]


def test_processes_that_multiply_meanwhile_are_killed_too(yard: Yard) -> None:
    job = yard.start(
        "for i in 1 2 3 4; do (trap '' TERM; while :; do sleep 0.05 & sleep 0.05; wait; done) & done; wait"
    )
    until(lambda: len(rows_alive(job)) > 5)

    said = record(job, "kill", signal="KILL")

    assert said["left"] == said["killed"] == []
    assert job.pid in said["sent"]
    assert not rows_alive(job)


@pytest.mark.parametrize("has_pidfd", [True, False], ids=["pidfd", "no pidfd"])
def test_a_process_that_took_over_a_number_is_not_signalled(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, has_pidfd: bool
) -> None:
    if not has_pidfd:
        monkeypatch.setattr(signals, "open_pidfd", lambda pid: None)
    job = yard.start(["sleep", "300"])
    target = Target(job.pid, job.starttime)

    assert not send(job, target._replace(starttime=job.starttime - 1), signal.SIGKILL)

    assert is_alive(job.pid)
    assert send(job, target, signal.SIGKILL)
    assert yard.reap(job) == -signal.SIGKILL
    assert not send(job, target, signal.SIGKILL)


@pytest.mark.promise(34)
@pytest.mark.parametrize("pid", [1, 0, -1, os.getpid()], ids=["first", "group", "all", "own"])
def test_numbers_that_are_no_process_of_a_job_are_refused(yard: Yard, pid: int) -> None:
    job = yard.start(["sleep", "300"])
    process = read_process(pid)

    # Signal 0 would harm nobody if it were sent.
    assert not send(job, Target(pid, process.starttime if process else 0), 0)


def test_the_agents_own_processes_are_refused(yard: Yard) -> None:
    job = yard.start(["sleep", "300"])

    assert not send(job._replace(group=job.pid), Target(job.pid, job.starttime), signal.SIGKILL)

    assert is_alive(job.pid)


def test_the_signal_goes_by_the_number_where_there_is_no_pidfd(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "open_pidfd", lambda pid: None)
    job = yard.start(DAEMON + "; sleep 300 & wait")
    daemon = read_pid(Path(job.sandbox_path, "daemon.pid"))

    said = record(job, "kill", signal="TERM")

    assert {job.pid, daemon} <= set(said["sent"])
    assert said["left"] == []
    assert not is_alive(daemon)


def rows_alive(job: Job) -> list[int]:
    rows = [row for _, payload in answer(job, "ps") for row in payload["processes"]]
    return [row["pid"] for row in rows if row["state"] != "Z"]


def test_a_stopped_process_hears_term(yard: Yard) -> None:
    # Before a child of the shell becomes another program it has the shell's trap, and forgets the signal then.
    is_sleeping = 'read -r name </proc/$!/comm && [ "$name" = sleep ]'
    job = yard.start(f"trap 'echo clean; exit 7' TERM; sleep 300 & until {is_sleeping}; do :; done; touch ready; wait")
    until(Path(job.sandbox_path, "ready").exists)
    record(job, "kill", signal="STOP")
    until(lambda: read_process(job.pid).state == "T")  # type: ignore[union-attr]

    said = record(job, "kill", signal="TERM", grace=8.0)

    assert (said["killed"], said["left"]) == ([], [])
    assert yard.reap(job) == 7
    assert Path(job.sandbox_path, "out.log").read_text() == "clean\n"


def test_each_process_hears_term_once(yard: Yard) -> None:
    counts = (
        "import os, signal, time\n"
        "for _ in range(3): os.fork()\n"
        "signal.signal(signal.SIGTERM, lambda *_: os.write(1, b't'))\n"
        "signal.signal(signal.SIGCONT, lambda *_: os.write(1, b'c'))\n"
        "open('ready%d' % os.getpid(), 'w').close()\nwhile True: time.sleep(0.05)\n"
    )
    job = yard.start(running_python(counts))
    until(lambda: len(list(Path(job.sandbox_path).glob("ready*"))) == 8)

    said = record(job, "kill", signal="TERM", grace=0.5)

    assert len(said["sent"]) == len(said["killed"]) == 8
    assert Path(job.sandbox_path, "out.log").read_text() == "t" * 8


@pytest.mark.skipif(os.geteuid() != 0, reason="a namespace of process numbers needs root")
@pytest.mark.promise(34)
def test_a_kill_reaches_the_job_and_nobody_else_when_numbers_are_used_again(python: Path) -> None:
    told = in_namespace(python, STORMS // len(PYTHONS))

    assert [way["has pidfd"] for way in told["ways"]] == [True, True, False]
    for way in told["ways"]:
        again = way["again"]
        assert again["same number"]
        assert not again["sent"]
        assert not again["member"]
        assert again["killed"] == {"signal": "KILL", "sent": [], "killed": [], "left": []}
        assert again["lives"]
        assert again["reached by number"]
        within = way["within"]
        assert within["same number"]
        assert within["member"]
        assert "is another process now than the one that was meant" in within["said"]
        assert within["lives"]
        assert (len(within["meant"]["sent"]), within["meant"]["left"]) == (1, [])
        assert not within["lives then"]
        assert way["refused"] == {"sent": [False] * 5, "itself": True}
        assert way["tree"] == {"answer": [3, [], []], "status": signal.SIGTERM, "bystander lives": True}
    first = told["ways"][0]
    assert first["storm"]["hit"] == 0
    assert first["storm"]["kills"] > 0
    # Two, should the first have met the chain at the one moment between two looks.
    assert all(1 <= chain["kills"] <= 2 for chain in first["chains"])


@pytest.mark.skipif(os.geteuid() != 0, reason="a namespace of process numbers needs root")
def test_the_control_signals_by_number_alone_reach_strangers() -> None:
    # It ends with the first hit; how many storms that takes is up to the scheduler.
    assert in_namespace(Path(PYTHONS[-1].path), MANY, "naive")["naive"]["hit"]


def in_namespace(interpreter: Path, storms: int, how: str = "") -> dict[str, Any]:
    line = [str(interpreter), "-I", "-S", "-B", str(SCRIPT), str(AGENT), str(storms), "1", how]
    ran = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *line], capture_output=True, timeout=120
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    return dict(json.loads(ran.stdout))
