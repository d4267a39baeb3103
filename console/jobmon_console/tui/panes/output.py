"""The Output tab: what a job prints, as it prints it.

Follows standard output, standard error or any file of the sandbox; of a job
that has ended it shows the last output that was kept.  Scrolling up stops
following, the end resumes it.  What scrolled by can be searched, folded to the
width, and shown with the times at which it came.
"""

import time
from collections.abc import Callable
from typing import Any

from textual import events

from jobmon_console import calls, sgr
from jobmon_console.errors import JobMonError
from jobmon_console.following import Place, passes, told
from jobmon_console.replies import Kept
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.folding import Folding, Piece
from jobmon_console.tui.panes.pane import ASK_AGAIN, Pane, Target
from jobmon_console.tui.panes.scrollback import Row, Scrollback
from jobmon_console.tui.panes.search import Search
from jobmon_console.tui.source import Reading, once
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.frames import DATA, NOTE, Frame
from jobmon_wire.jobs import ENDED, LOST
from jobmon_wire.verbs import STREAMS

FIRST = 500  # lines shown of what the job has printed already
TAB = 8  # cells between tab stops
MARGIN = 1  # cells before a line
LOOKS = 3  # for the report of a job's end, which comes within a second or two
CLOCK = 9  # cells of a time and the space behind it


class Output(Pane):
    """The end of a file that grows.

    Args:
        now: s since 1970; when lines came is told by it.
    """

    HEADS = 1
    FOLLOWS = True

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__("output")
        self.file = STREAMS[0]
        self.follows = True
        self.search = Search("", self._text)
        self.is_folded = False  # long lines go on below
        self.has_times = False  # each line with the time at which it came
        self._clock = now
        self._buffer = Scrollback()
        self._folding = Folding(self._text)
        self._place = Place()
        self._skipped = 0  # bytes that came faster than they could be shown
        self._unseen = 0  # lines that came since following stopped
        self._other = 0  # bytes of the ended job's other stream
        self._is_told = False  # that the job has ended, in the stream
        self._has_kept = False  # what was kept of the ended job is here: there is no more
        self._looks = 0  # for the report of its end
        self._has_begun = False  # what was there before has come
        self._row = 0  # of the match that was gone to last

    # Rows

    def count(self) -> int:
        """Lines on the screen: rows kept, or their pieces."""
        return len(self._folding.pieces) if self.is_folded else len(self._buffer.rows)

    def breadth(self) -> int:
        """Cells of the widest row, at most: bytes of it."""
        return 0 if self.is_folded else self._buffer.widest + TAB + self.margin()

    def spans(self, index: int) -> list[Span]:
        """A line or a piece of one, or a note about the stream."""
        line = self._line(self._folding.pieces[index].row if self.is_folded else index)
        text = line.text
        piece = self._folding.pieces[index] if self.is_folded else Piece(index, 0, len(text))
        row = self._buffer.rows[piece.row]
        before = (self._time(row) if piece.start == 0 else "").ljust(CLOCK) if self.has_times else ""
        spans: list[Span] = [(" " + before, "dim")]
        places = self.search.places(text)
        for run in sgr.cover(line.runs, piece.start, piece.end):
            at = run.start
            for begin, end in places:
                begin, end = max(begin, at), min(end, run.end)
                if begin < end:
                    spans += [(text[at:begin], run.style), (text[begin:end], "found")]
                    at = end
            spans.append((text[at : run.end], run.style))
        if row.hidden and piece.end == len(text):
            spans.append((f" … {texts.size(row.hidden)} more", "info"))
        return spans

    def margin(self) -> int:
        """The cells before a line: air, and its time."""
        return MARGIN + (CLOCK if self.has_times else 0)

    def _text(self, row: int) -> str:
        return self._line(row).text

    def _line(self, row: int) -> sgr.Line:
        found = self._buffer.rows[row]
        if found.is_note:
            text = f"── {safe(found.data)} ──"
            return sgr.Line(text, (sgr.Run(0, len(text), "info"),))
        return sgr.read_line(found.data.removesuffix(b"\r"), TAB)

    def _time(self, row: Row) -> str:
        return "" if row.at is None else time.strftime("%H:%M:%S", time.gmtime(row.at))

    def head(self, y: int) -> list[Span]:
        """Which file, how much, and whether it is followed."""
        spans: list[Span] = [(f" {safe(self.file)}", "accent")]
        if self._buffer.lines:
            lines = texts.plural(self._buffer.lines, "line")
            spans.append((f"  {lines}, {texts.size(self._buffer.bytes)}", "dim"))
        if self._skipped:  # the lines that say so scroll by as fast as the others
            spans.append((f"  {texts.size(self._skipped)} skipped", "warn"))
        if self._other:  # of a job that failed, that is where the reason stands
            spans.append((f"  {self._other_stream()} {texts.size(self._other)}: o", "info"))
        if self.search:
            spans.append((f"  {self._matches()}", "info" if self.search.rows else "warn"))
        if self.follows:
            spans.append(("  following" if self.reading and not self.troubles() else "", "good"))
        else:
            spans.append((f"  f follows, {self._unseen:,} new" if self._unseen else "  f follows", "warn"))
        return spans

    def emptiness(self) -> list[list[Span]]:
        """Nothing was printed yet, or it cannot be known."""
        if self.target is not None and not self.problem and self._has_asked:
            return [[], [(f"  nothing in {safe(self.file)} yet", "dim")]]
        return super().emptiness()

    # Asking

    def ask(self, target: Target) -> Reading[Any] | None:
        """Follow the file; of an ended job, fetch what was kept."""
        source, file = target.source, self.file
        if target.is_alive:
            self._has_kept = False
            place = {"lines": FIRST} if self._place.cursor is None else {"resume": self._place.cursor}
            file = self._place.file or file
            call = calls.query(target.uuid, "tail", {"file": file, "follow": True, "latest": True} | place)
            return Reading[Frame](lambda: source.frames(call))
        if file in STREAMS and target.row.get("state") == ENDED:
            call = calls.output(target.uuid, file)
            return None if self._has_kept else once(lambda: source.content(call))
        self.problem = self.nobody(target)
        return None

    def take(self, item: Any) -> None:
        """A frame, or what was kept of an ended job."""
        self.came()
        if isinstance(item, Kept):
            self._take_kept(item)
            return
        self._place.take(item)
        if item.type == DATA:
            self._feed(item.payload)
        elif item.type == NOTE:
            self._take_note(item.document())

    def _take_kept(self, kept: Kept) -> None:
        rest = self._place.rest(kept)
        if rest.is_another:
            self._note("the file was truncated")
        if rest.missing:
            self._note(f"{texts.size(rest.missing)} before this were not kept")
        self._feed(rest.data)
        self._other, self._has_kept = kept.other, True
        if not self._is_told:
            self._note("ended")

    def _take_note(self, note: dict[str, Any]) -> None:
        if note.get("kind") == "hole" and isinstance(note.get("bytes"), int):
            self._buffer.skip(note["bytes"])
        if note.get("kind") == "skipped" and isinstance(note.get("bytes"), int):
            self._skipped += note["bytes"]
        self._is_told = self._is_told or note.get("kind") == "ended"
        if words := told(note, self.file):
            self._note(words)

    def ended(self, error: JobMonError | None) -> None:
        """Say in the stream that it broke off; a job that ended brings no more."""
        if self._is_told and error is not None:  # all is here; the report of its end, with the other stream, is not yet
            super().ended(None)
            if self._looks < LOOKS:
                self._looks += 1
                self.later(ASK_AGAIN)
            return
        super().ended(error)
        if error is not None and self.count():
            self._note("the answer broke off; going on when it can be had" if passes(error) else safe(str(error)))

    def clear(self) -> None:
        """Another job, or another file."""
        self._buffer = Scrollback()
        self._folding.restart(self._folding.width)
        self.search = Search(self.search.text, self._text)
        self._place = Place()
        self._unseen = self._row = self._skipped = self._other = self._looks = 0
        self._has_begun = self._is_told = self._has_kept = False
        self.follows = True

    def renew(self) -> None:
        """Follow from the beginning: a stream goes on where it was, or starts anew."""
        super().renew()
        self.empty()

    def taken(self) -> None:
        """Draw, and stay at the end when following."""
        self._has_begun = self._has_begun or bool(self._buffer.rows)
        for each in (self._folding, self.search):
            each.follow(len(self._buffer.rows))
        super().taken()
        if self.follows:
            self.call_after_refresh(self._to_end)

    def on_resize(self) -> None:
        """The end is elsewhere now, and folds are at another width."""
        self._fold()
        if self.follows:
            self.call_after_refresh(self._to_end)

    def _to_end(self) -> None:
        if self.follows:
            self.scroll_to(y=self.max_scroll_y, animate=False)

    def changed(self, old: Target, new: Target) -> None:
        """A job that comes back goes on where it was; of one that is not followed to its end, the rest was kept."""
        is_back = new.is_alive and not old.is_alive
        if is_back and (old.row.get("state") == ENDED or self._place.cursor is None):
            self.renew()
        elif self.problem or new.row.get("state") == LOST or (self._is_told and self.file in STREAMS):
            self.ask_now()  # also how much the other stream has

    # Keys

    def choose(self, file: str) -> None:
        """Follow another file."""
        self.file = file
        self.renew()
        self.taken()

    def other_stream(self) -> None:
        """Standard error after standard output, and back."""
        self.choose(self._other_stream())

    def _other_stream(self) -> str:
        return STREAMS[1] if self.file == STREAMS[0] else STREAMS[0]

    def toggle_follow(self) -> None:
        """Stay at the end, or stay here."""
        self.follows, self._unseen = not self.follows, 0
        self.taken()

    def select(self, target: Target | None) -> None:
        """Another job's output begins with its standard output."""
        if target is None or self.target is None or target.uuid != self.target.uuid:
            self.file = STREAMS[0]
        super().select(target)

    def move(self, how: str) -> None:
        """Scrolling up stops following; the end resumes it."""
        super().move(how)
        if how not in ("left", "right"):
            self._look_where()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """As scrolling up with a key."""
        self.follows = False

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """As scrolling down with a key."""
        self.call_after_refresh(self._look_where)

    def _look_where(self) -> None:
        self.follows = self.scroll_offset.y >= self.max_scroll_y
        if self.follows:
            self._unseen = 0
        self.refresh()

    # Finding, folding, times

    def find(self, text: str) -> None:
        """Look for a text, and go to the nearest row before the end of what is seen that holds it."""
        self.search = Search(text, self._text)
        self.search.follow(len(self._buffer.rows))
        bottom = self._row_at(self.scroll_offset.y + max(1, self.size.height - self.HEADS))
        found = self.search.next(bottom, -1)
        if found is not None:
            self._go_to(found)
        self.refresh()

    def find_next(self, step: int) -> None:
        """To the next row that holds the text (1), or the one before (-1)."""
        found = self.search.next(self._row, step)
        if found is not None:
            self._go_to(found)

    def toggle_fold(self) -> None:
        """Long lines go on below, or to the right."""
        row = self._row_at(self.scroll_offset.y)
        self.is_folded = not self.is_folded
        self._fold()
        self.taken()
        self.scroll_to(x=0, y=None if self.follows else self._folding.line_of(row), animate=False)

    def toggle_times(self) -> None:
        """Show when each line came, or do not."""
        self.has_times = not self.has_times
        self._fold()
        self.taken()

    def draw_rule(self) -> None:
        """A line of one's own at the end: what comes now stands below it."""
        self._note(f"mark {time.strftime('%H:%M:%SZ', time.gmtime(self._clock()))}")
        self.taken()

    def _fold(self) -> None:
        width = max(1, self.size.width - self.margin() - 1) if self.is_folded else 0
        if width != self._folding.width:
            self._folding.restart(width)
            self._folding.follow(len(self._buffer.rows))
            self.resize_rows()
            self.refresh()

    def _go_to(self, row: int) -> None:
        self._row, self.follows = row, False
        line = self._folding.line_of(row)
        top, height = self.scroll_offset.y, max(1, self.size.height - self.HEADS)
        if not top <= line < top + height:
            self.scroll_to(y=max(0, line - height // 2), animate=False)
        self.refresh()

    def _row_at(self, line: int) -> int:
        if self.is_folded:
            pieces = self._folding.pieces
            return pieces[min(line, len(pieces) - 1)].row if pieces else 0
        return line

    def _matches(self) -> str:
        what = safe(self.search.text)
        rows = self.search.rows
        if not rows:
            return f"no line with {what}"
        at = rows.index(self._row) + 1 if self._row in rows else 0
        return f"{at:,} of {texts.plural(len(rows), 'line')} with {what}"

    def _feed(self, data: bytes) -> None:
        before = self._buffer.lines
        self._dropped(self._buffer.feed(data, self._clock() if self._has_begun else None))
        if not self.follows:
            self._unseen += self._buffer.lines - before

    def _note(self, text: str) -> None:
        self._dropped(self._buffer.note(text))

    def _dropped(self, rows: int) -> None:
        if not rows:
            return
        lines = self._folding.drop(rows)
        self.search.drop(rows)
        self._row = max(0, self._row - rows)
        if not self.follows:  # stay on the line that is being read
            self.scroll_to(y=max(0, self.scroll_offset.y - lines), animate=False)
