"""The row of tabs above the detail pane, and which job it is about."""

from textual import events
from textual.message import Message

from jobmon_console.keys import TABS
from jobmon_console.safe import safe
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.states import job_look
from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.lines import Span


class TabBar(Bar):
    """Six names with their numbers."""

    class Clicked(Message):
        """A tab was clicked."""

        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    def __init__(self) -> None:
        super().__init__("tabs")
        self._ends: list[int] = []  # cells, of each tab

    def show_tab(self, active: str, target: Target | None) -> None:
        """Mark the active one."""
        left: list[Span] = []
        self._ends, width = [], 0
        for number, tab in enumerate(TABS, 1):
            text = f" {number} {tab.capitalize()} "
            width += len(text)
            self._ends.append(width)
            left.append((text, "tab-active" if tab == active else "bar"))
        self.show(left, [] if target is None else _about(target))

    def on_click(self, event: events.Click) -> None:
        """Ask for the tab under the pointer."""
        for tab, end in zip(TABS, self._ends, strict=False):
            if event.x < end:
                self.post_message(self.Clicked(tab))
                return


def _about(target: Target) -> list[Span]:
    look = job_look(target.row)
    styles = {"good": "bar-good", "warn": "bar-warn", "bad": "bar-bad", "info": "bar-info"}
    return [
        (f" {look.glyph} {look.word}  ", styles.get(look.style, "bar")),
        (safe(str(target.row.get("id") or target.uuid)), "bar-strong"),
        (f"  {safe(str(target.row.get('node') or ''))} ", "bar"),
    ]
