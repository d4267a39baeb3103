"""One question with a line to answer it in."""

from textual.app import ComposeResult
from textual.containers import Vertical

from jobmon_console.errors import UsageError
from jobmon_console.safe import safe
from jobmon_console.tui.screens.dialog import Dialog
from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.filter import FilterInput


class Ask(Dialog[str]):
    """A question; dismissed with the answer, or None.

    Subclasses say in ``check`` which answers are none.

    Args:
        title: the question, no outside text.
        hint: below the line.
    """

    def __init__(self, title: str, hint: str = "") -> None:
        super().__init__()
        self._question = title
        self._hint = hint
        self._title, self._line_below = Bar("ask-title"), Bar("ask-line")
        self._text = FilterInput("ask-text")

    def compose(self) -> ComposeResult:
        """The question, the line, the hint."""
        with Vertical(id="ask"):
            yield self._title
            yield self._text
            yield self._line_below

    def on_mount(self) -> None:
        """The line has the keys."""
        self._title.show([(" " + self._question, "bar-strong")], [("Esc cancels ", "bar")])
        self._line_below.show([(" " + safe(self._hint), "dim")])
        self._text.focus()

    def check(self, answer: str) -> None:
        """Refuse what is no answer.

        Raises:
            UsageError: the sentence is shown, and the question stays.
        """

    def on_input_submitted(self) -> None:
        """Take the answer, if it is one."""
        answer = self._text.value.strip()
        try:
            self.check(answer)
        except UsageError as error:
            self._line_below.show([(" " + safe(str(error)), "warn")])
        else:
            self.dismiss(answer)
