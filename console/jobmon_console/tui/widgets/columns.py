"""The columns of the job table, and which of them fit.

Columns have a rank: a narrow table keeps the first.  What is left over goes to
the columns that can use it.  Nothing here draws; cells are safe text.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.states import health_look, job_look
from jobmon_wire.jobs import ENDED, RUNNING

GAP = 1  # cells between columns
FAIR_NAME = (
    16  # cells of a name that come before the columns of RARE ranks, and before others get more than their least
)
RARE = 8  # rank from which on a column is for wide tables
BUSY = 5.0  # percent of a core; less is drawn dim, so that the busy ones stand out

Cell = tuple[str, str]  # text, name of a style
Record = Mapping[str, Any]


class Column(NamedTuple):
    """One column."""

    id: str  # also of its order, where there is one
    title: str
    rank: int  # low ones stay when it gets narrow
    width: int  # cells at least
    most: int  # cells at most
    is_right: bool
    cell: Callable[[Record, float], Cell]  # record and now, s since 1970


def _text(field: str, style: str = "plain") -> Callable[[Record, float], Cell]:
    return lambda row, now: (safe(str(row.get(field) or "")) or texts.NOTHING, style)


def _state(row: Record, now: float) -> Cell:
    look = job_look(row)
    return f"{look.glyph} {look.word}", look.style


def _health(row: Record, now: float) -> Cell:
    look = health_look(row)
    return f"{look.glyph} {look.word}".strip(), look.style


def _state_and_health(row: Record, now: float) -> Cell:
    """What is wrong with a job that runs, where no other column tells; "! stuck" says that it does."""
    is_ill = row.get("state") == RUNNING and health_look(row).word
    return _health(row, now) if is_ill else _state(row, now)


def _size(field: str) -> Callable[[Record, float], Cell]:
    return lambda row, now: (texts.size(row.get(field)), "dim" if row.get("state") == ENDED else "plain")


def _cpu(row: Record, now: float) -> Cell:
    value = row.get("cpu_percent")
    if row.get("state") == ENDED:
        return texts.NOTHING, "dim"
    is_busy = isinstance(value, (int, float)) and value >= BUSY
    return texts.percent(value), "strong" if is_busy else "dim"


def _elapsed(row: Record, now: float) -> Cell:
    return texts.span(texts.elapsed(row, now)), "dim" if row.get("state") == ENDED else "plain"


def _progress(row: Record, now: float) -> Cell:
    return safe(str(row.get("progress") or "")), "dim"


COLUMNS = (
    Column("id", "JOB", 0, 16, 28, False, _text("id", "strong")),
    Column("state", "STATE", 1, 12, 13, False, _state),
    Column("name", "NAME", 2, 8, 28, False, _text("name")),
    Column("health", "HEALTH", 8, 8, 12, False, _health),
    Column("owner", "OWNER", 6, 7, 10, False, _text("owner", "dim")),
    Column("node", "NODE", 5, 9, 20, False, _text("node", "dim")),
    Column("cpu", "CPU%", 4, 5, 5, True, _cpu),
    Column("mem", "MEM", 5, 6, 6, True, _size("rss_bytes")),
    Column("output", "OUTPUT", 9, 7, 7, True, _size("output_bytes")),
    Column("elapsed", "ELAPSED", 3, 9, 9, True, _elapsed),
    Column("progress", "PROGRESS", 10, 12, 60, False, _progress),
)
_NAME = next(column for column in COLUMNS if column.id == "name")


@functools.lru_cache(maxsize=64)
def choose(width: int, without: frozenset[str] = frozenset()) -> tuple[tuple[Column, int], ...]:
    """The columns that fit, with their widths, in order."""
    left, chosen = width, set()
    for column in sorted(COLUMNS, key=lambda column: column.rank):
        if column.id in without:
            continue
        spare = FAIR_NAME - _NAME.width if column.rank >= RARE and _NAME.id in chosen else 0
        if column.width + GAP + spare > left:
            break
        chosen.add(column.id)
        left -= column.width + GAP
    widths = {column.id: column.width for column in COLUMNS if column.id in chosen}
    if _NAME.id in widths:
        more = min(left, FAIR_NAME - _NAME.width)
        widths[_NAME.id], left = widths[_NAME.id] + more, left - more
    while left and any(widths[column.id] < column.most for column in COLUMNS if column.id in widths):
        for column in COLUMNS:  # a cell each in turn, so that no column starves
            if left and column.id in widths and widths[column.id] < column.most:
                widths[column.id] += 1
                left -= 1
    is_cut = "health" not in chosen and "health" not in without
    return tuple(
        (_fuller(column) if is_cut else column, widths[column.id]) for column in COLUMNS if column.id in widths
    )


def _fuller(column: Column) -> Column:
    """The column as it is where the health of jobs has no room of its own."""
    return column._replace(cell=_state_and_health) if column.id == "state" else column
