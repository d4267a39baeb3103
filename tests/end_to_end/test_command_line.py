"""What a job's owner does from the command line, against real jobs: list, follow, read, look, kill."""

import hashlib
import json
import os
import shlex
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest

from jobmon_wire.jobs import FIELDS
from tests.end_to_end.sites import ANSWER, JOBMON, Demo, Job, Site, is_running, wait_until

FOLLOW = 0.5  # s from a line's writing to its reading
PRINTS = "import time\nwhile True: print('%.4f line' % time.time(), flush=True); time.sleep(0.1)"
PRINTS_A_LITTLE = """
import os, time
print("ready", flush=True)
while not os.path.exists("go"): time.sleep(0.02)
for n in range(20):
    print("%.4f line %d" % (time.time(), n), flush=True)
    time.sleep(0.1)
"""
SPAWNS = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("daemon.pid", "w") as file: file.write("%d " % os.getpid())
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""

WORKERS = """
import os, time
worker = os.fork()
if worker == 0:
    child = os.fork()
    if child:
        with open("child", "w") as file: file.write("%d" % child)
        os.rename("child", "child.pid")
    time.sleep(600)
    os._exit(0)
sibling = os.fork()
if sibling == 0:
    time.sleep(600)
    os._exit(0)
while not os.path.exists("child.pid"): time.sleep(0.02)
with open("new", "w") as file: file.write("%d %s %d" % (worker, open("child.pid").read(), sibling))
os.rename("new", "workers")
time.sleep(600)
"""


def _shortage() -> float:
    """How many processes wait for each processor here: 1 on a machine with time for its tests."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _owner(job: str, demo: Demo) -> str:
    index = json.loads(demo.line)["jobs"].index(job)
    return "bob" if index % 4 == 3 else "alice"


def test_the_demo_tells_its_configuration_people_server_and_jobs(demo: Demo) -> None:
    told = json.loads(demo.line)

    assert set(told) == {"config", "contexts", "server", "jobs"}
    assert told["contexts"] == ["alice", "bob", "admin"]
    assert told["server"].startswith("https://")
    assert len(set(told["jobs"])) == 16
    assert Path(told["config"]).is_file()


def test_an_owner_s_list_holds_all_her_jobs_and_nobody_else_s(site: Site, demo: Demo) -> None:
    jobs = json.loads(demo.line)["jobs"]

    listed = {
        context: {row["id"] for row in site.rows("id:demo-*", context=context)} for context in ("alice", "bob", "admin")
    }

    assert listed["alice"] == {job for job in jobs if _owner(job, demo) == "alice"}
    assert listed["bob"] == {job for job in jobs if _owner(job, demo) == "bob"}
    assert listed["admin"] == set(jobs)
    assert {row["owner"] for row in site.rows()} == {"alice"}


def test_a_row_has_every_field_and_times_that_other_programs_read(site: Site) -> None:
    for row in site.rows():
        assert set(row) >= {field.name for field in FIELDS}
        assert (row["owner"], row["cluster"]) == ("alice", "demo")
        assert datetime.fromisoformat(row["started"]).tzinfo is not None


def test_a_selector_chooses_jobs(site: Site) -> None:
    chosen = site.rows("id:demo-print* owner:me")

    assert {row["id"] for row in chosen} == {"demo-print-1", "demo-print-2"}


def test_a_followed_line_is_seen_within_half_a_second_of_its_writing(site: Site) -> None:
    job = site.start_job(PRINTS_A_LITTLE)
    follower = site.start_jobmon("tail", "-f", job.id)
    assert follower.stdout.readline() == "ready\n"

    (job.sandbox / "go").touch()
    seen = [(time.time(), *line.split()) for line in follower.stdout]
    _, stderr = follower.communicate(timeout=ANSWER)

    assert (follower.returncode, stderr) == (0, "jobmon: the job has ended with exit 0\n")
    assert [number for _, _, _, number in seen] == [str(number) for number in range(20)]
    assert max(read - float(written) for read, written, _, _ in seen) < FOLLOW * _shortage()


def test_a_follow_ends_with_its_job(site: Site) -> None:
    job = site.start_job(PRINTS)
    follower = site.start_jobmon("tail", "-f", job.id)
    follower.stdout.readline()

    job.process.terminate()
    began = time.monotonic()
    follower.communicate(timeout=ANSWER)

    assert follower.returncode == 0
    assert time.monotonic() - began < 2


def test_a_file_arrives_as_it_is(site: Site) -> None:
    written = site.config.parent / "jobs" / "demo-write-1" / "calibration.dat"
    expected = hashlib.sha256(written.read_bytes()).hexdigest()

    summed = subprocess.run(
        shlex.join((*JOBMON, "cat", "demo-write-1", "calibration.dat")) + " | sha256sum",
        shell=True,
        env=site.environment,
        capture_output=True,
        text=True,
        timeout=ANSWER,
        check=True,
    )

    assert summed.stdout.split() == [expected, "-"]


def test_a_kill_ends_the_job_and_its_daemon_and_nothing_else(site: Site) -> None:
    job, bystander = site.start_job(SPAWNS), site.start_job(SPAWNS)
    daemons = [
        wait_until(lambda each=each: (each.sandbox / "daemon.pid").exists()
                   and int((each.sandbox / "daemon.pid").read_text() or 0))
        for each in (job, bystander)
    ]  # fmt: skip
    assert all(map(is_running, daemons))

    done = site.jobmon("kill", job.id, "--yes")

    assert done.returncode == 0, done.stderr
    assert job.process.wait(ANSWER) == -15
    wait_until(lambda: not is_running(daemons[0]))
    row = site.wait_for(job.id, lambda row: row["state"] == "ended")
    assert (row["exit"]["code"], row["exit"]["signal"]) == (None, "TERM")
    assert is_running(daemons[1])
    assert is_running(bystander.process.pid)
    assert site.rows(bystander.id)[0]["state"] == "running"
    os.kill(daemons[1], signal.SIGKILL)


def test_a_kill_of_one_worker_leaves_its_child_its_sibling_and_the_job(site: Site) -> None:
    job, other = site.start_job(WORKERS), site.start_job(WORKERS)
    worker, child, sibling = _numbers(job)
    foreign, _, _ = _numbers(other)

    wrong = {pid: site.jobmon("kill", job.id, "--pid", str(pid), "--yes") for pid in (foreign, os.getpid())}
    agents = [site.jobmon("kill", job.id, "--pid", str(pid), "--yes") for pid in job.agents()]
    unasked = site.jobmon("kill", job.id, "--pid", str(worker))
    assert is_running(worker)
    done = site.jobmon("kill", job.id, "--pid", str(worker), "--yes")

    for pid, answer in wrong.items():
        assert (answer.returncode, answer.stdout) == (1, "")
        assert answer.stderr == f"jobmon: {pid} is no process of this job; see: jobmon ps {job.id}\n"
    assert agents
    assert {answer.returncode for answer in agents} == {1}
    assert (unasked.returncode, unasked.stdout) == (2, "")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{job.id}: TERM sent to process {worker}, which has ended\n"
    assert not is_running(worker)
    assert all(map(is_running, (child, sibling, job.process.pid, foreign, *job.agents())))
    told = [json.loads(line) for line in site.jobmon("ps", job.id, "--json").stdout.splitlines()]
    alive = {row["pid"]: row["started_exactly"] for row in told if row["state"] != "Z"}
    assert set(alive) == {child, sibling, job.process.pid}
    rows = [json.loads(line) for line in site.jobmon("audit", job.id, "--json").stdout.splitlines()]
    (row,) = [row for row in rows if row["verb"] == "kill"]
    assert (row["arguments"]["pid"], row["outcome"]) == (worker, "done")
    assert row["arguments"]["started"].endswith(alive[child].partition(":")[2])
    for each in (job, other):  # the workers would outlive it
        assert site.jobmon("kill", each.id, "-s", "KILL").returncode == 0
    wait_until(lambda: not any(map(is_running, (child, sibling, foreign))))


def _numbers(job: Job) -> list[int]:
    """A worker, its child, and another worker."""
    path = job.sandbox / "workers"
    return [int(word) for word in wait_until(lambda: path.exists() and path.read_text().split())]


def test_every_way_of_looking_answers(site: Site) -> None:
    process = int((site.config.parent / "jobs" / "demo-spawn-1" / "daemon.pid").read_text())

    assert f"{process} " in site.jobmon("ps", "demo-spawn-1").stdout
    assert f"\n{process} " in site.jobmon("stack", "demo-spawn-1").stdout
    assert "is no running process of this job" in site.jobmon("stack", "demo-spawn-1", "2", "--gdb", "--yes").stderr
    assert site.jobmon("top", "-n", "2", "-d", "0.2", "demo-compute-1").stdout.count("2 processes") == 2
    assert "calibration.dat" in site.jobmon("ls", "-l", "demo-write-1").stdout
    assert len(site.jobmon("head", "-n", "3", "demo-print-1").stdout.splitlines()) == 3
    assert "load" in site.jobmon("node", "demo-print-1").stdout.lower()
    assert "event 1" in site.jobmon("log", "demo-print-1").stdout
    assert "demo-print-1" in site.jobmon("audit").stdout
    assert "demo-print-1" in site.jobmon("show", "demo-print-1").stdout


@pytest.mark.parametrize(
    "words", [("head", "-n", "1"), ("ls",), ("show",), ("log",), ("ps",), ("kill", "--yes"), ("node",)]
)
def test_a_job_of_somebody_else_is_no_job_at_all(site: Site, words: tuple[str, ...]) -> None:
    foreign, absent = "demo-hang-1", "demo-hang-7"
    assert site.jobmon("ls", foreign, context="bob").returncode == 0

    answers = [site.jobmon(*words, job) for job in (foreign, absent)]

    assert [answer.returncode for answer in answers] == [3, 3]
    assert answers[0].stdout == answers[1].stdout == ""
    assert answers[0].stderr.replace(foreign, "ID") == answers[1].stderr.replace(absent, "ID")
    assert site.rows("id=" + foreign, context="bob")[0]["state"] == "running"


def test_a_follow_of_somebody_else_s_job_ends_like_one_of_no_job(site: Site) -> None:
    answers = [site.jobmon("tail", "-f", job) for job in ("demo-hang-1", "demo-hang-7")]

    assert [answer.returncode for answer in answers] == [3, 3]
    assert answers[0].stderr.replace("demo-hang-1", "ID") == answers[1].stderr.replace("demo-hang-7", "ID")


def test_jobs_that_ended_by_themselves_tell_how(site: Site) -> None:
    failed = site.wait_for("demo-fail-1", lambda row: row["state"] == "ended", limit=40)
    crashed = site.wait_for("demo-crash-1", lambda row: row["state"] == "ended", limit=40)
    finished = site.wait_for("demo-finish-1", lambda row: row["state"] == "ended", limit=40)

    assert failed["exit"]["code"] == 3
    assert crashed["exit"]["signal"] == "SEGV"
    assert finished["exit"]["code"] == 0
