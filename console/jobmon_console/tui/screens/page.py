"""A page in front of the jobs, as large as the screen: a title, rows, and Esc that closes it, or another page's key."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from jobmon_console.keys import BY_ID
from jobmon_console.tui.bindings import bindings
from jobmon_console.tui.screens.dialog import Dialog
from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.lines import Lines, Span

PAGES = ("nodes", "activity", "connect")  # by the ids of their keys
REDRAW = 1.0  # s between two looks at what is newer
QUICK = 0.1  # s between two while somebody waits for an answer


class Page(Dialog[str]):
    """Rows on the whole screen; the answer is the page that shall be there next, if any.

    Subclasses give ``ID``, ``title`` and ``keys``, and may look for news in ``renew``.

    Args:
        rows: what is shown.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(BY_ID[id_] for id_ in ("leave", "reconnect", *PAGES))]
    ID: ClassVar[str]  # one of ``PAGES``

    def __init__(self, rows: Lines) -> None:
        super().__init__()
        self.rows = rows
        self._title, self._foot = Bar("page-title"), Bar("page-foot")

    def compose(self) -> ComposeResult:
        """Title, rows, keys."""
        with Vertical(id="page"):
            yield self._title
            yield self.rows
            yield self._foot

    def on_mount(self) -> None:
        """Look for news from now on."""
        self.rows.focus()
        self._look()
        self.set_interval(REDRAW, self._look)
        self.set_interval(QUICK, self._look_out)

    def title_spans(self) -> list[Span]:
        """What this is, and how many."""
        return []

    def keys(self) -> str:
        """What keys do here besides closing it."""
        return "R asks again"

    @property
    def is_waiting(self) -> bool:
        """Something has been asked for, and is not there yet."""
        return False

    def renew(self) -> None:
        """Take what is newer."""

    def reload(self) -> None:
        """Ask again now."""

    def action_do(self, id_: str) -> None:
        """Leave as a dialog is left, or for another page; ask again."""
        if id_ == "reconnect":
            self.reload()
        elif id_ in PAGES:
            self.dismiss(None if id_ == self.ID else id_)
        else:
            super().action_do("escape" if id_ == "leave" else id_)

    def on_lines_chosen(self) -> None:
        """A double click is Enter."""
        self.confirm()

    def _look_out(self) -> None:
        if self.is_waiting:
            self._look()

    def _look(self) -> None:
        self.renew()
        self._title.show(self.title_spans(), [("Esc closes ", "bar")])
        self._foot.show([(f" {self.keys()}", "bar")])
        self.rows.resize_rows()
        self.rows.refresh()
