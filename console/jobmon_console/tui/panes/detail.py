"""The detail pane: six tabs about the job under the cursor.

Only the tab on the screen asks, and only about one job: choosing another
cancels what was under way.  The request waits for the tick after the cursor
stopped, so that running down a list asks for nothing.
"""

from collections.abc import Callable
from typing import Protocol

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

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
from jobmon_console.tui.widgets.field import Field
from jobmon_console.tui.widgets.find import Find
from jobmon_console.tui.widgets.jump import Jump
from jobmon_console.tui.widgets.lines import Lines
from jobmon_console.tui.widgets.trouble import Trouble


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
        self.trouble = Trouble("trouble")
        self.find, self.jump = Find(), Jump()
        self._came_from: Widget | None = None  # what had the focus before a field
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
        yield from (self.find, self.jump)
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
        self.find.display = self.jump.display = False
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

    # Finding in the output, and going to a place of it

    @property
    def field(self) -> Field | None:
        """The line that is being typed into."""
        return next((each for each in (self.find, self.jump) if each.input is self.screen.focused), None)

    def open_find(self) -> None:
        """The line for a text that is looked for."""
        self.output.begin_find()
        self._open(self.find, self.output.search.text)

    def open_jump(self) -> None:
        """The line for a place that is gone to."""
        self._open(self.jump, "")

    def _open(self, field: Field, text: str) -> None:
        self._came_from = self.screen.focused
        self.find.display = self.jump.display = False
        field.open(text)
        self.screen.set_focus(field.input)  # at once: what is typed next is meant for it

    def _close(self, field: Field, to: Widget | None) -> None:
        field.display = False
        if self.tab == "output":
            self.screen.set_focus(to or self.output)

    def give_up(self) -> None:
        """The line goes away, and the output is as it was before it came."""
        field = self.field
        if field is self.find and self.find.is_typed:
            self.output.give_up_find(self.find.before)
        if field is not None:
            self._close(field, self._came_from)

    def on_find_typed(self, event: Find.Typed) -> None:
        """Live."""
        if event.text != self.output.search.text:
            self.find.is_typed = True
            self.output.find(event.text)

    def on_field_left(self, event: Field.Left) -> None:
        """Enter: what was typed is meant."""
        if event.field is self.find:
            self._leave_find()
        elif self.jump.input.value.strip():
            self._leave_jump(self.jump.input.value)
        else:
            self.give_up()

    def _leave_find(self) -> None:
        """The output has the keys again; a new text is looked for further up, an old one goes on."""
        self._close(self.find, self.output)
        self.output.find_further(is_repeated=not self.find.is_typed)

    def _leave_jump(self, text: str) -> None:
        """The output has the keys again, at the place; one that cannot be gone to can be mended."""
        why = self.output.places.go(text)
        if why:
            self.jump.complain(why)
        else:
            self._close(self.jump, self.output)

    def renew(self) -> None:
        """Ask again now."""
        self._tabs[self.tab].renew()

    def stop(self) -> None:
        """Cancel everything under way."""
        for tab in self._tabs.values():
            tab.stop()
