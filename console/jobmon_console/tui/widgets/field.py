"""A line under the tabs in which something about the output is typed: what those lines have in common."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input

from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.filter import FilterInput


class FieldInput(FilterInput, inherit_bindings=False):
    """The input: what is typed or pasted takes the place of what is selected."""

    BINDINGS: ClassVar[list[BindingType]] = [*FilterInput.BINDINGS]

    def insert_text_at_cursor(self, text: str) -> None:
        """Also where something is selected."""
        self.replace(text, *self.selection)


class Field(Vertical):
    """A prompt and an input in one row.

    Args:
        name: the widget's.
        prompt: what is to be typed.
        enter: what Enter does, in the last line of the screen.
    """

    class Left(Message):
        """Enter was pressed."""

        def __init__(self, field: "Field") -> None:
            super().__init__()
            self.field = field

    def __init__(self, name: str, prompt: str, enter: str) -> None:
        super().__init__(id=name, classes="field")
        self.enter = enter
        self.input = FieldInput(f"{name}-input")
        self._prompt = Bar(f"{name}-prompt")
        self._prompt.show([(prompt, "accent")])

    def compose(self) -> ComposeResult:
        """The row."""
        with Horizontal():
            yield self._prompt
            yield self.input

    def open(self, text: str) -> None:
        """Be on the screen, with a text that is selected: typing begins anew."""
        self.input.value = text
        self.input.select_all()
        self.display = True

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        self.post_message(self.Left(self))
