"""A glance at a job's few processes: their vitals for a fraction of what a look costs.

It reads one line of /proc for each through a descriptor that means that very
process for good, and its list of children, to see that no new one has come.
Other new members, as daemons, it does not see: it is for the time between two
looks of an agent that nobody asks.  Cheaper still is to ask what the processes
have run: those that have not run have not changed.  The idle process imports
this, so nothing large is imported here.
"""

import os
import time

from jobmon_agent.proc import PAGE, TICKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

    from jobmon_agent.job import AnyJob
    from jobmon_agent.proc import Process
    from jobmon_agent.vitals import Sample

FEW = 4  # processes; with more of them a look costs little beside the job
_LINE = 1024  # bytes: a name and the first 24 numbers of stat, or more children than there were
_CPU = 11  # of stat's fields from the state on: user and system ticks, and those of children that it has waited for
_RSS = 21  # pages
_DEAD = b"ZX"
_OF_PROCESS = 2  # a clock id's low bits: CPU of all threads by the scheduler (Linux, posix-timers.h: CPUCLOCK_SCHED)


class Glance:
    """What stays the same from glance to glance, after a look.

    Args:
        job: whose processes.
        sample: what the look found; it is kept up.
        members: those it saw.
    """

    def __init__(self, job: "AnyJob", sample: "Sample", members: "Dict[int, Process]") -> None:
        self._sample = sample
        self._stats: "List[int]" = []
        self._children: "List[Tuple[int, bytes]]" = []  # descriptor of a list, and what it held
        self._clocks = [~pid << 3 | _OF_PROCESS for pid in sorted(members)]  # as clock_getcpuclockid(3) gives them
        self._streams = _distinct([job.stdout, job.stderr])
        self._at = self._ticks = 0.0
        try:
            # The job's own process first: the letter is its.
            for pid in sorted(members, key=lambda pid: pid != job.pid):
                self._stats.append(os.open("/proc/%d/stat" % pid, os.O_RDONLY | os.O_CLOEXEC))
                self._hold_children(pid)
        except OSError:
            self.close()
        self.is_good = bool(self._stats) and self.look(time.monotonic()) is not None

    def look(self, now: float) -> "Optional[Sample]":
        """The vitals now; None where a process has ended or begun: look at all then.

        Args:
            now: by the monotonic clock.
        """
        ticks = pages = 0
        letter = b""
        try:
            for descriptor in self._stats:
                line = os.pread(descriptor, _LINE, 0)
                fields = line[line.rindex(b")") + 2 :].split(None, _RSS + 1)
                if fields[0] in _DEAD:
                    return None
                letter = letter or fields[0]
                ticks += int(fields[_CPU]) + int(fields[_CPU + 1]) + int(fields[_CPU + 2]) + int(fields[_CPU + 3])
                pages += int(fields[_RSS])
            for descriptor, known in self._children:
                if os.pread(descriptor, _LINE, 0) != known:
                    return None
        except OSError:  # ESRCH
            return None
        found = self._sample
        if self._at:
            # Not rounded: that would take as long as all the rest, and the wire does it.
            found.cpu_percent = 100.0 * max(0, ticks - self._ticks) / TICKS / max(now - self._at, 1e-3)
        self._at, self._ticks = now, ticks
        found.at = time.time()
        found.rss_bytes = pages * PAGE
        found.state = letter.decode("ascii")
        if self._streams:
            self._look_at_output()
        return found

    def ran(self) -> "Optional[List[float]]":
        """Seconds that each process has run so far, to the nanosecond; None where one has ended."""
        try:
            return [time.clock_gettime(clock) for clock in self._clocks]
        except OSError:  # EINVAL
            return None

    def close(self) -> None:
        """Let go of the processes."""
        for descriptor in self._stats + [descriptor for descriptor, _ in self._children]:
            os.close(descriptor)
        self._stats, self._children = [], []

    def _look_at_output(self) -> None:
        size, at = 0, 0.0
        for stream in self._streams:
            status = os.fstat(stream)
            size += status.st_size
            at = max(at, status.st_mtime)
        self._sample.output_bytes, self._sample.output_at = size, at

    def _hold_children(self, pid: int) -> None:
        """Know a process's children, as far as its first thread has started them; not where no kernel lists them."""
        try:
            path = "/proc/%d/task/%d/children" % (pid, pid)
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        self._children.append((descriptor, os.pread(descriptor, _LINE, 0)))


def _distinct(streams: "List[Optional[int]]") -> "List[int]":
    """One descriptor of each file: both streams often are one, as after 2>&1."""
    found: "Dict[Tuple[int, int], int]" = {}
    for stream in streams:
        if stream is not None:
            status = os.fstat(stream)
            found.setdefault((status.st_dev, status.st_ino), stream)
    return list(found.values())
