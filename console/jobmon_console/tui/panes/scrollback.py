"""The last lines of a stream of bytes, as a terminal's scrollback keeps them.

Bytes come in any pieces; lines are cut out of them and kept as bytes, so that
only what is drawn is ever decoded.  Of a line that goes back to its beginning
with carriage returns, as a bar of progress does, the last text stays, as on a
terminal.  Lines of the console's own (a file was rotated, bytes were skipped)
stand between them as notes.  Nothing here draws.
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
    size: int = 0  # bytes of the stream it stands for, its newline too; of one that has had none yet 0
    over: int = 0  # bytes that the line had before it went back to its beginning


class Scrollback:
    """Rows, oldest first."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.lines = 0  # lines of the stream seen, those dropped too
        self.bytes = 0
        self.widest = 0  # bytes of the longest row seen
        self._dropped_lines = self._dropped_bytes = 0
        self._begins: int | None = None  # bytes of the file before the first row of it; None: nobody has told
        self._others = 0  # rows before that one, which are of another file
        self._is_open = False  # the last row has had no newline yet
        self._goes_back = False  # what comes next in it stands at its beginning
        self._owed = 0  # bytes that came and that no row stands for yet
        self._nuls = Nuls()
        self._at: float | None = None  # when the bytes being cut came

    @property
    def before(self) -> int:
        """Bytes of its file before the first row, as far as that is known."""
        return 0 if self._others or self._begins is None else self._begins

    @property
    def kept_lines(self) -> int:
        """Lines of the stream that are here."""
        return self.lines - self._dropped_lines

    @property
    def kept_bytes(self) -> int:
        """Bytes of the stream that are here."""
        return self.bytes - self._dropped_bytes

    @property
    def end(self) -> int:
        """Bytes of its file up to the end of the last row, as far as that is known."""
        return (self._begins or 0) + sum(row.size for row in self.rows[self._others :]) + self._owed

    def find(self, offset: int) -> tuple[int, bool]:
        """The row that a byte of its file is in, and whether it is: else that row is the nearest.

        Args:
            offset: of the byte, from the start of the file.
        """
        end, last = self._begins or 0, len(self.rows) - 1
        if self._begins is None or offset < end:
            return min(self._others, max(0, last)), False
        for row in range(self._others, len(self.rows)):
            end += self.rows[row].size
            if offset < end:
                return row, not self.rows[row].is_note  # one that was skipped is told of, not here
        return max(0, last), self._is_open and offset < end + self._owed

    def begin(self, offset: int) -> None:
        """What comes next stands there in its file; the rows that are here are of another, or not of this place."""
        self._others, self._begins = len(self.rows), offset

    def feed(self, data: bytes, at: float | None = None) -> int:
        """Take bytes that came at a moment; give how many of the oldest rows were dropped."""
        self.bytes += len(data)
        self._at = at
        return self._cut(self._nuls.feed(data), data)

    def skip(self, count: int) -> None:
        """Pass over a hole."""
        self.bytes += count
        self._owed += count
        self._nuls.skip(count)

    def prepend(self, data: bytes, most: int | None = None) -> int:
        """Put bytes that stand right before the first row there, from a line's start; give how many rows they became.

        Where there is no room for all of them, only their end is taken.

        Args:
            data: the bytes.
            most: rows; else as many as there is room for.
        """
        is_inside = len(data) < self.before
        start = data.find(b"\n", 0, -1) + 1 if is_inside else 0  # of a line longer than all of it, the end is shown
        part = Scrollback()
        part.feed(data[start:])
        part.close()
        room = self.room if most is None else most
        rows = part.rows[-room:] if room else []
        size = sum(row.size for row in rows)
        self.rows[:0] = rows
        self._begins = self.before - size
        self.lines += len(rows)
        self.bytes += size
        self.widest = max(self.widest, part.widest)
        return len(rows)

    @property
    def room(self) -> int:
        """Rows that can be put before the first."""
        return max(0, KEPT - len(self.rows))

    def _cut(self, data: bytes, raw: bytes = b"") -> int:
        """Make rows of bytes; ``raw`` are the same as the file has them, where a run of NULs is as long as it is."""
        lines = data.split(b"\n")
        sizes = [len(line) + 1 for line in (lines if data == raw else raw.split(b"\n"))]
        sizes[0] += self._owed
        self._owed = sizes.pop() - 1
        *whole, rest = lines
        if whole and self._is_open:
            self._extend(whole.pop(0))
            self._end(sizes.pop(0))
        self._add(whole, sizes, b"\r" in data)
        if rest:
            self._extend(rest)
        return self._trim()

    def _add(self, lines: list[bytes], sizes: list[int], has_returns: bool) -> None:
        """Take whole lines, most of them short: a job may print 50,000 a second."""
        at, overs = self._at, [0] * len(lines)
        if has_returns:
            pairs = [_seen(line) for line in lines]
            lines, overs = [line for line, _ in pairs], [over for _, over in pairs]
        widest = max(map(len, lines), default=0)
        facts = zip(lines, sizes, overs, strict=True)
        if widest > LONGEST or has_returns:
            self.rows += [
                Row(line[:LONGEST], False, max(0, len(line) - LONGEST), at, size, over) for line, size, over in facts
            ]
        else:
            self.rows += [Row(line, False, 0, at, size) for line, size, _ in facts]
        self.lines += len(lines)
        self.widest = max(self.widest, min(widest, LONGEST))

    def note(self, text: str, skipped: int = 0) -> int:
        """Add a note, which stands for bytes that were skipped; give how many of the oldest rows were dropped."""
        dropped = self.close()
        # What an agent says may hold a surrogate: JSON can, UTF-8 cannot.
        self.rows.append(Row(text.encode("utf-8", "backslashreplace"), True, at=self._at, size=skipped))
        return dropped + self._trim()

    def close(self) -> int:
        """The last line has ended, also without a newline; give how many of the oldest rows were dropped."""
        dropped = self._cut(self._nuls.close())
        if self._is_open:
            self._end(self._owed)
            self._owed = 0
        return dropped

    def _extend(self, piece: bytes) -> None:
        if not self._is_open:
            self.rows.append(Row(b"", at=self._at))
            self.lines += 1
            self._is_open = True
        last = self.rows[-1]
        data, hidden, over = last.data, last.hidden, last.over
        shown, gone = _seen(piece)
        if shown.strip(b"\r") and (gone or self._goes_back or piece[:1] == b"\r"):  # of what was there nothing is left
            over += len(data.replace(b"\r", b"")) + hidden
            data, hidden = b"", 0
        whole = data + shown[: max(0, LONGEST - len(data))]
        hidden += len(data) + len(shown) - len(whole)
        self._goes_back = piece[-1:] == b"\r" or (self._goes_back and not piece.strip(b"\r"))
        self.rows[-1] = Row(whole, False, hidden, last.at, 0, over + gone)
        self.widest = max(self.widest, len(whole))

    def _end(self, size: int) -> None:
        self.rows[-1] = self.rows[-1]._replace(size=size)
        self._is_open = self._goes_back = False

    def _trim(self) -> int:
        return self.shorten(KEPT) if len(self.rows) > KEPT + SLACK else 0

    def shorten(self, kept: int) -> int:
        """Keep so many of the last rows, of which there is one at least; give how many were dropped."""
        dropped = max(0, len(self.rows) - kept)
        gone = self.rows[:dropped]
        self._dropped_lines += sum(not row.is_note for row in gone)
        self._dropped_bytes += sum(row.size for row in gone if not row.is_note)
        if self._begins is not None:
            self._begins += sum(row.size for row in gone[self._others :])
        self._others = max(0, self._others - dropped)
        del self.rows[:dropped]
        return dropped

    def cut(self, kept: int) -> None:
        """Keep so many of the first rows; what comes next begins a line."""
        gone = self.rows[kept:]
        self.lines -= sum(not row.is_note for row in gone)
        self.bytes -= sum(row.size for row in gone if not row.is_note) + self._owed
        del self.rows[kept:]
        self._is_open = self._goes_back = False
        self._owed, self._nuls = 0, Nuls()


def _seen(line: bytes) -> tuple[bytes, int]:
    """What a terminal shows of a line at last, and how many bytes went before that."""
    cut = line.rstrip(b"\r").rfind(b"\r") + 1  # at the end it moves the cursor, and nothing else
    return line[cut:], cut - line.count(b"\r", 0, cut)
