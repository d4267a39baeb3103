"""The batch system is recognised by what it alone sets, the innermost first."""

import json
import os
import subprocess
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
CONDOR = {
    "BATCH_SYSTEM": "HTCondor",
    "_CONDOR_JOB_AD": ".job.ad",
    "_CONDOR_MACHINE_AD": ".machine.ad",
    "_CONDOR_SLOT": "slot1_2",
    "_CONDOR_AssignedGPUs": "CUDA0",
}
MACHINE = """MyType = "Machine"
Name = "slot1_2@wn042.example.org"
Machine = "wn042.example.org"
Cpus = 4
Memory = 8192
"""
AD = """MyType = "Job"
NumShadowStarts = 3
TotalSubmitProcs = 10
ClusterId = 1234
ProcId = 7
GlobalJobId = "schedd.example.org#1234.7#1700000000"
Owner = "alice"
JobBatchName = "fit \\"b\\""
Requirements = (TARGET.Arch == "X86_64") && (OpSys == "LINUX")
"""


CASES: list[tuple[dict[str, str], dict[str, str], str]] = [
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
    # A real job of Slurm 22.05.8, less what concerns its network.
    (
        {
            "SLURMD_NODENAME": "vm",
            "SLURM_CLUSTER_NAME": "testcl",
            "SLURM_CPUS_ON_NODE": "1",
            "SLURM_JOBID": "1",
            "SLURM_JOB_ID": "1",
            "SLURM_JOB_NAME": "job.sh",
            "SLURM_JOB_NODELIST": "vm",
            "SLURM_JOB_PARTITION": "batch",
            "SLURM_JOB_UID": "65534",
            "SLURM_JOB_USER": "nobody",
            "SLURM_LOCALID": "0",
            "SLURM_MEM_PER_NODE": "50",
            "SLURM_NODEID": "0",
            "SLURM_PROCID": "0",
            "SLURM_SUBMIT_DIR": "/scratch/a",
            "SLURM_SUBMIT_HOST": "vm",
            "SLURM_TASK_PID": "28353",
        },
        {
            "system": "slurm",
            "id": "1",
            "queue": "batch",
            "cluster": "testcl",
            "node": "vm",
            "rank": "0",
            "cpus": "1",
            "memory": str(50 * 2**20),
        },
        "job.sh",
    ),
    (
        {"SLURM_JOB_ID": "5", "SLURM_RESTART_COUNT": "2", "SLURM_STEP_ID": "0", "SLURM_JOB_GPUS": "0,1"},
        {"system": "slurm", "id": "5", "step": "0", "restarts": "2", "gpus": "0,1"},
        "",
    ),
    (
        {"SLURM_JOB_ID": "5", "SLURM_MEM_PER_CPU": "10", "SLURM_CPUS_ON_NODE": "4", "CUDA_VISIBLE_DEVICES": "3"},
        {"system": "slurm", "id": "5", "cpus": "4", "memory": str(40 * 2**20), "gpus": "3"},
        "",
    ),
    (
        {"LSB_JOBID": "99", "LSB_JOBINDEX": "0", "LSB_RESTART": "Y", "LSB_DJOB_NUMPROC": "8", "LSB_HOSTS": "a a"},
        {"system": "lsf", "id": "99", "hosts": "a a", "cpus": "8", "restarts": "1"},
        "",
    ),
    (
        {"PBS_JOBID": "123.head", "PBS_ENVIRONMENT": "PBS_BATCH", "NCPUS": "2", "PBS_O_HOST": "login"},
        {"system": "pbs", "id": "123.head", "cluster": "head", "submitted_from": "login", "cpus": "2"},
        "",
    ),
    (
        {"JOB_ID": "7", "SGE_ROOT": "/sge", "RESTARTED": "1", "NSLOTS": "4", "HOSTNAME": "wn1", "SGE_CELL": "default"},
        {"system": "sge", "id": "7", "node": "wn1", "cpus": "4", "restarts": "1", "cluster": "default"},
        "",
    ),
    ({"JOB_ID": "7", "SGE_ROOT": "/sge", "RESTARTED": "0"}, {"system": "sge", "id": "7"}, ""),
    # A real job of Son of Grid Engine 8.1.9.
    (
        {
            "ARC": "lx-amd64",
            "ENVIRONMENT": "BATCH",
            "HOSTNAME": "wn1",
            "JOB_ID": "1",
            "JOB_NAME": "sim",
            "JOB_SCRIPT": "/var/spool/gridengine/execd/wn1/job_scripts/1",
            "NHOSTS": "1",
            "NQUEUES": "1",
            "NSLOTS": "1",
            "QUEUE": "all.q",
            "REQUEST": "sim",
            "RESTARTED": "0",
            "SGE_ACCOUNT": "sge",
            "SGE_CELL": "default",
            "SGE_JOB_SPOOL_DIR": "/var/spool/gridengine/execd/wn1/active_jobs/1.1",
            "SGE_O_HOST": "login",
            "SGE_ROOT": "/var/lib/gridengine",
            "SGE_TASK_FIRST": "undefined",
            "SGE_TASK_ID": "undefined",
            "TMPDIR": "/tmp/1.1.all.q",
        },
        {
            "system": "sge",
            "id": "1",
            "queue": "all.q",
            "cluster": "default",
            "node": "wn1",
            "cpus": "1",
        },
        "sim",
    ),
    ({"CUDA_VISIBLE_DEVICES": "0"}, {}, ""),
    ({"OAR_JOB_ID": "8", "OAR_JOB_NAME": "o"}, {"system": "oar", "id": "8"}, "o"),
    ({"GRID_GLOBAL_JOBURL": "gsiftp://ce/1"}, {"system": "arc", "id": "gsiftp://ce/1"}, ""),
    (
        {"FLUX_JOB_ID": "f1", "FLUX_TASK_RANK": "0", "SLURM_JOB_ID": "9"},
        {"system": "flux", "id": "f1", "rank": "0", "slurm.id": "9"},
        "",
    ),
]

SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from jobmon_agent import batch
json.dump([batch.facts(*asked) for asked in json.load(sys.stdin)], sys.stdout)
"""


@pytest.mark.promise(46)
@pytest.mark.parametrize(("environ", "expected", "name"), CASES)
def test_each_system_is_known_by_its_own_marks(environ: dict[str, str], expected: dict[str, str], name: str) -> None:
    assert facts(environ, "/") == (expected, name)


@pytest.mark.promise(46)
def test_every_python_reads_them_alike(python: Path, tmp_path: Path) -> None:
    (tmp_path / ".job.ad").write_text(AD)
    (tmp_path / ".machine.ad").write_text(MACHINE)
    asked = [(environ, "/") for environ, _, _ in CASES] + [(dict(SLURM, **CONDOR), str(tmp_path))]

    command = [str(python), "-I", "-S", "-c", SCRIPT, str(Path(batch.__file__).parents[1])]
    told = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=60
    ).stdout

    assert json.loads(told) == [list(facts(environ, cwd)) for environ, cwd in asked]


@pytest.mark.promise(46)
def test_condor_is_read_from_the_advertisements_of_job_and_machine(tmp_path: Path) -> None:
    (tmp_path / ".job.ad").write_text(AD)
    (tmp_path / ".machine.ad").write_text(MACHINE)
    expected = {
        "system": "htcondor",
        "id": "1234.7",
        "array": "1234_7",
        "global_id": "schedd.example.org#1234.7#1700000000",
        "cluster": "schedd.example.org",
        "user": "alice",
        "node": "wn042.example.org",
        "slot": "slot1_2",
        "cpus": "4",
        "memory": str(8192 * 2**20),
        "gpus": "CUDA0",
        "restarts": "2",
    }

    assert facts(CONDOR, str(tmp_path)) == (expected, 'fit "b"')
    # A starter that names only its scratch directory.
    scratch = {"BATCH_SYSTEM": "HTCondor", "_CONDOR_SCRATCH_DIR": str(tmp_path), "_CONDOR_AssignedGPUs": "CUDA0"}
    assert facts(scratch, "/") == (dict(expected, slot="slot1_2@wn042.example.org"), 'fit "b"')


@pytest.mark.promise(46)
def test_a_pilot_inside_another_system_gives_both_its_own_first(tmp_path: Path) -> None:
    (tmp_path / ".job.ad").write_text(AD)

    found, name = facts(dict(SLURM, _CONDOR_JOB_AD=str(tmp_path / ".job.ad")), "/")

    assert (found["system"], found["id"], name) == ("htcondor", "1234.7", 'fit "b"')
    assert (found["slurm.id"], found["slurm.array"]) == ("2", "1_3")
    assert list(found).index("id") < list(found).index("slurm.id")


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
