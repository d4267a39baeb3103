"""A job's processes are found however they left it, and nothing of another is taken for one of them."""

import contextlib
import os
import pwd
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_agent import members as members_module
from jobmon_agent.members import Members
from jobmon_agent.proc import Process, parse_stat
from jobmon_agent.top import PROCESSES, tick
from jobmon_agent.usage import Look, cpu_of_job
from tests.agent.trees import Yard, a_yard, answer, is_alive, python, read_pid, record, until

DAEMON = "(setsid sh -c 'echo $$ > daemon.pid; exec sleep 300' </dev/null >/dev/null 2>&1 &)"


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """Where jobs are started; whatever of them is left is killed after the test."""
    with a_yard(tmp_path) as jobs:
        yield jobs


def names(job) -> set[str]:
    return {row["name"] for row in record(job, "ps")["processes"]}


def pids(job) -> set[int]:
    return {row["pid"] for row in record(job, "ps")["processes"]}


def test_ps_tells_all_of_the_job_itself(yard: Yard) -> None:
    job = yard.start("exec sleep 271")
    until(lambda: names(job) == {"sleep"})

    (row,) = record(job, "ps")["processes"]

    assert row.pop("cpu_seconds") >= 0
    assert abs(row.pop("started") - time.time()) < 15
    assert 0 < row.pop("rss") < 2**30
    assert row.pop("read") >= row.pop("written") == 0
    assert row == {
        "pid": job.pid,
        "ppid": os.getpid(),
        "state": "S",
        "name": "sleep",
        "command": "sleep 271",
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "threads": 1,
        "cpu_percent": None,
        "open_files": 3,
        "gpu_memory": None,
        "is_job": True,
    }


def test_children_come_after_their_parents(yard: Yard) -> None:
    job = yard.start("sh -c 'sleep 300 & sleep 301 & wait' & wait")
    until(lambda: len(pids(job)) == 4)

    rows = record(job, "ps")["processes"]

    assert rows[0]["pid"] == job.pid
    assert all(row["ppid"] in [earlier["pid"] for earlier in rows[:at]] for at, row in enumerate(rows) if at)


def test_a_daemon_that_left_tree_and_session_is_found(yard: Yard) -> None:
    job = yard.start(DAEMON + "; exec sleep 300")
    daemon = read_pid(Path(job.sandbox_path, "daemon.pid"))
    assert os.getsid(daemon) == daemon != job.pid

    assert daemon in pids(job)


def test_a_process_without_any_mark_is_remembered_when_its_parent_is_gone(yard: Yard) -> None:
    job = yard.start(
        "sh -c 'echo $$ > parent.pid; "
        'setsid env -i sh -c "echo \\$\\$ > lost.pid; exec sleep 300" & wait\' & sleep 300'
    )
    lost, parent = (read_pid(Path(job.sandbox_path, name)) for name in ("lost.pid", "parent.pid"))
    assert lost in Members(job).scan()

    os.kill(parent, 9)
    until(lambda: not is_alive(parent))

    assert lost in Members(job).scan()  # by memory alone, as the next claim shows
    members_module._remembered.clear()
    assert lost not in Members(job).scan()
    os.kill(lost, 9)


def test_a_bystander_in_the_same_session_is_no_member(yard: Yard) -> None:
    job = yard.start(["sleep", "300"], is_leader=False)
    bystander = yard.bystander(["sleep", "300"], preexec_fn=os.setpgrp)
    assert os.getsid(bystander) == os.getsid(job.pid)

    assert pids(job) == {job.pid}


def test_the_agents_own_processes_are_no_members(yard: Yard) -> None:
    job = yard.start("sleep 300 & wait")
    until(lambda: len(pids(job)) == 2)
    (child,) = pids(job) - {job.pid}

    assert pids(job._replace(group=job.pid)) == set()
    assert child in pids(job)


def test_a_number_used_again_is_not_the_job(yard: Yard) -> None:
    job = yard.start(["sleep", "300"])
    reused = job._replace(starttime=job.starttime - 1, uuid="another")

    assert Members(reused).scan() == {}


@pytest.mark.parametrize("name", [b") R 1 (", b"a) Z 99 99 9", b"line\nline", "жук".encode(), b"\xff\xfe)", b"  "])
def test_a_hostile_name_changes_no_other_field(yard: Yard, name: bytes) -> None:
    script = f"import ctypes, time; ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0); time.sleep(300)"
    job = yard.start(python(script))

    row = until(lambda: next((r for r in record(job, "ps")["processes"] if not r["name"].startswith("python")), None))

    assert row["name"].encode("utf-8", "surrogateescape") == name[:15]
    assert (row["pid"], row["ppid"], row["state"]) == (job.pid, os.getpid(), "S")


def test_a_zombie_is_listed_by_its_name(yard: Yard) -> None:
    job = yard.start(python("import os, time\nif not os.fork(): os._exit(0)\ntime.sleep(300)"))

    row = until(lambda: next((r for r in record(job, "ps")["processes"] if r["state"] == "Z"), None))

    assert row["command"] == "[" + row["name"] + "]"


def test_a_long_command_line_is_cut(yard: Yard) -> None:
    job = yard.start(["sh", "-c", "sleep 300; :", "x" * 100_000])

    commands = until(lambda: [r["command"] for r in record(job, "ps")["processes"] if r["is_job"]])

    assert len(commands[0]) == 4096


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_stat_line_or_none(noise: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_stat(noise)


def test_top_tells_who_computes(yard: Yard) -> None:
    job = yard.start("sh -c 'while :; do :; done' & exec sleep 300")
    until(lambda: len(pids(job)) == 2)

    first, second = [payload for _, payload in answer(job, "top", delay=0.3, count=2)]

    assert second["processes"][0]["cpu_percent"] > 1  # a busy machine gives it little
    assert second["processes"][0]["pid"] != job.pid
    assert abs(second["job"]["cpu_percent"] - second["processes"][0]["cpu_percent"]) < 5
    assert first["job"]["processes"] == first["job"]["threads"] == 2
    assert first["node"]["memory"] > first["node"]["memory_available"] > 0
    assert len(first["node"]["load"]) == 3


def test_top_ends_with_the_job(yard: Yard) -> None:
    job = yard.start("exec sleep 0.3")

    ticks = list(answer(job, "top", delay=3600.0))

    assert ticks[-1][1]["job"]["cpu_percent"] is not None


def test_top_reads_no_command_line_and_no_memory_map(yard: Yard) -> None:
    opened: list[str] = []
    watching = [True]

    def watch(event: str, details: tuple[object, ...]) -> None:  # a hook stays until Python ends
        if watching[0] and event == "open":
            opened.append(str(details[0]))

    sys.addaudithook(watch)
    job = yard.start(["sleep", "300"])

    list(answer(job, "top", delay=0.2, count=3))
    watching[0] = False

    assert any(path.endswith("/stat") for path in opened)
    assert not any(path.endswith(("/cmdline", "/smaps", "/smaps_rollup")) for path in opened)


def test_top_sends_the_busiest_of_many() -> None:
    before = Look(0.0, {pid: member(pid) for pid in range(2, 1000)})
    now = Look(1.0, {pid: member(pid, cpu=pid) for pid in range(2, 1000)})

    rows = tick(before, now, {}, None)["processes"]

    assert [row["pid"] for row in rows] == list(range(999, 999 - PROCESSES, -1))


def test_the_time_of_short_children_counts_once_for_the_job() -> None:
    # A shell waits for one child that the first look saw and for others that no look saw.
    before = Look(0.0, {10: member(10, cpu=5), 11: member(11, ppid=10, cpu=30)})
    now = Look(1.0, {10: member(10, cpu=6, reaped=40 + 50)})

    used = cpu_of_job(before, now)

    assert used == pytest.approx((1 + 10 + 50) / os.sysconf("SC_CLK_TCK"))


def member(pid: int, ppid: int = 1, cpu: int = 0, reaped: int = 0) -> Process:
    return Process(pid, b"x", "R", ppid, pid, 1, cpu, reaped, 1, 0, 4096)
