"""The Output tab: what a job prints, as it prints it.

Follows standard output, standard error or any file of the sandbox; of a job
that has ended it shows the last output that was kept.  Scrolling up stops
following, the end resumes it; going above the first line brings what the file
has before it.  What scrolled by can be searched, folded to the width, and shown
with the times at which it came.
"""

import time
from collections.abc import Callable
from typing import Any

from textual import events

from jobmon_console import calls
from jobmon_console.errors import JobMonError
from jobmon_console.following import passes
from jobmon_console.replies import Kept
from jobmon_console.safe import safe
from jobmon_console.tui.panes.drawing import drawn, margin
from jobmon_console.tui.panes.earlier import FIND, STAY, TOP
from jobmon_console.tui.panes.headline import headline
from jobmon_console.tui.panes.pane import ASK_AGAIN, Pane, Target
from jobmon_console.tui.panes.search import Search
from jobmon_console.tui.panes.stream import TAB, Stream, other_of
from jobmon_console.tui.panes.streams import Streams
from jobmon_console.tui.source import Reading, once
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.frames import DATA, NOTE, Frame
from jobmon_wire.jobs import ENDED, LOST
from jobmon_wire.verbs import STREAMS

FIRST = 500  # lines shown of what the job has printed already
LOOKS = 3  # for the report of a job's end, which comes within a second or two
ABOVE = {"up": STAY, "page_up": STAY, "top": TOP}  # moves that go on above the first row, and what for


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
        self.stream = Stream(self.file)
        self._streams = Streams()
        self.is_folded = False  # long lines go on below
        self.has_times = False  # each line with the time at which it came
        self._clock = now

    @property
    def follows(self) -> bool:
        """The end of the stream stays on the screen."""
        return self.stream.follows

    @property
    def search(self) -> Search:
        """What is looked for."""
        return self.stream.search

    # Rows

    def count(self) -> int:
        """Lines on the screen: rows kept, or their pieces."""
        return len(self.stream.folding.pieces) if self.is_folded else len(self.stream.buffer.rows)

    def breadth(self) -> int:
        """Cells of the widest row, at most: bytes of it."""
        return 0 if self.is_folded else self.stream.buffer.widest + TAB + self.margin()

    def spans(self, index: int) -> list[Span]:
        """A line or a piece of one, or a note about the stream."""
        return drawn(self.stream, index, self.has_times)

    def margin(self) -> int:
        """The cells before a line."""
        return margin(self.has_times)

    def head(self, y: int) -> list[Span]:
        """Which file, how much, and whether it is followed."""
        return headline(self.stream, self.target, self.reading is not None and not self.troubles())

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
            place = self.stream.place
            self.stream.has_kept = False
            start = {"lines": FIRST} if place.cursor is None else {"resume": place.cursor}
            file = place.file or file
            call = calls.query(target.uuid, "tail", {"file": file, "follow": True, "latest": True} | start)
            return Reading[Frame](lambda: source.frames(call))
        if file in STREAMS and target.row.get("state") == ENDED:
            call = calls.output(target.uuid, file)
            if not self.stream.has_kept:
                return once(lambda: source.content(call))
            self.problem = ""
            return None
        self.problem = self.nobody(target)
        return None

    def take(self, item: Any) -> None:
        """A frame, or what was kept of an ended job."""
        self.came()
        if isinstance(item, Kept):
            exit_ = self.target.row.get("exit") if self.target is not None else None
            self.stream.take_kept(item, self._clock(), exit_)
            return
        self.stream.go_on(item)
        if item.type == DATA:
            self.stream.feed(item.payload, self._clock())
        elif item.type == NOTE:
            self.stream.take_note(item)

    def tick(self, now: float) -> None:
        """Also what came from before the first row."""
        super().tick(now)
        self._reckon(now)
        earlier = self.stream.earlier
        if earlier.is_under_way:
            data = earlier.take(self.stream.buffer.before)
            if data is not None:
                self._prepend(data)
            if not earlier.is_under_way:
                self.refresh()

    def _reckon(self, now: float) -> None:
        if self.target is None or not self.target.is_alive or self.reading is None or not self._is_answered:
            return
        if self.stream.reckon(self.target.row.get("output_bytes"), now):
            self.refresh()

    def stop(self) -> None:
        """Nobody waits for what is before, either."""
        super().stop()
        self.stream.earlier.stop()

    def ended(self, error: JobMonError | None) -> None:
        """Say in the stream that it broke off; a job that ended brings no more."""
        if self.stream.is_told and error is not None:  # all is here; the report, with the other stream, is not yet
            super().ended(None)
            if self.stream.looks < LOOKS:
                self.stream.looks += 1
                self.later(ASK_AGAIN)
            return
        super().ended(error)
        if self._is_report_due():
            self._has_asked = False
        if error is not None and self.count():
            self.stream.note("the answer broke off; going on when it can be had" if passes(error) else safe(str(error)))

    def _is_report_due(self) -> bool:
        """The report of the job's end came before its last words: the other stream is still to be asked."""
        is_over = self.stream.is_told and self.file in STREAMS and not self.stream.has_kept
        return is_over and self.target is not None and self.target.row.get("state") == ENDED

    def clear(self) -> None:
        """Another job, or the same file anew."""
        self.stream = Stream(self.file, self.search.text)
        self._fold()

    def renew(self) -> None:
        """Follow from the beginning: a stream goes on where it was, or starts anew; offline, what was read stays."""
        super().renew()
        if self.target is not None and not self.target.feed.link.is_usable:
            return
        self.empty()
        self._enter(self.stream)

    def taken(self) -> None:
        """Draw, and stay at the end when following."""
        self.stream.caught_up()
        gone = self.stream.scrolled()
        if gone and not self.follows:  # stay on the line that is being read
            self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False)
        super().taken()
        self.uncovered()

    def on_resize(self) -> None:
        """The end is elsewhere now, and folds are at another width."""
        self._fold()
        self.uncovered()

    def uncovered(self) -> None:
        """What came where nothing was laid out, as behind a dialog, scrolled nothing."""
        if self.follows:
            self.call_after_refresh(self._to_end)

    def _to_end(self) -> None:
        if self.follows:
            self.scroll_to(y=self.max_scroll_y, animate=False)

    def changed(self, old: Target, new: Target) -> None:
        """A job that comes back goes on where it was; of one that is not followed to its end, the rest was kept."""
        is_back = new.is_alive and not old.is_alive
        if old.row.get("state") == ENDED:  # the other streams are of the run before
            self._streams.forget(new.uuid)
        if is_back and (old.row.get("state") == ENDED or self.stream.place.cursor is None):
            self.renew()
        elif self.problem or new.row.get("state") == LOST or (self.stream.is_told and self.file in STREAMS):
            self.ask_now()  # also how much the other stream has

    # Keys

    def choose(self, file: str) -> None:
        """Follow another file; one that was followed before goes on where it was, and is seen where it was."""
        self.stop()
        self.problem = ""
        self.stream.leave(self.scroll_offset.y, self._came)
        self.file = file
        self._come_back(self._known(self.target) or Stream(file))

    def _known(self, target: Target | None) -> Stream | None:
        return self._streams.get(target.uuid, self.file, target.is_alive) if target is not None else None

    def _come_back(self, stream: Stream) -> None:
        """Show a stream as it was left."""
        self._enter(stream)
        self._came = stream.came
        self.taken()
        self.scroll_to(x=0, y=None if self.follows else stream.folding.line_of(stream.top), animate=False)

    def _enter(self, stream: Stream) -> None:
        """Show a stream from now on."""
        if stream.search.text != self.search.text:
            stream.look_for(self.search.text)
        self.stream = stream
        if self.target is not None:
            self._streams.put(self.target.uuid, stream)
        self._fold()

    def other_stream(self) -> None:
        """Standard error after standard output, and back."""
        self.choose(other_of(self.file))

    def toggle_follow(self) -> None:
        """Stay at the end, or stay here."""
        self.stream.follows, self.stream.unseen = not self.follows, 0
        self.taken()

    def select(self, target: Target | None) -> None:
        """Another job's output begins with its standard output; of one that was shown lately it is still there."""
        old = self.target
        if old is not None and target is not None and old.uuid == target.uuid:
            super().select(target)
            return
        self.stream.leave(self.scroll_offset.y, self._came)
        if old is not None:
            self._streams.leave(old.uuid)
        self.file = STREAMS[0]
        super().select(target)
        self._come_back(self._known(target) or self.stream)

    def move(self, how: str) -> None:
        """Scrolling up stops following, and goes on above the first row; the end resumes it."""
        super().move(how)
        if how not in ("left", "right"):
            self._look_where()
        if how in ABOVE and self.scroll_offset.y <= 0:
            self._go_above(ABOVE[how])

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """As scrolling up with a key."""
        self.stream.follows = False
        if self.scroll_offset.y <= 0:
            self._go_above(STAY)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """As scrolling down with a key."""
        self.call_after_refresh(self._look_where)

    def _look_where(self) -> None:
        self.stream.follows = self.scroll_offset.y >= self.max_scroll_y
        if self.follows:
            self.stream.unseen = 0
        self.refresh()

    # Above the first row

    def _go_above(self, purpose: str) -> bool:
        """Ask for what is before the first row; whether there is such, and it can be had."""
        stream = self.stream
        if not (stream.buffer.before and stream.buffer.room and stream.earlier.can_be_had(self.target, self.file)):
            return False
        stream.follows = False
        stream.earlier.want(purpose)
        if not stream.earlier.is_under_way:
            self._ask_above()
        return True

    def _ask_above(self) -> None:
        stream = self.stream
        if self.target is not None and stream.buffer.room:
            stream.earlier.ask(self.target, stream.place.file or self.file, stream.buffer.before)
        self.refresh()

    def _prepend(self, data: bytes) -> None:
        """A piece came: the line under the eye stays where it is, unless what came is to be seen."""
        stream, y = self.stream, self.scroll_offset.y
        lines, purpose = stream.prepend(data), stream.earlier.purpose
        self.taken()
        self.scroll_to(y=0 if purpose == TOP else y + lines, animate=False)
        found = self.search.next(stream.row, -1) if purpose == FIND else None
        if found is not None and found < stream.row:
            self._go_to(found)
        else:
            self._ask_above()

    # Finding, folding, times

    def find(self, text: str) -> None:
        """Look for a text, and go to the row with it that is nearest to where somebody began to type one."""
        self.stream.look_for(text)
        found = self.stream.nearest()
        if found is not None:
            self._go_to(found)
        self.refresh()

    def begin_find(self) -> None:
        """A text is going to be typed: the view it is looked for from may be wanted back."""
        self.stream.begin_search(self.scroll_offset.y)

    def give_up_find(self, text: str) -> None:
        """The view as it was, and what was looked for in it."""
        self.stream.look_for(text)
        top = self.stream.sought_from
        self.stream.follows = top is None
        self.taken()
        if top is not None:
            self.scroll_to(y=self.stream.folding.line_of(top), animate=False)

    def find_next(self, step: int) -> None:
        """To the next row that holds the text (1), or the one before (-1), which may stand above the first row."""
        found = self.search.next(self.stream.row, step)
        is_above = found is None or (step < 0 and found >= self.stream.row)
        if is_above and self.search and self._go_above(FIND):
            return
        if found is not None:
            self._go_to(found)

    def find_further(self, is_repeated: bool) -> None:
        """What is not in the rows that are here is looked for above them; the same text once more, as by ``n``."""
        if is_repeated or not self.search.rows:
            self.find_next(1)

    def toggle_fold(self) -> None:
        """Long lines go on below, or to the right."""
        row = self.stream.row_at(self.scroll_offset.y)
        self.is_folded = not self.is_folded
        self._fold()
        self.taken()
        self.scroll_to(x=0, y=None if self.follows else self.stream.folding.line_of(row), animate=False)

    def toggle_times(self) -> None:
        """Show when each line came, or do not."""
        self.has_times = not self.has_times
        self._fold()
        self.taken()

    def draw_rule(self) -> None:
        """A line of one's own at the end: what comes now stands below it."""
        self.stream.note(f"mark {time.strftime('%H:%M:%SZ', time.gmtime(self._clock()))}")
        self.taken()

    def _fold(self) -> None:
        width = max(1, self.size.width - self.margin() - 1) if self.is_folded else 0
        if width != self.stream.folding.width:
            self.stream.folding.restart(width)
            self.stream.folding.follow(len(self.stream.buffer.rows))
            self.resize_rows()
            self.refresh()

    def _go_to(self, row: int) -> None:
        self.stream.row, self.stream.follows = row, False
        line = self.stream.folding.line_of(row)
        top, height = self.scroll_offset.y, max(1, self.size.height - self.HEADS)
        if not top <= line < top + height:
            self.scroll_to(y=max(0, line - height // 2), animate=False)
        self.refresh()
