"""A beat tells how the job is, and costs next to nothing."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon_agent import aside, vitals
from jobmon_agent.job import Job
from jobmon_agent.members import Members
from jobmon_agent.proc import marks
from jobmon_agent.vitals import sample
from tests.agent.trees import Yard, a_yard, observe, read_pid, until
from tests.pythons import PYTHONS, Python


def test_the_first_beat_knows_all_but_the_share_of_a_processor(yard: Yard) -> None:
    job = yard.start("echo 12345; sleep 300 & exec sleep 300")
    until(lambda: sample(job, None)[0].processes == 2 and sample(job, None)[0].output_bytes == 6)

    found, state = sample(job, None)

    assert found.cpu_percent is None
    assert 0 < (found.rss_bytes or 0) < 2**30
    assert found.output_at == os.fstat(job.stdout or 0).st_mtime
    assert abs(found.at - time.time()) < 5
    assert (found.state, found.memory_limit, found.oom_kills) == ("S", None, None)
    assert state.cpu_seconds >= 0


def test_the_next_beat_tells_what_was_used_since(yard: Yard) -> None:
    job = yard.start("while :; do :; done")
    _, state = sample(job, None)
    before = state.cpu_seconds
    # The kernel counts in ticks of 10 ms: only over many of them is a share exact.
    until(lambda: Members(job).scan()[job.pid].cpu > 30)

    found, _ = sample(job, state)

    assert 0 < (found.cpu_percent or 0) < 150
    assert state.cpu_seconds > before


def test_processes_too_short_to_be_seen_are_counted_with_their_parent(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = yard.start("while :; do head -c 3000000 /dev/zero | cksum >/dev/null; done")
    _, state = sample(job, None)
    monkeypatch.setattr("jobmon_agent.members.Members.scan", lambda *_: pytest.fail("no look at the whole node"))

    # Ticks of 10 ms add up in the shell's account of its children alone.
    until(lambda: sample(job, state)[0] and state.cpu_seconds > 0.1)


def test_between_scans_members_alone_are_looked_at(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    job = yard.start("sleep 300 & exec sleep 300")
    until(lambda: sample(job, None)[0].processes == 2)
    _, state = sample(job, None)
    looked_at: list[int] = []
    monkeypatch.setattr("jobmon_agent.members.read_process", lambda pid: looked_at.append(pid))

    sample(job, state)

    assert len(looked_at) == 2


def test_a_job_that_is_gone_has_no_processes(yard: Yard) -> None:
    job = yard.start("true")
    yard.reap(job)

    found, _ = sample(job, None)

    assert (found.processes, found.rss_bytes) == (0, 0)


def test_one_file_for_both_streams_counts_once_and_no_file_is_unknown(yard: Yard) -> None:
    job = yard.start("echo 12345; exec sleep 300")
    until(lambda: vitals.output(job)[0] == 6)

    assert vitals.output(job._replace(stderr=job.stdout))[0] == 6
    assert vitals.output(job._replace(stdout=None)) == (None, None)


def test_a_beat_costs_less_than_a_millisecond(yard: Yard) -> None:
    job = yard.start("sleep 300 & exec sleep 300")
    _, state = sample(job, None)
    began = time.process_time()

    for _ in range(100):
        sample(job, state)

    assert (time.process_time() - began) / 100 < 0.001


@pytest.mark.parametrize("python", PYTHONS, ids=[python.version for python in PYTHONS])
def test_a_beat_of_three_processes_costs_a_fraction_of_a_millisecond(python: Python, three: Job) -> None:
    found = observe(python.path, "beats", three)

    assert found["processes"] == 3
    assert found["ms"] < 0.4  # 0.05 to 0.12 where nobody else computes; 144 beats an hour


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A job of three processes."""
    with a_yard(tmp_path_factory.mktemp("three")) as jobs:
        job = jobs.start("sleep 300 & sleep 300 & touch ready; wait")
        until(Path(job.sandbox_path, "ready").exists)
        yield job


def test_a_job_that_is_stopped_is_said_to_be(yard: Yard) -> None:
    job = yard.start(["sleep", "300"])
    os.kill(job.pid, signal.SIGSTOP)
    until(lambda: sample(job, None)[0].state == "T")

    os.kill(job.pid, signal.SIGCONT)

    until(lambda: sample(job, None)[0].state == "S")


def test_a_daemon_is_counted_with_what_a_child_has_seen(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    job = yard.start("(setsid sh -c 'echo $$ > daemon.pid; exec sleep 300' &); exec sleep 300")
    daemon = read_pid(Path(job.sandbox_path, "daemon.pid"))
    looked: list[int] = []
    monkeypatch.setattr("jobmon_agent.members.marks", lambda pid, name: looked.append(pid) or marks(pid, name))

    found, _ = sample(job, None)

    assert found.processes == 2
    assert daemon in Members(job).follow()
    assert not looked  # in this process


def test_a_child_that_hangs_or_fails_costs_its_patience_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    forked: list[int] = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: forked.append(fork()) or forked[-1])
    monkeypatch.setattr(aside, "PATIENCE", 0.1)
    began = time.monotonic()

    assert aside.said_aside(lambda: time.sleep(300) or b"") is None
    assert aside.said_aside(lambda: b"%d" % (1 // 0)) is None
    assert aside.said_aside(lambda: b"x" * 2**18) == b"x" * 2**18
    assert time.monotonic() - began < 5
    until(lambda: os.waitpid(forked[0], os.WNOHANG)[0])  # it was killed
