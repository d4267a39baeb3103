"""The net below ``safe``: no control character leaves for the terminal, whichever widget drew it."""

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from jobmon_console.safe import safe


class ControlFilter(LineFilter):
    """Shows what would act on the terminal; passes the rest by."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments without control characters; as wide as before, for most of them have no width."""
        if all(segment.control or segment.text.isprintable() for segment in segments):
            return segments
        return [
            segment if segment.control or segment.text.isprintable() else Segment(_plain(segment.text), segment.style)
            for segment in segments
        ]


def _plain(text: str) -> str:
    # One cell for one character: a picture of ESC has the width the layout gave it, or close to it.
    return "".join(character if character.isprintable() else safe(character)[:1] for character in text)
