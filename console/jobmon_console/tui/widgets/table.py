"""The table of jobs: headings and jobs, drawn as far as they are seen.

The cursor is held by the key of a line, a job's by its uuid: when lines come
and go the cursor stays on its job and moves with it.
"""

from collections.abc import Callable

from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.board import Board
from jobmon_console.tui.listing import ARRAY, CLUSTER, JOB, Line
from jobmon_console.tui.order import SORTS
from jobmon_console.tui.states import link_look
from jobmon_console.tui.widgets import arrays
from jobmon_console.tui.widgets.columns import GAP, Column, choose
from jobmon_console.tui.widgets.lines import Lines, Span

MARGIN = 2  # cells before the first column: the mark
LEAST_FIRST = 6  # cells of the job's id when it is indented


class JobTable(Lines):
    """The jobs on a board.

    Args:
        board: whose lines are shown.
        now: s since 1970.
        steady: a steady clock, s.
        explain: the text that stands for an empty table.
    """

    HAS_CURSOR = True
    HEADS = 2

    def __init__(
        self,
        board: Board,
        now: Callable[[], float],
        steady: Callable[[], float],
        explain: Callable[[int], list[list[Span]]],
    ) -> None:
        super().__init__("jobs")
        self.board = board
        self.key = ""  # of the line under the cursor
        self.range_from = ""  # key of the line at which a range begins that is being marked
        self.moved = float("-inf")  # s, when a person last moved the cursor
        self.is_paused = False
        self.hidden: set[str] = set()  # ids of columns
        self._now = now
        self._steady = steady
        self._explain = explain

    # Rows

    def count(self) -> int:
        """Lines of the board."""
        return len(self.board.lines)

    def emptiness(self) -> list[list[Span]]:
        """Why there is nothing."""
        return self._explain(self.size.width)

    def head(self, y: int) -> list[Span]:
        """How the list is ordered, and the titles of the columns."""
        return self._titles() if y else self._title()

    def spans(self, index: int) -> list[Span]:
        """One line: a heading or a job."""
        line = self.board.lines[index]
        if line.kind == ARRAY:
            return self._array(line)
        return self._job(line) if line.kind == JOB else self._heading(line)

    @property
    def current(self) -> Line | None:
        """The line under the cursor, as new as it is known."""
        return self.board.current(self.key)

    # The cursor

    def cursor_moved(self) -> None:
        """Remember the line, not its place."""
        self.moved = self._steady()
        left = self.board.current(self.key)
        self.board.is_dirty = self.board.is_dirty or (left is not None and left.is_ghost)  # it may go now
        self.key = self.board.lines[self.cursor].key if self.board.lines else ""

    def settle(self) -> None:
        """The lines were arranged anew: put the cursor back on its line."""
        at = self.board.lines.find(self.key)
        if at < 0:
            at = min(self.cursor, max(0, self.count() - 1))
            if not self.key:
                at = next((i for i, line in enumerate(self.board.lines) if line.kind in (JOB, ARRAY)), 0)
            self.key = self.board.lines[at].key if self.board.lines else ""
        drift, self.cursor = at - self.cursor, at
        self.resize_rows()
        if drift and self.scroll_offset.y > 0:  # its row stays where the eye is; the list moves behind it
            self.scroll_to(y=max(0, self.scroll_offset.y + drift), animate=False)
        self.reveal()
        self.call_after_refresh(self.reveal)  # a list that just became longer than the screen scrolls only then
        self.refresh()

    def refresh_jobs(self, uuids: set[str]) -> None:
        """Paint the rows of these jobs again, as far as they are seen."""
        if not uuids:
            return
        top = self.scroll_offset.y
        for index in range(top, min(top + self.size.height, self.count())):
            if self.board.lines[index].uuid in uuids:
                self.refresh_row(index)

    def go_to(self, key: str) -> bool:
        """Put the cursor on the line with this key, if it is in the list."""
        at = self.board.lines.find(key)
        if at >= 0:
            self.place(at)
        return at >= 0

    def first_job(self) -> None:
        """Put the cursor on the first job."""
        self.key = ""
        self.settle()

    # Columns

    @property
    def columns(self) -> tuple[tuple[Column, int], ...]:
        """Those that fit, with their widths."""
        grouped = ["node"] if "node" in self.board.grouping else []
        return choose(self.size.width - MARGIN, frozenset([*self.hidden, *grouped]))

    def sort_columns(self) -> list[str]:
        """The orders that can be seen, left to right."""
        return [column.id for column, _ in self.columns if column.id in SORTS]

    def order_at(self, x: int, y: int) -> str:
        """The order whose title is there, in cells from the upper left corner; empty: there is none."""
        end = MARGIN
        for column, width in self.columns if y == self.HEADS - 1 else ():
            begin, end = end, end + width + GAP
            if begin <= x < end:
                return column.id if column.id in SORTS else ""
        return ""

    # Drawing

    def _title(self) -> list[Span]:
        board = self.board
        shown = f"{board.matching:,} of {texts.plural(len(board.entries), 'job')}" if board.filter else ""
        left = [(" Jobs ", "bar-strong"), (shown or texts.plural(len(board.entries), "job"), "bar")]
        if board.filter:
            left.append(("  " + safe(board.filter), "bar-info"))
        if board.marks:
            left.append((f"  {len(board.marks):,} marked", "bar-warn"))
        if self.range_from:
            left.append(("  v marks from " + self._name_of(self.range_from), "bar-warn"))
        if self.is_paused:
            left.append(("  paused, p resumes", "bar-warn"))
        held = "  held" if board.is_held(self._steady(), self.moved) else ""
        right = f"by {SORTS[board.sort].title}{', reversed' if board.is_reversed else ''}{held} "
        used = sum(len(text) for text, _ in left)
        if used + len(right) < self.size.width:
            left.append((right.rjust(self.size.width - used), "bar"))
        return [*left, (" " * self.size.width, "bar")]

    def _name_of(self, key: str) -> str:
        """What a person knows a line by."""
        at = self.board.lines.find(key)
        line = self.board.lines[at] if at >= 0 else None
        if line is None:
            return "a line that is gone"
        return safe(line.name or str(line.entry.row.get("id") if line.entry is not None else ""))

    def _titles(self) -> list[Span]:
        spans: list[Span] = [(" " * (MARGIN + self._indent), "dim")]
        for at, (column, width) in enumerate(self.columns):
            width = max(LEAST_FIRST, width - self._indent) if at == 0 else width
            is_sort = column.id == self.board.sort
            title = column.title + (SORTS[column.id].arrow(self.board.is_reversed) if is_sort else "")
            style = "accent" if is_sort else "dim"
            spans.append((texts.fit(title, width, right=column.is_right) + " " * GAP, style))
        return spans

    @property
    def _indent(self) -> int:
        return 2 * max(0, len(self.board.grouping) - 1)

    def _heading(self, line: Line) -> list[Span]:
        is_cluster = line.kind == CLUSTER
        arrow = "▸" if line.is_folded else "▾"
        name = safe(line.name) or "(no name)"
        spans = [
            ("" if is_cluster else "  ", "plain"),
            (f"{arrow} {name}", "heading" if is_cluster else "title"),
            (f"  {texts.plural(line.jobs, 'job')}", "dim"),
        ]
        if line.running:
            spans.append((f", {line.running:,} running", "dim"))
        return spans + (self._cluster_links(line.name) if is_cluster else [])

    def _array(self, line: Line) -> list[Span]:
        """The tasks of an array in one line."""
        tasks = self.board.arrays.get(line.key, [])
        if not tasks:
            return []
        is_marked = any(str(entry.row["uuid"]) in self.board.marks for entry in tasks)
        fades = not any(entry.feed.link.is_usable for entry in tasks)
        spans: list[Span] = [("◆ " if is_marked else "  ", "mark"), (" " * self._indent, "plain")]
        records, now = [entry.row for entry in tasks], self._now()
        for at, (column, width) in enumerate(self.columns):
            if at == 0:
                width = max(LEAST_FIRST, width - self._indent)
                name = texts.fit_before(
                    f"{'▸' if line.is_folded else '▾'} {safe(line.name)}", f" [{len(tasks):,}]", width
                )
                cell = [(name, "mark" if is_marked else "strong")]
            else:
                cell = arrays.cell(column, records, now)
            spans += texts.fit_spans(
                [(text, "dim" if fades else style) for text, style in cell], width, column.is_right
            )
            spans.append((" " * GAP, "plain"))
        return spans

    def _cluster_links(self, cluster: str) -> list[Span]:
        spans: list[Span] = []
        for feed in self.board.feeds:
            if feed.mirror.counts["cluster"].get(cluster) and not feed.link.is_usable:
                look = link_look(feed.link, self._steady())
                spans.append((f"   {look.glyph} {safe(feed.name)}: {look.word}", look.style))
        return spans

    def _job(self, line: Line) -> list[Span]:
        entry = self.board.entries.get(line.uuid) or line.entry
        if entry is None:
            return []
        is_marked = line.uuid in self.board.marks
        fades = line.is_ghost or not entry.feed.link.is_usable
        spans: list[Span] = [("◆ " if is_marked else "  ", "mark"), (" " * self._indent, "plain")]
        now = self._now()
        for at, (column, width) in enumerate(self.columns):
            text, style = column.cell(entry.row, now)
            if at == 0:
                width = max(LEAST_FIRST, width - self._indent)
                if line.is_ghost:
                    text = "(left) " + text
            style = "dim" if fades else "mark" if is_marked and at == 0 else style
            spans.append((texts.fit(text, width, right=column.is_right) + " " * GAP, style))
        return spans
