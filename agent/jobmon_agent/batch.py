"""What the batch system's environment says of the job.

Batch systems nest: a pilot of HTCondor is itself a job of Slurm.  The innermost
one gives the plain labels (``system``, ``id``, ``array``, ``queue``, ...); those
around it give theirs with the system in front, as ``slurm.id``.  A job may set
any of these variables: they are for searching, never for deciding.
"""

import os
import re
import stat
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from jobmon_wire import limits

Environment = Dict[str, str]
Facts = Dict[str, str]

LONGEST = 1024  # characters of one label; a PBS job id with its server is below 300
_AD_BYTES = 256 * 1024  # of a ClassAd; a job's has some 10 KiB
_POD_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


class System(NamedTuple):
    """One batch system: how to know it, and what it tells."""

    name: str
    is_here: Callable[[Environment], bool]
    read: Callable[[Environment, str], Facts]  # of the environment and the working directory


def facts(environ: Environment, cwd: str) -> Tuple[Facts, str]:
    """The labels and the job's name in its batch system, both empty outside of one.

    Args:
        environ: of the job.
        cwd: its working directory, to which a relative name in the environment refers.
    """
    labels: Facts = {}
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
    return dict(list(labels.items())[: limits.BATCH_LABELS]), name


def _htcondor(environ: Environment, cwd: str) -> Facts:
    path = environ.get("_CONDOR_JOB_AD") or os.path.join(environ.get("_CONDOR_SCRATCH_DIR", ""), ".job.ad")
    advertisement = _read_ad(os.path.join(cwd, path))
    cluster, process = advertisement.get("clusterid", ""), advertisement.get("procid", "")
    return {
        "id": "%s.%s" % (cluster, process) if cluster and process else "",
        "global_id": advertisement.get("globaljobid", ""),
        "cluster": advertisement.get("globaljobid", "").partition("#")[0],  # the queue's host
        "user": advertisement.get("owner", ""),
        "slot": environ.get("_CONDOR_SLOT", ""),
        "gpus": environ.get("_CONDOR_AssignedGPUs", ""),
        "name": advertisement.get("jobbatchname", ""),
    }


def _slurm(environ: Environment, cwd: str) -> Facts:
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
            name="SLURM_JOB_NAME",
        ),
        # A task has a job id of its own; what users type is ARRAY_TASK.
        array=_array(environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")),
        memory=_megabytes(environ.get("SLURM_MEM_PER_NODE")),
    )


def _lsf(environ: Environment, cwd: str) -> Facts:
    index = environ.get("LSB_JOBINDEX")
    return dict(
        _named(environ, id="LSB_JOBID", queue="LSB_QUEUE", hosts="LSB_HOSTS", name="LSB_JOBNAME"),
        array=_array(environ.get("LSB_JOBID"), None if index == "0" else index),
    )


def _pbs(environ: Environment, cwd: str) -> Facts:
    # 123.server, or 123[4].server for a task of an array.
    number, _, server = environ.get("PBS_JOBID", "").partition(".")
    index = environ.get("PBS_ARRAY_INDEX") or environ.get("PBS_ARRAYID") or "".join(re.findall(r"\[(\d+)\]", number))
    return dict(
        _named(environ, id="PBS_JOBID", queue="PBS_QUEUE", submitted_from="PBS_O_HOST", name="PBS_JOBNAME"),
        cluster=server or environ.get("PBS_SERVER", ""),
        array=_array(re.split(r"[\[-]", number)[0], index),
    )


def _sge(environ: Environment, cwd: str) -> Facts:
    task = environ.get("SGE_TASK_ID")
    return dict(
        _named(
            environ,
            id="JOB_ID",
            queue="QUEUE",
            node="HOSTNAME",
            cpus="NSLOTS",
            restarts="RESTARTED",
            name="JOB_NAME",
        ),
        cluster=environ.get("SGE_CLUSTER_NAME") or environ.get("SGE_CELL", ""),
        array=_array(environ.get("JOB_ID"), None if task == "undefined" else task),
    )


def _kubernetes(environ: Environment, cwd: str) -> Facts:
    pod = environ.get("HOSTNAME", "")
    return {
        "id": pod,
        "namespace": _read(_POD_NAMESPACE).decode("utf-8", "replace").strip(),
        "array": _array(pod, environ.get("JOB_COMPLETION_INDEX")),
    }


def _is_sge(environ: Environment) -> bool:
    # JOB_ID alone is a name that anything may use.
    return "JOB_ID" in environ and ("SGE_ROOT" in environ or "SGE_JOB_SPOOL_DIR" in environ)


def _is_kubernetes(environ: Environment) -> bool:
    return "KUBERNETES_SERVICE_HOST" in environ and bool(_read(_POD_NAMESPACE))


def _has(*names: str) -> Callable[[Environment], bool]:
    return lambda environ: any(environ.get(name) for name in names)


# Innermost first: those in front run as jobs of those behind.
SYSTEMS: Tuple[System, ...] = (
    System("htcondor", lambda e: bool(e.get("_CONDOR_JOB_AD")) or e.get("BATCH_SYSTEM") == "HTCondor", _htcondor),
    System("slurm", _has("SLURM_JOB_ID"), _slurm),
    System("lsf", _has("LSB_JOBID"), _lsf),
    System("pbs", _has("PBS_JOBID"), _pbs),
    System("sge", _is_sge, _sge),
    System("flux", _has("FLUX_JOB_ID"), lambda e, _: _named(e, id="FLUX_JOB_ID", rank="FLUX_TASK_RANK")),
    System("oar", _has("OAR_JOB_ID"), lambda e, _: _named(e, id="OAR_JOB_ID", name="OAR_JOB_NAME")),
    System("arc", _has("GRID_GLOBAL_JOBURL"), lambda e, _: _named(e, id="GRID_GLOBAL_JOBURL")),
    System("kubernetes", _is_kubernetes, _kubernetes),
)


def _named(environ: Environment, **names: str) -> Facts:
    return {label: environ.get(name, "") for label, name in names.items()}


def _array(job: Optional[str], task: Optional[str]) -> str:
    return "%s_%s" % (job, task) if job and task else ""


def _megabytes(count: Optional[str]) -> str:
    return str(int(count) * limits.MIB) if count and count.isdigit() else ""


def _read_ad(path: str) -> Facts:
    """The plain attributes of a ClassAd, by their names in lower case; texts without their quotes."""
    found: Facts = {}
    lines: List[str] = _read(path).decode("utf-8", "replace").splitlines()
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
