"""The verb `ps`: the job's processes, everything known of each."""

import os

from jobmon_agent.gpu import gpus
from jobmon_agent.job import Job
from jobmon_agent.members import Members
from jobmon_agent.proc import (
    TICKS,
    Process,
    boot_id,
    boot_moment,
    command,
    exact_start,
    open_files,
    owner,
    share_of_memory,
    text,
    transferred,
)
from jobmon_agent.rows import records
from jobmon_agent.usage import cpu_since
from jobmon_wire import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

# Resident bytes up to which memory maps are read unasked: 8 ms for the kernel, in which the process cannot map.
MAP_LIMIT = 512 * limits.MIB
_REFUSAL = "pid %d has %.1f GiB resident: reading its memory map would hold it up for up to %.2f s; force it if it may"
_STALL = 0.06  # s that a process was seen held up for each GiB, at most


def ps(job: Job, arguments: "Dict[str, Any]") -> "Iterator[Tuple[int, Dict[str, Any]]]":
    """Yield the members as RECORDs, parents before their children, the older first."""
    return records("processes", rows(job, arguments.get("pss", False), arguments.get("force", False)))


def rows(job: Job, with_share: bool = False, is_forced: bool = False) -> "Iterator[Dict[str, Any]]":
    """One object for each member.

    Args:
        job: whose.
        with_share: also the proportional share of memory, where that does no harm.
        is_forced: also where it does.
    """
    members, booted, boot, users = Members(job).scan(), boot_moment(), boot_id(), Users()
    percent = cpu_since(job, members)
    on_gpus = gpus(list(members))
    for process in _in_order(members):
        read, written = transferred(process.pid)
        row = {
            "pid": process.pid,
            "ppid": process.ppid,
            "state": process.state,
            "name": text(process.name),
            "command": text(command(process, limits.TEXT)),
            "user": users.name(owner(process.pid)),
            "cpu_percent": percent.get(process.pid),
            "cpu_seconds": process.cpu / TICKS,
            "rss": min(process.rss, limits.INTEGER),
            "threads": process.threads,
            "read": read,
            "written": written,
            "open_files": open_files(process.pid),
            "gpu_memory": on_gpus.memory.get(process.pid) if on_gpus else None,
            "started": round(booted + process.starttime / TICKS, 2),
            "started_exactly": exact_start(process, boot),
            "is_job": process.pid == job.pid and process.starttime == job.starttime,
        }
        if with_share:
            row.update(_share(process, is_forced))
        yield row


def _share(process: Process, is_forced: bool) -> "Dict[str, Any]":
    if process.rss > MAP_LIMIT and not is_forced:
        size = process.rss / 1024**3
        return {"pss": None, "pss_refused": _REFUSAL % (process.pid, size, size * _STALL)}
    share: "Optional[int]" = share_of_memory(process.pid)
    return {"pss": share}


class Users:
    """Names of users; each is looked up once, as a directory service may be slow."""

    def __init__(self) -> None:
        self._names: "Dict[int, str]" = {}

    def name(self, uid: int) -> str:
        """The name of a user id, or the number where it has none."""
        if uid not in self._names:
            self._names[uid] = _look_up(uid)
        return self._names[uid]


def user_name() -> str:
    """The name of the user the job runs as."""
    return _look_up(os.geteuid())


def _look_up(uid: int) -> str:
    import pwd  # costs nothing to the processes that never ask

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return str(uid) if uid >= 0 else ""


def _in_order(members: "Dict[int, Process]") -> "List[Process]":
    # A child never starts before its parent; a number breaks the tie of one clock tick.
    below: "Dict[int, List[Process]]" = {}
    for process in sorted(members.values(), key=lambda process: (process.starttime, process.pid)):
        below.setdefault(process.ppid if process.ppid in members else 0, []).append(process)
    ordered: "List[Process]" = []
    waiting = list(reversed(below.get(0, [])))
    while waiting:
        process = waiting.pop()
        ordered.append(process)
        waiting.extend(reversed(below.get(process.pid, [])))
    return ordered
