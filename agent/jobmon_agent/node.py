"""The node the job runs on: what registration says of it, and the verb `node`."""

import os
import sys

from jobmon_agent import VERSION, batch
from jobmon_agent.gpu import gpus
from jobmon_agent.job import Job
from jobmon_agent.members import Members, group_of
from jobmon_agent.processes import user_name
from jobmon_wire import frames, limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, Tuple

_INFO_BYTES = 64 * 1024  # of /proc/meminfo, and of /proc/cpuinfo, whose first processor is enough

# Our names of what /proc/meminfo says.
_MEMORY = {
    "memory": b"MemTotal",
    "memory_available": b"MemAvailable",
    "swap": b"SwapTotal",
    "swap_free": b"SwapFree",
}


def facts() -> "Dict[str, Any]":
    """What does not change while the job runs: node, cpus, memory (bytes), kernel, user."""
    name = os.uname()
    return {
        "node": name.nodename,
        "cpus": os.cpu_count() or 1,
        "memory": memory(("memory",))["memory"],
        "kernel": "%s %s" % (name.sysname, name.release),
        "user": user_name(),
    }


def node(job: Job, arguments: "Dict[str, Any]") -> "Iterator[Tuple[int, Dict[str, Any]]]":
    """Yield one RECORD."""
    labels, _ = batch.facts(dict(os.environ), job.sandbox_path)
    document = dict(facts(), **load())
    document.update(memory(_MEMORY))
    document.update(
        cpu_model=cpu_model(),
        uptime=_uptime(),
        disk=disk(job.sandbox),
        cwd=job.sandbox_path,
        python="%d.%d.%d" % sys.version_info[:3],
        agent=VERSION,
        mode=job.mode,
        batch=labels,
        job=_allowed(job),
    )
    yield frames.RECORD, document


def _allowed(job: Job) -> "Dict[str, Any]":
    """What of the node the job may use and uses: its control groups' figures and its GPUs."""
    members = Members(job).scan()
    on_gpus = gpus(list(members))
    return dict(
        group_of(job).figures(len(members)),
        rss=min(sum(process.rss for process in members.values()), limits.INTEGER),
        gpus=on_gpus.devices if on_gpus else [],
    )


def load() -> "Dict[str, Any]":
    """The node's load of 1, 5 and 15 minutes, and its processors."""
    try:
        averages = [round(average, 2) for average in os.getloadavg()]
    except OSError:
        averages = [0.0, 0.0, 0.0]
    return {"load": averages, "cpus": os.cpu_count() or 1}


def memory(wanted: "Iterable[str]") -> "Dict[str, int]":
    """Figures of the node's memory in bytes; 0 where the kernel does not tell."""
    lines = (line.partition(b":") for line in _read("/proc/meminfo").splitlines())
    known = {key: value.split() for key, _, value in lines}
    return {name: int((known.get(_MEMORY[name]) or [b"0"])[0]) * limits.KIB for name in wanted}


def cpu_model() -> str:
    """The name of the first processor, or empty."""
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(b":")
        if key.strip() in (b"model name", b"Processor", b"cpu"):  # x86, ARM, POWER
            return value.strip().decode("utf-8", "replace")
    return ""


def disk(directory: int) -> "Dict[str, int]":
    """Size of the file system that holds a directory and what a user may still write there, in bytes."""
    try:
        status = os.fstatvfs(directory)
    except OSError:
        return {"size": 0, "free": 0}
    size, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
    return {"size": min(size, limits.INTEGER), "free": min(free, limits.INTEGER)}


def _uptime() -> float:
    return float((_read("/proc/uptime").split() or [b"0"])[0])


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _INFO_BYTES)
    finally:
        os.close(descriptor)
