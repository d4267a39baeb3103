"""The batch system is recognised by what it alone sets, the innermost first."""

import os
from pathlib import Path

import pytest

from jobmon_agent import batch
from jobmon_agent.batch import facts
from jobmon_wire import limits
from jobmon_wire.documents import labels

SLURM = {
    "SLURM_JOB_ID": "2",
    "SLURM_ARRAY_JOB_ID": "1",
    "SLURM_ARRAY_TASK_ID": "3",
    "SLURM_JOB_PARTITION": "long",
    "SLURM_CLUSTER_NAME": "caf",
    "SLURMD_NODENAME": "wn042",
    "SLURM_JOB_END_TIME": "1795395122",
    "SLURM_MEM_PER_NODE": "50",
    "SLURM_JOB_NAME": "train",
}
AD = """MyType = "Job"
ClusterId = 1234
ProcId = 7
GlobalJobId = "schedd.example.org#1234.7#1700000000"
Owner = "alice"
JobBatchName = "fit \\"b\\""
Requirements = (TARGET.Arch == "X86_64") && (OpSys == "LINUX")
"""


@pytest.mark.parametrize(
    ("environ", "expected", "name"),
    [
        ({}, {}, ""),
        ({"JOB_ID": "7"}, {}, ""),
        (
            SLURM,
            {
                "system": "slurm",
                "id": "2",
                "array": "1_3",
                "queue": "long",
                "cluster": "caf",
                "node": "wn042",
                "end_time": "1795395122",
                "memory": str(50 * 2**20),
            },
            "train",
        ),
        (
            {"LSB_JOBID": "99", "LSB_JOBINDEX": "4", "LSB_QUEUE": "night", "LSB_JOBNAME": "sim[1-9]"},
            {"system": "lsf", "id": "99", "array": "99_4", "queue": "night"},
            "sim[1-9]",
        ),
        ({"LSB_JOBID": "99", "LSB_JOBINDEX": "0"}, {"system": "lsf", "id": "99"}, ""),
        (
            {"PBS_JOBID": "123[4].head", "PBS_QUEUE": "work", "PBS_JOBNAME": "p"},
            {"system": "pbs", "id": "123[4].head", "array": "123_4", "queue": "work", "cluster": "head"},
            "p",
        ),
        (
            {"PBS_JOBID": "123-5.head", "PBS_ARRAYID": "5"},
            {"system": "pbs", "id": "123-5.head", "array": "123_5", "cluster": "head"},
            "",
        ),
        (
            {"JOB_ID": "7", "SGE_ROOT": "/sge", "SGE_TASK_ID": "undefined", "QUEUE": "all.q", "JOB_NAME": "g"},
            {"system": "sge", "id": "7", "queue": "all.q"},
            "g",
        ),
        (
            {"JOB_ID": "7", "SGE_JOB_SPOOL_DIR": "/s", "SGE_TASK_ID": "2"},
            {"system": "sge", "id": "7", "array": "7_2"},
            "",
        ),
        ({"FLUX_JOB_ID": "f1"}, {"system": "flux", "id": "f1"}, ""),
    ],
)
def test_each_system_is_known_by_its_own_marks(environ: dict[str, str], expected: dict[str, str], name: str) -> None:
    assert facts(environ, "/") == (expected, name)


def test_condor_is_read_from_the_jobs_advertisement(tmp_path: Path) -> None:
    (tmp_path / ".job.ad").write_text(AD)
    environ = {"_CONDOR_JOB_AD": ".job.ad", "_CONDOR_SLOT": "slot1_2"}

    assert facts(environ, str(tmp_path)) == (
        {
            "system": "htcondor",
            "id": "1234.7",
            "global_id": "schedd.example.org#1234.7#1700000000",
            "cluster": "schedd.example.org",
            "user": "alice",
            "slot": "slot1_2",
        },
        'fit "b"',
    )


def test_a_pilot_inside_another_system_gives_both_its_own_first(tmp_path: Path) -> None:
    (tmp_path / ".job.ad").write_text(AD)

    found, name = facts(dict(SLURM, _CONDOR_JOB_AD=str(tmp_path / ".job.ad")), "/")

    assert (found["system"], found["id"], name) == ("htcondor", "1234.7", 'fit "b"')
    assert (found["slurm.id"], found["slurm.array"]) == ("2", "1_3")


def test_a_pod_is_told_by_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "fit-7-x2b", "JOB_COMPLETION_INDEX": "7"}
    monkeypatch.setattr(batch, "_POD_NAMESPACE", str(tmp_path / "namespace"))
    assert facts(environ, "/") == ({}, "")

    (tmp_path / "namespace").write_text("physics\n")

    assert facts(environ, "/")[0] == {
        "system": "kubernetes",
        "id": "fit-7-x2b",
        "namespace": "physics",
        "array": "fit-7-x2b_7",
    }


def test_an_advertisement_that_is_missing_or_a_pipe_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "none", tmp_path / "pipe", tmp_path, "nul\0"):
        assert facts({"_CONDOR_JOB_AD": str(path)}, "/") == ({"system": "htcondor"}, "")


def test_labels_fit_the_wire_whatever_the_environment_holds(tmp_path: Path) -> None:
    everything = dict(
        SLURM,
        LSB_JOBID="1",
        PBS_JOBID="1.x",
        JOB_ID="1",
        SGE_ROOT="/",
        FLUX_JOB_ID="1",
        OAR_JOB_ID="1",
        QUEUE="x" * 10**5,
    )

    found, _ = facts(dict(everything, SLURM_JOB_PARTITION="y" * 10**5, BATCH_SYSTEM="HTCondor"), str(tmp_path))

    assert labels({"batch": found}, "batch") == found
    assert len(found) <= limits.BATCH_LABELS
    assert found["system"] == "htcondor"
