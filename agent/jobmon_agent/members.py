"""Which processes are the job's.

A process is a member when one of these holds:

* it descends from the job's process or from another member;
* the leader of its session is a member;
* it was started with ``JOBMON_JOB_ID`` of this job, by the same user: this
  finds daemons, which have left the tree and the session;
* it was a member before, and is that very process still.

The agent's own processes and process 1 never are.  A process is named by its
number and its start time together, as numbers are used again.

The idle process imports this, so nothing large is imported here.
"""

import os

from jobmon_agent.proc import Process, has_marker, owner, read_process, read_processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Protocol, Set  # novm: read by the type checker alone

    class AnyJob(Protocol):
        """What of a job is needed to find its processes: the idle process has no ``job.Job``."""

        @property
        def uuid(self) -> str: ...
        @property
        def pid(self) -> int: ...
        @property
        def starttime(self) -> int: ...
        @property
        def group(self) -> int: ...
        @property
        def stdout(self) -> Optional[int]: ...
        @property
        def stderr(self) -> Optional[int]: ...


MARKER = "JOBMON_JOB_ID"

# What the last scan of this process saw, by the job's uuid.  A verb runs in a fork of the worker,
# so it starts with what the worker's beats have seen: members that no rule finds any more.
_remembered: "Dict[str, Dict[int, int]]" = {}


class Members:
    """The members of one job, as they come and go."""

    def __init__(self, job: "AnyJob") -> None:
        self._job = job
        self._marker = ("%s=%s" % (MARKER, job.uuid)).encode("ascii", "surrogateescape")
        self._known = dict(_remembered.get(job.uuid, {}))  # pid: start time

    def scan(self, with_marker: bool = True) -> "Dict[int, Process]":
        """Look at every process of the node; ``with_marker`` also at environments.

        Returns:
            The members by their number, zombies among them.
        """
        processes = read_processes()
        seeds = {self._job.pid} if self._is_the_job(processes.get(self._job.pid)) else set()
        seeds.update(pid for pid, start in self._known.items() if _is(processes.get(pid), start))
        found = self._grow(seeds, processes)
        if with_marker:
            marked = self._marked(found, processes)
            found = self._grow(found | marked, processes) if marked else found
        return self._remember({pid: processes[pid] for pid in found if not self._is_foreign(processes[pid])})

    def reread(self) -> "Dict[int, Process]":
        """Look at the members of the last scan only; those that have gone are left out."""
        found = ((pid, start, read_process(pid)) for pid, start in self._known.items())
        return self._remember({pid: process for pid, start, process in found if process and _is(process, start)})

    def _remember(self, members: "Dict[int, Process]") -> "Dict[int, Process]":
        self._known = {pid: process.starttime for pid, process in members.items()}
        _remembered[self._job.uuid] = self._known
        return members

    def _is_the_job(self, process: "Optional[Process]") -> bool:
        return process is not None and process.starttime == self._job.starttime

    def _is_foreign(self, process: Process) -> bool:
        return process.pid <= 1 or process.group == self._job.group

    def _grow(self, seeds: "Set[int]", processes: "Dict[int, Process]") -> "Set[int]":
        """The seeds with all that follows from the tree and from sessions."""
        below: "Dict[int, List[int]]" = {}
        for pid, process in processes.items():
            below.setdefault(process.ppid, []).append(pid)
            if process.session != pid:
                below.setdefault(process.session, []).append(pid)
        found: "Set[int]" = set()
        waiting = [pid for pid in seeds if pid in processes]
        while waiting:
            pid = waiting.pop()
            if pid in found or processes[pid].group == self._job.group:
                continue
            found.add(pid)
            waiting.extend(below.get(pid, ()))
        return found

    def _marked(self, found: "Set[int]", processes: "Dict[int, Process]") -> "Set[int]":
        me = os.geteuid()
        others = (
            pid
            for pid, process in processes.items()
            if pid not in found and not process.is_dead and not self._is_foreign(process)
        )
        return {pid for pid in others if owner(pid) == me and has_marker(pid, self._marker)}


def _is(process: "Optional[Process]", starttime: int) -> bool:
    return process is not None and process.starttime == starttime
