"""The job as the agent's processes see it.

Descriptors and numbers that name one process and its surroundings for good:
whatever reuses the pid, renames the directory or unlinks the output, they
still mean this job.  Nothing here knows of verbs, channels or the server.
"""

import os
import select
import time
from typing import List, NamedTuple, Optional

POLL = 0.25  # s between two looks at /proc where the kernel has no pidfd


class VerbFailure(Exception):  # noqa: N818 - an outcome of a request, no fault of the agent
    """A verb cannot be done: a code of ``jobmon_wire.answers`` and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class _Job(NamedTuple):
    uuid: str
    pid: int
    starttime: int  # clock ticks, field 22 of /proc/PID/stat; 0 where there is no /proc
    pidfd: Optional[int]  # None before Linux 5.3
    sandbox: int  # O_PATH descriptor of the job's working directory
    sandbox_path: str
    stdout: Optional[int]  # open for reading, if it is a regular file
    stderr: Optional[int]
    group: int  # process group of the agent's own processes, which are never members of the job
    mode: str  # exec or wrap
    status: Optional[int] = None  # socket on which the waiter of wrap mode tells how the job ended


class Job(_Job):
    """One running job, or one that has just ended."""

    __slots__ = ()

    def is_over(self) -> bool:
        """Whether the process that the batch system started has ended."""
        return self.wait_over(0)

    def wait_over(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for the end; whether it has come."""
        if self.pidfd is not None:
            waiter = select.poll()
            waiter.register(self.pidfd, select.POLLIN)
            return bool(waiter.poll(timeout * 1000))
        deadline = time.monotonic() + timeout
        while is_running(self.pid, self.starttime):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(POLL, left))
        return True


def start_time(pid: int) -> int:
    """When the process started, in clock ticks; 0 if there is none, or no /proc."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields else 0


def is_running(pid: int, starttime: int) -> bool:
    """Whether that very process still runs; a zombie does not."""
    fields = stat_fields(pid)
    if not fields:
        # Without /proc only the number is left to go by.
        return not starttime and _exists(pid)
    return fields[0] not in (b"Z", b"X") and (not starttime or int(fields[19]) == starttime)


def stat_fields(pid: int) -> List[bytes]:
    """The fields of /proc/PID/stat from the third on, the state; none if there is no such process."""
    # The name may hold ')' and blanks: split from the right.
    try:
        descriptor = os.open("/proc/%d/stat" % pid, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        return os.read(descriptor, 4096).rpartition(b")")[2].split()
    except OSError:  # ESRCH: it ended between the two calls
        return []
    finally:
        os.close(descriptor)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
