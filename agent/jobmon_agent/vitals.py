"""What a beat says of the job: cheap enough for every ten seconds, for weeks."""

import os
import time
from typing import Dict, Optional, Tuple

from jobmon_agent.job import Job
from jobmon_agent.usage import Look, Watch, cpu_of_job, cpu_so_far
from jobmon_wire import limits
from jobmon_wire.records import Vitals

SCAN_EVERY = 30.0  # s between looks at the whole node; in between only members are looked at


class State:
    """What one beat leaves to the next."""

    def __init__(self, job: Job) -> None:
        self._watch = Watch(job, SCAN_EVERY, SCAN_EVERY)
        self._before: Optional[Look] = None
        self.cpu_seconds = 0.0  # of all members so far, as the beats saw it

    def look(self) -> Tuple[Look, Optional[float]]:
        """The members now, and the CPU they used since the last beat in percent of one core."""
        now, before = self._watch.look(), self._before
        self._before = now
        if before is None:
            self.cpu_seconds = cpu_so_far(now)
            return now, None
        used = cpu_of_job(before, now)
        self.cpu_seconds += used
        return now, round(100 * used / max(now.at - before.at, 1e-3), 1)


def sample(job: Job, state: Optional[State]) -> Tuple[Vitals, State]:
    """The vitals now.

    Args:
        job: whose.
        state: what the last sample returned, or None at first.
    """
    state = state or State(job)
    now, percent = state.look()
    written, written_at = output(job)
    running = [process for process in now.members.values() if not process.is_dead]
    vitals = Vitals(
        at=time.time(),
        cpu_percent=percent,
        rss_bytes=min(sum(process.rss for process in running), limits.INTEGER),
        processes=len(running),
        output_bytes=written,
        output_at=written_at,
    )
    return vitals, state


def output(job: Job) -> Tuple[Optional[int], Optional[float]]:
    """Bytes of stdout and stderr together and when the last came; None where neither is a file."""
    # Both often are one file: 2>&1.
    seen: Dict[Tuple[int, int], os.stat_result] = {}
    for stream in (job.stdout, job.stderr):
        if stream is not None:
            status = os.fstat(stream)
            seen[status.st_dev, status.st_ino] = status
    if not seen:
        return None, None
    size = sum(status.st_size for status in seen.values())
    return min(size, limits.INTEGER), max(status.st_mtime for status in seen.values())
