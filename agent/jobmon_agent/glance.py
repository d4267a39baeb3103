"""A glance at a job's few processes: their vitals for a fraction of what a look costs.

It reads one line of /proc for each through a descriptor that means that very
process for good.  It sees no new process: it is for the time between two looks
of an agent that nobody asks.  The idle process imports this, so nothing large
is imported here.
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
_LINE = 1024  # bytes: a name and the first 24 numbers of stat
_CPU = 11  # of stat's fields from the state on: user and system ticks, and those of children that it has waited for
_RSS = 21  # pages


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
        self._streams = _distinct([job.stdout, job.stderr])
        self._at = self._ticks = 0.0
        try:
            # The job's own process first: the letter is its.
            for pid in sorted(members, key=lambda pid: pid != job.pid):
                self._stats.append(os.open("/proc/%d/stat" % pid, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            self.close()
        self.is_good = bool(self._stats) and self.look() is not None

    def look(self) -> "Optional[Sample]":
        """The vitals now; None where a process has ended: look at all then."""
        ticks = pages = 0
        letter = b""
        for descriptor in self._stats:
            try:
                line = os.pread(descriptor, _LINE, 0)
            except OSError:  # ESRCH
                return None
            fields = line[line.rindex(b")") + 2 :].split(None, _RSS + 1)
            letter = letter or fields[0]
            if fields[0] in b"ZX":
                return None
            ticks += sum(map(int, fields[_CPU : _CPU + 4]))
            pages += int(fields[_RSS])
        return self._keep(ticks, pages, letter)

    def close(self) -> None:
        """Let go of the processes."""
        for descriptor in self._stats:
            os.close(descriptor)
        self._stats = []

    def _keep(self, ticks: int, pages: int, letter: bytes) -> "Sample":
        now, found = time.monotonic(), self._sample
        if self._at:
            # Not rounded: that would take as long as all the rest, and the wire does it.
            found.cpu_percent = 100.0 * max(0, ticks - self._ticks) / TICKS / max(now - self._at, 1e-3)
        self._at, self._ticks = now, ticks
        found.at = time.time()
        found.rss_bytes = pages * PAGE
        found.state = letter.decode("ascii")
        if self._streams:
            statuses = [os.fstat(stream) for stream in self._streams]
            found.output_bytes = sum(status.st_size for status in statuses)
            found.output_at = max(status.st_mtime for status in statuses)
        return found


def _distinct(streams: "List[Optional[int]]") -> "List[int]":
    """One descriptor of each file: both streams often are one, as after 2>&1."""
    found: "Dict[Tuple[int, int], int]" = {}
    for stream in streams:
        if stream is not None:
            status = os.fstat(stream)
            found.setdefault((status.st_dev, status.st_ino), stream)
    return list(found.values())
