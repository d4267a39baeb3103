"""A job's processes are found however they left it, and nothing of another is taken for one of them."""

import contextlib
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_agent import proc, processes
from jobmon_agent.job import Job
from jobmon_agent.members import Members
from jobmon_agent.proc import Process, parse_stat
from jobmon_agent.top import PROCESSES, tick
from jobmon_agent.usage import Look, cpu_of_job
from jobmon_agent.vitals import sample
from tests.agent.trees import Yard, a_yard, answer, kinds, observe, python, read_pid, record, until
from tests.pythons import PYTHONS, Python

DAEMON = "(setsid sh -c 'echo $$ > daemon.pid; exec sleep 300' </dev/null >/dev/null 2>&1 &)"


# KiB: stat adds up what each processor has counted and passed on, in lots of 32 pages for each of three kinds.
LAG = 3 * 32 * 4 * (os.cpu_count() or 1)


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
    assert row.pop("started_exactly").startswith(f"{job.starttime}:")
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


@pytest.mark.promise(30)
@pytest.mark.parametrize("name", [b") R 1 (", b"a) Z 99 99 9", b"line\nline", "жук".encode(), b"\xff\xfe)", b"  "])
def test_a_hostile_name_changes_no_other_field(yard: Yard, name: bytes) -> None:
    script = f"import ctypes, time; ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0); time.sleep(300)"
    job = yard.start(python(script))

    row = until(lambda: next((r for r in record(job, "ps")["processes"] if not r["name"].startswith("python")), None))

    assert row["name"].encode("utf-8", "surrogateescape") == name[:15]
    assert (row["pid"], row["ppid"], row["state"]) == (job.pid, os.getpid(), "S")


@pytest.fixture(scope="module")
def kinds_job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A job of fourteen kinds of processes."""
    with a_yard(tmp_path_factory.mktemp("kinds")) as jobs:
        yield kinds(jobs, "kinds")


def as_ps_tells(job: Job, pids: set[int]) -> dict[int, tuple[Any, ...]]:
    """What procps tells of processes: pid: parent, state, threads, KiB, start, name."""
    line = ["ps", "-ww", "-o", "pid=,ppid=,state=,nlwp=,rss=,lstart=,comm=", "-p", ",".join(map(str, pids))]
    told = subprocess.run(line, capture_output=True, check=True, env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]})
    found: dict[int, tuple[Any, ...]] = {}
    for row in told.stdout.decode("utf-8").splitlines():
        pid, ppid, state, threads, rss, *rest = row.split(None, 10)
        started = time.mktime(time.strptime(" ".join(rest[:5]), "%a %b %d %H:%M:%S %Y"))
        found[int(pid)] = int(ppid), state, int(threads), int(rss), started, rest[5]
    return found


@pytest.mark.promise(30)
@pytest.mark.promise(31)
@pytest.mark.parametrize("python_", PYTHONS, ids=[python.version for python in PYTHONS])
def test_every_kind_of_process_is_told_as_ps_tells_it(kinds_job: Job, python_: Python) -> None:
    rows = {row["pid"]: row for row in observe(python_.path, "ps", kinds_job)}

    told = as_ps_tells(kinds_job, set(rows))
    assert len(rows) == len(told) == 15  # fourteen and the job itself
    states = [row["state"] for row in rows.values()]
    assert (states.count("Z"), states.count("T")) == (1, 1)
    for pid, (ppid, state, threads, rss, started, name) in told.items():
        row = rows[pid]
        assert (row["ppid"], row["state"], row["threads"]) == (ppid, state, threads)
        assert abs(row["rss"] / 1024 - rss) <= LAG
        assert abs(row["started"] - started) < 2
        # procps shows what is no letter as a question mark.
        assert name == row["name"].replace("\n", "?")
        assert row["user"] == pwd.getpwuid(os.geteuid()).pw_name
    assert max(row["rss"] for row in rows.values()) > 100 * 2**20
    assert max(row["threads"] for row in rows.values()) == 50


@pytest.mark.promise(33)
@pytest.mark.parametrize("python_", PYTHONS, ids=[python.version for python in PYTHONS])
def test_a_thousand_processes_are_listed_within_100_ms_of_cpu(thousand: Job, python_: Python) -> None:
    found = observe(python_.path, "many", thousand)

    assert found["rows"] == 1001
    assert found["ps"] <= 100
    assert found["look"] <= 60


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A job of a thousand processes."""
    with a_yard(tmp_path_factory.mktemp("thousand")) as jobs:
        yield kinds(jobs, "1000")


def test_ps_tells_storage_and_open_files(yard: Yard) -> None:
    script = "import os, time\nfiles = [open('f%d' % n, 'wb') for n in range(5)]\nfiles[0].write(b'x' * 2**20)\n"
    job = yard.start(python(script + "files[0].flush()\nos.fsync(files[0].fileno())\ntime.sleep(300)"))

    row = until(lambda: next((r for r in record(job, "ps")["processes"] if (r["written"] or 0) >= 2**20), None))

    assert row["open_files"] == len(os.listdir(f"/proc/{job.pid}/fd")) == 8


def test_what_is_not_to_be_known_is_null() -> None:
    assert proc.transferred(2**22 + 1) == (None, None)
    assert proc.open_files(2**22 + 1) is None
    assert proc.share_of_memory(2**22 + 1) is None


def test_ps_tells_the_cpu_since_the_last_beat(yard: Yard) -> None:
    job = yard.start("while :; do :; done")
    assert record(job, "ps")["processes"][0]["cpu_percent"] is None
    _, state = sample(job, None)
    until(lambda: Members(job).scan()[job.pid].cpu > 60)

    rows = record(job, "ps")["processes"]

    assert 0 < rows[0]["cpu_percent"] < 150
    assert state is not None


def test_the_share_of_memory_is_told_on_request_alone(yard: Yard) -> None:
    script = "import os, time\nx = bytearray(os.urandom(4096)) * 2560\nos.fork()\ntime.sleep(300)"
    job = yard.start(python(script))
    until(lambda: len(pids(job)) == 2)

    plain, asked = record(job, "ps")["processes"], record(job, "ps", pss=True)["processes"]

    assert not any("pss" in row for row in plain)
    for row in asked:
        assert 5 * 2**20 < row["pss"] < 0.75 * row["rss"]  # half of what both hold


def test_a_large_process_keeps_its_memory_map_to_itself_unless_forced(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MAP_LIMIT", 30 * 2**20)
    script = "import os, time\nos.fork() or setattr(os, 'x', bytearray(os.urandom(4096)) * 16384)\ntime.sleep(300)"
    job = yard.start(python(script))
    until(lambda: max(row["rss"] for row in record(job, "ps")["processes"]) > 60 * 2**20)

    rows = record(job, "ps", pss=True)["processes"]

    large, small = sorted(rows, key=lambda row: -row["rss"])
    assert large["pss"] is None
    assert large["pss_refused"].startswith(
        f"pid {large['pid']} has 0.1 GiB resident: reading its memory map would hold"
    )
    assert small["pss"] > 0
    assert "pss_refused" not in small
    assert all(row["pss"] > 0 for row in record(job, "ps", pss=True, force=True)["processes"])


def test_the_bound_for_memory_maps_is_half_a_gibibyte() -> None:
    assert processes.MAP_LIMIT == 512 * 2**20


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


@pytest.mark.parametrize(
    ("sort", "first"),
    [({}, [9, 8, 7]), ({"sort": "cpu"}, [9, 8, 7]), ({"sort": "memory"}, [3, 9, 8]), ({"sort": "time"}, [2, 9, 8])],
)
def test_a_large_idle_process_is_among_those_sent_when_memory_is_what_counts(
    sort: dict[str, str], first: list[int]
) -> None:
    before = Look(0.0, {pid: member(pid) for pid in range(3, 10)} | {2: member(2, cpu=9000)})
    now = Look(1.0, {pid: member(pid, cpu=pid) for pid in range(4, 10)})
    now.members.update({2: member(2, cpu=9000), 3: member(3, rss=2**40)})  # both idle

    sample = tick(before, now, {}, None, most=3, **sort)

    assert [row["pid"] for row in sample["processes"]] == first
    assert sample["job"]["processes"] == 8
    assert sample["job"]["rss"] > 2**40


def test_the_order_that_is_asked_for_holds_at_every_tick_of_a_job(yard: Yard) -> None:
    large = f"exec {sys.executable} -I -S -c \"import time; kept = b'x' * 2**26; time.sleep(300)\""
    job = yard.start(f"({large}) & (while :; do :; done) & exec sleep 300")
    until(lambda: max(row["rss"] for row in record(job, "ps")["processes"]) > 2**26)

    by_memory = [payload["processes"] for _, payload in answer(job, "top", delay=0.2, count=2, sort="memory")]
    by_cpu = [payload["processes"] for _, payload in answer(job, "top", delay=0.2, count=2)]

    assert {rows[0]["pid"] for rows in by_memory} == {max(by_memory[0], key=lambda row: row["rss"])["pid"]}
    assert {rows[0]["pid"] for rows in by_memory}.isdisjoint({rows[0]["pid"] for rows in by_cpu})


def test_the_time_of_short_children_counts_once_for_the_job() -> None:
    # A shell waits for one child that the first look saw and for others that no look saw.
    before = Look(0.0, {10: member(10, cpu=5), 11: member(11, ppid=10, cpu=30)})
    now = Look(1.0, {10: member(10, cpu=6, reaped=40 + 50)})

    used = cpu_of_job(before, now)

    assert used == pytest.approx((1 + 10 + 50) / os.sysconf("SC_CLK_TCK"))


def member(pid: int, ppid: int = 1, cpu: int = 0, reaped: int = 0, rss: int = 4096) -> Process:
    return Process(pid, b"x", "R", ppid, pid, 1, cpu, reaped, 1, 0, rss)
