"""The verb `ps`: the job's processes, everything known of each."""

import os
from typing import Any, Dict, Iterator, List, Tuple

from jobmon_agent.job import Job
from jobmon_agent.members import Members
from jobmon_agent.proc import TICKS, Process, boot_moment, command, owner, text
from jobmon_agent.rows import records
from jobmon_wire import limits


def ps(job: Job, arguments: Dict[str, Any]) -> Iterator[Tuple[int, Dict[str, Any]]]:
    """Yield the members as RECORDs, parents before their children, the older first."""
    return records("processes", rows(job))


def rows(job: Job) -> Iterator[Dict[str, Any]]:
    """One object for each member."""
    members, booted, users = Members(job).scan(), boot_moment(), Users()
    for process in _in_order(members):
        yield {
            "pid": process.pid,
            "ppid": process.ppid,
            "state": process.state,
            "name": text(process.name),
            "command": text(command(process, limits.TEXT)),
            "user": users.name(owner(process.pid)),
            "cpu_seconds": process.cpu / TICKS,
            "rss": min(process.rss, limits.INTEGER),
            "threads": process.threads,
            "started": round(booted + process.starttime / TICKS, 2),
            "is_job": process.pid == job.pid and process.starttime == job.starttime,
        }


class Users:
    """Names of users; each is looked up once, as a directory service may be slow."""

    def __init__(self) -> None:
        self._names: Dict[int, str] = {}

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


def _in_order(members: Dict[int, Process]) -> List[Process]:
    # A child never starts before its parent; a number breaks the tie of one clock tick.
    below: Dict[int, List[Process]] = {}
    for process in sorted(members.values(), key=lambda process: (process.starttime, process.pid)):
        below.setdefault(process.ppid if process.ppid in members else 0, []).append(process)
    ordered: List[Process] = []
    waiting = list(reversed(below.get(0, [])))
    while waiting:
        process = waiting.pop()
        ordered.append(process)
        waiting.extend(reversed(below.get(process.pid, [])))
    return ordered
