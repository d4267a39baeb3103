"""Rows that are drawn when they are seen, and no others.

The base of the job table, the output and every list.  A row is spans of text
and style names; text from outside is safe before it becomes one.  The widget
has no keys of its own: the screen's one table has them all.
"""

from itertools import pairwise
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from jobmon_console.tui.theme import CLASSES, CURSOR, CURSOR_AWAY, PREFIX

Span = tuple[str, str]  # text, name of a style

SIDEWAYS = 8  # cells a key scrolls left or right


class Lines(ScrollView, can_focus=True, inherit_bindings=False):
    """A list of rows, with or without a cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(CLASSES)
    HAS_CURSOR = False
    IS_SELECTABLE = False  # text can be selected with the mouse; costs a few microseconds a span
    HEADS = 0  # rows above the others that do not scroll with them
    HAS_TITLES = False  # those rows are titles of columns, and go sideways with them

    virtual_size = Reactive(Size(0, 0))  # another number of rows moves no other widget: nothing is laid out anew

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, lines: "Lines") -> None:
            super().__init__()
            self.lines = lines

        @property
        def control(self) -> "Lines":
            """The list."""
            return self.lines

    class Chosen(Moved):
        """A row was double-clicked."""

    class HeadClicked(Moved):
        """One of the rows above the others was clicked.

        Attributes:
            x: cells from the left edge.
            y: which row, from the top.
        """

        def __init__(self, lines: "Lines", x: int, y: int) -> None:
            super().__init__(lines)
            self.x, self.y = x, y

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self.cursor = 0
        self._ground: Style | None = None  # while rows are drawn: what is behind all of them
        self._blends: dict[tuple[str, Style], Style] = {}  # of spans, by what is behind them

    # What a list says of itself

    def count(self) -> int:
        """How many rows there are."""
        return 0

    def spans(self, index: int) -> list[Span]:
        """What a row shows."""
        return []

    def head(self, y: int) -> list[Span]:
        """What a row above the others shows."""
        return []

    def emptiness(self) -> list[list[Span]]:
        """What is shown when there are no rows."""
        return []

    def breadth(self) -> int:
        """Cells of the widest row, where it can be wider than the widget."""
        return 0

    def margin(self) -> int:
        """Characters at the beginning of a row that are not its text, and are not copied with it."""
        return 0

    # What the screen asks of it

    def move(self, how: str) -> None:
        """Move the cursor, or scroll where there is none."""
        if how in ("left", "right"):
            self.scroll_relative(x=SIDEWAYS if how == "right" else -SIDEWAYS, animate=False)
            return
        page = max(1, self.size.height - self.HEADS - 1)
        step = {"up": -1, "down": 1, "page_up": -page, "page_down": page, "top": -self.count()}.get(how, self.count())
        if self.HAS_CURSOR:
            self.place(self.cursor + step)
        else:
            self.scroll_to(y=self.scroll_offset.y + step, animate=False)

    def place(self, index: int) -> None:
        """Put the cursor on a row, and the row on the screen."""
        index = max(0, min(index, self.count() - 1))
        if index != self.cursor:
            old, self.cursor = self.cursor, index
            self.refresh_row(old)
            self.refresh_row(index)
            self.cursor_moved()
            self.post_message(self.Moved(self))
        self.reveal()

    def cursor_moved(self) -> None:
        """Called in the same frame, before anyone else hears of it."""

    def reveal(self) -> None:
        """Scroll so that the cursor's row is seen, where there is room for any."""
        top, height = self.scroll_offset.y, self.room
        if height <= 0:  # it has no place on the screen yet
            return
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)

    @property
    def room(self) -> int:
        """Rows that are seen at once; a scroll bar below them is none."""
        return self.size.height - self.HEADS - self.scrollbar_size_horizontal

    @property
    def allow_vertical_scroll(self) -> bool:
        """As far as there are rows, also before the scroll bar of a list that just became longer is there."""
        return self.max_scroll_y > 0

    def on_resize(self) -> None:
        """The cursor stays in sight."""
        if self.HAS_CURSOR:
            self.reveal()

    def watch_show_horizontal_scrollbar(self) -> None:
        """A scroll bar takes the last row, but not the cursor's; it may come later than the row that needs it."""
        if self.HAS_CURSOR and self.cursor == self.scroll_offset.y + self.room:
            self.reveal()

    def resize_rows(self) -> None:
        """The number or the breadth of rows changed."""
        size = Size(self.breadth(), self.count() + self.HEADS)
        if size != self.virtual_size:
            self.virtual_size = size

    def watch_virtual_size(self, size: Size) -> None:
        """The scrollbars follow at once; one that comes or goes lays the screen out anew."""
        self._scroll_update(size)

    def refresh_row(self, index: int) -> None:
        """Paint a row again, if it is seen."""
        y = index - self.scroll_offset.y + self.HEADS
        if self.HEADS <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows of the screen; what is the same for each is found out once."""
        self._ground, self._blends = self.rich_style, {}
        try:
            return super().render_lines(crop)
        finally:
            self._ground = None

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width, offset = self.size.width, self.scroll_offset
        ground = self.rich_style if self._ground is None else self._ground
        if y < self.HEADS:
            return self._strip(self.head(y), offset.x if self.HAS_TITLES else 0, width, ground)
        index, count = y - self.HEADS + offset.y, self.count()
        if count == 0:
            texts = self.emptiness()
            return self._strip(texts[index] if index < len(texts) else [], 0, width, ground)
        if index >= count:
            return self._strip([], 0, width, ground)
        style = ground
        if self.HAS_CURSOR and index == self.cursor:
            style = ground + self.look(CURSOR if self.has_focus else CURSOR_AWAY)
        if self.IS_SELECTABLE:
            return self._selectable(index, offset.x, width, style)
        return self._strip(self.spans(index), offset.x, width, style)

    def look(self, name: str) -> Style:
        """The style of a name."""
        return self.get_component_rich_style(PREFIX + name, partial=True)

    def _look_on(self, name: str, behind: Style) -> Style:
        """The same, on what is behind it."""
        if self._ground is None:
            return behind + self.look(name)
        found = self._blends.get((name, behind))
        if found is None:
            found = self._blends[name, behind] = behind + self.look(name)
        return found

    def _strip(self, spans: list[Span], x: int, width: int, style: Style) -> Strip:
        segments = [Segment(text, self._look_on(name, style)) for text, name in spans]
        cells = sum(cell_len(text) for text, _ in spans)
        if x or cells > width:
            return Strip(segments, cells).crop_extend(x, x + width, style)
        if cells < width:
            segments.append(Segment(" " * (width - cells), style))
        return Strip(segments, width)

    # Selecting: what Textual asks of a widget whose text can be selected

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, whole, however little of it is seen."""
        if not self.IS_SELECTABLE or not self.count():
            return None
        first = selection.start.y if selection.start else 0
        last = min(selection.end.y if selection.end else self.count() - 1, self.count() - 1)
        texts = ["".join(text for text, _ in self.spans(index)) for index in range(first, last + 1)]
        if texts and selection.end and last == selection.end.y:
            texts[-1] = texts[-1][: selection.end.x]
        starts = [self.margin()] * len(texts)
        if texts and selection.start:
            starts[0] = max(starts[0], selection.start.x)
        return "\n".join(text[start:] for text, start in zip(texts, starts, strict=True)), "\n"

    def _selectable(self, index: int, x: int, width: int, style: Style) -> Strip:
        spans = self.spans(index)
        segments = [Segment(text, self._look_on(name, style)) for text, name in spans]
        selection = self.text_selection
        span = None if selection is None else selection.get_span(index)
        if span is not None:
            end = span[1] if span[1] >= 0 else sum(len(text) for text, _ in spans)
            segments = self._shaded(segments, span[0], end)
        return Strip(segments).apply_offsets(0, index).crop_extend(x, x + width, style)

    def _shaded(self, segments: list[Segment], begin: int, end: int) -> list[Segment]:
        shade = self.screen.get_component_rich_style("screen--selection")
        shaded, at = [], 0
        for text, style, _ in segments:
            cuts = sorted({0, len(text), *(cut - at for cut in (begin, end) if 0 < cut - at < len(text))})
            for left, right in pairwise(cuts):
                is_inside = begin <= at + left and at + right <= end
                shaded.append(Segment(text[left:right], style + shade if is_inside and style else style))
            at += len(text)
        return shaded

    # Mouse: it looks, it never acts

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the row; twice: open it.  A title says what it is for."""
        if event.y < self.HEADS:
            self.post_message(self.HeadClicked(self, event.x, event.y))
        index = event.y - self.HEADS + self.scroll_offset.y
        if self.HAS_CURSOR and event.y >= self.HEADS and 0 <= index < self.count():
            self.place(index)
            if event.chain > 1:
                self.post_message(self.Chosen(self))
