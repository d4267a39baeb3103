"""A part of a file that is not followed: a window of some thousand lines, which slides over the whole of it.

A file of any size is read so, a piece at a time.  A piece is whole lines; the
window has a few of them, and lets go of the farthest when one comes at the
other end.  Each is asked for with some bytes that are known already: where
these do not fit, or the file is another, or shorter, nothing of it is taken.
Nothing here asks, draws or scrolls.
"""

from collections import deque
from typing import NamedTuple

from jobmon_console.errors import AnswerError
from jobmon_console.replies import Kept
from jobmon_console.tui.panes.earlier import PIECE
from jobmon_console.tui.panes.ranges import Range
from jobmon_console.tui.panes.scrollback import KEPT, SLACK
from jobmon_console.tui.panes.stream import Stream
from jobmon_wire.cursor import FINGERPRINT

LINES = KEPT // 2  # of a piece at most: with the one that is looked at there is room for the next at either end
BEHIND = PIECE // 4  # bytes behind a place that is gone to: more than a screen, so that it is seen with what follows

GONE = "the file is not there any more"
REPLACED = "the file was replaced by a new one; End goes to what is followed"
TRUNCATED = "the file was truncated; End goes to what is followed"
CHANGED = "the file was changed here; End goes to what is followed"
UNKNOWN = "what came is not what was asked for"
NOT_KEPT = "of the job's output only the end was kept, and this is not in it"


class _Piece(NamedTuple):
    """Rows that came in one go."""

    start: int  # bytes from the start of the file
    end: int
    rows: int
    head: bytes  # the first bytes of it, at most FINGERPRINT
    tail: bytes  # the last bytes up to its end


class Part(Stream):
    """Lines of a file from somewhere in it.

    Args:
        followed: the stream of the file, which stays as it is meanwhile.
        at: where the window begins, and ends as long as nothing has come, bytes from the start of the file.
        head: bytes that are known to stand there, at most ``FINGERPRINT``.
        tail: bytes that are known to stand before it, as many.

    Attributes:
        size: bytes of the file when a piece came last, at least.
        floor: bytes from the start of the file before which nobody has any more of it.
    """

    def __init__(self, followed: Stream, at: int, head: bytes = b"", tail: bytes = b"") -> None:
        super().__init__(followed.file, followed.search.text)
        self.follows = False
        self.size = self._least = followed.place.offset
        self.floor = 0
        self._followed = followed
        self._identity = followed.place.identity
        self._at, self._known = at, (head, tail)
        self._pieces: deque[_Piece] = deque()
        self._is_cut = False  # the last piece ends within a line that is longer than one
        self._rest = self._rest_rows = 0  # bytes behind the window, of a line that has not ended: it is asked for again
        self.buffer.begin(at)

    @property
    def followed(self) -> Stream:
        """The stream it is a part of."""
        return self._followed

    @property
    def start(self) -> int:
        """Where the first row begins, bytes from the start of the file."""
        return self._pieces[0].start if self._pieces else self._at

    @property
    def end(self) -> int:
        """Where the last whole row ends."""
        return self._pieces[-1].end if self._pieces else self._at

    @property
    def head(self) -> bytes:
        """The bytes from the start on, at most ``FINGERPRINT``."""
        return self._pieces[0].head if self._pieces else self._known[0]

    @property
    def tail(self) -> bytes:
        """The bytes before the end, as many."""
        return self._pieces[-1].tail if self._pieces else self._known[1]

    @property
    def behind(self) -> int:
        """Bytes of the file behind the last row."""
        return max(0, self.size - self.end - self._rest)

    def offset_of(self, row: int) -> int:
        """Where a row begins, bytes from the start of the file."""
        return self.start + sum(each.size for each in self.buffer.rows[:row])

    def has_more(self, step: int) -> bool:
        """The file has something behind the window (``step`` 1), or before it (-1), that can be had."""
        return self.behind > 0 if step > 0 else self.start > self.floor

    def next(self, step: int) -> tuple[int, int]:
        """The bytes to ask for, to go on behind the window (``step`` 1) or before it (-1): start and end."""
        if step > 0:
            return self.end - len(self.tail), self.end + PIECE
        return max(0, self.start - PIECE), self.start + len(self.head)

    def about(self, place: int) -> tuple[int, int]:
        """The bytes to ask for, to see the line that holds a byte, where nothing has come yet."""
        return max(0, place - PIECE), place + PIECE

    def around(self) -> tuple[int, int]:
        """The bytes to ask for, to see the place where nothing has come yet."""
        return max(0, self._at - (PIECE - BEHIND)), self._at + BEHIND

    def beside(self, step: int) -> "Part":
        """An empty part that goes on behind this one (1), or before it (-1)."""
        if step > 0:
            part = Part(self._followed, self.end, tail=self.tail)
        else:
            part = Part(self._followed, self.start, head=self.head)
        part.size, part.floor = self.size, self.floor
        return part

    # What comes

    def take(self, came: Range, step: int) -> int:
        """Take what ``next`` named; give the lines of the screen that stand before the others now.

        Raises:
            AnswerError: it is not of this file, or not there: nothing has changed.
        """
        self.check(came)
        return self._take_before(came) if step < 0 else self._take_behind(came)

    def surround(self, came: Range) -> int:
        """Take what ``around`` named; give the row that begins at the place.

        Raises:
            AnswerError: it is not of this file, or not there.
        """
        self.check(came)
        cut = self._at - came.start
        if cut < 0 or cut >= len(came.data):
            raise AnswerError(NOT_KEPT if cut < 0 else TRUNCATED)
        self._append(came.data[cut:], _is_last(came))
        return self._prepend(came.data[:cut], came)

    def reach(self, came: Range, place: int) -> int:
        """Take what ``about`` named; give the row that holds the byte.

        Raises:
            AnswerError: it is not of this file, or not there.
        """
        at = place - came.start
        if not 0 <= at < len(came.data):
            raise AnswerError(TRUNCATED)
        self._at = came.start + came.data.rfind(b"\n", 0, at) + 1  # of a line longer than a piece, what came of it
        self.buffer.begin(self._at)
        return self.surround(came)

    def check(self, came: Range) -> None:
        """Find out how many bytes the file has, if what came is of it.

        Raises:
            AnswerError: it is of another.
        """
        if len(came.data) > came.end - came.start:
            raise AnswerError(UNKNOWN)
        if came.kept is not None:
            self._check_kept(came.kept)
            return
        reached = came.start + len(came.data)
        if self._identity is not None:
            reached = max(reached, self._checked(came, reached))
        self.size = max(self.size, reached)

    def _checked(self, came: Range, reached: int) -> int:
        """Bytes of the file now, if it is the one that was followed."""
        place = came.place
        if place is None:
            raise AnswerError(UNKNOWN)
        if not place.inode:
            raise AnswerError(GONE)
        if (place.device, place.inode) != self._identity:
            raise AnswerError(REPLACED)
        if place.offset < max(self._least, self.end, reached):
            raise AnswerError(TRUNCATED)
        return place.offset

    def _check_kept(self, kept: Kept) -> None:
        if self._followed.place.rest(kept).is_another:
            raise AnswerError(TRUNCATED)
        self.size = kept.start + len(kept.data)

    def _take_before(self, came: Range) -> int:
        if came.kept is not None and came.start >= self.start:
            self.floor = self.start
            raise AnswerError(NOT_KEPT)
        length = self.start - came.start
        if len(came.data) != came.end - came.start or came.data[length:] != self.head:
            raise AnswerError(CHANGED)
        return self._prepend(came.data[:length], came)

    def _take_behind(self, came: Range) -> int:
        if came.start + len(self.tail) == self.end:
            if not came.data.startswith(self.tail):
                raise AnswerError(CHANGED)
            self._append(came.data[len(self.tail) :], _is_last(came))
        elif came.kept is not None and not self._pieces:
            self._begin(came.kept)
        else:
            raise AnswerError(NOT_KEPT)
        return 0

    def _begin(self, kept: Kept) -> None:
        """The first that was kept, from a line's start; the stream itself may have more."""
        if kept.start >= self._followed.buffer.before:
            self._followed.earlier.is_out = True
            raise AnswerError(NOT_KEPT)
        cut = kept.data.find(b"\n", 0, PIECE) + 1
        self._at = self.floor = kept.start + cut
        self.buffer.begin(self._at)
        self._append(kept.data[cut:PIECE], len(kept.data) <= PIECE)

    # Rows

    def _append(self, data: bytes, is_last: bool) -> None:
        """Put whole lines behind the others; at the end of the file the one that has not ended is shown with them."""
        self._forget_rest()
        self._make_room_before(_rows(data))
        end = self._whole(data, is_last)
        if end:
            self._feed(data[:end])
        if is_last and data.count(b"\n", end) == 0:
            rows = len(self.buffer.rows)
            self.buffer.feed(data[end:])
            self._rest, self._rest_rows = len(data) - end, len(self.buffer.rows) - rows
        self.caught_up()

    def _whole(self, data: bytes, is_last: bool) -> int:
        """Where the last line ends that is taken; of one that is longer than a piece, all is taken."""
        lines = data.count(b"\n")
        if lines > LINES:
            return _end_of_lines(data, LINES)
        if lines:
            return data.rindex(b"\n") + 1
        return 0 if is_last and not self._is_cut else len(data)

    def _feed(self, data: bytes) -> None:
        rows, end, tail = len(self.buffer.rows), self.end + len(data), (self.tail + data)[-FINGERPRINT:]
        self.buffer.feed(data)
        rows = len(self.buffer.rows) - rows
        if self._is_cut:
            last = self._pieces.pop()
            self._pieces.append(_Piece(last.start, end, last.rows + rows, (last.head + data)[:FINGERPRINT], tail))
        else:
            self._pieces.append(_Piece(self.end, end, rows, data[:FINGERPRINT], tail))
        self._is_cut = data[-1:] != b"\n"

    def _prepend(self, data: bytes, came: Range) -> int:
        """Put lines before the others; give the lines of the screen they take."""
        self._make_room_behind(_rows(data))
        start, count = self.start, len(self.buffer.rows)
        lines = self.prepend(data, LINES)
        taken = data[len(data) - (start - self.buffer.before) :]
        if taken:
            rows = len(self.buffer.rows) - count
            piece = _Piece(self.buffer.before, start, rows, taken[:FINGERPRINT], taken[-FINGERPRINT:])
            self._pieces.appendleft(piece)
        if came.start > came.asked and len(self.buffer.rows) - count < LINES:
            self.floor = self.start
        return lines

    def _make_room_before(self, rows: int) -> None:
        while self._is_full(rows):
            self._dropped(self.buffer.shorten(len(self.buffer.rows) - self._pieces.popleft().rows))

    def _make_room_behind(self, rows: int) -> None:
        while self._is_full(rows):
            self._forget_rest()
            self._cut(len(self.buffer.rows) - self._pieces.pop().rows)
            self._is_cut = False

    def _is_full(self, rows: int) -> bool:
        return len(self._pieces) > 1 and len(self.buffer.rows) + rows > KEPT + SLACK

    def _forget_rest(self) -> None:
        if self._rest:
            self._cut(len(self.buffer.rows) - self._rest_rows)
        self._rest = self._rest_rows = 0

    def _cut(self, rows: int) -> None:
        for each in (self.buffer, self.folding, self.search):
            each.cut(rows)
        self.row = min(self.row, max(0, rows - 1))


def _is_last(came: Range) -> bool:
    """The file ended behind it."""
    return came.start + len(came.data) < came.end


def _rows(data: bytes) -> int:
    """Rows that become of it, at most: the last line may not have ended."""
    return min(LINES, data.count(b"\n")) + 1


def _end_of_lines(data: bytes, lines: int) -> int:
    """Where so many lines end."""
    end = 0
    for _ in range(lines):
        end = data.index(b"\n", end) + 1
    return end
