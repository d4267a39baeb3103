"""Finding a text in the rows of a pane: which rows hold it, and where in a row.

Upper and lower case are the same, unless the text has an upper case letter.
Rows come at the end, go at the beginning and come back there; only what came is
looked through.
Nothing here draws or scrolls.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable

LONGEST = 200  # characters of a text that is looked for


class Search:
    """One text that is looked for.

    Args:
        text: what a person typed; empty finds nothing.
        text_of: the text of a row, as it is shown.

    Attributes:
        rows: those that hold the text, ascending.
    """

    def __init__(self, text: str, text_of: Callable[[int], str]) -> None:
        self.text = text[:LONGEST]
        self.rows: list[int] = []
        self._text_of = text_of
        self._looked = 0  # rows looked through
        flags = re.IGNORECASE if self.text == self.text.lower() else 0
        self._pattern = re.compile(re.escape(self.text), flags) if self.text else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where the text stands in another, as pairs of begin and end."""
        return [match.span() for match in self._pattern.finditer(text)] if self._pattern is not None else []

    def follow(self, rows: int) -> None:
        """Look through rows that came; the last one known may have grown."""
        first = max(0, self._looked - 1)
        if self.rows and self.rows[-1] >= first:
            self.rows.pop()
        self.rows += self._found(range(first, rows))
        self._looked = rows

    def drop(self, rows: int) -> None:
        """The first rows are gone."""
        self.rows = [row - rows for row in self.rows[bisect_left(self.rows, rows) :]]
        self._looked = max(0, self._looked - rows)

    def cut(self, rows: int) -> None:
        """Only so many of the first rows are left."""
        del self.rows[bisect_left(self.rows, rows) :]
        self._looked = min(self._looked, rows)

    def prepend(self, rows: int) -> None:
        """So many rows came before the first."""
        self.rows = [*self._found(range(rows)), *(row + rows for row in self.rows)]
        self._looked += rows

    def next(self, row: int, step: int) -> int | None:
        """The next of its rows after a row (``step`` 1) or before it (-1), round the end; None: there is none."""
        if not self.rows:
            return None
        at = bisect_right(self.rows, row) if step > 0 else bisect_left(self.rows, row) - 1
        return self.rows[at % len(self.rows)]

    def beyond(self, row: int, step: int) -> int | None:
        """The same, not round the end."""
        found = self.next(row, step)
        return None if found is None or (found - row) * step <= 0 else found

    def _found(self, rows: range) -> list[int]:
        pattern = self._pattern
        return [row for row in rows if pattern.search(self._text_of(row))] if pattern is not None else []
