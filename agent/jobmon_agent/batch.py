"""What the batch system's environment says of the job.

Batch systems nest: a pilot of HTCondor is itself a job of Slurm.  The innermost
one gives the plain labels (``system``, ``id``, ``array``, ``queue``, ...); those
around it give theirs with the system in front, as ``slurm.id``.  A job may set
any of these variables: they are for searching, never for deciding.
"""

import os
import re
import stat

from jobmon_wire import limits
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple

    Environment = Dict[str, str]
    Facts = Dict[str, str]

LONGEST = 1024  # characters of one label; a PBS job id with its server is below 300
_AD_BYTES = 256 * 1024  # of a ClassAd; a job's has some 10 KiB
_POD_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


class System(NamedTuple):
    """One batch system: how to know it, and what it tells."""

    name: str
    is_here: "Callable[[Environment], bool]"
    read: "Callable[[Environment, str], Facts]"  # of the environment and the working directory


def facts(environ: "Environment", cwd: str) -> "Tuple[Facts, str]":
    """The labels and the job's name in its batch system, both empty outside of one.

    Args:
        environ: of the job.
        cwd: its working directory, to which a relative name in the environment refers.
    """
    labels: "Facts" = {}
    name = ""
    for system in SYSTEMS:
        if not system.is_here(environ):
            continue
        found = {key: value[:LONGEST] for key, value in system.read(environ, cwd).items() if value}
        own_name = found.pop("name", "")
        if not labels:
            labels = dict({"system": system.name}, **found)
            name = own_name
        else:
            labels.update(("%s.%s" % (system.name, key), value) for key, value in found.items())
    if labels and "gpus" not in labels:
        labels.update(_named_gpus(environ))
    return dict(list(labels.items())[: limits.BATCH_LABELS]), name


def _htcondor(environ: "Environment", cwd: str) -> "Facts":
    job = _read_condor(environ, cwd, "_CONDOR_JOB_AD", ".job.ad")
    machine = _read_condor(environ, cwd, "_CONDOR_MACHINE_AD", ".machine.ad")
    cluster, process = job.get("clusterid", ""), job.get("procid", "")
    is_array = _number(job.get("totalsubmitprocs")) > 1
    return {
        "id": "%s.%s" % (cluster, process) if cluster and process else "",
        "array": _array(cluster, process) if is_array else "",
        "global_id": job.get("globaljobid", ""),
        "cluster": job.get("globaljobid", "").partition("#")[0],  # the queue's host
        "user": job.get("owner", ""),
        "node": machine.get("machine", ""),
        "slot": environ.get("_CONDOR_SLOT") or machine.get("name", ""),
        "cpus": machine.get("cpus", ""),
        "memory": _megabytes(machine.get("memory")),
        "gpus": environ.get("_CONDOR_AssignedGPUs", ""),
        # Counted before the job starts.
        "restarts": _above_zero(_number(job.get("numshadowstarts")) - 1),
        "name": job.get("jobbatchname", ""),
    }


def _slurm(environ: "Environment", cwd: str) -> "Facts":
    memory = _megabytes(environ.get("SLURM_MEM_PER_NODE"))
    if not memory and environ.get("SLURM_MEM_PER_CPU"):
        memory = _megabytes(str(_number(environ["SLURM_MEM_PER_CPU"]) * _number(environ.get("SLURM_CPUS_ON_NODE"))))
    return dict(
        _named(
            environ,
            id="SLURM_JOB_ID",
            queue="SLURM_JOB_PARTITION",
            cluster="SLURM_CLUSTER_NAME",
            node="SLURMD_NODENAME",
            step="SLURM_STEP_ID",
            rank="SLURM_PROCID",
            restarts="SLURM_RESTART_COUNT",
            end_time="SLURM_JOB_END_TIME",
            cpus="SLURM_CPUS_ON_NODE",
            gpus="SLURM_JOB_GPUS",
            name="SLURM_JOB_NAME",
        ),
        # A task has a job id of its own; what users type is ARRAY_TASK.
        array=_array(environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")),
        memory=memory,
    )


def _lsf(environ: "Environment", cwd: str) -> "Facts":
    index = environ.get("LSB_JOBINDEX")
    return dict(
        _named(
            environ,
            id="LSB_JOBID",
            queue="LSB_QUEUE",
            hosts="LSB_HOSTS",
            cpus="LSB_DJOB_NUMPROC",
            name="LSB_JOBNAME",
        ),
        array=_array(environ.get("LSB_JOBID"), None if index == "0" else index),
        restarts="1" if environ.get("LSB_RESTART") == "Y" else "",
    )


def _pbs(environ: "Environment", cwd: str) -> "Facts":
    # 123.server, or 123[4].server for a task of an array.
    number, _, server = environ.get("PBS_JOBID", "").partition(".")
    index = environ.get("PBS_ARRAY_INDEX") or environ.get("PBS_ARRAYID") or "".join(re.findall(r"\[(\d+)\]", number))
    nodes = _read(os.path.join(cwd, environ.get("PBS_NODEFILE", ""))).decode("utf-8", "replace").split()
    return dict(
        _named(
            environ,
            id="PBS_JOBID",
            queue="PBS_QUEUE",
            submitted_from="PBS_O_HOST",
            name="PBS_JOBNAME",
        ),
        cluster=server or environ.get("PBS_SERVER", ""),
        array=_array(re.split(r"[\[-]", number)[0], index),
        node=nodes[0] if nodes else "",
        cpus=environ.get("NCPUS") or environ.get("PBS_NP", ""),
    )


def _sge(environ: "Environment", cwd: str) -> "Facts":
    task, restarted = environ.get("SGE_TASK_ID"), environ.get("RESTARTED", "")
    return dict(
        _named(
            environ,
            id="JOB_ID",
            queue="QUEUE",
            node="HOSTNAME",
            cpus="NSLOTS",
            name="JOB_NAME",
        ),
        cluster=environ.get("SGE_CLUSTER_NAME") or environ.get("SGE_CELL", ""),
        array=_array(environ.get("JOB_ID"), None if task == "undefined" else task),
        restarts="" if restarted == "0" else restarted,
    )


def _kubernetes(environ: "Environment", cwd: str) -> "Facts":
    pod = environ.get("HOSTNAME", "")
    return {
        "id": pod,
        "namespace": _read(_POD_NAMESPACE).decode("utf-8", "replace").strip(),
        "array": _array(pod, environ.get("JOB_COMPLETION_INDEX")),
    }


def _is_sge(environ: "Environment") -> bool:
    # JOB_ID alone is a name that anything may use.
    return "JOB_ID" in environ and ("SGE_ROOT" in environ or "SGE_JOB_SPOOL_DIR" in environ)


def _is_kubernetes(environ: "Environment") -> bool:
    return "KUBERNETES_SERVICE_HOST" in environ and bool(_read(_POD_NAMESPACE))


def _has(*names: str) -> "Callable[[Environment], bool]":
    return lambda environ: any(environ.get(name) for name in names)


# Innermost first: those in front run as jobs of those behind.
SYSTEMS: "Tuple[System, ...]" = (
    System("htcondor", lambda e: bool(e.get("_CONDOR_JOB_AD")) or e.get("BATCH_SYSTEM") == "HTCondor", _htcondor),
    # An instance of Flux is often a job of Slurm, whose variables its own jobs inherit.
    System("flux", _has("FLUX_JOB_ID"), lambda e, _: _named(e, id="FLUX_JOB_ID", rank="FLUX_TASK_RANK")),
    System("slurm", _has("SLURM_JOB_ID"), _slurm),
    System("lsf", _has("LSB_JOBID"), _lsf),
    System("pbs", _has("PBS_JOBID"), _pbs),
    System("sge", _is_sge, _sge),
    System("oar", _has("OAR_JOB_ID"), lambda e, _: _named(e, id="OAR_JOB_ID", name="OAR_JOB_NAME")),
    System("arc", _has("GRID_GLOBAL_JOBURL"), lambda e, _: _named(e, id="GRID_GLOBAL_JOBURL")),
    System("kubernetes", _is_kubernetes, _kubernetes),
)


def _named(environ: "Environment", **names: str) -> "Facts":
    return {label: environ.get(name, "") for label, name in names.items()}


def _named_gpus(environ: "Environment") -> "Facts":
    found = environ.get("CUDA_VISIBLE_DEVICES") or environ.get("NVIDIA_VISIBLE_DEVICES", "")
    return {"gpus": found[:LONGEST]} if found and found != "void" else {}


def _array(job: "Optional[str]", task: "Optional[str]") -> str:
    return "%s_%s" % (job, task) if job and task else ""


def _megabytes(count: "Optional[str]") -> str:
    return _above_zero(_number(count) * limits.MIB)


def _number(text: "Optional[str]") -> int:
    """A count in the environment or an advertisement; 0 for anything else."""
    return int(text) if text and text.isdecimal() and len(text) < 16 else 0


def _above_zero(count: int) -> str:
    return str(count) if count > 0 else ""


def _read_condor(environ: "Environment", cwd: str, variable: str, usual: str) -> "Facts":
    path = environ.get(variable) or os.path.join(environ.get("_CONDOR_SCRATCH_DIR", ""), usual)
    return _read_ad(os.path.join(cwd, path))


def _read_ad(path: str) -> "Facts":
    """The plain attributes of a ClassAd, by their names in lower case; texts without their quotes."""
    found: "Facts" = {}
    lines: "List[str]" = _read(path).decode("utf-8", "replace").splitlines()
    for line in lines:
        key, equals, value = line.partition("=")
        value = value.strip()
        if len(value) >= 2 and value.startswith('"') and value.endswith('"'):
            value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        if equals:
            found[key.strip().lower()] = value
    return found


def _read(path: str) -> bytes:
    """The start of a regular file, or nothing; a pipe at the path is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, _AD_BYTES) if is_file else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)
