"""One line across the screen: spans on the left, spans on the right."""

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from jobmon_console.tui.theme import CLASSES, PREFIX
from jobmon_console.tui.widgets.lines import Span


class Bar(Widget, can_focus=False, inherit_bindings=False):
    """A line of text that is drawn, never parsed."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(CLASSES)

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self._left: list[Span] = []
        self._right: list[Span] = []

    def show(self, left: list[Span], right: list[Span] | None = None) -> None:
        """Draw these, if they differ from what is drawn."""
        right = right or []
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As wide as what it shows, where the sheet leaves that to it."""
        return sum(cell_len(text) for text, _ in (*self._left, *self._right))

    def render_line(self, y: int) -> Strip:
        """The line; what is on the right gives way."""
        width, style = self.size.width, self.rich_style
        if y:
            return Strip.blank(width, style)
        left, right = self._segments(self._left, style), self._segments(self._right, style)
        space = width - sum(cell_len(text) for text, _ in (*self._left, *self._right))
        if space >= 0:
            return Strip([*left, Segment(" " * space, style), *right], width)
        return Strip(left).crop_extend(0, width, style)

    def _segments(self, spans: list[Span], ground: Style) -> list[Segment]:
        return [Segment(text, ground + self._look(name)) for text, name in spans]

    def _look(self, name: str) -> Style:
        return self.get_component_rich_style(PREFIX + name, partial=True)
