"""The line in which a text is typed that is looked for in the output."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.filter import FilterInput

PROMPT = " find "


class Find(Horizontal):
    """The input."""

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
        self.input = FilterInput("find-input")

    def compose(self) -> ComposeResult:
        """Prompt and input in one row."""
        self._prompt.show([(PROMPT, "accent")])
        yield self._prompt
        yield self.input

    def on_input_changed(self, event: Input.Changed) -> None:
        """Live."""
        event.stop()
        self.post_message(self.Typed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter leaves the field."""
        event.stop()
        self.post_message(self.Left())
