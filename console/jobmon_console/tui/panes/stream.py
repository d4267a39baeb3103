"""One stream of a job, or one of its files, as it is read here: its rows, where its reader is, what is looked for.

Everything that must not be mixed up with another job's, or another stream's,
is here.  Nothing here asks, draws or scrolls; what it tells of rows that went
or came before the others moves the screen.
"""

import time
from typing import Any

from jobmon_console import sgr
from jobmon_console.following import Place, ending, told
from jobmon_console.replies import Kept
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.earlier import Earlier
from jobmon_console.tui.panes.folding import Folding
from jobmon_console.tui.panes.scrollback import Scrollback
from jobmon_console.tui.panes.search import Search
from jobmon_wire.frames import NOTE, Frame
from jobmon_wire.limits import FRAME_PAYLOAD
from jobmon_wire.verbs import STREAMS

TAB = 8  # cells between tab stops
LAG = 2.0  # s in which what the job has written before a beat is here; it takes milliseconds where the link is good


class Stream:
    """What has come of one file.

    Args:
        file: its path in the sandbox, or the name of a stream.
        text: what is looked for in it.
    """

    def __init__(self, file: str, text: str = "") -> None:
        self.file = file
        self.buffer = Scrollback()
        self.folding = Folding(self.text)
        self.search = Search(text, self.text)
        self.place = Place()
        self.earlier = Earlier()  # what the file has before the rows
        self.follows = True
        self.skipped = 0  # bytes that came faster than they could be shown
        self.unseen = 0  # lines that came since following stopped
        self.other = 0  # bytes of the job's other stream; while the job runs, at least
        self.is_told = False  # that the job has ended, in the stream
        self.has_kept = False  # what was kept of the ended job is here: there is no more
        self.looks = 0  # for the report of its end
        self.has_begun = False  # what was there before has come
        self.row = 0  # of the match that was gone to last
        self._sought_from: int | None = None
        self.top = 0  # the first row that was seen when it was left
        self.came: float | None = None  # s, when what is here was so, for the same moment
        self._scrolled = 0
        self._written: int | None = None  # bytes of both streams, as the job said last
        self._due: float | None = None  # s, when these less those that are here are the other's

    @property
    def followed(self) -> "Stream":
        """The stream of this file whose end is followed: this one, unless it is a part of the file."""
        return self

    # Rows

    def text(self, row: int) -> str:
        """A row as it is shown, and looked through."""
        return self.line(row).text

    def line(self, row: int) -> sgr.Line:
        """The same, with its colours."""
        found = self.buffer.rows[row]
        if found.is_note:
            text = f"── {safe(found.data)} ──"
            return sgr.Line(text, (sgr.Run(0, len(text), "info"),))
        return sgr.read_line(found.data.rstrip(b"\r"), TAB)

    def time(self, row: int) -> str:
        """When it came; empty: it was there before."""
        at = self.buffer.rows[row].at
        return "" if at is None else time.strftime("%H:%M:%S", time.gmtime(at))

    def row_at(self, line: int) -> int:
        """The row that a line of the screen's list is of."""
        if self.folding.width:
            pieces = self.folding.pieces
            return pieces[min(line, len(pieces) - 1)].row if pieces else 0
        return line

    def caught_up(self) -> None:
        """What came is folded and looked through."""
        self.has_begun = self.has_begun or bool(self.buffer.rows)
        for each in (self.folding, self.search):
            each.follow(len(self.buffer.rows))

    def look_for(self, text: str) -> None:
        """Look for another text."""
        self.search = Search(text, self.text)
        self.search.follow(len(self.buffer.rows))

    def begin_search(self, line: int) -> None:
        """A text is to be typed, with this line of the screen's list as the first that is seen."""
        self._sought_from = None if self.follows else self.row_at(line)

    @property
    def sought_from(self) -> int | None:
        """The row that was the first that was seen when a search began; None: the end was followed."""
        return self._sought_from

    def nearest(self) -> int | None:
        """The row that holds it: downwards from what was seen then, or the last one, where the end was followed."""
        if self._sought_from is None:
            return self.search.next(len(self.buffer.rows), -1)
        return self.search.next(self._sought_from - 1, 1)

    def leave(self, line: int, came: float | None) -> None:
        """It goes off the screen: remember the line that was the first on it, and when it was so."""
        self.top, self.came = self.row_at(line), came
        self._written = self._due = None

    def shorten(self, rows: int) -> None:
        """Keep the last rows alone."""
        gone = self.buffer.shorten(rows)
        self._dropped(gone)
        self.top = max(0, self.top - gone)
        self.scrolled()

    def scrolled(self) -> int:
        """Lines of the screen that the oldest rows took which went since this was asked last."""
        lines, self._scrolled = self._scrolled, 0
        return lines

    # What comes

    def feed(self, data: bytes, now: float) -> None:
        """Bytes of the file, at a moment."""
        if len(data) >= FRAME_PAYLOAD:  # of a backlog: the rest of it is not the other stream's
            self._written = self._due = None
        before = self.buffer.lines
        self._dropped(self.buffer.feed(data, now if self.has_begun else None))
        if not self.follows:
            self.unseen += self.buffer.lines - before

    def reckon(self, written: Any, now: float) -> bool:
        """Find out what the other stream has, from what its job's beat says of both: nobody is asked for it.

        More is known of it then, or not.

        Args:
            written: bytes of both streams at the last beat, if that is known.
            now: s.
        """
        before = self.other
        if self._due is None:
            if self.file in STREAMS and isinstance(written, int) and written != self._written:
                self._written, self._due = written, now + LAG
        elif now >= self._due:
            self._due = None
            if self._written is not None and self.place.identity is not None:
                self.other = max(before, self._written - self.place.offset)
        return self.other != before

    def note(self, text: str, skipped: int = 0) -> None:
        """A line about the stream, which stands for bytes that were skipped."""
        self._dropped(self.buffer.note(text, skipped))

    def take_note(self, frame: Frame) -> None:
        """What an agent tells of the stream."""
        note, skipped = frame.document(), 0
        size = note.get("bytes") if isinstance(note.get("bytes"), int) else None
        if note.get("kind") == "hole" and size is not None:
            self.buffer.skip(size)
        if note.get("kind") == "skipped" and size is not None:
            self.skipped += size
            skipped = size
        self.is_told = self.is_told or note.get("kind") == "ended"
        if words := told(note, self.file):
            self.note(words, skipped)

    def go_on(self, frame: Frame) -> None:
        """Follow the reader's place over a frame; a note may say that it is in another file, or begins here."""
        if frame.type != NOTE:
            self.place.take(frame)
            return
        note, was, file = frame.document(), self.place.offset, self.place.identity
        self.place.take(frame)
        passed = note.get("bytes") if note.get("kind") in ("skipped", "hole") else 0
        if self.place.identity is not None and (self.place.identity, self.place.offset - was) != (file, passed):
            self.buffer.begin(self.place.offset)

    def take_kept(self, kept: Kept, now: float, exit_: Any) -> None:
        """What was kept of a job that ended so: only what is behind the reader's place is new."""
        rest = self.place.rest(kept)
        if rest.is_another or rest.missing or not self.buffer.rows:
            self.buffer.begin(kept.start + len(kept.data) - len(rest.data))
        if rest.is_another:
            self.note("the file was truncated")
        if rest.missing:
            self.note(f"{texts.size(rest.missing)} before this were not kept")
        self.feed(rest.data, now)
        self.earlier.is_out = self.buffer.before <= kept.start  # else the first of it are not among the rows
        self.other, self.has_kept = kept.other, True
        if not self.is_told:
            self.note(ending(exit_))

    def prepend(self, data: bytes, most: int | None = None) -> int:
        """Earlier bytes: they stand before the others now; give the lines of the screen they take.

        Args:
            data: the bytes.
            most: rows; else as many as there is room for.
        """
        rows = self.buffer.prepend(data, most)
        self.search.prepend(rows)
        self._move_places(rows)
        return self.folding.prepend(rows)

    def _dropped(self, rows: int) -> None:
        if rows:
            self._scrolled += self.folding.drop(rows)
            self.search.drop(rows)
            self._move_places(-rows)

    def _move_places(self, rows: int) -> None:
        self.row = max(0, self.row + rows)
        if self._sought_from is not None:
            self._sought_from = max(0, self._sought_from + rows)


def other_of(file: str) -> str:
    """The stream that is shown instead of this one."""
    return STREAMS[1] if file == STREAMS[0] else STREAMS[0]
