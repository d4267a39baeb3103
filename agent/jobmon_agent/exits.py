"""How the job ended, as the server is told it."""

from typing import Optional

from jobmon_agent.ending import Ending
from jobmon_agent.job import Job
from jobmon_wire.records import WRAP, Exit, exit_of


def read_exit(job: Job, status: Optional[int]) -> Exit:
    """How the job, which is over, ended; waits up to two seconds for it to be told.

    Args:
        status: socket on which the waiter of wrap mode tells, where there is one;
            the message is left there for whoever asks later.
    """
    waiter = status if job.mode == WRAP else None
    told, source = Ending(job.pid, job.starttime, job.pidfd, waiter, job.trap).learn()
    return exit_of(told or 0, source)
