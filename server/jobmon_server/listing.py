"""Listings: the jobs that a peer selects, in an order, page by page.

A page ends with a cursor: the value that it is ordered by and the uuid of its
last job.  The next page begins behind it, whatever has come and gone meanwhile.
Nothing here knows of HTTP.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jobmon_server.jobs import Job
from jobmon_server.packing import Packed
from jobmon_server.refusals import RefusedError
from jobmon_server.registry import Registry
from jobmon_server.selection import Selection
from jobmon_wire.jobs import FIELDS, exit_text

NEWEST_FIRST = "-started"
PAGE = 10_000  # jobs of one answer at most, 8 MB
TURN = 2000  # jobs looked at until others have their turn, 5 ms
RANK = 256  # characters that a text is ordered by; a cursor names them
_UNORDERED = ("batch", "tags")  # objects: there is no order among them
_FIELDS = tuple(field.name for field in FIELDS if field.name not in _UNORDERED)


class Page(NamedTuple):
    """A run of jobs of a list."""

    jobs: list[Job]
    total: int  # jobs of the whole list
    next: str  # the cursor that the next page begins behind; empty at the end


class Order:
    """By a field, descending with ``-``; then by uuid; jobs without a value come last, by uuid.

    Raises:
        RefusedError: no such field, or one without an order.
    """

    def __init__(self, sort: str) -> None:
        self.sort = sort
        self._field = sort.removeprefix("-")
        self._falls = sort.startswith("-")
        if self._field not in _FIELDS:
            raise RefusedError("bad-request", f"sort by one of {', '.join(sorted(_FIELDS))}")

    def sorted(self, jobs: list[Job]) -> list[Job]:
        """The jobs in this order."""
        ranks = self.ranks(jobs)
        known, unknown = list(range(len(jobs))), list[Job]()
        if None in ranks:
            known = [i for i, rank in enumerate(ranks) if rank is not None]
            unknown = [job for job, rank in zip(jobs, ranks, strict=True) if rank is None]
        if len(set(ranks)) < len(known) + bool(unknown):
            known.sort(key=lambda i: jobs[i].uuid, reverse=self._falls)
        known.sort(key=ranks.__getitem__, reverse=self._falls)
        return [jobs[i] for i in known] + sorted(unknown, key=lambda job: job.uuid)

    def behind(self, jobs: list[Job], cursor: str) -> list[Job]:
        """The jobs that come after the cursor.

        Raises:
            RefusedError: it is no cursor of this order.
        """
        last, uuid = self._read(cursor)
        ranks = self.ranks(jobs)
        if last is None:
            return [job for job, rank in zip(jobs, ranks, strict=True) if rank is None and job.uuid > uuid]
        place = (last, uuid)
        try:
            if self._falls:
                return [job for job, rank in zip(jobs, ranks, strict=True) if rank is None or (rank, job.uuid) < place]
            return [job for job, rank in zip(jobs, ranks, strict=True) if rank is None or (rank, job.uuid) > place]
        except TypeError as error:
            raise _no_cursor() from error

    def cursor(self, job: Job) -> str:
        """The place of a job in this order."""
        text = json.dumps([self.sort, self.ranks([job])[0], job.uuid])
        return base64.urlsafe_b64encode(text.encode()).decode()

    def ranks(self, jobs: Sequence[Job]) -> list[Any]:
        """What each job is ordered by; None where that is not known."""
        attribute = vars(Job).get(self._field)
        if isinstance(attribute, Packed):
            values = attribute.of(jobs)
            if not isinstance(next((value for value in values if value is not None), ""), str):
                return values  # numbers
        else:
            values = [job.get(self._field) for job in jobs]
        if self._field == "exit":
            return [None if value is None else exit_text(value) for value in values]
        return [value[:RANK].lower() if isinstance(value, str) else value for value in values]

    def _read(self, cursor: str) -> tuple[Any, str]:
        try:
            sort, rank, uuid = json.loads(base64.urlsafe_b64decode(cursor))
        except (ValueError, TypeError, RecursionError, binascii.Error) as error:
            raise _no_cursor() from error
        if sort != self.sort or not isinstance(uuid, str) or not isinstance(rank, str | int | float | None):
            raise _no_cursor()
        return rank, uuid


async def select(registry: Registry, selection: Selection) -> list[Job]:
    """The jobs that are wanted, in no order."""
    found, wanted = selection.candidates(registry)
    if wanted is None:
        return found
    return await _turns(found, lambda jobs: [job for job in jobs if wanted(job)])


def _kept(registry: Registry, selection: Selection, order: Order) -> list[Job] | None:
    """All jobs that are wanted, in the order; None where the registry does not keep that."""
    if order.sort != NEWEST_FIRST or not selection.is_whole:
        return None
    realms = selection.realms(registry)
    return registry.newest.of(realms[0]) if len(realms) == 1 else None


async def page(registry: Registry, selection: Selection, order: Order, limit: int, after: str = "") -> Page:
    """At most so many jobs that come after a cursor, and never more than ``PAGE``.

    Raises:
        RefusedError: it is no cursor of this list.
    """
    kept = _kept(registry, selection, order)
    found = await select(registry, selection) if kept is None else kept
    left = await _turns(found, lambda jobs: order.behind(jobs, after)) if after else found
    size = min(limit, PAGE)
    jobs = await first(left, order, size) if kept is None else left[:size]
    return Page(jobs, len(found), order.cursor(jobs[-1]) if len(left) > len(jobs) else "")


async def first(jobs: list[Job], order: Order, size: int) -> list[Job]:
    """The first jobs in the order: of many at no time more than a few are sorted."""
    room = size + max(size, TURN)
    best: list[Job] = jobs[:room]
    for start in range(room, len(jobs), max(size, TURN)):
        best = order.sorted(best)[:size] + jobs[start : start + max(size, TURN)]
        await asyncio.sleep(0)
    return order.sorted(best)[:size]


async def _turns(jobs: list[Job], work: Callable[[list[Job]], list[Job]]) -> list[Job]:
    found: list[Job] = []
    for start in range(0, len(jobs), TURN):
        found += work(jobs[start : start + TURN])
        await asyncio.sleep(0)
    return found


def _no_cursor() -> RefusedError:
    return RefusedError("bad-request", "after: what JobMon-Next said of this list, in this order, was expected")
