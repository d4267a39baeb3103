"""What the members of a job use: looks at them, and what lies between two looks.

The idle process imports this, so nothing large is imported here.
"""

import time

from jobmon_agent.members import Members
from jobmon_agent.proc import TICKS, Process, boot_moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Tuple

    from jobmon_agent.job import AnyJob


SHORTEST = 0.5  # s between two looks whose difference is worth showing: 50 ticks

CHILDREN_EVERY = 60.0  # s between two looks at members' children, where the whole node is not looked at: 0.05 ms each

_LONGER = 4  # times: a pause between looks at the whole node, than the one before; to fork for each costs 1.5 ms

# By the job's uuid: a verb runs in a fork of the process that beats, and goes on from its last look.
_last: "Dict[str, Look]" = {}


class Look:
    """What the members had used at one moment."""

    __slots__ = ("at", "members")

    def __init__(self, at: float, members: "Dict[int, Process]") -> None:
        self.at = at  # s of the monotonic clock
        self.members = members


class Watch:
    """Looks at the members again and again, at the whole node only now and then.

    Args:
        job: whose members.
        scans: seconds between the first two looks at the whole node, and
            between the last; in between each pause is four times the one
            before.  They find members that left tree and session; 1,000
            processes cost 30 ms.
        marks_every: seconds between looks at environments of new processes.
        is_aside: have a child look at the whole node, for a process that must stay small and never wait.
    """

    def __init__(
        self, job: "AnyJob", scans: "Tuple[float, float]", marks_every: float = 0.0, is_aside: bool = False
    ) -> None:
        self._job = job
        self._members = Members(job)
        self._pause, self._longest_pause = scans
        self._marks_every, self._is_aside = marks_every, is_aside
        self._next_scan = self._next_marks = self._next_children = 0.0  # by the monotonic clock
        self.has_scanned = False  # the last look was at the whole node

    @property
    def has_strangers(self) -> bool:
        """The job's control group holds others too."""
        return self._members.has_strangers

    def expect_children(self) -> None:
        """Look at the members' children next time: some have come or gone."""
        self._next_children = 0.0

    def look(self) -> Look:
        """The members now."""
        now = time.monotonic()
        self.has_scanned = False
        if now < self._next_scan:
            found = Look(now, self._members.follow(with_children=now >= self._next_children))
        else:
            self._next_scan = now + self._pause
            self._pause = min(_LONGER * self._pause, self._longest_pause)
            found = Look(now, self._scan(now))
        if now >= self._next_children:
            self._next_children = now + CHILDREN_EVERY
        _last[self._job.uuid] = found
        return found

    def _scan(self, now: float) -> "Dict[int, Process]":
        if self._is_aside:
            self.has_scanned = self._members.scan_aside()
            return self._members.follow()
        self.has_scanned = True
        if now < self._next_marks:
            return self._members.scan(with_marks=False)
        self._next_marks = now + self._marks_every
        return self._members.scan()


def cpu_since(job: "AnyJob", members: "Dict[int, Process]") -> "Dict[int, float]":
    """CPU of each member in percent of one core since the last look of this process, or of one it was forked from.

    Empty where there was none, or so lately that clock ticks tell nothing.
    """
    now, before = Look(time.monotonic(), members), _last.get(job.uuid)
    if before is None or now.at - before.at < SHORTEST:
        return {}
    used = cpu_by_member(before, now)
    return {pid: round(100 * seconds / (now.at - before.at), 1) for pid, seconds in used.items()}


def cpu_by_member(before: Look, now: Look) -> "Dict[int, float]":
    """Seconds of CPU that each member itself used between two looks."""
    born_after = _ticks_at(before)
    used: "Dict[int, float]" = {}
    for pid, process in now.members.items():
        earlier = _earlier(before, process)
        base = _base(earlier.cpu if earlier else None, process.cpu, process.starttime >= born_after)
        used[pid] = max(0, process.cpu - base) / TICKS
    return used


def cpu_of_job(before: Look, now: Look) -> float:
    """Seconds of CPU that all members used between two looks, those too short to be seen among them.

    When a child ends and its parent waits for it, the child's time moves into
    the parent's account of children: so that account belongs to the sum, less
    what of the child was counted before.
    """
    if _are_the_same(before, now):  # by far the most often, and for a third of the time
        return max(0, _total(now) - _total(before)) / TICKS
    born_after = _ticks_at(before)
    ticks = 0
    for process in now.members.values():
        earlier, total = _earlier(before, process), process.cpu + process.reaped
        base = _base(earlier.cpu + earlier.reaped if earlier else None, total, process.starttime >= born_after)
        ticks += total - base
    for process in before.members.values():
        if not _earlier(now, process) and _has_heir(process, before, now):
            ticks -= process.cpu + process.reaped
    # A parent that ignores its children has no account of them; their own time is the least there was.
    return max(ticks / TICKS, sum(cpu_by_member(before, now).values()))


def cpu_so_far(look: Look) -> float:
    """Seconds of CPU that the members have used since each started."""
    return _total(look) / TICKS


def _total(look: Look) -> int:
    """Clock ticks of the members and of their children that ended, since each started."""
    return sum(process.cpu + process.reaped for process in look.members.values())


def _are_the_same(before: Look, now: Look) -> bool:
    """Whether both looks saw the very same processes."""
    if before.members.keys() != now.members.keys():
        return False
    return all(process.starttime == before.members[pid].starttime for pid, process in now.members.items())


def _base(earlier: "Optional[int]", total: int, is_born_since: bool) -> int:
    """What to take off a total: what a member that is new to us used before the looks is not of this time."""
    if earlier is not None:
        return earlier
    return 0 if is_born_since else total


def _earlier(look: Look, process: Process) -> "Optional[Process]":
    found = look.members.get(process.pid)
    return found if found is not None and found.starttime == process.starttime else None


def _has_heir(process: Process, before: Look, now: Look) -> bool:
    """Whether an ancestor lives on that has taken over the account of a process that ended."""
    for _ in range(len(before.members)):
        parent = before.members.get(process.ppid)
        if parent is None:
            return False
        if _earlier(now, parent):
            return True
        process = parent
    return False


def _ticks_at(look: Look) -> float:
    """The moment of a look as start times count."""
    return (time.time() - (time.monotonic() - look.at) - boot_moment()) * TICKS
