"""What a beat says of the job: cheap enough for every ten seconds, for weeks.

Only numbers are looked at, never a command line, an environment or a memory
map: those wait for locks that the job may hold.  The idle process imports
this, so nothing large is imported here.
"""

import os
import time

from jobmon_agent.usage import Watch, cpu_of_job, cpu_so_far
from jobmon_wire import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Tuple

    from jobmon_agent.members import AnyJob
    from jobmon_agent.usage import Look

SCAN_EVERY = 30.0  # s between looks at the whole node; in between only members are looked at


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
        self._watch = Watch(job, SCAN_EVERY, SCAN_EVERY)
        self._before: "Optional[Look]" = None
        self.cpu_seconds = 0.0  # of all members so far, as the beats saw it

    def look(self) -> "Tuple[Look, Optional[float]]":
        """The members now, and the CPU they used since the last beat in percent of one core."""
        now, before = self._watch.look(), self._before
        self._before = now
        if before is None:
            self.cpu_seconds = cpu_so_far(now)
            return now, None
        used = cpu_of_job(before, now)
        self.cpu_seconds += used
        return now, round(100 * used / max(now.at - before.at, 1e-3), 1)


def sample(job: "AnyJob", state: "Optional[State]") -> "Tuple[Sample, State]":
    """The vitals now.

    Args:
        job: whose.
        state: what the last sample returned, or None at first.
    """
    state = state or State(job)
    now, percent = state.look()
    running = [process for process in now.members.values() if not process.is_dead]
    found = Sample()
    found.cpu_percent = percent
    found.rss_bytes = min(sum(process.rss for process in running), limits.INTEGER)
    found.processes = len(running)
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
