"""The line in which a text is typed that is looked for in the output."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.filter import FilterInput

PROMPT = " find "


class FindInput(FilterInput, inherit_bindings=False):
    """The field: what is typed or pasted takes the place of what is selected."""

    BINDINGS: ClassVar[list[BindingType]] = [*FilterInput.BINDINGS]

    def insert_text_at_cursor(self, text: str) -> None:
        """Also where something is selected."""
        self.replace(text, *self.selection)


class Find(Horizontal):
    """The input, with the text that was looked for last: selected, so that typing begins anew.

    Attributes:
        is_typed: the text is another than when the line was opened.
        before: what it was then.
    """

    class Typed(Message):
        """The text is another."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """Enter was pressed: back to the output."""

    def __init__(self) -> None:
        super().__init__(id="find")
        self._prompt = Bar("find-prompt")
        self.input = FindInput("find-input")
        self.is_typed = False
        self.before = ""

    def compose(self) -> ComposeResult:
        """Prompt and input in one row."""
        self._prompt.show([(PROMPT, "accent")])
        yield self._prompt
        yield self.input

    def open(self, text: str) -> None:
        """Be on the screen."""
        self.input.value, self.before, self.is_typed = text, text, False
        self.input.select_all()
        self.display = True

    def on_input_changed(self, event: Input.Changed) -> None:
        """Live."""
        event.stop()
        self.post_message(self.Typed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter leaves the field."""
        event.stop()
        self.post_message(self.Left())
