"""Members that come faster than /proc can be read.

A chain of forks in which every link lives for 2 ms is gone from each number
that a look at a whole node finds.  So only numbers that were not there a
moment ago are looked at: that takes less than 1 ms, and a link is caught.
Nothing here signals.
"""

import os

from jobmon_agent.job import Job
from jobmon_agent.members import MARKER
from jobmon_agent.proc import Process, owner, read_file, read_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, Optional, Set

_ENVIRON_BYTES = 8 * 1024 * 1024  # the kernel's own bound for arguments and environment is 6 MiB


class Pursuit:
    """What has come to the job since the last look."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._marker = ("%s=%s" % (MARKER, job.uuid)).encode("ascii", "surrogateescape")
        self._seen: "Set[int]" = set()
        self._known: "Dict[int, int]" = {}  # start times of members, by number

    def start(self) -> None:
        """Take everything that is there now as looked at; a scan for members follows."""
        self._seen = _numbers()

    def know(self, process: Process) -> None:
        """Children and sessions of this member are the job's."""
        self._known[process.pid] = process.starttime

    def newcomers(self) -> "Iterator[Process]":
        """The members among the processes that were not there at the last look."""
        numbers = _numbers()
        new, self._seen = numbers - self._seen, numbers
        for pid in new:
            process = read_process(pid)
            if process is not None and not process.is_dead and self._is_member(process):
                self.know(process)
                yield process

    def _is_member(self, process: Process) -> bool:
        """As ``members`` has it, for one process.

        The parent and the session's leader are looked at after their child:
        they are what is known, so their numbers meant them all the time.
        """
        if process.pid <= 1 or process.group == self._job.group:
            return False
        if self._is_known(process.ppid) or self._is_known(process.session):
            return True
        if owner(process.pid) != os.geteuid():
            return False
        return self._marker in read_file("/proc/%d/environ" % process.pid, _ENVIRON_BYTES).split(b"\0")

    def _is_known(self, pid: int) -> bool:
        start: "Optional[int]" = self._known.get(pid)
        process = read_process(pid) if start is not None else None
        return process is not None and process.starttime == start


def _numbers() -> "Set[int]":
    try:
        return {int(name) for name in os.listdir("/proc") if name.isdigit()}
    except OSError:
        return set()
