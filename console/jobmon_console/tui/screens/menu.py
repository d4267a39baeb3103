"""A short list from which one row is chosen: the column to sort by."""

from textual.app import ComposeResult
from textual.containers import Vertical

from jobmon_console.tui.screens.dialog import Dialog
from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.lines import Lines, Span


class Choices(Lines):
    """The rows of a menu."""

    HAS_CURSOR = True

    def __init__(self, rows: list[str], chosen: int) -> None:
        super().__init__("choices")
        self._rows = rows
        self.cursor = chosen

    def count(self) -> int:
        """Rows."""
        return len(self._rows)

    def spans(self, index: int) -> list[Span]:
        """One row."""
        return [(f"  {self._rows[index]} ", "plain")]

    def on_mount(self) -> None:
        """As high as its rows."""
        self.resize_rows()
        self.styles.height = len(self._rows)


class Menu(Dialog[int]):
    """One of some rows; dismissed with its index, or None.

    Args:
        title: of the menu, no outside text.
        rows: no outside text.
        chosen: index of the row under the cursor.
    """

    def __init__(self, title: str, rows: list[str], chosen: int) -> None:
        super().__init__()
        self._title = title
        self._choices = Choices(rows, chosen)

    def compose(self) -> ComposeResult:
        """A title and the rows."""
        with Vertical(id="menu"):
            title = Bar("menu-title")
            title.show([(f" {self._title}", "bar-strong")])
            yield title
            yield self._choices

    def confirm(self) -> None:
        """Take the row under the cursor."""
        self.dismiss(self._choices.cursor)

    def on_lines_chosen(self) -> None:
        """A double click takes it, too."""
        self.confirm()
