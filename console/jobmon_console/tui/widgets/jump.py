"""The line in which a place of the output is typed that is to be gone to, with what is wrong with it below."""

from textual.app import ComposeResult
from textual.widgets import Input

from jobmon_console.tui.widgets.field import Field
from jobmon_console.tui.widgets.trouble import Trouble

PROMPT = " jump to 45%, 12M, 14:02 or -10m: "


class Jump(Field):
    """The field, empty at first."""

    def __init__(self) -> None:
        super().__init__("jump", PROMPT, "go there")
        self._complaint = Trouble("jump-complaint")
        self._wrong = ""

    def compose(self) -> ComposeResult:
        """The row, and the sentence below it, where there is one."""
        yield from super().compose()
        yield self._complaint

    def open(self, text: str = "") -> None:
        """Be on the screen."""
        self.complain("")
        super().open(text)

    def complain(self, sentence: str) -> None:
        """Say what is wrong, safe text, until something else is typed; empty: nothing is."""
        self._wrong = sentence
        self._complaint.tell([sentence] if sentence else [], self.size.width)

    def on_resize(self) -> None:
        """The sentence is as wide as there is room."""
        self.complain(self._wrong)

    def on_input_changed(self, event: Input.Changed) -> None:
        """It is being mended."""
        event.stop()
        self.complain("")
