"""The detail pane: six tabs about the job under the cursor.

Only the tab on the screen asks, and only about one job: choosing another
cancels what was under way.  The request waits for the tick after the cursor
stopped, so that running down a list asks for nothing.
"""

from collections.abc import Callable
from typing import Protocol

from textual.app import ComposeResult
from textual.containers import Vertical

from jobmon_console.keys import TABS
from jobmon_console.tui.history import History
from jobmon_console.tui.panes.events import Events
from jobmon_console.tui.panes.files import Files
from jobmon_console.tui.panes.info import Info
from jobmon_console.tui.panes.output import Output
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.panes.tabs import TabBar
from jobmon_console.tui.panes.top import Top
from jobmon_console.tui.panes.tree import Tree
from jobmon_console.tui.panes.trouble import Trouble
from jobmon_console.tui.widgets.find import Find
from jobmon_console.tui.widgets.lines import Lines


class Tab(Protocol):
    """What the detail pane asks of a tab."""

    def select(self, target: Target | None) -> None:
        """Be about this job."""

    def show(self, is_shown: bool) -> None:
        """Be on the screen, or not."""

    def tick(self, now: float) -> None:
        """Ask, and show what came."""

    def troubles(self) -> list[str]:
        """Why nothing newer comes than what it shows; empty: it comes, or nothing is shown."""

    def renew(self) -> None:
        """Ask again."""

    def stop(self) -> None:
        """Cancel what is under way."""


class Detail(Vertical):
    """The tabs and the pane of the active one.

    Args:
        now: s since 1970.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(id="detail")
        self.tab = TABS[0]
        self.history = History()
        self.bar = TabBar()
        self.trouble = Trouble()
        self.find = Find()
        self.output, self.top, self.processes = Output(now), Top(self.history), Tree()
        self.files, self.info, self.events = Files(), Info(), Events()
        self._waiting: tuple[Target | None] | None = None  # chosen, not yet shown
        self._target: Target | None = None

    def adopt(self, tab: str, is_wrapped: bool, order: str) -> None:
        """Be as a person left it; called before anything is shown."""
        self.top.choose(order)
        self.tab = tab if tab in TABS else self.tab
        self.output.is_folded = is_wrapped

    def compose(self) -> ComposeResult:
        """The tabs, and every pane; one is on the screen."""
        yield self.bar
        yield self.trouble
        yield self.find
        yield from (self.output, self.top, self.processes, self.files, self.info, self.events)

    def on_mount(self) -> None:
        """Begin with the first tab."""
        self.open_tab(self.tab)

    @property
    def target(self) -> Target | None:
        """The job it is about, or will be at the next tick."""
        return self._waiting[0] if self._waiting is not None else self._target

    @property
    def lines(self) -> Lines:
        """What takes the keys."""
        return self.files.list if self.tab == "files" else self._panes[self.tab]

    @property
    def _panes(self) -> dict[str, Lines]:
        return {
            "output": self.output,
            "top": self.top,
            "tree": self.processes,
            "info": self.info,
            "events": self.events,
        }

    @property
    def _tabs(self) -> dict[str, Tab]:
        tabs: dict[str, Tab] = {"output": self.output, "top": self.top, "tree": self.processes, "files": self.files}
        return tabs | {"info": self.info, "events": self.events}

    def select(self, target: Target | None) -> None:
        """Be about this job from the next tick on; what was under way for another ends now."""
        old = self.target
        if old is None or target is None or old.uuid != target.uuid:
            self._tabs[self.tab].stop()
        self._waiting = (target,)
        self.bar.show_tab(self.tab, target)

    def open_tab(self, tab: str) -> None:
        """Put another tab on the screen."""
        had_focus = self.has_focus_within
        self.tab = tab
        for name, pane in self._tabs.items():
            is_shown = name == tab
            if is_shown:
                pane.select(self._target)
            pane.show(is_shown and bool(self.display))
            widget = self.files if name == "files" else self._panes[name]
            widget.display = is_shown
        self.find.display = False
        self.bar.show_tab(tab, self.target)
        self._tell_trouble()
        if had_focus:
            self.lines.focus()

    def tick(self, now: float, is_seen: bool) -> None:
        """Show what came; ask, if the pane is seen at all."""
        if self._waiting is not None:
            self._target, self._waiting = self._waiting[0], None
            self._note_vitals(now)
            self._tabs[self.tab].select(self._target)
            self.bar.show_tab(self.tab, self._target)
        tab = self._tabs[self.tab]
        tab.show(is_seen)
        tab.tick(now)
        self._tell_trouble()

    def on_resize(self) -> None:
        """Sentences are as wide as there is room."""
        self._tell_trouble()

    def _tell_trouble(self) -> None:
        self.trouble.tell(self._tabs[self.tab].troubles(), self.size.width)

    def _note_vitals(self, now: float) -> None:
        if self._target is not None:
            row = self._target.row
            self.history.add(self._target.uuid, now, row.get("cpu_percent"), row.get("rss_bytes"))

    # Finding in the output

    def open_find(self) -> Find:
        """The line to type into; its input is to get the focus."""
        self.output.begin_find()
        self.find.open(self.output.search.text)
        return self.find

    def close_find(self) -> None:
        """The line goes away; what was found stays marked until nothing is looked for."""
        self.find.display = False
        if self.tab == "output":
            self.output.focus()

    def give_up_find(self) -> None:
        """The line goes away, and the output is as it was before it came."""
        if self.find.is_typed:
            self.output.give_up_find(self.find.before)
        self.close_find()

    def on_find_typed(self, event: Find.Typed) -> None:
        """Live."""
        if event.text != self.output.search.text:
            self.find.is_typed = True
            self.output.find(event.text)

    def on_find_left(self) -> None:
        """Enter: the output has the keys again; a new text is looked for further up, an old one goes on."""
        self.close_find()
        self.output.find_further(is_repeated=not self.find.is_typed)

    def renew(self) -> None:
        """Ask again now."""
        self._tabs[self.tab].renew()

    def stop(self) -> None:
        """Cancel everything under way."""
        for tab in self._tabs.values():
            tab.stop()
