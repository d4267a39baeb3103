"""The line in which a selector is typed, with what is wrong with it below the character."""

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.widgets import Input

from jobmon_console.preferences import HISTORY
from jobmon_console.safe import safe
from jobmon_console.selectors import Completion
from jobmon_console.tui import texts
from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.selectors import LONGEST, SelectorError

PROMPT = "/ "
LEAST_SENTENCE = 48  # cells of a complaint that must be seen
HINT = "a word, or field:value; Tab completes, Up recalls"


class FilterInput(Input, inherit_bindings=False):
    """A text field with the keys that edit text, and none that scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [*Input.BINDINGS]

    virtual_size = Reactive(Size(0, 0))  # the field is as wide as it is: a letter lays nothing out anew

    def __init__(self, name: str = "filter-input") -> None:
        super().__init__(id=name, max_length=LONGEST, compact=True, select_on_focus=False)

    def on_paste(self, event: events.Paste) -> None:
        """Pasted text is from outside, too; lines become one, and what is too long is cut."""
        event.prevent_default()
        event.stop()
        text = " ".join(safe(line) for line in event.text.splitlines() if line.strip())
        room = LONGEST - len(self.value) + len(self.selected_text)
        if len(text) > room:
            self.notify(f"{LONGEST:,} characters fit: the end of what was pasted is left out", markup=False)
        self.replace(text[:room], *sorted(self.selection))


class SelectorInput(FilterInput, inherit_bindings=False):
    """The field of a selector: Tab completes, the arrows go through earlier ones.

    Args:
        complete: takes the first of what is offered; at once, as Enter may be typed right behind it.
        recall: shows an earlier selector (1), or a later one (-1).
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *FilterInput.BINDINGS,
        Binding("tab", "complete", show=False),
        Binding("up", "recall(1)", show=False),
        Binding("down", "recall(-1)", show=False),
    ]

    def __init__(self, complete: Callable[[], None], recall: Callable[[int], None]) -> None:
        super().__init__()
        self._complete = complete
        self._recall = recall

    def action_complete(self) -> None:
        """Tab."""
        self._complete()

    def action_recall(self, step: int) -> None:
        """An arrow."""
        self._recall(step)


class Filter(Vertical):
    """The input, and below it what may come next, or its complaint: a line that stays while somebody types.

    Args:
        text: to begin with.
        offer: what the text may become.

    Attributes:
        history: selectors used before, newest first.
    """

    class Typed(Message):
        """The text is another.

        Args:
            is_begun: its last word may become the name of a field.
        """

        def __init__(self, text: str, is_begun: bool) -> None:
            super().__init__()
            self.text = text
            self.is_begun = is_begun

    class Left(Message):
        """Enter was pressed: back to the table."""

    def __init__(self, text: str, offer: Callable[[str], list[Completion]]) -> None:
        super().__init__(id="filter")
        self._prompt = Bar("filter-prompt")
        self.input: FilterInput = SelectorInput(self._complete, self._recall)
        self.history: list[str] = []
        self._at = -1  # in the history; -1: what is being typed
        self._typed = ""  # before the history was looked at
        self._first = text
        self._offer = offer
        self._offered: list[Completion] = []
        self._complaint = Bar("filter-complaint")

    def begin_with(self, text: str) -> None:
        """What the field holds when it is shown."""
        self._first = text

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
        self.set_class(error is not None and not self._offered, "-wrong")
        if error is None or self._offered:  # what may come next says more than that something is missing
            self._show_offer()
            return
        # The field scrolls when the text is longer than it; the mark stays below its character.
        at = len(PROMPT) + max(0, min(error.position, len(self.input.value)) - self.input.scroll_offset.x)
        text = safe(error.expected)
        if self.size.width - at - 2 >= min(len(text), LEAST_SENTENCE):
            self._complaint.show([(f"{' ' * at}^ {texts.fit(text, self.size.width - at - 2)}", "warn")])
        else:  # no room to the right: the sentence stands before the mark
            self._complaint.show([(f"{texts.fit(text, at - 1, right=True)} ^", "warn")])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Live."""
        event.stop()
        is_typing = self.input.has_focus and self.input.cursor_position == len(event.value)
        self._offered = self._offer(event.value) if is_typing else []
        is_begun = any(each.jobs is None for each in self._offered)
        self.post_message(self.Typed(event.value, is_begun))

    def _complete(self) -> None:
        offered = self._offer(self.input.value)  # what is shown may be of a letter before
        if offered:
            self.input.value = offered[0].text
            self.input.cursor_position = len(self.input.value)

    def _recall(self, step: int) -> None:
        at = max(-1, min(self._at + step, len(self.history) - 1))
        if self._at == -1:
            self._typed = self.input.value
        if at != self._at:
            self._at = at
            self.input.value = self.history[at] if at >= 0 else self._typed
            self.input.cursor_position = len(self.input.value)

    def remember(self, text: str) -> None:
        """A selector was used: it is the first to be recalled."""
        self._at = -1
        if text:
            self.history = [text, *(old for old in self.history if old != text)][:HISTORY]

    def withdraw(self) -> None:
        """Nothing is offered to who is done with typing."""
        self._offered = []
        self._show_offer()

    def _show_offer(self) -> None:
        spans: list[Span] = [(" " * len(PROMPT), "dim")]
        if not self.input.value:
            spans.append((HINT, "dim"))
        for at, each in enumerate(self._offered):
            spans.append((safe(each.shown), "accent" if at == 0 else "plain"))
            spans.append((f" {each.jobs:,}   " if each.jobs is not None else "   ", "dim"))
        self._complaint.show(spans, [("Tab takes the first ", "dim")] if self._offered else [])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter leaves the field."""
        event.stop()
        self.post_message(self.Left())
