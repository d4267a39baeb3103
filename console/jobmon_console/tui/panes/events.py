"""The Events tab: what happened to a job, and what was done to it, in time order."""

from typing import Any

from jobmon_console import calls
from jobmon_console.errors import JobMonError
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.pane import Pane, Target
from jobmon_console.tui.source import Reading
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.moments import write_moment

KEPT = 5_000  # events
_STYLES = {
    "ended": "strong",
    "lost": "bad",
    "silent": "warn",
    "limit": "warn",
    "batch": "warn",
    "request": "info",
    "progress": "plain",
}


class Events(Pane):
    """The job's log."""

    FOLLOWS = True

    def __init__(self) -> None:
        super().__init__("events")
        self._events: list[dict[str, Any]] = []
        self._dropped = 0  # events before those, that were known
        self._scrolled = 0  # of them, those whose rows the screen does not count any more
        self._told = 0  # events of this answer
        self._is_at_end = True  # and stays there

    def count(self) -> int:
        """Events."""
        return len(self._events)

    def ask(self, target: Target) -> Reading[Any] | None:
        """The log from its beginning, and what is added to it."""
        self._told = 0
        source, call = target.source, calls.log(target.uuid, follow=target.is_alive)
        return Reading[dict[str, Any]](lambda: source.rows(call))

    def take(self, item: Any) -> None:
        """One event; when the log is told again, those that are known already are passed over."""
        self.came()
        at, self._told = self._told - self._dropped, self._told + 1
        if at < 0 or self._events[at : at + 1] == [item]:
            return
        self._events[at:] = [item]
        over = max(0, len(self._events) - KEPT)
        del self._events[:over]
        self._dropped += over

    def ended(self, error: JobMonError | None) -> None:
        """The log was told to its end: there is nothing more in it."""
        super().ended(error)
        if error is None:
            del self._events[max(0, self._told - self._dropped) :]

    def clear(self) -> None:
        """Another job."""
        self._events, self._dropped, self._scrolled, self._told, self._is_at_end = [], 0, 0, 0, True

    def taken(self) -> None:
        """The newest event is at the end: stay there; elsewhere stay at the event that is read."""
        top = self.scroll_offset.y - (self._dropped - self._scrolled)
        self._scrolled = self._dropped
        super().taken()
        if self._is_at_end:
            self._to_end()
        else:
            self.scroll_to(y=max(0, top), animate=False)

    def on_resize(self) -> None:
        """The end is elsewhere now."""
        self._is_at_end = self._is_at_end or self.scroll_offset.y >= self.max_scroll_y
        self._to_end()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolled by a key, the mouse or the end of the list: it stays at the end, if it is there now."""
        super().watch_scroll_y(old_value, new_value)
        self._is_at_end = round(new_value) >= self.max_scroll_y

    def _to_end(self) -> None:
        if self._is_at_end:
            self.scroll_to(y=self.max_scroll_y, animate=False)

    def breadth(self) -> int:
        """The longest text."""
        return max((34 + len(str(event.get("text") or "")) for event in self._events), default=0)

    def spans(self, index: int) -> list[Span]:
        """When, what, and what was said."""
        event = self._events[index]
        at = texts.moment(event.get("at"))
        kind = safe(str(event.get("kind") or ""))
        when = (write_moment(at) or "")[:19].replace("T", " ") if at is not None else ""
        return [
            (f" {texts.fit(when, 19)}  ", "dim"),
            (texts.fit(kind, 11), _STYLES.get(kind, "accent")),
            (safe(str(event.get("text") or "")), "plain"),
        ]

    def emptiness(self) -> list[list[Span]]:
        """Nothing happened, or it is not known yet."""
        if self.target is not None and not self.problem and self.reading is None and self._has_asked:
            return [[], [("  no events", "dim")]]
        return super().emptiness()
