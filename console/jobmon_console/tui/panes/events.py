"""The Events tab: what happened to a job, and what was done to it, in time order."""

from typing import Any

from jobmon_console import calls
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

    def __init__(self) -> None:
        super().__init__("events")
        self._events: list[dict[str, Any]] = []

    def count(self) -> int:
        """Events."""
        return len(self._events)

    def ask(self, target: Target) -> Reading[Any] | None:
        """The log, and what is added to it."""
        self._events = []
        source, call = target.source, calls.log(target.uuid, follow=target.is_alive)
        return Reading[dict[str, Any]](lambda: source.rows(call))

    def take(self, item: Any) -> None:
        """One event."""
        self._events.append(item)
        del self._events[:-KEPT]

    def clear(self) -> None:
        """Another job."""
        self._events = []

    def taken(self) -> None:
        """The newest event is at the end: stay there."""
        is_at_end = self.scroll_offset.y >= self.max_scroll_y
        super().taken()
        if is_at_end:
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
