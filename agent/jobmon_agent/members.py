"""Which processes are the job's.

A process is a member when one of these holds:

* it descends from the job's process or from another member;
* the leader of its session is a member;
* it was started with ``JOBMON_JOB_ID`` of this job, by the same user: this
  finds daemons, which have left the tree and the session;
* it is in the control group that the batch system made for the job, and no
  process outside the job there is its parent: this finds daemons that have
  dropped their environment, too;
* it was a member before, and is that very process still.

The agent's own processes and process 1 never are, nor what carries the mark of
another job, nor the script of a batch job from which this job was started.  A
process is named by its number and its start time together, as numbers are used
again.

The idle process imports this, so nothing large is imported here.
"""

import os

from jobmon_agent.aside import said_aside
from jobmon_agent.cgroup import Cgroup
from jobmon_agent.proc import Process, children, marks, owner, read_process, read_processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Set, Tuple

    from jobmon_agent.job import AnyJob

    Find = Callable[[int], Optional[Process]]

MARKER = "JOBMON_JOB_ID"

# What the last scan of this process saw, by the job's uuid.  A verb runs in a fork of the worker, so it
# starts with what beats have seen: members that no rule finds any more, and the job's own control group.
_remembered: "Dict[str, Dict[int, int]]" = {}
_groups: "Dict[str, Cgroup]" = {}


def group_of(job: "AnyJob") -> Cgroup:
    """The control groups of a job, as the first look at it found them."""
    if job.uuid not in _groups:
        _groups[job.uuid] = Cgroup(job)
    return _groups[job.uuid]


class Members:
    """The members of one job, as they come and go."""

    def __init__(self, job: "AnyJob") -> None:
        self._job = job
        self._known = dict(_remembered.get(job.uuid, {}))  # pid: start time
        self._group = group_of(job)
        self._judged: "Dict[int, bool]" = {}  # pid in the job's control group, but no member: whether it is a stranger
        self._unread: "Set[int]" = set()  # pids whose environment could not be told at the last scan
        self._read: "Dict[int, Tuple[int, bool]]" = {}  # pid of no member: start time, whether it has another's mark

    @property
    def has_strangers(self) -> bool:
        """The job's control group holds others too, so that what it counts is not of the members alone."""
        return any(self._judged.values())

    def scan(self, with_marks: bool = True) -> "Dict[int, Process]":
        """Look at every process of the node; ``with_marks`` also at environments, at each only once.

        Returns:
            The members by their number, zombies among them.
        """
        processes = read_processes()
        seeds = {self._job.pid} if self._is_the_job(processes.get(self._job.pid)) else set()
        seeds.update(pid for pid, start in self._known.items() if _is(processes.get(pid), start))
        found = self._grow(seeds, processes)
        if with_marks:
            marked = self._marked(found, processes)
            found = self._grow(found | marked, processes) if marked else found
        members = self._remember({pid: processes[pid] for pid in found if not self._is_foreign(processes[pid])})
        self._judged.clear()
        return self._with_adopted(members, processes.get)

    def scan_aside(self) -> bool:
        """Have a child do a scan; ``follow`` sees then what it saw.

        Returns:
            Whether it could: else only those are known that were.
        """
        said = said_aside(self._scanned)
        for line in (said or b"").splitlines():
            pid, start = [int(number) for number in line.split()]
            if start:
                self._known[pid] = start
            else:
                self._judged[pid] = True
        return said is not None

    def _scanned(self) -> bytes:
        """Lines of the members' numbers and start times, and of strangers with 0."""
        self.scan()
        told = list(self._known.items()) + [(pid, 0) for pid, is_stranger in self._judged.items() if is_stranger]
        return b"".join(b"%d %d\n" % each for each in told)

    def follow(self, with_children: bool = True) -> "Dict[int, Process]":
        """Look at the members of the last look, at their children, and into the job's control group."""
        found: "Dict[int, Process]" = {}
        self._known.setdefault(self._job.pid, self._job.starttime)
        waiting = list(self._known)
        while waiting:
            pid = waiting.pop()
            process = None if pid in found else read_process(pid)
            if process is None or not _is(process, self._known.get(pid, process.starttime)):
                continue
            if not self._is_foreign(process):
                found[pid] = process
                if with_children:
                    waiting.extend(children(process))
        return self._with_adopted(self._remember(found), read_process)

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
        """Those that carry the job's mark; what carries none is not looked at again."""
        me, name, mine = os.geteuid(), MARKER.encode("ascii"), self._job.uuid.encode("ascii", "surrogateescape")
        # The mark is set when the job starts: nobody older has it.
        others = {
            pid: process
            for pid, process in processes.items()
            if pid not in found and process.starttime >= self._job.starttime and not process.is_dead
        }
        self._read = {pid: seen for pid, seen in self._read.items() if pid in others and _is(others[pid], seen[0])}
        self._unread.clear()
        marked: "Set[int]" = set()
        for pid, process in others.items():
            if pid in self._read or self._is_foreign(process) or owner(pid) != me:
                continue
            values = marks(process, name)
            if values is None:
                self._unread.add(pid)
            elif mine in values:
                marked.add(pid)
            else:
                self._read[pid] = process.starttime, bool(values)
        return marked

    def _with_adopted(self, members: "Dict[int, Process]", find: "Find") -> "Dict[int, Process]":
        """The members with those in the job's control group that nothing says are another's.

        They are found anew each time and not remembered: a look that reads no
        environment may take one for the job's that has the mark of another.
        """
        if not self._group.own:
            return members
        inside = set(self._group.pids())
        self._judged = {pid: judged for pid, judged in self._judged.items() if pid in inside}
        fresh = inside.difference(members, self._judged)
        if not fresh:
            return members
        found = dict(members)
        above = self._forebears(find)
        for pid in fresh:
            process = find(pid)
            if process is None:
                continue
            if not self._is_foreign(process) and self._is_orphan(process, inside, above, find):
                found[pid] = process
            else:
                self._judged[pid] = not self._is_foreign(process)
        return found

    def _forebears(self, find: "Find") -> "Set[int]":
        """The processes from which the job was started."""
        above: "Set[int]" = set()
        process = find(self._job.pid)
        while process is not None and process.ppid > 1 and process.ppid not in above:
            above.add(process.ppid)
            process = find(process.ppid)
        return above

    def _is_orphan(self, process: Process, inside: "Set[int]", above: "Set[int]", find: "Find") -> bool:
        """Whether a process may be a daemon of the job: younger, of its user, and nobody else's child there."""
        me = os.geteuid()
        if process.starttime < self._job.starttime or owner(process.pid) != me:
            return False
        seen: "Set[int]" = set()
        forebear: "Optional[Process]" = process
        while forebear is not None and forebear.pid in inside and forebear.pid not in seen:
            _, has_other = self._read.get(forebear.pid, (0, False))
            if has_other or self._is_foreign(forebear) or (forebear.pid in above and owner(forebear.pid) == me):
                return False  # another job's, a shell of the agent's, or started by the batch job's script
            if forebear.pid in self._unread:
                return False  # perhaps another job's; the next scan tells
            seen.add(forebear.pid)
            forebear = find(forebear.ppid)
        return True


def _is(process: "Optional[Process]", starttime: int) -> bool:
    return process is not None and process.starttime == starttime
