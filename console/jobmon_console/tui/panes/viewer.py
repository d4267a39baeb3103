"""A pane that shows one stream: folded to its width or not, with times or without, at its end or where one reads.

Nothing here asks; which stream it is, others say.
"""

from textual.geometry import Offset
from textual.selection import Selection

from jobmon_console.tui.panes.drawing import drawn, margin
from jobmon_console.tui.panes.pane import Pane
from jobmon_console.tui.panes.search import Search
from jobmon_console.tui.panes.stream import TAB, Stream
from jobmon_console.tui.widgets.lines import Span


class Viewer(Pane):
    """The lines of a stream.

    Args:
        name: the widget's.
        stream: what is shown first.
    """

    HEADS = 1

    def __init__(self, name: str, stream: Stream) -> None:
        super().__init__(name)
        self.stream = stream
        self.is_folded = False  # long lines go on below
        self.has_times = False  # each line with the time at which it came

    @property
    def follows(self) -> bool:
        """The end of the stream stays on the screen."""
        return self.stream.follows

    @property
    def search(self) -> Search:
        """What is looked for."""
        return self.stream.search

    @property
    def line(self) -> int:
        """The first line that is seen."""
        return self.scroll_offset.y

    # Rows

    def count(self) -> int:
        """Lines on the screen: rows kept, or their pieces."""
        return len(self.stream.folding.pieces) if self.is_folded else len(self.stream.buffer.rows)

    def breadth(self) -> int:
        """Cells of the widest row, at most: bytes of it."""
        return 0 if self.is_folded else self.stream.buffer.widest + TAB + self.margin()

    def spans(self, index: int) -> list[Span]:
        """A line or a piece of one, or a note about the stream."""
        return drawn(self.stream, index, self.has_times)

    def margin(self) -> int:
        """The cells before a line."""
        return margin(self.has_times)

    # Where one reads

    def taken(self) -> None:
        """Draw, and stay at the end when following."""
        self.stream.caught_up()
        gone = self.stream.scrolled()
        if gone:
            self._move_selection(-gone)
        if gone and not self.follows:  # stay on the line that is being read
            self.see(max(0, self.line - gone))
        super().taken()
        self.uncovered()

    def came_before(self, lines: int) -> None:
        """So many lines came before the others: stay on the line that is being read."""
        line = self.line + lines
        if lines:
            self._move_selection(lines)
        self.taken()
        if lines:
            self.see(line)

    def see(self, line: int) -> None:
        """Let a line be the first that is seen."""
        self.scroll_to(y=line, animate=False)

    def see_row(self, row: int) -> None:
        """Let a row be the first that is seen, and stay there."""
        self.stream.follows = False
        self.see(self.stream.folding.line_of(row))
        self.refresh()

    def go_to(self, row: int) -> None:
        """Let a row be seen, as the one that was found."""
        self.stream.row, self.stream.follows = row, False
        if not self.is_seen(row):
            self.see(max(0, self.stream.folding.line_of(row) - self.height // 2))
        self.refresh()

    def is_seen(self, row: int) -> bool:
        """It is on the screen."""
        return self.line <= self.stream.folding.line_of(row) < self.line + self.height

    @property
    def height(self) -> int:
        """Lines that are seen."""
        return max(1, self.size.height - self.HEADS)

    def on_resize(self) -> None:
        """The end is elsewhere now, and folds are at another width."""
        self.fold()
        self.uncovered()

    def uncovered(self) -> None:
        """Stand at the end where it is followed, as when a dialog is gone or the size is another."""
        if self.follows:
            self.call_after_refresh(self._to_end)

    def _to_end(self) -> None:
        if self.follows:
            self.see(self.max_scroll_y)

    def _move_selection(self, lines: int) -> None:
        """What is selected stays the text that it was; where a part of it is gone, nothing is."""
        selection = self.text_selection
        if selection is None or selection.start is None or selection.end is None:
            return
        start, end = (Offset(each.x, each.y + lines) for each in selection)  # type: ignore[union-attr]
        if start.y < 0 or end.y >= self.count():
            self.screen.clear_selection()
        else:
            self.screen.selections = self.screen.selections | {self: Selection(start, end)}

    # Folding, times

    def toggle_fold(self) -> None:
        """Long lines go on below, or to the right."""
        row = self.stream.row_at(self.line)
        self.is_folded = not self.is_folded
        self.fold()
        self.taken()
        self.scroll_to(x=0, y=None if self.follows else self.stream.folding.line_of(row), animate=False)

    def toggle_times(self) -> None:
        """Show when each line came, or do not."""
        self.has_times = not self.has_times
        self.fold()
        self.taken()

    def fold(self) -> None:
        """Fold the rows to the width that there is now, if they are to be."""
        width = max(1, self.size.width - self.margin() - 1) if self.is_folded else 0
        if width != self.stream.folding.width:
            self.stream.folding.restart(width)
            self.stream.folding.follow(len(self.stream.buffer.rows))
            self.resize_rows()
            self.refresh()
