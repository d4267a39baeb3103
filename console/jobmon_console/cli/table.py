"""Plain tables: columns as wide as they need, cut where the terminal ends.

Cells are text from anywhere; a table makes it safe.  A pipe gets every cell
whole.
"""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from jobmon_console.cli import screen
from jobmon_console.safe import safe

GAP = "  "
_NO_WIDTH = ("Mn", "Me")  # categories of marks that stand on the character before
_SHORTEST = 8  # columns; a cell is not cut below this as long as another is longer


class Column(NamedTuple):
    """How a column looks."""

    title: str
    is_number: bool = False  # stands at the right
    can_shrink: bool = True


class Table:
    """A table whose later rows are not known yet: its columns grow, and shrink for the terminal alone."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._widest = [0] * len(columns)

    def lines(self, rows: Sequence[Sequence[str]], has_header: bool = False) -> list[str]:
        """The lines of the next rows, which are known together."""
        cells = [[column.title for column in self._columns]] if has_header else []
        cells += [[safe(cell) for cell in row] for row in rows]
        for row in cells:
            self._widest = [max(wide, cells_of(cell)) for wide, cell in zip(self._widest, row, strict=True)]
        edge = screen.width()
        widths = _fitting(self._columns, self._widest, edge)
        return [cut(_line(self._columns, row, widths), edge) for row in cells]


def lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], has_header: bool = True) -> list[str]:
    """The table's lines, header first."""
    return Table(columns).lines(rows, has_header)


def cut(text: str, columns: int) -> str:
    """The text in at most so many columns, its end replaced by … where it is longer."""
    if columns <= 0 or cells_of(text) <= columns:
        return text
    kept, used = [], 1
    for character in text:
        used += cells_of(character)
        if used > columns:
            break
        kept.append(character)
    return "".join(kept) + "…"


def cells_of(text: str) -> int:
    """Columns the text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        # By category: the vowel signs of Thai and others take no column and have no combining class either.
        0 if unicodedata.category(character) in _NO_WIDTH else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _fitting(columns: Sequence[Column], wanted: list[int], edge: int) -> list[int]:
    widths = list(wanted)
    excess = sum(widths) + len(GAP) * (len(columns) - 1) - edge if edge else 0
    while excess > 0:
        # The widest gives first, the last one before its equals: it is prose.
        able = [i for i, column in enumerate(columns) if column.can_shrink and widths[i] > _SHORTEST]
        if not able:
            break
        widest = max(able, key=lambda i: (widths[i], i))
        widths[widest] -= 1
        excess -= 1
    return widths


def _line(columns: Sequence[Column], row: Sequence[str], widths: list[int]) -> str:
    parts = []
    for column, cell, wide in zip(columns, row, widths, strict=True):
        text = cut(cell, wide)
        space = " " * (wide - cells_of(text))
        parts.append(space + text if column.is_number else text + space)
    return GAP.join(parts).rstrip()
