"""The screen of jobs: clusters, table and detail, and where they are.

Network tasks collect; ``tick`` takes what they have and paints, four times a
second.  No widget is touched from anywhere else but a key or a click.
"""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen

from jobmon_console.keys import APP, BY_ID, DETAIL, FILES, LIST, OUTPUT, SCREEN, TABLE, TOP, TREE, namesakes
from jobmon_console.selectors import Completion, complete
from jobmon_console.tui.bindings import SCREEN_KEYS, bindings
from jobmon_console.tui.explain import explain
from jobmon_console.tui.layout import LAYOUTS, LEAST, SINGLE, TINY, WIDE, layout
from jobmon_console.tui.listing import ARRAY, JOB
from jobmon_console.tui.notices import Notices
from jobmon_console.tui.panes.detail import Detail
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.panes.tabs import TabBar
from jobmon_console.tui.screens.status import footer, header, typing
from jobmon_console.tui.site import Site
from jobmon_console.tui.states import link_look
from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.clusters import Clusters
from jobmon_console.tui.widgets.filter import Filter, FilterInput
from jobmon_console.tui.widgets.lines import Lines
from jobmon_console.tui.widgets.table import JobTable
from jobmon_wire.selectors import SelectorError

TICK = 0.25  # s between paints
QUICK = 0.1  # s between paints while somebody types, or waits for a part of a file
TYPING = 1.0  # s after a key in which somebody types
AWAY = 1.0  # s between paints while the terminal has lost the focus
LATE = 0.1  # s behind time at which the pace is halved: the loop waits for a slow link, or for the processor
SLOWEST = 8  # times as long as usual between paints
REDRAW = 1.0  # s between paints of what only time changes: elapsed times, ages
HALF, FULL, HIDDEN = "half", "full", "hidden"  # of the detail pane
FILTERING = (("enter", "to the list"), ("escape", "back"), ("tab", "complete"), ("up", "earlier ones"))
WHERE = {  # of scopes that are narrower than the screen
    LIST: "in the list of jobs",
    TABLE: "in the list of jobs",
    OUTPUT: "in Output (1)",
    TOP: "in Top (2)",
    TREE: "in Tree (3), once Tab has led there",
    FILES: "in Files (4), once Tab has led there",
}
ZOOMS = (HALF, FULL, HIDDEN)
_ARRANGED = {"-in-detail", *("-" + name for name in LAYOUTS), *("-zoom-" + name for name in ZOOMS)}  # classes


class JobsView(Screen[None], inherit_bindings=False):
    """What is on the screen; what keys do is in ``jobs``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(SCREEN_KEYS),
        Binding("ctrl+c,super+c", "screen.copy_or_tell", "Copy selected text", show=False),
    ]

    def __init__(self, site: Site, select: str) -> None:
        super().__init__()
        self.site = site
        self.board = site.board
        self.layout_name = WIDE
        self.zoom = HALF
        self.is_in_detail = False  # which pane a small terminal shows
        self.header = Bar("header")
        self.footer = Bar("footer")
        self.filter = Filter(select, self._offer)
        self.views: dict[str, str] = {}  # a person's own, name: selector
        self._first = select
        self._before = ""  # the filter when somebody began to type one
        self._anchor = ""  # the line that was under the cursor then
        self.clusters = Clusters(self.board, site.steady)
        self.table = JobTable(self.board, site.now, site.steady, self._explain)
        self.detail = Detail(site.now)
        self.small = Bar("small")
        self.notices = Notices()
        self._drawn = float("-inf")  # s, when all rows were last painted
        self._dirty: set[str] = set()
        self._unexplained = self.board.lines  # at the last tick
        self._ticked = self._typed = float("-inf")  # s, the last tick and the last key
        self._paced = site.steady()  # s, when the pace was looked at
        self._slowness = 1  # times as long as usual between ticks
        self._away: list[str] = []  # what was said of connections that are not there

    def compose(self) -> ComposeResult:
        """Header, panes, footer; and the page for a terminal that is too small."""
        yield self.header
        with Horizontal(id="panes"):
            yield self.clusters
            with Vertical(id="work"):
                yield self.filter
                yield self.table
                yield self.detail
        yield self.footer
        yield self.small

    def on_mount(self) -> None:
        """Begin to tick."""
        self.filter.display = bool(self._first)
        self.set_filter(self._first)
        self.set_focus(self.table)
        self.set_interval(QUICK, self._pace)
        self.tick()

    def on_screen_resume(self) -> None:
        """A dialog or a page is gone."""
        self.detail.output.uncovered()

    # The tick

    def touched(self) -> None:
        """Somebody types: what follows is seen sooner."""
        self._typed = self.site.steady()

    def _pace(self) -> None:
        """Tick, if it is time: sooner while somebody types, later while nobody looks or the link is slow."""
        now = self.site.steady()
        late, self._paced = now - self._paced - QUICK, now
        self._slowness = min(SLOWEST, self._slowness * 2) if late > LATE else max(1, self._slowness - 1)
        is_awaited = now - self._typed < TYPING or self.detail.output.paging.is_under_way
        is_busy = is_awaited or any(feed.is_behind for feed in self.board.feeds)
        usual = AWAY if not self.app.app_focus else QUICK if is_busy else TICK
        if now - self._ticked >= usual * self._slowness - QUICK / 2:
            self.tick()

    def tick(self) -> None:
        """Take what the network brought, and paint what is another."""
        now = self._ticked = self.site.steady()
        for feed in self.board.feeds:
            dirty = feed.drain()
            self.board.update(feed, dirty)
            self._dirty |= dirty
        if not self.table.is_paused:
            self._paint(now)
        for feed in self.board.feeds:
            feed.settle()
        self.detail.tick(now, self.sees_detail)
        self._frame(now)

    def _paint(self, now: float) -> None:
        links = [feed.link for feed in self.board.feeds if not feed.link.is_usable]
        before, self._away = self._away, [link_look(link, now).word for link in links]
        is_away_anew = self._away != before  # the first line says it at once; so do the headings
        if self.board.is_due(now, self.table.moved):
            self.board.arrange(now, self.table.key)
            self.table.settle()
            self._drawn = now
        elif now - self._drawn >= REDRAW or not self.board.lines or is_away_anew:
            self.table.refresh()
            self._drawn = now
        else:
            self.table.refresh_jobs(self._dirty)
        self.clusters.renew()
        self._dirty = set()
        self._explain_nothing()
        self.sight()

    def _explain_nothing(self) -> None:
        """Say why nothing matches, once the list is the same at two ticks: nobody waits for it who types on."""
        if self.board.reasons.are_wanted and self._unexplained is self.board.lines:
            self.board.explain()
            self.table.refresh()
        self._unexplained = self.board.lines

    def sight(self) -> None:
        """Let the detail pane be about the job under the cursor."""
        target, seen = self.target, self.detail.target
        if target is None and seen is None:
            return
        if target is None or seen is None or target.uuid != seen.uuid or target.row is not seen.row:
            self.detail.select(target)

    def _frame(self, now: float) -> None:
        read_only = self.site.read_only
        self.header.show(*header(self.board, now, self.site.now(), read_only, self.size.width))
        if self.is_typing:
            field = self.detail.field
            self.footer.show(typing(FILTERING if field is None else (("enter", field.enter), ("escape", "back"))))
            return
        names = {"stream": "stdout" if self.detail.output.file == "stderr" else "stderr"}
        if self.focused is self.detail.output:
            names["filter"] = "find"
        if self.focused is self.detail.processes:
            names["enter"] = "fold"
        first = (OUTPUT, TOP, TREE, FILES, DETAIL) if self.detail.has_focus_within else ()
        self.footer.show(*footer(self.is_valid, read_only, names, self.size.width, first))

    # What is where

    @property
    def target(self) -> Target | None:
        """The job under the cursor."""
        line = self.table.current
        if line is None or line.kind != JOB or line.entry is None:
            return None
        return Target(line.entry.feed, line.uuid, line.entry.row)

    @property
    def sees_detail(self) -> bool:
        """The detail pane is on the screen."""
        if self.layout_name == SINGLE:
            return self.is_in_detail
        return self.layout_name != TINY and self.zoom != HIDDEN

    @property
    def is_typing(self) -> bool:
        """Keys are letters now."""
        return isinstance(self.focused, FilterInput)

    def is_valid(self, id_: str) -> bool:
        """A key means something where the focus is."""
        scope, focused = BY_ID[id_].scope, self.focused
        if self.layout_name == TINY:
            return id_ == "leave" or scope == APP
        in_list = focused is self.table or focused is self.clusters
        checks = {
            APP: True,
            SCREEN: True,
            LIST: in_list,
            TABLE: focused is self.table,
            DETAIL: self.detail.has_focus_within,
            OUTPUT: self.sees_detail and self.detail.tab == "output" and not self.is_typing,
            TOP: self.sees_detail and self.detail.tab == "top" and not self.is_typing,
            TREE: focused is self.detail.processes,
            FILES: focused is self.detail.files.list,
        }
        if id_ == "kill":
            return not self.is_typing and bool(self.board.marks or self.target or self.table.key in self.board.arrays)
        return checks[scope]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that mean nothing here are passed on, but for those of another pane: it is said which."""
        if action != "do":
            return True
        id_ = str(parameters[0])
        if self.is_valid(id_):
            return True
        is_told = (BY_ID[id_].scope in WHERE or id_ == "kill") and not self.is_typing and self.layout_name != TINY
        return is_told and not any(self.is_valid(key.id) for key in namesakes(id_))

    # Layout

    def on_resize(self, event: events.Resize) -> None:
        """Show what fits."""
        self.arrange_panes(layout(event.size.width, event.size.height))
        size = f"{event.size.width}x{event.size.height}"
        self.small.show([(f" {size} is too small: {LEAST[0]}x{LEAST[1]} is needed; q quits", "bar-warn")])

    def arrange_panes(self, name: str = "") -> None:
        """Put the panes where they belong."""
        self.layout_name = name or self.layout_name
        wanted = {"-" + self.layout_name, "-zoom-" + self.zoom, *(["-in-detail"] if self.is_in_detail else [])}
        self.classes = self.classes - _ARRANGED | wanted  # at once: each change has all widgets styled anew
        if self.focused is None or not self.focused.display:
            self.call_after_refresh(self._refocus)

    def _refocus(self) -> None:
        if self.focused is None and self.layout_name != TINY:
            (self.detail.lines if self.is_in_detail and self.sees_detail else self.table).focus()

    def _explain(self, width: int) -> list[list[tuple[str, str]]]:
        board = self.board
        return explain(board.feeds, board.filter, width, self.site.steady(), len(board.entries), board.reasons.clauses)

    # Filter

    def set_filter(self, text: str) -> bool:
        """Narrow the list; False: the text is wrong, and the last good one holds."""
        try:
            self.board.set_filter(text)
        except SelectorError as error:
            self.filter.complain(error)
            return False
        self.filter.complain(None)
        self.board.arrange(self.site.steady())
        if self._anchor in self.board.lines:  # whatever half of a word hid it for a moment
            self.table.key = self._anchor
        line = self.table.current
        if line is None or line.kind not in (JOB, ARRAY):
            self.table.first_job()
        self.table.settle()
        self.sight()
        return True

    def on_filter_typed(self, event: Filter.Typed) -> None:
        """Live; a word that matches nothing and may become the name of a field is no filter yet."""
        self.touched()
        if event.is_begun and not self.board.is_matched(event.text):
            self.filter.complain(None)
        else:
            self.set_filter(event.text)

    def on_filter_left(self) -> None:
        """Enter: what stands there is meant, and the list has the keys again; what is wrong can be mended."""
        self.filter.withdraw()
        text = self.filter.input.value
        if text == self.board.filter or self.set_filter(text):
            self.leave_filter()

    def begin_with(self, text: str) -> None:
        """The filter to begin with, before anything is shown."""
        self._first = text
        self.filter.begin_with(text)

    def _offer(self, text: str) -> list[Completion]:
        return complete(text, self.board.values)

    def open_filter(self) -> None:
        """Into the input."""
        self._before, self._anchor = self.board.filter, self.table.key
        self.filter.display = True
        self.set_focus(self.filter.input)  # at once: what is typed next must not be taken for keys

    def leave_filter(self) -> None:
        """Out of the input; a text that is no filter gives way to the one there was before it."""
        self.filter.withdraw()
        if self.filter.input.value != self.board.filter:
            self.filter.input.value = self._before
            self.set_filter(self._before)
        self._anchor = ""
        self.filter.remember(self.board.filter)
        self.filter.display = bool(self.board.filter)
        self.set_focus(self.table)

    # Clicks and cursors

    def on_lines_moved(self, event: Lines.Moved) -> None:
        """Another job under the cursor: its detail, at the next tick."""
        if event.lines is self.table:
            self.sight()

    def on_tab_bar_clicked(self, event: TabBar.Clicked) -> None:
        """Open that tab."""
        self.detail.open_tab(event.tab)

    def marked_or_current(self) -> list[Target]:
        """What an action is about: the marked jobs, else the current one, or all tasks of the current array."""
        entries = [(uuid, self.board.entries[uuid]) for uuid in self.board.marks if uuid in self.board.entries]
        if entries:
            return [Target(entry.feed, uuid, dict(entry.row)) for uuid, entry in entries]
        tasks = self.board.arrays.get(self.table.key)
        if tasks:
            return [Target(entry.feed, str(entry.row["uuid"]), dict(entry.row)) for entry in tasks]
        target = self.target
        return [] if target is None else [target._replace(row=dict(target.row))]

    def reveal(self, uuid: str) -> bool:
        """Put the cursor on a job; a filter or a fold that hides it gives way."""
        entry = self.board.entries.get(uuid)
        if entry is None:
            return False
        if "job " + uuid not in self.board.lines:
            self.board.unfold(entry)
            self.set_filter(self.board.filter)
        if "job " + uuid not in self.board.lines:
            self.filter.input.value = ""
            self.set_filter("")
        return self.table.go_to("job " + uuid)
