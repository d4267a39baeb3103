"""The control groups tell what a job may use and what it was denied, and only its own are taken for its own."""

import resource
import subprocess
import time
import uuid as uuids
from pathlib import Path

import pytest

from jobmon_agent import cgroup as cgroup_module
from jobmon_agent.cgroup import Cgroup, least
from jobmon_agent.health import Health
from jobmon_agent.job import Job
from jobmon_agent.report import End
from jobmon_agent.vitals import sample
from jobmon_wire.records import Exit
from tests.agent.trees import Yard, a_group, enter, python, read_pid, record, until
from tests.pythons import PYTHONS, Python

MIB = 1024 * 1024
BATCH = ("_CONDOR_SLOT", "_CONDOR_JOB_AD", "SLURM_JOB_ID", "LSB_JOBID", "PBS_JOBID", "JOB_ID", "SGE_ROOT")


@pytest.fixture(autouse=True)
def no_batch_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BATCH:
        monkeypatch.delenv(name, raising=False)


def fresh(job: Job) -> Job:
    """The same job to an agent that has not seen it."""
    return job._replace(uuid=str(uuids.uuid4()))


# Which group is the job's own


@pytest.mark.parametrize("controller", ["memory", ""], ids=["version1", "version2"])
def test_a_group_into_which_the_job_was_put_alone_is_its_own(yard: Yard, controller: str) -> None:
    with a_group(controller, "starter/slot") as group:
        job = yard.start("sleep 300 & wait", groups=(group,))
        until(lambda: len(Cgroup(job).pids()) == 2)

        assert Cgroup(job).own == str(group)


def test_the_waiter_of_a_wrapped_job_is_where_the_job_is(yard: Yard) -> None:
    with a_group("memory", "slot") as group:
        waiter = yard.start("setsid sleep 300 & echo $! > pid; wait", groups=(group,))
        pid = int(until(lambda: (path := Path(waiter.sandbox_path, "pid")).exists() and path.read_text()))
        job = waiter._replace(pid=pid)

        assert Cgroup(job).own == ""
        assert Cgroup(job._replace(mode="wrap")).own == str(group)


def test_a_group_that_holds_others_too_is_nobodys_own(yard: Yard) -> None:
    with a_group("memory", "slot") as group:
        yard.bystander(["sleep", "300"], preexec_fn=lambda: enter(group), start_new_session=True)
        job = yard.start(["sleep", "300"], groups=(group,))

        assert Cgroup(job).own == ""
        assert Cgroup(job).pids() == []


def test_the_group_of_the_one_who_starts_the_job_is_not_its_own(yard: Yard) -> None:
    job = yard.start(["sleep", "300"])

    assert Cgroup(job).own == ""


def test_a_group_above_that_of_the_one_who_starts_the_job_is_not_its_own(yard: Yard) -> None:
    with a_group("memory", "batch/starter") as group:
        go_up = f"echo $$ > {group.parent}/cgroup.procs; echo $$ > pid; exec sleep 300"
        starter = yard.start(f"sh -c '{go_up}' & wait", groups=(group,))
        pid = read_pid(Path(starter.sandbox_path, "pid"))

        assert Cgroup(starter._replace(pid=pid)).own == ""


def test_a_job_that_was_left_to_process_1_has_no_group_of_its_own(yard: Yard) -> None:
    with a_group("memory", "slot") as group:
        starter = yard.start("setsid sleep 300 & echo $! > pid", groups=(group,))
        pid = read_pid(Path(starter.sandbox_path, "pid"))
        yard.reap(starter)  # the job is alone now

        assert Cgroup(starter._replace(pid=pid)).own == ""


@pytest.mark.parametrize("name", ["user.slice/job_17", "session-17.scope", "user.slice/user-0.slice/session-2.scope"])
def test_a_login_session_is_never_a_jobs_own(yard: Yard, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with a_group("memory", name) as group:
        job = yard.start(["sleep", "300"], groups=(group,))

        assert Cgroup(job).own == ""


@pytest.mark.parametrize(
    ("environment", "path", "own"),
    [
        ({"SLURM_JOB_ID": "17"}, "/slurm_vm/uid_17/job_17/step_17/task_17", "/slurm_vm/uid_17/job_17"),
        ({"SLURM_JOB_ID": "17"}, "/system.slice/slurmstepd.scope/job_17/step_batch/user/task_0", None),
        ({"SLURM_JOB_ID": "17"}, "/slurm/uid_17/job_170/step_0", ""),
        ({"PBS_JOBID": "17.pbs"}, "/pbs_jobs.service/jobid/17.pbs", "/pbs_jobs.service/jobid/17.pbs"),
        ({"PBS_JOBID": "17.pbs"}, "/pbs_jobs.service/jobid/117.pbs", ""),
        ({"LSB_JOBID": "17"}, "/lsf/cluster1/job.17.4711.1790000000", "/lsf/cluster1/job.17.4711.1790000000"),
        ({"JOB_ID": "17", "SGE_ROOT": "/sge"}, "/UGE/17.1", "/UGE/17.1"),
        ({"JOB_ID": "17"}, "/UGE/17.1", ""),
        ({"_CONDOR_SLOT": "slot1_1"}, "/htcondor/condor_execute_slot1_1@wn7", "/htcondor/condor_execute_slot1_1@wn7"),
        ({"_CONDOR_SLOT": "slot1_1"}, "/htcondor/condor_execute_slot1_11@wn7", ""),
        # A pilot of HTCondor in Slurm: the group of the pilot's own job holds the jobs of others.
        ({"_CONDOR_SLOT": "slot1_1", "SLURM_JOB_ID": "17"}, "/slurm/uid_5/job_17/step_0", ""),
        ({"_CONDOR_JOB_AD": "/x/.job.ad", "SLURM_JOB_ID": "17"}, "/slurm/uid_5/job_17/step_0", ""),
        ({}, "/slurm/uid_5/job_17/step_0", ""),
    ],
)
def test_batch_systems_name_the_groups_of_their_jobs(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], path: str, own: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert cgroup_module._named(path) == (path.partition("/step_")[0] if own is None else own)


# What groups limit and count


def test_the_least_limit_of_all_groups_above_holds(yard: Yard) -> None:
    with a_group("memory", "job_17/step_batch/task_0") as group:
        (group.parent / "memory.limit_in_bytes").write_text(str(300 * MIB))
        (group.parent.parent / "memory.limit_in_bytes").write_text(str(200 * MIB))
        job = yard.start(["sleep", "300"], groups=(group,))

        assert Cgroup(job).limit() == 200 * MIB


def test_a_kill_for_want_of_memory_is_counted_at_the_job_and_in_beats(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with a_group("memory", "job_17/step_batch/task_0") as group:
        (group.parent / "memory.limit_in_bytes").write_text(str(64 * MIB))
        hungry = "import time, os\nif not os.fork():\n x = bytearray(200 * 2**20)\ntime.sleep(300)"
        job = yard.start(python(hungry), groups=(group,))

        found = until(lambda: sample(job, None)[0].oom_kills and sample(job, None)[0], deadline=30)

        assert (found.oom_kills, found.memory_limit, found.state) == (1, 64 * MIB, "S")
        figures = record(job, "top", count=1)["job"]
        assert (figures["oom_kills"], figures["memory_limit"]) == (1, 64 * MIB)
        assert 0 < figures["memory"] <= figures["memory_peak"] < 65 * MIB
        assert record(job, "node")["job"]["oom_kills"] == 1
        end = End(job, 0, Health(job)).whole(time.time(), Exit(1, None, False, "pidfd"))
        assert end.reason == "out of memory"


def test_a_group_that_is_held_back_is_said_to_be(yard: Yard) -> None:
    with a_group("cpu", "job") as group:
        (group / "cpu.cfs_period_us").write_text("10000")
        (group / "cpu.cfs_quota_us").write_text("2000")
        job = yard.start("while :; do :; done", groups=(group,))

        figures = until(lambda: (found := Cgroup(job).figures(1))["throttled"] and found)

        assert figures["cpu_limit"] == 0.2
        until(lambda: (Cgroup(job).figures(1)["throttled_seconds"] or 0) > 0)


def test_shared_memory_counts_once_where_the_group_tells(yard: Yard) -> None:
    workers = "import os, time\nx = bytearray(os.urandom(4096)) * 25600\nfor _ in range(3):\n if not os.fork(): break\n"
    with a_group("memory", "slot") as group:
        job = yard.start(python(workers + "open('ready%d' % os.getpid(), 'w')\ntime.sleep(300)"), groups=(group,))
        until(lambda: len(list(Path(job.sandbox_path).glob("ready*"))) == 4)

        found, _ = sample(job, None)

        summed = sum(row["rss"] for row in record(job, "ps")["processes"])
        assert summed > 400 * MIB
        assert 100 * MIB < found.rss_bytes < 150 * MIB


def test_without_a_limit_of_the_group_that_of_the_address_space_counts_for_each_process(yard: Yard) -> None:
    job = yard.start("sleep 300 & exec sleep 300", limits={resource.RLIMIT_AS: 256 * MIB})
    until(lambda: sample(job, None)[0].processes == 2)

    assert sample(fresh(job), None)[0].memory_limit == Cgroup(job).limit() or 2 * 256 * MIB
    assert least(None, 256 * MIB, 2) == 512 * MIB
    assert least(100, 256 * MIB, 2) == 100
    assert least(None, None, 2) is None


@pytest.fixture
def unified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hierarchy of version 2 as the kernel lays it out, made of files: here its memory belongs to version 1."""
    place = cgroup_module._Place(str(tmp_path), "/slurmstepd.scope/job_17/step_batch", True)
    monkeypatch.setattr(cgroup_module, "_places", lambda pid: {"": place, "memory": place, "cpu": place})
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    (tmp_path / "slurmstepd.scope/job_17/step_batch").mkdir(parents=True)
    return tmp_path / "slurmstepd.scope"


def test_version_2_is_read_the_same_way(unified: Path, yard: Yard) -> None:
    job = yard.start(["sleep", "300"])
    (unified / "job_17/step_batch/memory.max").write_text("max\n")
    (unified / "job_17/memory.max").write_text("1073741824\n")
    (unified / "job_17/memory.high").write_text("1000000000\n")
    (unified / "memory.max").write_text("8589934592\n")
    (unified / "job_17/memory.current").write_text("500\n")
    (unified / "job_17/memory.peak").write_text("900\n")
    (unified / "job_17/memory.events").write_text("low 0\nhigh 3\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n")
    (unified / "job_17/memory.stat").write_text("anon 300\nfile 150\nkernel 20\nshmem 40\nfile_mapped 10\n")
    (unified / "job_17/cpu.max").write_text("150000 100000\n")
    (unified / "job_17/cpu.stat").write_text(
        "usage_usec 2500000\nuser_usec 1\nsystem_usec 1\nnr_periods 9\nnr_throttled 4\nthrottled_usec 70000\n"
    )
    (unified / "job_17/step_batch/cgroup.procs").write_text(f"{job.pid}\n")

    group = Cgroup(job)

    assert group.own == str(unified / "job_17")
    assert group.pids() == [job.pid]
    assert (group.resident(), group.cpu_seconds()) == (350, 2.5)
    assert group.figures(1) == {
        "memory_limit": 1000000000,
        "memory": 500,
        "memory_peak": 900,
        "oom_kills": 2,
        "cpu_limit": 1.5,
        "throttled": 4,
        "throttled_seconds": 0.07,
    }


def test_a_kernel_that_tells_nothing_gives_nothing(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    job = yard.start(["sleep", "300"])
    monkeypatch.setattr(cgroup_module, "read_file", lambda path, longest: b"")

    group = Cgroup(job)

    assert (group.own, group.pids(), set(group.figures(1).values())) == ("", [], {None})


def test_what_a_container_does_not_show_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/7/cgroup": b"5:memory:/docker/abc/job\n4:cpu:/../other\n0::/elsewhere\n",
        "/proc/self/mountinfo": b"35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
        b"36 31 0:33 / /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"
        b"37 31 0:34 /docker/abc /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n",
    }
    monkeypatch.setattr(cgroup_module, "read_file", lambda path, longest: files.get(path, b""))

    places = cgroup_module._places(7)

    assert {name: (place.mount, place.path) for name, place in places.items()} == {
        "memory": ("/sys/fs/cgroup/memory", "/job")
    }


@pytest.mark.parametrize("python", PYTHONS, ids=[python.version for python in PYTHONS])
def test_the_idle_process_may_import_the_vitals(python: Python) -> None:
    agent = Path(cgroup_module.__file__).parent.parent
    line = f"import os, sys; sys.path.insert(0, {str(agent)!r}); before = set(sys.modules); "
    told = subprocess.run(
        [python.path, "-I", "-S", "-B", "-c", line + "import jobmon_agent.vitals; print(*set(sys.modules) - before)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert [name for name in told if not name.startswith("jobmon_")] in ([], ["time"])
