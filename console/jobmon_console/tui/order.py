"""By what the list of jobs can be sorted.

Unknown values come last whichever way round; equal ones are in the order of their ids,
so that the list does not jump when it is made anew.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

from jobmon_console.tui import texts
from jobmon_wire.jobs import STATES

LONGEST_NUMBER = 18  # digits; a name may be thousands of them, and int() takes quadratic time

_DIGITS = re.compile(r"(\d+)")


class Sort(NamedTuple):
    """One order."""

    id: str
    title: str
    value: Callable[[dict[str, Any]], Any]  # None: not known
    is_live: bool = False  # changes all the time, so that the list would never stand still


class HasRow(Protocol):
    """Something that holds a public job record."""

    @property
    def row(self) -> dict[str, Any]:
        """The record."""


def _text(field: str) -> Callable[[dict[str, Any]], Any]:
    return lambda row: natural(str(row[field])) if row.get(field) not in (None, "") else None


def _number(field: str) -> Callable[[dict[str, Any]], Any]:
    def value(row: dict[str, Any]) -> Any:
        number = row.get(field)
        return -number if isinstance(number, (int, float)) else None  # the largest is what one looks for

    return value


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key for text with digits as numbers: job 9 comes before job 10."""
    return [_part(part) for part in _DIGITS.split(text) if part]


def _part(part: str) -> tuple[int, int, str]:
    is_number = part.isdecimal() and len(part) <= LONGEST_NUMBER
    return (0, int(part), "") if is_number else (1, 0, part.casefold())


def _started(row: dict[str, Any]) -> Any:
    started = texts.moment(row.get("started"))
    return None if started is None else -started


def _state(row: dict[str, Any]) -> Any:
    state = row.get("state")
    return STATES.index(state) if state in STATES else None


SORTS = {
    order.id: order
    for order in (
        Sort("id", "id", _text("id")),
        Sort("state", "state", _state),
        Sort("name", "name", _text("name")),
        Sort("owner", "owner", _text("owner")),
        Sort("node", "node", _text("node")),
        Sort("cpu", "CPU, busiest first", _number("cpu_percent"), True),
        Sort("mem", "memory, largest first", _number("rss_bytes"), True),
        Sort("output", "output, most first", _number("output_bytes"), True),
        Sort("elapsed", "start, newest first", _started),
    )
}
DEFAULT = "elapsed"

Rowed = TypeVar("Rowed", bound=HasRow)


def sort(entries: list[Rowed], column: str, is_reversed: bool) -> list[Rowed]:
    """The entries in order."""
    value = SORTS[column].value
    known: list[tuple[Any, str, Rowed]] = []
    unknown: list[Rowed] = []
    for entry in entries:
        key = value(entry.row)
        if key is None:
            unknown.append(entry)
        else:
            known.append((key, str(entry.row.get("id")), entry))
    known.sort(key=lambda one: one[:2], reverse=is_reversed)
    return [entry for _, _, entry in known] + unknown
