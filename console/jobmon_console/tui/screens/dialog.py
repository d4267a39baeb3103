"""The frame of every dialog: moves, focus, and Escape that closes it."""

from typing import ClassVar, TypeVar

from textual.binding import BindingType
from textual.screen import ModalScreen

from jobmon_console.tui.bindings import DIALOG_KEYS, bindings
from jobmon_console.tui.widgets.lines import Lines

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer], inherit_bindings=False):
    """Something in front of the jobs."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(DIALOG_KEYS)]

    def action_do(self, id_: str) -> None:
        """What a key means in a dialog."""
        if id_ == "escape":
            self.dismiss(None)
        elif id_ == "enter":
            self.confirm()
        elif id_ == "next_pane":
            self.focus_next()
        elif id_ == "previous_pane":
            self.focus_previous()
        elif isinstance(self.focused, Lines):
            self.focused.move(id_)
        else:
            self.move(id_)

    def confirm(self) -> None:
        """Enter, where nothing that has the focus takes it."""

    def move(self, how: str) -> None:
        """A move, where nothing that has the focus takes it."""
