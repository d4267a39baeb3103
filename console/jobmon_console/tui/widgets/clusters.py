"""The tree of clusters and nodes beside a wide table: where the jobs are, whatever the filter."""

from collections.abc import Callable

from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.board import Board
from jobmon_console.tui.listing import CLUSTER, Line
from jobmon_console.tui.states import link_look
from jobmon_console.tui.widgets.lines import Lines, Span

COUNTS = "running/all "  # above the numbers


class Clusters(Lines):
    """Headings of the board with their counts."""

    HAS_CURSOR = True
    HEADS = 1

    def __init__(self, board: Board, steady: Callable[[], float]) -> None:
        super().__init__("clusters")
        self._board = board
        self._steady = steady
        self._seen: object = None  # what was drawn last

    def renew(self) -> None:
        """Draw again, if a count or a connection is another."""
        looks = [link_look(feed.link, self._steady()) for feed in self._board.feeds]
        seen = self._board.groups, [(look.glyph, look.style) for look in looks]
        if seen != self._seen:
            self._seen = seen
            self.resize_rows()
            self.refresh()

    def count(self) -> int:
        """Clusters and nodes."""
        return len(self._board.groups)

    @property
    def chosen(self) -> Line | None:
        """The heading under the cursor."""
        return self._board.groups[self.cursor] if self.cursor < self.count() else None

    def head(self, y: int) -> list[Span]:
        """Title."""
        clusters = sum(line.kind == CLUSTER for line in self._board.groups)
        title, number = " Clusters ", str(clusters or "")
        counts = (COUNTS if clusters else "").rjust(self.size.width - len(title) - len(number))
        return [(title, "bar-strong"), (number, "bar"), (counts, "bar")]

    def spans(self, index: int) -> list[Span]:
        """One cluster, or one of its nodes."""
        line = self._board.groups[index]
        is_cluster = line.kind == CLUSTER
        name = ("▾ " if is_cluster else "    ") + (safe(line.name) or "(no name)")
        counts = f"{line.running:,}/{line.jobs:,} "
        width = max(4, self.size.width - len(counts) - 3)
        glyph, style = self._link(line) if is_cluster else (" ", "dim")
        return [
            (" " + texts.fit(name, width), "heading" if is_cluster else "plain"),
            (f"{glyph} ", style),
            (counts, "plain" if line.running else "dim"),
        ]

    def emptiness(self) -> list[list[Span]]:
        """No job, no cluster."""
        return [[], [("  none yet", "dim")]]

    def _link(self, line: Line) -> tuple[str, str]:
        for feed in self._board.feeds:
            if feed.mirror.counts["cluster"].get(line.name):
                look = link_look(feed.link, self._steady())
                return look.glyph, look.style
        return " ", "dim"
