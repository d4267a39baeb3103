"""A list of things that are on or off; Space or Enter turns one, Esc leaves."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from jobmon_console.tui.screens.dialog import Dialog
from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.lines import Lines, Span


class Switches(Lines):
    """The rows."""

    HAS_CURSOR = True

    def __init__(self, rows: list[tuple[str, bool]]) -> None:
        super().__init__("switches")
        self.rows = rows

    def count(self) -> int:
        """Rows."""
        return len(self.rows)

    def spans(self, index: int) -> list[Span]:
        """One row: whether it is on, and its name."""
        name, is_on = self.rows[index]
        return [("  [x] " if is_on else "  [ ] ", "accent" if is_on else "dim"), (name, "plain")]

    def on_mount(self) -> None:
        """As high as its rows."""
        self.resize_rows()
        self.styles.height = len(self.rows)


class Toggles(Dialog[None]):
    """Things that are on or off.

    Args:
        title: no outside text.
        rows: gives name and whether it is on, asked again when one was turned; no outside text.
        toggled: told the row that was turned.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "do('enter')", show=False)]

    def __init__(self, title: str, rows: Callable[[], list[tuple[str, bool]]], toggled: Callable[[int], None]) -> None:
        super().__init__()
        self._heading = title
        self._rows = rows
        self._switches = Switches(rows())
        self._toggled = toggled

    def compose(self) -> ComposeResult:
        """A title and the rows."""
        with Vertical(id="menu"):
            title = Bar("menu-title")
            title.show([(f" {self._heading}", "bar-strong")], [("Space turns, Esc closes ", "bar")])
            yield title
            yield self._switches

    def confirm(self) -> None:
        """Turn the row under the cursor."""
        self._toggled(self._switches.cursor)
        self._switches.rows = self._rows()
        self._switches.refresh()

    def on_lines_chosen(self) -> None:
        """A double click turns it, too."""
        self.confirm()
