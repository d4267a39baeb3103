"""The row of tabs above the detail pane, and which job it is about."""

from itertools import accumulate

from rich.cells import cell_len
from textual import events
from textual.message import Message

from jobmon_console.keys import TABS
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.states import job_look
from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.lines import Span

LEAST_ABOUT = 16  # cells for the job; with less, the names of the other tabs are cut
SHORT = 3  # letters of a tab's name then


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
        self._shown: tuple[str, Target | None] = (TABS[0], None)

    def show_tab(self, active: str, target: Target | None) -> None:
        """Mark the active one, and name the job, whatever the width."""
        self._shown = active, target
        names = [f" {number} {tab.capitalize()} " for number, tab in enumerate(TABS, 1)]
        if self.size.width and self.size.width - sum(map(len, names)) < LEAST_ABOUT:
            short = [f" {number} {tab.capitalize()[:SHORT]} " for number, tab in enumerate(TABS, 1)]
            names = [name if tab == active else cut for tab, name, cut in zip(TABS, names, short, strict=True)]
        self._ends = list(accumulate(map(len, names)))
        left = [(name, "tab-active" if tab == active else "bar") for tab, name in zip(TABS, names, strict=True)]
        self.show(left, [] if target is None else _about(target, self.size.width - self._ends[-1]))

    def on_resize(self) -> None:
        """There is more room, or less."""
        self.show_tab(*self._shown)

    def on_click(self, event: events.Click) -> None:
        """Ask for the tab under the pointer."""
        for tab, end in zip(TABS, self._ends, strict=False):
            if event.x < end:
                self.post_message(self.Clicked(tab))
                return


def _about(target: Target, room: int) -> list[Span]:
    """The job in so many cells at most: its id before its state, its state before its node."""
    look = job_look(target.row)
    styles = {"good": "bar-good", "warn": "bar-warn", "bad": "bar-bad", "info": "bar-info"}
    style = styles.get(look.style, "bar")
    name = safe(str(target.row.get("id") or target.uuid))
    state, glyph = f" {look.glyph} {look.word}  ", f" {look.glyph} "
    node = f"  {safe(str(target.row.get('node') or ''))} "
    for before, behind in ((state, node), (state, " "), (glyph, " ")):
        if cell_len(before + name + behind) <= room:
            return [(before, style), (name, "bar-strong"), (behind, "bar")]
    return [(glyph, style), (texts.fit(name, room - len(glyph) - 1), "bar-strong"), (" ", "bar")]
