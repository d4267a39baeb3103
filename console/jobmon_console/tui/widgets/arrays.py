"""The line of a job array: its tasks summed up, cell by cell under the titles that jobs have.

Texts that all tasks share are shown, of names also a beginning that they share;
figures are sums, time is the longest.  Nothing here draws; cells are safe text.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobmon_console.ranking import number
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.states import health_look
from jobmon_console.tui.widgets.columns import BUSY, Column

Cell = list[tuple[str, str]]  # texts with names of styles, one behind the other
Record = Mapping[str, Any]

_NOTHING: Cell = [(texts.NOTHING, "dim")]


def cell(column: Column, tasks: Sequence[Record], now: float) -> Cell:
    """What the tasks have in common, or come to together.

    Args:
        tasks: public records, one at least.
        now: s since 1970.
    """
    if column.id == "state":
        return _states([column.cell(task, now) for task in tasks])
    return _CELLS[column.id](tasks, now) if column.id in _CELLS else []


def _states(cells: Sequence[tuple[str, str]]) -> Cell:
    """How many in which state, the most first; of one state alone also its word."""
    looks = Counter((*text.split(" ")[:2], style) for text, style in cells)  # how one ended is another word
    if len(looks) == 1:
        ((glyph, word, style), count) = looks.popitem()
        return [(f"{glyph} {count:,} {word}", style)]
    return [(f"{glyph} {count:,} ", style) for (glyph, _, style), count in looks.most_common()]


def _health(tasks: Sequence[Record], now: float) -> Cell:
    """What is wrong with most of those with which something is."""
    looks = Counter(look for look in map(health_look, tasks) if look.word)
    return [(f"{look.glyph} {count:,} {look.word}", look.style) for look, count in looks.most_common(1)]


def _name(tasks: Sequence[Record], now: float) -> Cell:
    names = {safe(str(task.get("name") or "")) for task in tasks}
    first, last = min(names), max(names)  # what these begin with, all between them do
    shared = first[: next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]
    return [(shared if len(names) == 1 else shared + "*", "plain")] if shared else _NOTHING


def _shared(field: str, several: str) -> Callable[[Sequence[Record], float], Cell]:
    def show(tasks: Sequence[Record], now: float) -> Cell:
        found = {str(task.get(field) or "") for task in tasks}
        return [(safe(found.pop()) or texts.NOTHING if len(found) == 1 else f"{len(found):,} {several}", "dim")]

    return show


def _sum(field: str, write: Callable[[float], str], least: float = 0.0) -> Callable[[Sequence[Record], float], Cell]:
    def show(tasks: Sequence[Record], now: float) -> Cell:
        known = [value for value in (number(task.get(field)) for task in tasks) if value is not None]
        total = sum(known)
        return [(write(total), "plain" if total >= least else "dim")] if known else _NOTHING

    return show


def _longest(tasks: Sequence[Record], now: float) -> Cell:
    spans = [span for span in (texts.elapsed(task, now) for task in tasks) if span is not None]
    return [(texts.span(max(spans)), "plain")] if spans else _NOTHING


_CELLS = {
    "health": _health,
    "name": _name,
    "owner": _shared("owner", "owners"),
    "node": _shared("node", "nodes"),
    "cpu": _sum("cpu_percent", texts.percent, BUSY),
    "mem": _sum("rss_bytes", texts.size),
    "output": _sum("output_bytes", texts.size),
    "elapsed": _longest,
}
