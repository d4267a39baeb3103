"""Jobs of a real Slurm are shown as what becomes of them: followed, cancelled, timed out, requeued, out of memory.

What Slurm says is read where the job's user can read it; Slurm itself is not asked.
"""

import json
import shutil
from pathlib import Path

import pytest

from tests.batch.conftest import LIMIT, Cluster, Submitted
from tests.batch.slurm import CGROUP, KILL_WAIT, PLAIN

DEPLOY = Path(__file__).parents[2] / "deploy"
FOREVER = "while :; do sleep 0.2; done"
REQUEUED = 200.0  # s; of itself Slurm starts a requeued job after two minutes
IN_CGROUPS = pytest.mark.parametrize("cluster", [CGROUP], indirect=True)
WITHOUT = pytest.mark.parametrize("cluster", [PLAIN], indirect=True)
BOTH_MODES = pytest.mark.parametrize("mode", ["--exec", "--wrap"])


@pytest.fixture(scope="session")
def overdue(cluster: Cluster) -> Submitted:
    """A job beyond its time: Slurm looks every 30 s only, so others' tests go on meanwhile."""
    job = cluster.submit(f"echo begun; {FOREVER}", "--time=1")
    job.when("running")
    # Not as the user, who may shorten a limit to whole minutes only.
    cluster.slurm.root_runs("scontrol", "update", f"JobId={job.number}", "EndTime=now+1")
    return job


@pytest.fixture(autouse=True)
def _begin_early(overdue: Submitted) -> None:
    """Have it submitted before the first test."""


def test_a_job_is_followed_to_its_end(cluster: Cluster) -> None:
    job = cluster.submit("for i in 1 2 3 4 5 6; do echo line $i; sleep 0.3; done; exit 3")
    job.when("running")
    followed = cluster.site.jobmon("tail", "-f", "-n", "1000", job.name)
    row = job.when("ended")

    assert followed.stdout.splitlines() == [f"line {number}" for number in range(1, 7)]
    assert followed.returncode == 0
    assert (row["exit"]["code"], row["reason"]) == (3, None)
    assert (row["batch"]["system"], row["batch"]["id"], row["batch"]["cluster"]) == ("slurm", job.number, "testcl")
    assert row["tags"] == {"project": "apollo"}
    assert "ended 3" in job.shown()
    if cluster.slurm.flavour == CGROUP:
        # Nothing outlives the job there, so by itself the agent takes the mode that holds the end up.
        shown = json.loads(cluster.site.jobmon("show", "--json", job.name).stdout)
        assert shown["registration"]["mode"] == "wrap"


@WITHOUT
def test_top_and_ps_show_what_the_job_runs(cluster: Cluster) -> None:
    job = cluster.submit("sleep 61 & sleep 62 & wait")
    job.when("running")
    cluster.wait(lambda: cluster.site.jobmon("ps", job.name).stdout.count("sleep 6") >= 2)
    top = cluster.site.jobmon("top", "-n", "1", job.name)

    assert top.stdout.count("sleep") >= 2, top.stderr
    cluster.slurm.user_runs("scancel", job.number)


@BOTH_MODES
def test_a_cancelled_job_says_cancelled_and_not_merely_term(cluster: Cluster, mode: str) -> None:
    job = cluster.submit("echo begun; exec sleep 60", agent=mode)
    job.when("running")
    cluster.slurm.user_runs("scancel", job.number)
    if cluster.slurm.flavour == CGROUP and mode == "--exec":
        row = cluster.site.wait_for(job.name, lambda row: row["state"] != "running", LIMIT)
        # The agent is killed a millisecond after its job; half of the ends are told all the same.
        assert row["state"] in ("silent", "ended")
        assert row["reason"] in (None, "cancelled")
        return
    row = job.when("ended")

    assert (row["exit"]["signal"], row["reason"]) == ("TERM", "cancelled")
    assert "ended TERM, cancelled" in job.shown()
    assert job.log()[-1].startswith("cancelled: exit TERM")
    cluster.wait(lambda: cluster.slurm.state(job.number) == "CANCELLED")


def test_a_job_beyond_its_time_says_time_limit(cluster: Cluster, overdue: Submitted) -> None:
    row = overdue.when("ended", 60 + LIMIT)

    assert (row["exit"]["signal"], row["reason"]) == ("TERM", "time limit")
    assert "ended TERM, time limit" in overdue.shown()
    assert overdue.log()[-1].startswith("time limit: exit TERM")
    assert "begun" in cluster.site.jobmon("tail", overdue.name).stdout


def test_a_requeued_job_says_so_and_comes_back_running(cluster: Cluster) -> None:
    job = cluster.submit(f"echo begun; {FOREVER}", "--requeue")
    first = job.when("running")
    cluster.slurm.user_runs("scontrol", "requeue", job.number)
    ended = job.when("ended")
    shown = job.shown()
    cluster.wait(lambda: cluster.slurm.hasten(job.number), REQUEUED)
    second = job.when("running")
    log = job.log()

    assert (ended["exit"]["signal"], ended["reason"]) == ("TERM", "requeued")
    assert "ended TERM, requeued" in shown
    assert (second["uuid"], second["batch"]["id"]) == (first["uuid"], job.number)
    assert (second["batch"]["restarts"], second["exit"], second["reason"]) == ("1", None, None)
    assert [text.partition(", process")[0] for text in log if text.startswith("runs on")] == [
        f"runs on {first['node']}"
    ] * 2
    assert log[-1].endswith("restart 1")
    assert any(text.startswith("requeued: exit TERM") for text in log)
    cluster.slurm.user_runs("scancel", job.number)


@IN_CGROUPS
def test_tasks_of_an_array_are_found_by_what_users_call_them(cluster: Cluster) -> None:
    job = cluster.submit("echo task $SLURM_ARRAY_TASK_ID; sleep 60", "--array=1-3", tasks=3)
    wanted = f"{job.number}_2"

    def rows() -> list[dict[str, object]]:
        found = cluster.site.rows(f"array={wanted}", "state:running")
        return found if len(cluster.site.rows(f"array:{job.number}_")) == 3 else []

    [row] = cluster.wait(rows)
    shown = cluster.site.jobmon("jobs", f"array:{wanted}", "--columns", "id,batch", "--no-header")
    output = cluster.site.jobmon("tail", str(row["id"]))
    by_id = cluster.site.rows(f"batch:{row['batch']['id']}")  # type: ignore[index]

    assert str(row["id"]).endswith("-2")
    assert f"array={wanted}" in shown.stdout
    assert output.stdout == "task 2\n"
    assert row["id"] in [each["id"] for each in by_id]
    cluster.slurm.user_runs("scancel", job.number)


@IN_CGROUPS
def test_a_job_killed_for_memory_says_so(cluster: Cluster) -> None:
    eat = 'x = bytearray(10**6)\nimport time\ntime.sleep(1)\ny = b"x" * (300 * 10**6)\n'
    job = cluster.submit(f"echo begun; {'/usr/bin/python3'} eat.py", "--mem=100M")
    (job.directory / "eat.py").write_text(eat)
    row = job.when("ended")

    assert row["exit"]["code"] in (137, 1)
    assert row["reason"] == "out of memory"
    assert "out of memory" in job.shown()
    cluster.wait(lambda: cluster.slurm.state(job.number) == "OUT_OF_MEMORY")


@IN_CGROUPS
def test_a_job_killed_together_with_its_agent_is_silent_and_says_why(cluster: Cluster) -> None:
    job = cluster.submit(f'trap "" TERM; echo begun; {FOREVER}')
    job.when("running")
    cluster.slurm.user_runs("scancel", "--full", job.number)
    told = cluster.site.wait_for(job.name, lambda row: row["reason"] == "cancelled", KILL_WAIT + LIMIT)
    over = cluster.site.wait_for(job.name, lambda row: row["state"] != "running", KILL_WAIT + LIMIT)

    assert "the batch system says: cancelled" in job.log() or told["state"] == "ended"
    assert over["state"] in ("silent", "ended")
    assert "cancelled" in job.shown()


@IN_CGROUPS
@BOTH_MODES
def test_a_step_of_srun_is_a_job_of_its_own(cluster: Cluster, mode: str) -> None:
    job = cluster.submit("echo in a step; sleep 1; exit 5", agent=mode, launcher="srun")
    cluster.wait(lambda: cluster.slurm.state(job.number) == "FAILED")
    row = cluster.site.wait_for(job.name, lambda row: True)

    assert (row["batch"]["id"], row["batch"]["step"], row["batch"]["rank"]) == (job.number, "0", "0")
    assert "in a step" in (job.directory / "out").read_text()
    if mode == "--wrap":
        assert job.when("ended")["exit"]["code"] == 5


@IN_CGROUPS
@pytest.mark.parametrize(
    ("script", "ids", "prints"),
    [
        ("slurm-job.sh", ["sim-42"], "simulates --events 100000\n"),
        ("slurm-array.sh", [f"sim-{task}" for task in range(1, 11)], "simulates --seed 10\n"),
        ("slurm-steps.sh", ["fit-0", "fit-1"], "simulates --part 1\n"),
    ],
)
def test_the_examples_do_what_they_say(cluster: Cluster, script: str, ids: list[str], prints: str) -> None:
    directory = cluster.slurm.directory(script)
    (directory / "simulate").write_text('#!/bin/sh\necho "simulates $*"\nsleep 1\nexit 4\n')
    shutil.copy(DEPLOY / script, directory)
    shutil.copy(cluster.agent, directory)
    for path in directory.iterdir():
        path.chmod(0o755)
    cluster.give_credentials(ids, directory)
    cluster.slurm.user_runs("sbatch", "--mem=50M", script, cwd=directory)
    rows = [cluster.site.wait_for(name, lambda row: row["state"] == "ended", LIMIT) for name in ids]

    assert [row["exit"]["code"] for row in rows] == [4] * len(ids)
    assert {row["batch"]["system"] for row in rows} == {"slurm"}
    assert cluster.site.jobmon("tail", ids[-1]).stdout == prints
