"""How the job ended, as the server is told it."""

from jobmon_agent.ending import Ending
from jobmon_agent.job import Job
from jobmon_wire.records import WRAP, Exit, exit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

    Told = Tuple[Optional[int], str]  # wait status and source, as ``ending.Ending`` gives them


class Inquiry:
    """The question how a job that is over ended; ``look`` until it is settled.

    Args:
        status: socket on which the waiter of wrap mode tells, where there is one;
            the message is left there for whoever asks later.
        told: the answer, wait status and source, where the idle process had it.
    """

    def __init__(self, job: Job, status: "Optional[int]", told: "Optional[Told]" = None) -> None:
        self._ending = _ending(job, status)
        self.exit = exit_of(0, "unknown")  # as far as it is known
        self.is_settled = False  # it will not become better known
        if told:
            self._settle(told)

    @property
    def interval(self) -> float:
        """Seconds until the next look is worth it."""
        return self._ending.interval

    def look(self) -> None:
        """Look once, without waiting."""
        told = None if self.is_settled else self._ending.look()
        if told:
            self._settle(told)

    def _settle(self, told: "Told") -> None:
        self.exit = exit_of(told[0] or 0, told[1])
        self.is_settled = True


def read_exit(job: Job, status: "Optional[int]") -> Exit:
    """How the job, which is over, ended; waits up to two seconds for it to be told."""
    told, source = _ending(job, status).learn()
    return exit_of(told or 0, source)


def _ending(job: Job, status: "Optional[int]") -> Ending:
    return Ending(job.pid, job.starttime, job.pidfd, status if job.mode == WRAP else None, job.trap)
