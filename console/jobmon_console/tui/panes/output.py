"""The Output tab: what a job prints, as it prints it.

Follows standard output, standard error or any file of the sandbox; of a job
that has ended it shows the last output that was kept.  Scrolling up stops
following, the end resumes it.
"""

from typing import Any

from textual import events

from jobmon_console import calls
from jobmon_console.errors import JobMonError
from jobmon_console.following import Place, passes, told
from jobmon_console.replies import Kept
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.pane import Pane, Target
from jobmon_console.tui.panes.scrollback import Scrollback
from jobmon_console.tui.source import Reading, once
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.frames import DATA, NOTE, Frame
from jobmon_wire.jobs import ENDED
from jobmon_wire.verbs import STREAMS

FIRST = 500  # lines shown of what the job has printed already
TAB = 8  # cells between tab stops


class Output(Pane):
    """The end of a file that grows."""

    HEADS = 1

    def __init__(self) -> None:
        super().__init__("output")
        self.file = STREAMS[0]
        self.follows = True
        self._buffer = Scrollback()
        self._place = Place()
        self._unseen = 0  # lines that came since following stopped

    # Rows

    def count(self) -> int:
        """Rows kept."""
        return len(self._buffer.rows)

    def breadth(self) -> int:
        """Cells of the widest row, at most: bytes of it."""
        return self._buffer.widest + TAB

    def spans(self, index: int) -> list[Span]:
        """A line, or a note about the stream."""
        row = self._buffer.rows[index]
        if row.is_note:
            return [(f" ── {safe(row.data)} ──", "info")]
        text = safe(row.data.removesuffix(b"\r"), tabs=TAB)
        return [(" " + text, "plain")] + ([(f" … {texts.size(row.hidden)} more", "info")] if row.hidden else [])

    def head(self, y: int) -> list[Span]:
        """Which file, how much, and whether it is followed."""
        spans: list[Span] = [(f" {safe(self.file)}", "accent")]
        if self._buffer.lines:
            lines = texts.plural(self._buffer.lines, "line")
            spans.append((f"  {lines}, {texts.size(self._buffer.bytes)}", "dim"))
        if self.problem and self.count():
            spans.append((f"  {self.problem}", "warn"))
        if self.follows:
            spans.append(("  following" if self.reading else "", "good"))
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
            place = {"lines": FIRST} if self._place.cursor is None else {"resume": self._place.cursor}
            file = self._place.file or file
            call = calls.query(target.uuid, "tail", {"file": file, "follow": True, "latest": True} | place)
            return Reading[Frame](lambda: source.frames(call))
        if file in STREAMS and target.row.get("state") == ENDED:
            call = calls.output(target.uuid, file)
            return once(lambda: source.content(call))
        self.problem = self.nobody(target)
        return None

    def take(self, item: Any) -> None:
        """A frame, or what was kept of an ended job."""
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
        self._note("ended")

    def _take_note(self, note: dict[str, Any]) -> None:
        if note.get("kind") == "hole" and isinstance(note.get("bytes"), int):
            self._buffer.skip(note["bytes"])
        if words := told(note, self.file):
            self._note(words)

    def ended(self, error: JobMonError | None) -> None:
        """Say in the stream that it broke off; a job that ended brings no more."""
        super().ended(error)
        if error is not None and self.count():
            self._note("the answer broke off; going on when it can be had" if passes(error) else safe(str(error)))

    def clear(self) -> None:
        """Another job, or another file."""
        self._buffer = Scrollback()
        self._place = Place()
        self._unseen = 0
        self.follows = True

    def taken(self) -> None:
        """Draw, and stay at the end when following."""
        super().taken()
        if self.follows:
            self.call_after_refresh(self._to_end)

    def on_resize(self) -> None:
        """The end is elsewhere now."""
        if self.follows:
            self.call_after_refresh(self._to_end)

    def _to_end(self) -> None:
        if self.follows:
            self.scroll_to(y=self.max_scroll_y, animate=False)

    def changed(self, old: Target, new: Target) -> None:
        """A job that comes back is followed again."""
        if new.is_alive and not old.is_alive:
            self.renew()

    # Keys

    def choose(self, file: str) -> None:
        """Follow another file."""
        self.file = file
        self.renew()
        self.taken()

    def other_stream(self) -> None:
        """Standard error after standard output, and back."""
        self.choose(STREAMS[1] if self.file == STREAMS[0] else STREAMS[0])

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

    def _feed(self, data: bytes) -> None:
        before = self._buffer.lines
        self._dropped(self._buffer.feed(data))
        if not self.follows:
            self._unseen += self._buffer.lines - before

    def _note(self, text: str) -> None:
        self._dropped(self._buffer.note(text))

    def _dropped(self, rows: int) -> None:
        if rows and not self.follows:  # stay on the line that is being read
            self.scroll_to(y=max(0, self.scroll_offset.y - rows), animate=False)
