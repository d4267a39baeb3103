"""A beat tells how the job is, and costs next to nothing."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon_agent import vitals
from jobmon_agent.members import Members
from jobmon_agent.vitals import sample
from tests.agent.trees import Yard, a_yard, until


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """Where jobs are started; whatever of them is left is killed after the test."""
    with a_yard(tmp_path) as jobs:
        yield jobs


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
