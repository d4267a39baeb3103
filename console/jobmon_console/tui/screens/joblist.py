"""The list of jobs: what the keys do that filter, mark, sort, group and show columns.

One method per key, named after its id; those of the rest are in ``jobs``.
"""

from jobmon_console.preferences import Preferences
from jobmon_console.safe import safe
from jobmon_console.tui.board import GROUPINGS
from jobmon_console.tui.listing import Entry
from jobmon_console.tui.order import SORTS
from jobmon_console.tui.screens.ask import Ask
from jobmon_console.tui.screens.menu import Menu
from jobmon_console.tui.screens.toggles import Toggles
from jobmon_console.tui.screens.view import ZOOMS, JobsView
from jobmon_console.tui.widgets.columns import COLUMNS, Column
from jobmon_console.tui.widgets.lines import Lines
from jobmon_console.views import SHIPPED, check_view
from jobmon_wire.jobs import ENDED

KEEP, REMOVE = "keep this filter as a view …", "remove a view …"


class NameView(Ask):
    """How a filter is to be called.

    Args:
        selector: the filter.
        own: the views there are.
    """

    def __init__(self, selector: str, own: dict[str, str]) -> None:
        super().__init__("Name of the view", selector)
        self._selector = selector
        self._own = own

    def check(self, answer: str) -> None:
        """A name, and not one that comes with the console."""
        check_view(answer, self._selector, self._own)


class JobsList(JobsView, inherit_bindings=True):
    """The keys of the list."""

    _asked = _kept = ""  # filters: of the command line, and as a person left it before

    # The list

    def do_filter(self) -> None:
        """Type a selector; in the output, a text to look for."""
        if self.focused is self.detail.output:
            self.detail.open_find()
            return
        self.is_in_detail = False
        self.arrange_panes()
        self.open_filter()
        self.call_after_refresh(self.board.gather_names)

    def do_mark(self) -> None:
        """Mark the job, or take the mark away, and step down; on an array, all of its tasks."""
        target = self.target
        tasks = [str(entry.row["uuid"]) for entry in self.board.arrays.get(self.table.key, ()) if _runs(entry)]
        if tasks:
            unmarked = [uuid for uuid in tasks if uuid not in self.board.marks]
            for uuid in unmarked or tasks:
                self.board.marks.pop(uuid, None)
            self.board.marks |= dict.fromkeys(unmarked)
            self.table.refresh()
        if target is None and not tasks:
            self.say("Space marks jobs and arrays; A marks all that match the filter")
        if target is not None and target.row.get("state") == ENDED:
            self.say("the job has ended; marked are those that signals can reach")
        elif target is not None:
            if self.board.marks.pop(target.uuid, False) is False:
                self.board.marks[target.uuid] = None
            self.table.refresh()
        self.table.move("down")

    def do_mark_range(self) -> None:
        """Begin a range at the line, or mark what of the range that ends here has not ended."""
        table, lines = self.table, self.board.lines
        begin = lines.find(table.range_from) if table.range_from else -1
        if begin >= 0:
            for at in range(min(begin, table.cursor), max(begin, table.cursor) + 1):
                line = lines[at]
                tasks = self.board.arrays.get(line.key, ())
                entries = tasks or ([line.entry] if line.entry is not None and not line.is_ghost else [])
                self.board.marks |= {str(entry.row["uuid"]): None for entry in entries if _runs(entry)}
            table.range_from = ""
        else:
            if table.range_from:
                self.say("where the range began is not in the list any more; it begins here")
            table.range_from = table.key
        table.refresh()

    def do_mark_all(self) -> None:
        """Mark what matches and has not ended."""
        for entry in self.board.in_order():
            if _runs(entry):
                self.board.marks[str(entry.row["uuid"])] = None
        self.table.refresh()

    def do_unmark_all(self) -> None:
        """No marks."""
        self.board.marks.clear()
        self.table.refresh()

    def do_sort(self) -> None:
        """Choose the order from a list."""
        orders = list(SORTS)

        def chosen(at: int | None) -> None:
            if at is not None and orders[at] != self.board.sort:  # r is what reverses it
                self._sort(orders[at])

        titles = [order.title for order in SORTS.values()]
        self.app.push_screen(Menu("Sort by", titles, orders.index(self.board.sort)), chosen)

    def do_sort_left(self) -> None:
        """By the column to the left."""
        self._step_sort(-1)

    def do_sort_right(self) -> None:
        """By the column to the right."""
        self._step_sort(1)

    def do_reverse(self) -> None:
        """The other way round."""
        self._sort(self.board.sort)

    def on_lines_head_clicked(self, event: Lines.HeadClicked) -> None:
        """The title of a column orders by it, and the other way round where it does already."""
        top = self.detail.top
        order = self.table.order_at(event.x, event.y) if event.lines is self.table else ""
        ranked = top.order_at(event.x, event.y) if event.lines is top else ""
        if order or ranked:
            self.touched()
        if order:
            self._sort(order)
        if ranked:
            top.choose(ranked)

    def do_fold(self) -> None:
        """Fold or unfold the heading, or the one above the job."""
        key = self.board.toggle_fold(self.table.key)
        self.table.key = key or self.table.key  # a job that is folded away is not under the cursor any more
        self._rearrange()
        self.table.go_to(key)

    def do_grouping(self) -> None:
        """Cluster and node, cluster, nothing."""
        self.board.grouping = GROUPINGS[(GROUPINGS.index(self.board.grouping) + 1) % len(GROUPINGS)]
        self._rearrange()

    def do_pause(self) -> None:
        """Hold the table still, or let it go."""
        self.table.is_paused = not self.table.is_paused
        self.table.refresh()

    def do_columns(self) -> None:
        """Choose the columns."""

        def rows() -> list[tuple[str, bool]]:
            seen = {column.id for column, _ in self.table.columns}
            return [(told(column, column.id in seen), column.id not in self.table.hidden) for column in COLUMNS[1:]]

        def told(column: Column, is_seen: bool) -> str:
            if is_seen or column.id in self.table.hidden:
                return column.title
            is_heading = column.id == "node" and "node" in self.board.grouping
            return f"{column.title:14}{'in the headings' if is_heading else 'no room for it'}"

        def toggled(at: int) -> None:
            self.table.hidden ^= {COLUMNS[at + 1].id}
            self.table.refresh()

        self.app.push_screen(Toggles("Columns", rows, toggled))

    def do_views(self) -> None:
        """Choose a named view, keep the filter as one, or remove one."""
        names = [*SHIPPED, *self.views]
        rows = [f"{safe(name):16} {safe(SHIPPED.get(name) or self.views[name])}" for name in names]
        more = [KEEP, *([REMOVE] if self.views else [])]

        def chosen(at: int | None) -> None:
            if at is None:
                return
            if at < len(names):
                self.open_view(names[at])
            elif at == len(names):
                self._keep_view()
            else:
                self._remove_view()

        self.app.push_screen(Menu("Views", rows + more, 0), chosen)

    def open_view(self, name: str) -> None:
        """Filter by a view's selector."""
        self.use_filter(self.views.get(name) or SHIPPED.get(name, ""))

    def use_filter(self, text: str) -> None:
        """Filter by a selector that was not typed just now."""
        self.filter.input.value = text
        if self.set_filter(text):
            self.filter.remember(text)
        self.filter.display = bool(text)

    def _keep_view(self) -> None:
        if not self.board.filter:
            self.say("there is no filter to keep; type one with / first")
            return

        def named(name: str | None) -> None:
            if name:
                self.views = {**self.views, name: self.board.filter}
                self.say(f"{name} is kept; V opens it")

        self.app.push_screen(NameView(self.board.filter, self.views), named)

    def _remove_view(self) -> None:
        names = list(self.views)

        def chosen(at: int | None) -> None:
            if at is not None:
                self.views = {name: text for name, text in self.views.items() if name != names[at]}

        self.app.push_screen(Menu("Remove a view", [safe(name) for name in names], 0), chosen)

    def say(self, text: str, kind: str = "") -> None:
        """A notice that goes away, at once where another of its kind comes."""
        self.notices.say(self.app, text, kind)

    # Preferences

    def adopt(self, kept: Preferences, select: str) -> None:
        """Be as a person left it; what she asks for now goes before.

        Called before the screen is mounted.
        """
        board = self.board
        if kept.sort in SORTS:
            board.sort, board.is_reversed = kept.sort, kept.is_reversed
        if kept.grouping in GROUPINGS:
            board.grouping = kept.grouping
        self.zoom = kept.zoom if kept.zoom in ZOOMS else self.zoom
        self.detail.adopt(kept.tab, kept.is_wrapped, kept.top_order)
        self.table.hidden = {column.id for column in COLUMNS[1:] if column.id in kept.hidden}
        self.views, self.filter.history = dict(kept.views), list(kept.history)
        self._asked, self._kept = select, kept.filter
        self.begin_with(select or kept.filter)

    def preferences(self) -> Preferences:
        """How it is left; the theme is the application's."""
        return Preferences(
            # What was asked for at the start was meant for once.
            filter=self._kept if self._asked and self.board.filter == self._asked else self.board.filter,
            sort=self.board.sort,
            is_reversed=self.board.is_reversed,
            grouping=self.board.grouping,
            zoom=self.zoom,
            tab=self.detail.tab,
            hidden=tuple(sorted(self.table.hidden)),
            views=self.views,
            history=tuple(self.filter.history),
            is_wrapped=self.detail.output.is_folded,
            has_helped=True,
            top_order=self.detail.top.order,
        )

    def _sort(self, column: str) -> None:
        self.board.set_sort(column)
        self._rearrange()

    def _step_sort(self, step: int) -> None:
        columns = self.table.sort_columns()
        if columns:
            at = columns.index(self.board.sort) if self.board.sort in columns else -step
            self._sort(columns[(at + step) % len(columns)])

    def _rearrange(self) -> None:
        self.board.arrange(self.site.steady(), self.table.key)
        self.table.settle()
        self.sight()


def _runs(entry: Entry) -> bool:
    return bool(entry.row.get("state") != ENDED)
