"""What every strip passes on its way to the terminal, whichever widget drew it.

The net below ``safe`` lets no control character out.  The other filter draws
with ASCII alone, for terminals, fonts and screen readers that have no more.
"""

from rich.cells import cell_len
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


# One cell each, as what they stand for; text from jobs is not translated, but shown as ``?`` where it is no ASCII.
_ASCII = str.maketrans(
    {
        "●": "*",
        "◌": "o",
        "◐": "~",
        "✓": "+",
        "✗": "x",
        "✕": "x",
        "↻": "@",
        "◆": ">",
        "▸": "+",
        "▾": "-",
        "▲": "^",
        "▼": "v",
        "↑": "^",
        "↓": "v",
        "←": "<",
        "→": ">",
        "↵": "E",
        "≤": "<",
        "…": "~",
        "·": ".",
        "─": "-",
        "│": "|",
        "█": "#",
        "░": ".",
    }
    | dict.fromkeys("▕▏▎▍▌▋▊▉▐", "|")
    | dict.fromkeys("▔▀", "-")
    | dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼━┃", "+")
    | dict(zip("▁▂▃▄▅▆▇", "_.:-=+*", strict=True))  # bars, the higher the more ink; lines of boxes and scroll bars, too
)


class AsciiFilter(LineFilter):
    """Draws with ASCII alone, in as many cells as before."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments, each character outside of ASCII replaced by as many as it has cells."""
        return [
            segment if segment.control or segment.text.isascii() else Segment(_ascii(segment.text), segment.style)
            for segment in segments
        ]


def _ascii(text: str) -> str:
    return "".join(c if c.isascii() else "?" * cell_len(c) for c in text.translate(_ASCII))


def _plain(text: str) -> str:
    # One cell for one character: a picture of ESC has the width the layout gave it, or close to it.
    return "".join(character if character.isprintable() else safe(character)[:1] for character in text)
