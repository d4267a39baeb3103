"""By what the list of jobs can be sorted.

Unknown values come last whichever way round; equal ones are in the order of their ids,
so that the list does not jump when it is made anew.
"""

import re
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, TypeVar

from jobmon_console.tui import texts
from jobmon_wire.jobs import STATES

LONGEST_NUMBER = 0x10000  # digits that are counted; a name may have millions

_ORDER = attrgetter("order")
_DIGITS = re.compile(r"[0-9]+")


class Sort(NamedTuple):
    """One order."""

    id: str
    title: str
    field: str  # that it goes by; of equal ones by the id
    value: Callable[[Mapping[str, Any]], Any]  # None: not known
    is_live: bool = False  # changes all the time, so that the list would never stand still
    is_falling: bool = False  # of what the column shows the largest comes first
    descends: bool = False  # of the field the largest comes first

    def arrow(self, is_reversed: bool) -> str:
        """Whether what the column shows grows downwards (▲) or falls, beside its title."""
        return "▼" if self.is_falling != is_reversed else "▲"

    def word(self, is_reversed: bool) -> str:
        """The same for ``jobmon jobs --sort``."""
        return self.field + ("-" if self.descends != is_reversed else "")


def _text(id_: str, field: str) -> Sort:
    return Sort(id_, id_, field, lambda row: natural(str(row[field])) if row.get(field) not in (None, "") else None)


def _number(id_: str, title: str, field: str) -> Sort:
    def value(row: Mapping[str, Any]) -> Any:
        number = row.get(field)
        return -number if isinstance(number, (int, float)) else None  # the largest is what one looks for

    return Sort(id_, title, field, value, is_live=True, is_falling=True, descends=True)


def natural(text: str) -> str:
    """A key for text with digits as numbers: job 9 comes before job 10.

    One string, not a list of parts: a sixth of the memory, and compared at once.
    """
    return _DIGITS.sub(_number_key, text.casefold())


def _number_key(digits: re.Match[str]) -> str:
    # What has more digits is larger; of as many the text says it.  Before whatever else can be printed.
    number = digits[0].lstrip("0")
    return f"\x01{chr(min(len(number), LONGEST_NUMBER))}{number}"


def _started(row: Mapping[str, Any]) -> Any:
    started = texts.moment(row.get("started"))
    return None if started is None else -started


def _state(row: Mapping[str, Any]) -> Any:
    state = row.get("state")
    return STATES.index(state) if state in STATES else None


SORTS = {
    order.id: order
    for order in (
        _text("id", "id"),
        Sort("state", "state", "state", _state),
        _text("name", "name"),
        _text("owner", "owner"),
        _text("node", "node"),
        _number("cpu", "CPU, busiest first", "cpu_percent"),
        _number("mem", "memory, largest first", "rss_bytes"),
        _number("output", "output, most first", "output_bytes"),
        Sort("elapsed", "start, newest first", "started", _started, descends=True),
    )
}
DEFAULT = "elapsed"


class Ordered(Protocol):
    """Something that knows what it is sorted by."""

    @property
    def order(self) -> Any:
        """From ``order_of``."""


Sorted = TypeVar("Sorted", bound=Ordered)


def order_of(row: Mapping[str, Any], column: str) -> Any:
    """What a record is sorted by; None where the value is unknown."""
    value = SORTS[column].value(row)
    return None if value is None else (value, str(row.get("id")))


def in_order(entries: list[Sorted], is_reversed: bool) -> list[Sorted]:
    """The entries in their order."""
    known = [entry for entry in entries if entry.order is not None]
    unknown = [entry for entry in entries if entry.order is None] if len(known) < len(entries) else []
    known.sort(key=_ORDER, reverse=is_reversed)
    return known + unknown
