"""Lines that say what is wrong, under the tabs or under a field; there are none while nothing is."""

from jobmon_console.tui import texts
from jobmon_console.tui.widgets.lines import Lines, Span

MOST = 3  # lines; a small terminal has seven more for what is shown


class Trouble(Lines):
    """Sentences, as wide as there is room and as high as they are.

    Args:
        name: the widget's.
    """

    IS_SELECTABLE = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.can_focus = False
        self.display = False
        self._lines: list[str] = []

    def count(self) -> int:
        """Lines."""
        return len(self._lines)

    def spans(self, index: int) -> list[Span]:
        """One line."""
        return [(f" {self._lines[index]}", "warn")]

    def tell(self, sentences: list[str], width: int) -> None:
        """Show these in so many cells, each from a line of its own; what is below makes room, and takes it back."""
        lines = [line for text in sentences for line in texts.wrap(text, max(texts.LEAST, width - 2))]
        if len(lines) > MOST:
            lines[MOST - 1 :] = [texts.fit(f"{lines[MOST - 1]} …", max(texts.LEAST, width - 2))]
        if lines == self._lines:
            return
        if len(lines) != len(self._lines):
            self.styles.height, self.display = len(lines), bool(lines)
        self._lines = lines
        self.refresh()
