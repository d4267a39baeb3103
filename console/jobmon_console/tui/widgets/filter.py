"""The line in which a selector is typed, with what is wrong with it below the character."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.widgets.bar import Bar
from jobmon_wire.selectors import LONGEST, SelectorError

PROMPT = "/ "
LEAST_SENTENCE = 48  # cells of a complaint that must be seen


class FilterInput(Input, inherit_bindings=False):
    """A text field with the keys that edit text, and none that scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [*Input.BINDINGS]

    def __init__(self, name: str = "filter-input") -> None:
        super().__init__(id=name, max_length=LONGEST, compact=True, select_on_focus=False)

    def on_paste(self, event: events.Paste) -> None:
        """Pasted text is from outside, too."""
        event.prevent_default()
        event.stop()
        self.insert_text_at_cursor(safe(event.text.splitlines()[0] if event.text else ""))


class Filter(Vertical):
    """The input and its complaint."""

    class Typed(Message):
        """The text is another."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """Enter was pressed: back to the table."""

    def __init__(self, text: str) -> None:
        super().__init__(id="filter")
        self._prompt = Bar("filter-prompt")
        self.input = FilterInput()
        self._first = text
        self._complaint = Bar("filter-complaint")

    def compose(self) -> ComposeResult:
        """Prompt and input in one row, the complaint below."""
        self._prompt.show([(PROMPT, "accent")])
        yield self._prompt
        yield self.input
        yield self._complaint

    def on_mount(self) -> None:
        """Begin with the text given: a field takes none before the app runs."""
        self.input.value = self._first

    def complain(self, error: SelectorError | None) -> None:
        """Point at what is wrong, or be silent."""
        self.set_class(error is not None, "-wrong")
        if error is None:
            self._complaint.show([])
            return
        # The field scrolls when the text is longer than it; the mark stays below its character.
        at = len(PROMPT) + max(0, min(error.position, len(self.input.value)) - self.input.scroll_offset.x)
        text = safe(error.expected)
        if self.size.width - at - 2 >= min(len(text), LEAST_SENTENCE):
            self._complaint.show([(f"{' ' * at}^ {text}", "warn")])
        else:  # no room to the right: the sentence stands before the mark
            self._complaint.show([(f"{texts.fit(text, at - 1, right=True)} ^", "warn")])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Live."""
        event.stop()
        self.post_message(self.Typed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter leaves the field."""
        event.stop()
        self.post_message(self.Left())
