"""Figures as people read them: sizes, times, shares; and text cut to a number of cells.

Nothing here draws or makes outside text safe; what comes in is safe already.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, chop_cells, set_cell_size

from jobmon_wire.moments import read_moment

NOTHING = "-"  # what is not known
LEAST = 10  # cells of a sentence that is wrapped; narrower than that nothing is read
_UNITS = "KMGTP"


def size(value: Any) -> str:
    """``41.2G``; at most five characters."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return NOTHING
    amount = float(value)
    if abs(amount) < 1024:
        return f"{amount:.0f}B"
    step = 0
    while step == 0 or (abs(amount) >= 1000 and step < len(_UNITS)):
        amount /= 1024
        step += 1
    unit = _UNITS[step - 1]
    return f"{amount:.1f}{unit}" if abs(amount) < 100 else f"{amount:.0f}{unit}"


def percent(value: Any) -> str:
    """``812``, ``0.3``; at most four characters below 10000."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return NOTHING
    return f"{value:.1f}" if 0 < value < 10 else f"{value:.0f}"


def span(seconds: float | None) -> str:
    """``00:02:11``, ``3d 04:05``."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    minutes, second = divmod(int(max(0.0, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{days}d {hour:02d}:{minute:02d}" if days else f"{hour:02d}:{minute:02d}:{second:02d}"


def short_span(seconds: float) -> str:
    """``7s``, ``12m``, ``3h``, ``2d``: an age in a phrase."""
    seconds = max(0.0, seconds)
    for limit, unit, width in ((120, 1, "s"), (7200, 60, "m"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f}{width}"
    return f"{seconds / 86400:.0f}d"


def moment(value: Any) -> float | None:
    """Seconds since 1970 of what a record holds: RFC 3339 text, a number, or nothing."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return float(value)
    try:
        return read_moment(str(value))
    except ValueError:
        return None


def elapsed(row: Mapping[str, Any], now: float) -> float | None:
    """How long a job has run, or ran, s."""
    started = moment(row.get("started"))
    if started is None:
        return None
    ended = moment(row.get("ended"))
    return (now if ended is None else ended) - started


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly so many cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    space = " " * (width - length)
    return space + text if right else text + space


def fit_before(text: str, end: str, width: int) -> str:
    """The text and its end in at most so many cells; of the text goes what has no room."""
    return text + end if cell_len(text + end) <= width else fit(text, width - cell_len(end)) + end


def fit_spans(spans: Sequence[tuple[str, str]], width: int, is_right: bool = False) -> list[tuple[str, str]]:
    """Texts, each with the name of a style, in exactly so many cells together."""
    if len(spans) == 1:
        ((text, style),) = spans
        return [(fit(text, width, right=is_right), style)]
    fitted, left = [], width
    for text, style in spans:
        cells = cell_len(text)
        if cells > left:
            fitted.append((fit(text, left), style))
            return fitted
        fitted.append((text, style))
        left -= cells
    return [*fitted, (" " * left, "plain")]


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most so many cells (2 at least), broken between words, or within one that is longer."""
    lines, line = [], ""
    for word in text.split():
        if line and cell_len(line) + 1 + cell_len(word) <= width:
            line = f"{line} {word}"
            continue
        pieces = chop_cells(word, max(2, width))
        lines += [*([line] if line else []), *pieces[:-1]]
        line = pieces[-1]
    return [*lines, line] if line else lines


def plural(count: int, noun: str) -> str:
    """``1 job``, ``2,000 jobs``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
