"""Processes of a job to choose from, for what is asked of one of them.

A number is looked up among the job's running members and nowhere else: of
other processes of the node nothing is told, not even that they are there.
"""

from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.members import Members
from jobmon_agent.proc import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict


def live_members(job: Job) -> "Dict[int, Process]":
    """The members that run, by number, the older first."""
    living = (process for process in Members(job).scan().values() if not process.is_dead)
    ordered = sorted(living, key=lambda process: (process.starttime, process.pid))
    return {process.pid: process for process in ordered}


def member_of(members: "Dict[int, Process]", pid: int) -> Process:
    """The member of that number.

    Raises:
        VerbFailure: action-failed; there is none.
    """
    if pid not in members:
        raise VerbFailure("action-failed", "%d is no running process of this job; see: jobmon ps" % pid)
    return members[pid]
