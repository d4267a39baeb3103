"""What a beat says of the job: cheap enough for every ten seconds, for weeks.

Only numbers are looked at, never a command line or a memory map: those wait
for locks that the job may hold.  A child has the rare look at the whole node,
environments among it.  The idle process imports this, so nothing large is
imported here.
"""

import os
import time

from jobmon_agent.cgroup import address_space, least
from jobmon_agent.members import group_of
from jobmon_agent.proc import lists_children
from jobmon_agent.usage import Watch, cpu_of_job, cpu_so_far
from jobmon_wire import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Tuple

    from jobmon_agent.job import AnyJob
    from jobmon_agent.proc import Process
    from jobmon_agent.usage import Look

# A look at the whole node costs 3 to 30 ms, one at three members 0.1 ms, at 144 beats an hour.
FIRST_SCANS = 60.0  # s between the first two looks at the whole node: most daemons are started early
SCAN_EVERY = 1800.0  # s between them in the end; in between members and their children are followed
SCAN_UNLISTED = 300.0  # s, on a kernel that lists no children (CONFIG_PROC_CHILDREN)
SHARED = 64 * limits.MIB  # bytes of memory from which on it is worth 0.05 ms to know how much of it is shared
LIMIT_EVERY = 300.0  # s between looks at the memory limit, which hardly ever changes


class Sample:
    """The vitals at one moment, as ``jobmon_wire.records.Vitals`` names them."""

    __slots__ = (
        "at", "cpu_percent", "rss_bytes", "memory_limit", "oom_kills", "processes", "state",
        "output_bytes", "output_at",
    )  # fmt: skip

    def __init__(self) -> None:
        self.at = time.time()  # s since 1970
        self.cpu_percent: "Optional[float]" = None  # of one core, since the last sample
        self.rss_bytes = 0
        self.memory_limit: "Optional[int]" = None  # bytes; None: none that is known
        self.oom_kills: "Optional[int]" = None  # processes killed for want of memory; None: not known
        self.processes = 0
        self.state: "Optional[str]" = None  # letter of the job's own process
        self.output_bytes: "Optional[int]" = None  # of stdout and stderr together
        self.output_at: "Optional[float]" = None  # s since 1970


class State:
    """What one beat leaves to the next."""

    def __init__(self, job: "AnyJob") -> None:
        self._job = job
        slowest = SCAN_EVERY if lists_children() else SCAN_UNLISTED
        self._watch = Watch(job, (FIRST_SCANS, slowest), is_aside=True)
        self._group = group_of(job)
        self._before: "Optional[Look]" = None
        self._used: "Optional[float]" = None  # s of CPU that the job's control group had counted then
        self._limit: "Optional[int]" = None  # bytes that the control groups allow
        self._space: "Optional[int]" = None  # bytes that each process may map, where they do not tell
        self._limited: "Optional[float]" = None  # when those were looked up, by the monotonic clock
        self.cpu_seconds = 0.0  # of all members so far, as the beats saw it

    def look(self) -> "Tuple[Look, Optional[float]]":
        """The members now, and the CPU they used since the last beat in percent of one core."""
        now, before = self._watch.look(), self._before
        counted_before, counted = self._used, None if self._watch.has_strangers else self._group.cpu_seconds()
        self._before, self._used = now, counted
        if before is None:
            self.cpu_seconds = cpu_so_far(now)
            return now, None
        if counted is not None and counted_before is not None:
            used = max(0.0, counted - counted_before)
        else:
            used = cpu_of_job(before, now)
        self.cpu_seconds += used
        # Tenths by hand: round() with digits prints the number, and that maps 0.13 MB of the C library.
        return now, int(1000 * used / max(now.at - before.at, 1e-3) + 0.5) / 10

    @property
    def has_scanned(self) -> bool:
        """The last look was at the whole node."""
        return self._watch.has_scanned

    def expect_children(self) -> None:
        """Some have come or gone: see them at the next look."""
        self._watch.expect_children()

    @property
    def members(self) -> "Dict[int, Process]":
        """Those that the last look saw."""
        return self._before.members if self._before is not None else {}

    def resident(self, now: "Look") -> int:
        """Bytes of memory that the members hold."""
        summed = sum(process.rss for process in now.members.values())
        if summed > SHARED and not self._watch.has_strangers:
            # The sum counts what processes share once for each of them, the control group counts it once.
            counted = self._group.resident()
            summed = min(summed, summed if counted is None else counted)
        return min(summed, limits.INTEGER)

    def memory_limit(self, now: "Look") -> "Optional[int]":
        """Bytes of memory that the members may have together, or None."""
        if self._limited is None or now.at - self._limited >= LIMIT_EVERY:
            self._limited = now.at
            self._limit = self._group.limit()
            self._space = address_space(self._job.pid) if self._limit is None else None
        return least(self._limit, self._space, len(now.members))


def sample(job: "AnyJob", state: "Optional[State]") -> "Tuple[Sample, State]":
    """The vitals now.

    Args:
        job: whose.
        state: what the last sample returned, or None at first.
    """
    state = state or State(job)
    now, percent = state.look()
    found = Sample()
    found.cpu_percent = percent
    found.rss_bytes = state.resident(now)
    found.processes = sum(not process.is_dead for process in now.members.values())
    found.memory_limit = state.memory_limit(now)
    found.oom_kills = group_of(job).oom_kills()
    leader = now.members.get(job.pid)
    found.state = leader.state if leader else None
    found.output_bytes, found.output_at = output(job)
    return found, state


def output(job: "AnyJob") -> "Tuple[Optional[int], Optional[float]]":
    """Bytes of stdout and stderr together and when the last came; None where neither is a file."""
    # Both often are one file: 2>&1.
    seen: "Dict[Tuple[int, int], os.stat_result]" = {}
    for stream in (job.stdout, job.stderr):
        if stream is not None:
            status = os.fstat(stream)
            seen[status.st_dev, status.st_ino] = status
    if not seen:
        return None, None
    size = sum(status.st_size for status in seen.values())
    return min(size, limits.INTEGER), max(status.st_mtime for status in seen.values())
