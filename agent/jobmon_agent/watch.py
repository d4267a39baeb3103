"""What a worker waits for besides its work: the end of the job, and of the agent it belongs to."""

import os
import select
import time

from jobmon_agent.exits import Inquiry
from jobmon_agent.job import Job
from jobmon_agent.parting import BUSY, DONE
from jobmon_wire.records import WRAP, Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

    from jobmon_agent.exits import Told

_LOOK = 1.0  # s between two looks at /proc where the kernel has no pidfd


class OrphanedError(Exception):
    """The idle process has ended, so its worker must."""


class Watch:
    """Waits, and notices two ends meanwhile.

    Args:
        job: the job.
        life: readable when the idle process has ended.
        status: where the waiter of wrap mode tells how the job ended.
        ended: when the job ended, if it has: s since 1970.
        told: how it ended, if that is known already.
    """

    def __init__(
        self, job: Job, life: int, status: int, ended: "Optional[float]", told: "Optional[Told]" = None
    ) -> None:
        self._told = told
        self._job = job
        self._life = life
        self._status = status
        self.ended = ended
        self._inquiry: "Optional[Inquiry]" = None
        if ended is not None:
            self._inquire()

    @property
    def exit(self) -> "Optional[Exit]":
        """How the job ended, as far as it is known yet; None while it runs."""
        return None if self._inquiry is None else self._inquiry.exit

    @property
    def is_settled(self) -> bool:
        """The job is over, and how it ended will not become better known."""
        return self._inquiry is not None and self._inquiry.is_settled

    def settle(self) -> None:
        """Wait until it is settled how the job, which is over, ended: two seconds at most."""
        while not self.is_settled:
            self.poll({}, 1.0)

    def release(self) -> None:
        """Let the waiter of wrap mode go: what could be told is told."""
        self._tell_waiter(DONE)

    def poll(self, interests: "Dict[int, int]", timeout: float) -> "Dict[int, int]":
        """Wait for descriptors, at most ``timeout`` seconds; also comes back when the job ends.

        Args:
            interests: poll's mask by descriptor.

        Returns:
            Poll's answer by descriptor, of those that are ready.

        Raises:
            OrphanedError: there is nothing to work for any more.
        """
        waiting = select.poll()
        for descriptor, mask in interests.items():
            waiting.register(descriptor, mask)
        waiting.register(self._life, select.POLLIN)
        if self.ended is None:
            if self._job.pidfd is not None:
                waiting.register(self._job.pidfd, select.POLLIN)
            else:
                timeout = min(timeout, _LOOK)
        elif self._inquiry is not None and not self._inquiry.is_settled:
            timeout = min(timeout, self._inquiry.interval)
        ready = dict(waiting.poll(max(0, int(timeout * 1000 + 1))))
        if self._life in ready:
            raise OrphanedError
        pidfd = self._job.pidfd
        if self.ended is None and (self._job.is_over() if pidfd is None else pidfd in ready):
            self.ended = time.time()
            self._inquire()
        elif self._inquiry is not None:
            self._inquiry.look()
        return {descriptor: ready[descriptor] for descriptor in interests if descriptor in ready}

    def wait(self, descriptor: int, mask: int, timeout: float) -> bool:
        """Wait for one descriptor, at most ``timeout`` seconds; whether it is ready."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if self.poll({descriptor: mask}, max(0.0, left)):
                return True
            if left <= 0:
                return False

    def sleep(self, duration: float) -> None:
        """Do nothing for so many seconds; the job's end wakes."""
        deadline = time.monotonic() + duration
        was_over = self.ended is not None
        while (self.ended is not None) == was_over:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self.poll({}, left)

    def _inquire(self) -> None:
        self._inquiry = Inquiry(self._job, self._status, self._told)
        self._inquiry.look()
        self._tell_waiter(BUSY)

    def _tell_waiter(self, word: bytes) -> None:
        if self._job.mode == WRAP:
            try:
                os.write(self._status, word)
            except OSError:  # it has gone
                pass
