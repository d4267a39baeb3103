"""The help: every key of the table, with what it does."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from jobmon_console.keys import APP, BY_ID, DETAIL, FILES, GROUPS, KEYS, LIST, OUTPUT, TABLE, TOP, TREE, shown
from jobmon_console.tui.bindings import bindings
from jobmon_console.tui.glossary import entry
from jobmon_console.tui.screens.dialog import Dialog
from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.lines import Lines, Span

KEY_WIDTH = 18  # cells
EXAMPLE_WIDTH = 34  # cells
_WHERE = {
    APP: "anywhere",
    LIST: "in the lists",
    TABLE: "in the table",
    DETAIL: "in the detail",
    OUTPUT: "in Output",
    TOP: "in Top",
    TREE: "in Tree",
    FILES: "in Files",
}
_FILTERS = (
    ("state:running owner:me", "words beside each other must all hold"),
    ("mem>40G or cpu<5% age>6h", "sizes, shares, times; or, not, ( )"),
    ("exit!=0 ended<2h", "how it ended, and when"),
    ("train -node:wn042", "a word is looked for in id, name, owner, node, cluster"),
    ("cluster:caf* tag.project:apollo", "* and ? stand for other characters"),
)
_STATES = (
    ("● running   ◌ starting", "good", "at work"),
    ("◐ silent", "warn", "no word from its agent for three beats; it may come back"),
    ("? lost", "bad", "given up"),
    ("✓ ended 0   ✗ ended 3", "done", "with its exit code, or the signal that ended it"),
)


class HelpText(Lines):
    """The rows of the help."""

    def __init__(self) -> None:
        super().__init__("help-text")
        self._rows: list[list[Span]] = []

    def count(self) -> int:
        """Rows."""
        return len(self._rows)

    def spans(self, index: int) -> list[Span]:
        """One row."""
        return self._rows[index]

    def on_resize(self) -> None:
        """What does not fit goes on below."""
        self._rows = _rows(self.size.width)
        self.resize_rows()
        self.refresh()


class Help(Dialog[None]):
    """What the keys do."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings([BY_ID["help"], BY_ID["leave"]])]

    def compose(self) -> ComposeResult:
        """A title and the rows."""
        with Vertical(id="help"):
            title = Bar("help-title")
            title.show([(" Keys", "bar-strong")], [("Esc closes ", "bar")])
            yield title
            yield HelpText()

    def action_do(self, id_: str) -> None:
        """The key that opened it closes it, too."""
        super().action_do("escape" if id_ in ("help", "leave") else id_)


def _rows(width: int) -> list[list[Span]]:
    rows: list[list[Span]] = []
    for group in GROUPS:
        rows += [[(f" {group}", "heading")]]
        for key in KEYS:
            if key.group == group:
                names = " ".join(shown(name) for name in key.keys)
                where = f"({_WHERE[key.scope]})" if key.scope in _WHERE else ""
                rows += entry(names, "bad" if key.is_danger else "accent", key.help, KEY_WIDTH, width, where)
        rows.append([])
    rows.append([(" Filters, the same as in jobmon jobs", "heading")])
    for text, meaning in _FILTERS:
        rows += entry(text, "accent", meaning, EXAMPLE_WIDTH, width)
    rows += [[], [(" States", "heading")]]
    for text, style, meaning in _STATES:
        rows += entry(text, style, meaning, EXAMPLE_WIDTH, width)
    return rows
