"""The Output tab: what a job prints, as it prints it.

Follows standard output, standard error or any file of the sandbox; of a job
that has ended it shows the last output that was kept.  Scrolling up stops
following, the end resumes it; going above the first line brings what the file
has before it, of a long one a part at a time.  What scrolled by can be searched,
folded to the width, and shown with the times at which it came.
"""

import time
from collections.abc import Callable
from typing import Any

from textual import events
from textual.message import Message

from jobmon_console import calls
from jobmon_console.errors import JobMonError
from jobmon_console.following import passes
from jobmon_console.replies import Kept
from jobmon_console.safe import safe
from jobmon_console.tui.panes.earlier import FIND, STAY, TOP
from jobmon_console.tui.panes.headline import headline
from jobmon_console.tui.panes.paging import Paging
from jobmon_console.tui.panes.pane import ASK_AGAIN, Target
from jobmon_console.tui.panes.part import Part
from jobmon_console.tui.panes.places import Places
from jobmon_console.tui.panes.stream import Stream, other_of
from jobmon_console.tui.panes.streams import Streams
from jobmon_console.tui.panes.viewer import Viewer
from jobmon_console.tui.source import Reading, once
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.frames import DATA, NOTE, Frame
from jobmon_wire.jobs import ENDED, LOST
from jobmon_wire.verbs import STREAMS

FIRST = 500  # lines shown of what the job has printed already
LOOKS = 3  # for the report of a job's end, which comes within a second or two
ABOVE = {"up": STAY, "page_up": STAY, "top": TOP}  # moves that go on above the first row, and what for
BELOW = ("down", "page_down")  # and below the last row of a part


class Output(Viewer):
    """The end of a file that grows.

    Args:
        now: s since 1970; when lines came is told by it.
    """

    FOLLOWS = True

    class Told(Message):
        """Something is to be said to whoever looks on."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__("output", Stream(STREAMS[0]))
        self.file = STREAMS[0]
        self.paging = Paging(self)
        self.places = Places(self, self.paging, now)
        self._streams = Streams()
        self._clock = now

    @property
    def is_part(self) -> bool:
        """A part of the file is shown, which is not followed."""
        return isinstance(self.stream, Part)

    def troubles(self) -> list[str]:
        """Of a part of the file, also why it does not go on."""
        if self.is_part and self.paging.why:
            return [f"as it was {self.age} ago; {self.paging.why}"]
        return super().troubles()

    # Rows

    def head(self, y: int) -> list[Span]:
        """Which file, how much, and whether it is followed."""
        is_heard = self.reading is not None and not self.troubles()
        return headline(self.stream, self.target, is_heard, self.paging, self.stream.row_at(self.line))

    def emptiness(self) -> list[list[Span]]:
        """Nothing was printed yet, or it cannot be known."""
        if self.target is not None and not self.problem and self._has_asked:
            return [[], [(f"  nothing in {safe(self.file)} yet", "dim")]]
        return super().emptiness()

    # Asking

    def ask(self, target: Target) -> Reading[Any] | None:
        """Follow the file; of an ended job, fetch what was kept."""
        source, file = target.source, self.file
        if isinstance(self.stream, Part):  # nothing is followed meanwhile
            self.problem = "" if self.paging.can_be_had() else self.nobody(target)
            return None
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
        """Also what came of the rest of the file."""
        super().tick(now)
        self._reckon(now)
        self.paging.tick()

    def _reckon(self, now: float) -> None:
        if self.target is None or not self.target.is_alive or self.reading is None or not self._is_answered:
            return
        if self.stream.reckon(self.target.row.get("output_bytes"), now):
            self.refresh()

    def stop(self) -> None:
        """Nobody waits for what is not here, either."""
        super().stop()
        self.paging.stop()

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
        self.paging.forget()
        self.stream = Stream(self.file, self.search.text)
        self.fold()

    def renew(self) -> None:
        """Follow from the beginning: a stream goes on where it was, or starts anew; offline, what was read stays."""
        super().renew()
        if self.target is not None and not self.target.feed.link.is_usable:
            return
        self.empty()
        self._enter(self.stream)

    def changed(self, old: Target, new: Target) -> None:
        """A job that comes back goes on where it was; of one that is not followed to its end, the rest was kept."""
        is_back, followed = new.is_alive and not old.is_alive, self.stream.followed
        if old.row.get("state") == ENDED:  # the other streams are of the run before
            self._streams.forget(new.uuid)
        if is_back and (old.row.get("state") == ENDED or followed.place.cursor is None):
            self.renew()
        elif (
            self.problem or new.row.get("state") == LOST or (followed.is_told and self.file in STREAMS) or self.is_part
        ):
            self.ask_now()  # also how much the other stream has

    # Keys

    def choose(self, file: str) -> None:
        """Follow another file; one that was followed before goes on where it was, and is seen where it was."""
        self.stop()
        self.problem = ""
        self.stream.leave(self.line, self._came)
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
        self.paging.forget()
        if self.text_selection is not None:  # it is of other lines
            self.screen.clear_selection()
        if stream.search.text != self.search.text:
            stream.look_for(self.search.text)
        self.stream = stream
        if self.target is not None:
            self._streams.put(self.target.uuid, stream)
        self.fold()

    def other_stream(self) -> None:
        """Standard error after standard output, and back."""
        self.choose(other_of(self.file))

    def toggle_follow(self) -> None:
        """Stay at the end, or stay here; from a part of the file back to its end."""
        if self.is_part:
            self.turn_back()
            return
        self.paging.forget()
        self.stream.follows, self.stream.unseen = not self.follows, 0
        self.taken()

    def turn_to(self, stream: Stream, row: int) -> None:
        """Show a part of the file; what was followed is left as it is, and goes on from there later."""
        if not self.is_part:
            self.stream.leave(self.line, self._came)
        super().stop()
        self.problem = ""
        self._enter(stream)
        self.came()
        stream.scrolled()
        self.taken()
        self.see(stream.folding.line_of(row))
        self.stream.begin_search(self.line)  # a text may be being typed

    def turn_back(self, row: int | None = None) -> None:
        """From a part of the file to the stream that was followed: its end, or a row of it."""
        self.stop()
        self.problem = ""
        followed = self.stream.followed
        followed.follows = row is None
        if row is None:
            followed.unseen = 0
        else:
            followed.top = row
        self._come_back(followed)

    def to_end(self) -> None:
        """As the key does."""
        self.move("bottom")

    def tell(self, text: str) -> None:
        """Say something, safe text."""
        # Not by way of the panes: one of them may be what is being handled, and would keep it.
        self.screen.post_message(self.Told(text))

    def select(self, target: Target | None) -> None:
        """Another job's output begins with its standard output; of one that was shown lately it is still there."""
        old = self.target
        if old is not None and target is not None and old.uuid == target.uuid:
            super().select(target)
            return
        self.stream.leave(self.line, self._came)
        if old is not None:
            self._streams.leave(old.uuid)
        self.file = STREAMS[0]
        super().select(target)
        self._come_back(self._known(target) or self.stream)

    def move(self, how: str) -> None:
        """Scrolling up stops following, and goes on above the first row; the end resumes it."""
        if how == "bottom":
            self.paging.forget()
            if self.is_part:
                self.turn_back()
                return
        super().move(how)
        if how not in ("left", "right"):
            self._look_where()
        if how in ABOVE and self.line <= 0:
            self.paging.above(ABOVE[how])
        elif how in BELOW and self.line >= self.max_scroll_y:
            self.paging.below()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """As scrolling up with a key."""
        self.stream.follows = False
        if self.line <= 0:
            self.paging.above(STAY)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """As scrolling down with a key."""
        self.call_after_refresh(self._look_where)
        if self.line >= self.max_scroll_y:
            self.paging.below()

    def _look_where(self) -> None:
        self.stream.follows = self.line >= self.max_scroll_y and not self.is_part
        if self.follows:
            self.stream.unseen = 0
        self.refresh()

    # Finding

    def find(self, text: str) -> None:
        """Look for a text, and go to the row with it that is nearest to where somebody began to type one, or there."""
        self.paging.forget_sought()
        self.stream.look_for(text)
        found = self.stream.nearest()
        if found is not None:
            self.go_to(found)
        else:
            self._see_where_find_began()

    def forget_find(self) -> None:
        """Nothing is looked for any more."""
        self.paging.forget_sought()
        self.stream.look_for("")
        self.refresh()

    def begin_find(self) -> None:
        """A text is going to be typed: the view it is looked for from may be wanted back."""
        self.stop_looking()
        self.stream.begin_search(self.line)

    def give_up_find(self, text: str) -> None:
        """The view as it was, and what was looked for in it."""
        self.stream.look_for(text)
        self._see_where_find_began()

    def _see_where_find_began(self) -> None:
        top = self.stream.sought_from
        self.stream.follows = top is None
        self.taken()
        if top is not None:
            self.see(self.stream.folding.line_of(top))

    def find_next(self, step: int) -> None:
        """To the next row that holds the text (1), or the one before (-1), which may not be here yet."""
        if self.is_part:
            self.paging.find(step)
            return
        found = self.search.next(self.stream.row, step)
        is_above = found is None or (step < 0 and found >= self.stream.row)
        if is_above and self.search and self.paging.above(FIND):
            return
        if found is not None:
            self.go_to(found)

    def stop_looking(self) -> bool:
        """Give up what is looked for beyond the rows that are here; whether it was."""
        is_looking = self.paging.is_looking
        if is_looking:
            self.paging.stop()
            self.refresh()
        return is_looking

    def find_further(self, is_repeated: bool) -> None:
        """What is not in the rows that are here is looked for above them; the same text once more, as by ``n``."""
        if is_repeated or not self.search.rows:
            self.find_next(1)

    def draw_rule(self) -> None:
        """A line of one's own at the end: what comes now stands below it."""
        self.stream.followed.note(f"mark {time.strftime('%H:%M:%SZ', time.gmtime(self._clock()))}")
        self.taken()
