"""Newest: the jobs of a realm from the one that started last, the order in which nearly everybody lists them.

They are put in order when somebody first asks.  From then on a job that comes
takes its place, and one whose start is another than it was has its realm put in
order anew: beats, which change most, change nothing here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from jobmon_server.jobs import Job
from jobmon_server.realms import Realm

KEPT = 64  # realms, those asked for last
LARGEST = 10_000  # jobs of one: to put so many in order takes 9 ms, and each takes 8 bytes

_STARTED = vars(Job)["started"]
_started, _uuid = attrgetter("started"), attrgetter("uuid")


class Newest:
    """The realms' jobs in that order.

    Args:
        slots: of a realm's jobs, in no order.
        jobs: in slots.
    """

    def __init__(self, slots: Callable[[Realm], Sequence[int]], jobs: Callable[[Iterable[int]], list[Job]]) -> None:
        self._slots = slots
        self._jobs = jobs
        self._kept: OrderedDict[Realm, list[Job]] = OrderedDict()  # by start, then by uuid, rising

    def of(self, realm: Realm) -> list[Job] | None:
        """The jobs, those of one moment by uuid, falling; None where there are too many or a start is not known."""
        kept = self._kept.get(realm) or self._arrange(realm)
        if kept is None:
            return None
        self._kept[realm] = kept
        self._kept.move_to_end(realm)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return kept[::-1]

    def add(self, job: Job) -> None:
        """It has come."""
        kept = self._kept.get(job.realm)
        if kept is None:
            return
        if job.started is None or len(kept) >= LARGEST:
            del self._kept[job.realm]
            return
        first, last = _of_moment(kept, job.started)
        kept.insert(bisect_left(kept, job.uuid, first, last, key=_uuid), job)

    def note(self, job: Job) -> None:
        """Something of it is different, perhaps its start."""
        kept = self._kept.get(job.realm)
        if kept is not None and _place(kept, job) is None:
            del self._kept[job.realm]

    def take(self, job: Job) -> None:
        """It goes."""
        kept = self._kept.get(job.realm)
        if kept is None:
            return
        place = _place(kept, job)
        if place is None or len(kept) == 1:
            del self._kept[job.realm]
        else:
            del kept[place]

    def _arrange(self, realm: Realm) -> list[Job] | None:
        slots = self._slots(realm)
        if len(slots) > LARGEST:
            return None
        jobs = self._jobs(slots)
        starts = _STARTED.of(jobs)
        if None in starts:
            return None
        ranks = list(zip(starts, map(_uuid, jobs), strict=True))
        return [jobs[at] for at in sorted(range(len(jobs)), key=ranks.__getitem__)]


def _of_moment(kept: list[Job], started: float) -> tuple[int, int]:
    """Where the jobs stand that started then."""
    first = bisect_left(kept, started, key=_started)
    return first, bisect_right(kept, started, first, key=_started)


def _place(kept: list[Job], job: Job) -> int | None:
    """Where the job stands; None if that is not its place by its start."""
    if job.started is None:
        return None
    first, last = _of_moment(kept, job.started)
    place = bisect_left(kept, job.uuid, first, last, key=_uuid)
    if place == last or kept[place] is not job:
        return None
    # Where it stands wrong it may lead the search to itself; to its neighbours it cannot stand right, too.
    ranks = [(each.started, each.uuid) for each in kept[max(place - 1, 0) : place + 2]]
    return place if ranks == sorted(ranks) else None
