"""Long rows folded to a width: which piece of which row stands on which line of the screen.

Rows come at the end, go at the beginning and come back there; only what changed
is folded anew.  Nothing here draws.
"""

from collections.abc import Callable
from typing import NamedTuple

from rich.cells import chop_cells


class Piece(NamedTuple):
    """A part of a row that fits the width."""

    row: int
    start: int  # first character
    end: int  # one after the last


class Folding:
    """The pieces of all rows, in order.

    Args:
        text_of: the text of a row, as it is shown.
    """

    def __init__(self, text_of: Callable[[int], str]) -> None:
        self._text_of = text_of
        self.width = 0  # cells; 0: rows are not folded
        self.pieces: list[Piece] = []
        self._rows = 0  # rows folded so far

    def restart(self, width: int) -> None:
        """Fold all rows anew, to another width."""
        self.width, self.pieces, self._rows = width, [], 0

    def follow(self, rows: int) -> None:
        """Take in rows that came; the last one known may have grown."""
        if not self.width:
            return
        first = max(0, self._rows - 1)
        while self.pieces and self.pieces[-1].row >= first:
            self.pieces.pop()
        for row in range(first, rows):
            self.pieces += pieces(row, self._text_of(row), self.width)
        self._rows = rows

    def drop(self, rows: int) -> int:
        """The first rows are gone; give how many pieces they were."""
        if not self.width or not rows:
            return rows
        gone = next((at for at, piece in enumerate(self.pieces) if piece.row >= rows), len(self.pieces))
        self.pieces = [piece._replace(row=piece.row - rows) for piece in self.pieces[gone:]]
        self._rows = max(0, self._rows - rows)
        return gone

    def cut(self, rows: int) -> None:
        """Only so many of the first rows are left."""
        del self.pieces[self.line_of(rows) if self.width else 0 :]
        self._rows = min(self._rows, rows)

    def prepend(self, rows: int) -> int:
        """So many rows came before the first; give how many pieces they are."""
        if not self.width:
            return rows
        came = [piece for row in range(rows) for piece in pieces(row, self._text_of(row), self.width)]
        self.pieces = [*came, *(piece._replace(row=piece.row + rows) for piece in self.pieces)]
        self._rows += rows
        return len(came)

    def line_of(self, row: int) -> int:
        """The line on which a row begins."""
        if not self.width:
            return row
        low, high = 0, len(self.pieces)
        while low < high:
            middle = (low + high) // 2
            if self.pieces[middle].row < row:
                low = middle + 1
            else:
                high = middle
        return low


def pieces(row: int, text: str, width: int) -> list[Piece]:
    """A row cut into pieces of at most ``width`` cells; an empty row is one piece."""
    if len(text) <= width and text.isascii():
        return [Piece(row, 0, len(text))]
    parts = [text[at : at + width] for at in range(0, len(text), width)] if text.isascii() else chop_cells(text, width)
    found, start = [], 0
    for part in parts or [""]:
        found.append(Piece(row, start, start + len(part)))
        start += len(part)
    return found
