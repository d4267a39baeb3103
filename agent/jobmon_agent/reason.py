"""Why the batch system ended the job, where it says so in the job's reach.

Slurm writes a line to the job's stderr before it signals; the kernel counts
whom it killed for memory in the job's cgroup.  Nobody is asked: a question to
the scheduler from each of thousands of jobs would be a load.  All of it is
hearsay, since the job can write that line, too.
"""

import os
import re
import time

from jobmon_agent.job import Job
from jobmon_wire.records import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

    Environment = Dict[str, str]

CANCELLED, TIME_LIMIT, REQUEUED = "cancelled", "time limit", "requeued"
PREEMPTED, NODE_FAILURE, OUT_OF_MEMORY = "preempted", "node failure", "out of memory"

_LOOKED_AT = 4096  # bytes at the end of stderr; the line is near it, a few more of a dying job's may follow
_CAUSES = (
    ("TIME LIMIT", TIME_LIMIT),
    ("PREEMPTION", PREEMPTED),
    ("NODE FAILURE", NODE_FAILURE),
    ("JOB REQUEUE", REQUEUED),
)
_SLURM_LINE = (  # compiled where there is Slurm: it takes 0.4 ms
    rb"(?m)^slurmstepd[^ :]*: error: \*\*\* (?:JOB|STEP) ([0-9]+)[0-9.+_a-z]* ON \S+ CANCELLED AT (\S+)(.*) \*\*\*$"
)


class Announcement:
    """What the batch system has written into the job's stderr; looks again only where that has grown."""

    def __init__(self, job: Job, started: float) -> None:
        self._stderr = job.stderr
        self._started = started
        self._size = 0  # bytes, at the last look
        self._found: "Optional[str]" = None

    def read(self) -> "Optional[str]":
        """The cause it names, if any."""
        if self._stderr is None:
            return None
        try:
            size = os.fstat(self._stderr).st_size
            if size != self._size:
                self._size = size
                tail = os.pread(self._stderr, _LOOKED_AT, max(0, size - _LOOKED_AT))
                self._found = announced(tail, dict(os.environ), self._started) or self._found
        except OSError:  # a file server that is gone
            pass
        return self._found


def of_end(errors: bytes, started: float, ended: float, exit: Exit, oom_kills: "Optional[int]") -> "Optional[str]":
    """Why the job ended, where anything tells.

    Args:
        errors: the last words on stderr.
        started: s since 1970.
        ended: s since 1970.
        exit: how.
        oom_kills: processes of the job that the kernel killed for want of memory; None where nobody counts.
    """
    environ = dict(os.environ)  # the job's own at its start
    return announced(errors[-_LOOKED_AT:], environ, started) or deduced(environ, ended, exit, oom_kills)


def announced(errors: bytes, environ: "Environment", started: float) -> "Optional[str]":
    """What the last words on stderr say of the end of this job, which started then (s since 1970)."""
    number = environ.get("SLURM_JOB_ID", "").encode("ascii", "replace")
    if not number:
        return None
    # A file that is appended to may hold the words of an earlier run.  They are in the node's local time.
    earliest = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(started)).encode("ascii")
    found = re.findall(_SLURM_LINE, errors)
    lines = [line for line in found if line[0] == number and (line[1] >= earliest or "TZ" in environ)]
    if not lines:
        return None
    why = lines[-1][2].decode("ascii", "replace")
    return next((cause for words, cause in _CAUSES if words in why), CANCELLED)


def deduced(environ: "Environment", ended: float, exit: Exit, oom_kills: "Optional[int]") -> "Optional[str]":
    """What the kernel and the clock tell, where nobody has said anything."""
    if oom_kills:
        return OUT_OF_MEMORY
    limit = environ.get("SLURM_JOB_END_TIME", "")  # s since 1970, from Slurm 22.05 or 23.02 on
    is_past = limit.isdecimal() and len(limit) < 12 and ended >= int(limit)
    return TIME_LIMIT if is_past and exit.signal in ("TERM", "KILL") else None
