"""What an agent remembers of its job from beat to beat, whichever of its processes beats.

The idle process owns it; a worker is forked with a copy of it, and goes on
from there.  Nothing large is imported here.
"""

import time

from jobmon_agent import vitals
from jobmon_agent.glance import FEW, Glance
from jobmon_agent.members import group_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from jobmon_agent.job import AnyJob
    from jobmon_agent.vitals import Sample, State

# An hour of beats every 25 s shall cost 40 ms of CPU in all.  After 25 s nothing of the agent is left in the
# processor's caches: a beat then takes 0.2 ms, a glance at one process 0.2 ms more, a look 0.5 ms, or 1.5 ms with
# a child that looks at the whole node; to ask whether a process has run at all, 0.07 ms.
_GLANCES = 45.0  # s between two glances: every other beat
# s between two at processes that have not run in between.  Nothing they do has changed then; what the node does to
# them, as to swap them out, is seen so late.
_STILL_GLANCES = 1800.0
_FIRST_PAUSE = 60.0  # s between two looks at a job whose processes change
_LAST_PAUSE = 960.0  # s between two at one whose processes stay


class Health:
    """The use of one job so far."""

    def __init__(self, job: "AnyJob") -> None:
        self._job = job
        self._state: "Optional[State]" = None
        self.peak_rss: "Optional[int]" = None  # bytes
        self._glance: "Optional[Glance]" = None
        self._seen: "Dict[int, int]" = {}  # start time by pid, at the last look
        self._pause = _FIRST_PAUSE
        self._latest: "Optional[Sample]" = None
        self._next_glance = self._next_look = self._stale_at = 0.0  # by the monotonic clock
        self._ran: "Optional[List[float]]" = None  # by each process, before a glance that saw no CPU used
        self._ran_when_scanned: "Optional[List[float]]" = None  # by each, before a look at the whole node
        group_of(job)  # while the job's parent is there to tell whose the control group is

    @property
    def cpu_seconds(self) -> "Optional[float]":
        """CPU that the job used, as far as beats saw it."""
        return None if self._state is None else self._state.cpu_seconds

    def glance(self) -> "Sample":
        """The vitals for a beat that nobody waits for: of the processes that the last look saw."""
        now = time.monotonic()
        if self._latest is not None and now < self._next_glance:
            return self._latest
        self._next_glance, self._stale_at = now + _GLANCES, now + _STILL_GLANCES
        ran = self._glance.ran() if self._glance is not None else None
        found = None
        if self._glance is not None and (now < self._next_look or self._is_as_scanned(ran)):
            found = self._glance.look(now)
        self._ran = ran if found is not None and not found.cpu_percent else None
        self._latest = found = self._look(now) if found is None else found
        self.peak_rss = max(found.rss_bytes, self.peak_rss or 0)
        return found

    def renew(self) -> None:
        """A worker has told newer figures than the last glance's: the next one is at the job."""
        self._next_glance = 0.0

    def is_still(self) -> bool:
        """No process has run since the last glance, and none is to be looked for: what was found is so now."""
        if self._ran is None or self._glance is None or self._glance.ran() != self._ran:
            return False
        now = time.monotonic()
        return now < self._stale_at and (now < self._next_look or self._is_as_scanned(self._ran))

    def _is_as_scanned(self, ran: "Optional[List[float]]") -> bool:
        """No process has run since the whole node was looked at: none can have started one that is not known."""
        return ran is not None and ran == self._ran_when_scanned

    def _look(self, now: float) -> "Sample":
        """Look at all, and again the sooner the more has changed."""
        ran = None
        if self._glance is not None:
            ran = self._glance.ran()
            self._glance.close()
            self._glance = None
            if self._state is not None:
                self._state.expect_children()
        found = self.sample()
        members = self._state.members if self._state is not None else {}
        seen = {pid: process.starttime for pid, process in members.items()}
        self._pause = min(2 * self._pause, _LAST_PAUSE) if seen == self._seen else _FIRST_PAUSE
        self._seen, self._next_look = seen, now + self._pause
        if 0 < len(members) <= FEW:
            glance = Glance(self._job, found, members)
            if glance.is_good:
                self._glance = glance
                self._ran_when_scanned = ran if self._state is not None and self._state.has_scanned else None
            else:
                glance.close()
        return found

    def sample(self) -> "Sample":
        """The vitals of a beat now."""
        try:
            found, self._state = vitals.sample(self._job, self._state)
        except (
            OSError,
            ValueError,
        ):  # /proc went away, or holds what no kernel wrote: a beat is worth more than its figures
            return vitals.Sample()
        self.peak_rss = max(found.rss_bytes, self.peak_rss or 0)
        return found
