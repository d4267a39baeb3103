"""What an agent remembers of its job from beat to beat, whichever of its processes beats.

The idle process owns it; a worker is forked with a copy of it, and goes on
from there.  Nothing large is imported here.
"""

from jobmon_agent import vitals
from jobmon_agent.members import group_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from jobmon_agent.job import AnyJob
    from jobmon_agent.vitals import Sample, State


class Health:
    """The use of one job so far."""

    def __init__(self, job: "AnyJob") -> None:
        self._job = job
        self._state: "Optional[State]" = None
        self.peak_rss: "Optional[int]" = None  # bytes
        group_of(job)  # while the job's parent is there to tell whose the control group is

    @property
    def cpu_seconds(self) -> "Optional[float]":
        """CPU that the job used, as far as beats saw it."""
        return None if self._state is None else self._state.cpu_seconds

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
