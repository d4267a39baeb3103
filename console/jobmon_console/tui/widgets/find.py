"""The line in which a text is typed that is looked for in the output."""

from textual.message import Message
from textual.widgets import Input

from jobmon_console.tui.widgets.field import Field

PROMPT = " find "


class Find(Field):
    """The field, with the text that was looked for last.

    Attributes:
        is_typed: the text is another than when the line was opened.
        before: what it was then.
    """

    class Typed(Message):
        """The text is another."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__("find", PROMPT, "to the output")
        self.is_typed = False
        self.before = ""

    def open(self, text: str) -> None:
        """Be on the screen."""
        self.before, self.is_typed = text, False
        super().open(text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Live."""
        event.stop()
        self.post_message(self.Typed(event.value))
