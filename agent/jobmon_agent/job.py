"""The job as the agent's processes see it.

Descriptors and numbers that name one process and its surroundings for good:
whatever reuses the pid, renames the directory or unlinks the output, they
still mean this job.  Nothing here knows of verbs, channels or the server.
"""

import select
import time

from jobmon_agent.pidstat import is_running
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Protocol  # novm: for the type checker alone

    class AnyJob(Protocol):
        """What of a job is needed to find its processes and to tell how they are: the idle process has no ``Job``."""

        @property
        def uuid(self) -> str: ...
        @property
        def pid(self) -> int: ...
        @property
        def starttime(self) -> int: ...
        @property
        def group(self) -> int: ...
        @property
        def mode(self) -> str: ...
        @property
        def stdout(self) -> "Optional[int]": ...
        @property
        def stderr(self) -> "Optional[int]": ...


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
    pidfd: "Optional[int]"  # None before Linux 5.3
    sandbox: int  # O_PATH descriptor of the job's working directory
    sandbox_path: str
    stdout: "Optional[int]"  # open for reading, if it is a regular file
    stderr: "Optional[int]"
    group: int  # process group of the agent's own processes, which are never members of the job
    mode: str  # exec, wrap or attach
    status: "Optional[int]" = None  # socket on which the waiter of wrap mode tells how the job ended
    trap: "Optional[int]" = None  # directory in which the job's shell tells its status at its end


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
