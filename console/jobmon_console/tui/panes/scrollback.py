"""The last lines of a stream of bytes, as a terminal's scrollback keeps them.

Bytes come in any pieces; lines are cut out of them and kept as bytes, so that
only what is drawn is ever decoded.  Lines of the console's own (a file was
rotated, bytes were skipped) stand between them as notes.  Nothing here draws.
"""

from typing import NamedTuple

from jobmon_console.nuls import Nuls

KEPT = 10_000  # lines
SLACK = 2_000  # lines more before the oldest are dropped: dropping one by one moves the whole list each time
LONGEST = 4_096  # bytes of a line; a longer one costs as much to draw as a screen


class Row(NamedTuple):
    """A line of the stream, or a note about it."""

    data: bytes
    is_note: bool = False
    hidden: int = 0  # bytes beyond LONGEST
    at: float | None = None  # s since 1970, when its first byte came; None: it was there before


class Scrollback:
    """Rows, oldest first."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.lines = 0  # lines of the stream seen, those dropped too
        self.bytes = 0
        self.widest = 0  # bytes of the longest row seen
        self._is_open = False  # the last row has had no newline yet
        self._nuls = Nuls()
        self._at: float | None = None  # when the bytes being cut came

    def feed(self, data: bytes, at: float | None = None) -> int:
        """Take bytes that came at a moment; give how many of the oldest rows were dropped."""
        self.bytes += len(data)
        self._at = at
        return self._cut(self._nuls.feed(data))

    def skip(self, count: int) -> None:
        """Pass over a hole."""
        self.bytes += count
        self._nuls.skip(count)

    def _cut(self, data: bytes) -> int:
        *whole, rest = data.split(b"\n")
        if whole and self._is_open:
            self._extend(whole.pop(0))
            self._is_open = False
        self._add(whole)
        if rest:
            self._extend(rest)
        return self._trim()

    def _add(self, lines: list[bytes]) -> None:
        """Take whole lines, most of them short: a job may print 50,000 a second."""
        widest = max(map(len, lines), default=0)
        if widest > LONGEST:
            self.rows += [Row(line[:LONGEST], False, max(0, len(line) - LONGEST), self._at) for line in lines]
        else:
            self.rows += [Row(line, False, 0, self._at) for line in lines]
        self.lines += len(lines)
        self.widest = max(self.widest, min(widest, LONGEST))

    def note(self, text: str) -> int:
        """Add a note; give how many of the oldest rows were dropped."""
        dropped = self._cut(self._nuls.close())
        self._is_open = False
        # What an agent says may hold a surrogate: JSON can, UTF-8 cannot.
        self.rows.append(Row(text.encode("utf-8", "backslashreplace"), True, at=self._at))
        return dropped + self._trim()

    def _extend(self, piece: bytes) -> None:
        if not self._is_open:
            self.rows.append(Row(b"", at=self._at))
            self.lines += 1
            self._is_open = True
        last = self.rows[-1]
        whole = last.data + piece[: max(0, LONGEST - len(last.data))]
        hidden = last.hidden + len(last.data) + len(piece) - len(whole)
        self.rows[-1] = Row(whole, False, hidden, last.at)
        self.widest = max(self.widest, len(whole))

    def _trim(self) -> int:
        if len(self.rows) <= KEPT + SLACK:
            return 0
        dropped = len(self.rows) - KEPT
        del self.rows[:dropped]
        return dropped
