"""The one door from outside bytes to a screen.

Whatever came from a job, a node or another person can hold terminal commands:
set the clipboard, rename the window, hide text, turn its direction.  ``safe``
makes every such character visible and leaves the rest alone; what it gives is
``str.isprintable()``, apart from the characters the caller keeps.

A terminal's C0 codes become their pictures (ESC is ␛), a byte that is no UTF-8
``\\xff``, anything else that does not print ``\\u202e``.
"""

import functools
import unicodedata
from collections.abc import Mapping

TAB = 8  # columns between the stops that terminals have
_CACHED = 4096  # characters remembered per table; a hostile text could name a million
_PICTURES = 0x2400  # U+2400 shows NUL, and so on to U+241F
_DELETE_PICTURE = 0x2421


def safe(outside: str | bytes, keep: str = "", tabs: int = 0) -> str:
    """The text with nothing in it that a terminal could obey.

    Args:
        outside: from anywhere; bytes are read as UTF-8.
        keep: characters of layout to leave, at most newline and tab.
        tabs: expand tabs to stops so many columns apart; 0 shows them.
    """
    text = outside.decode("utf-8", "surrogateescape") if isinstance(outside, bytes) else outside
    if text.isprintable():  # 1 µs a line where translate takes 16
        return text
    if tabs and "\t" in text:
        text = text.expandtabs(tabs)
    return text.translate(_table(keep))


def is_safe(text: str) -> bool:
    """Nothing of it would be changed by ``safe``."""
    return text.isprintable()


class _Table(dict[int, str]):
    """Maps a code point to what is shown for it, found out once each."""

    def __missing__(self, point: int) -> str:
        shown = _show(point)
        if len(self) < _CACHED:
            self[point] = shown
        return shown


@functools.lru_cache(maxsize=8)
def _table(keep: str) -> Mapping[int, str]:
    if set(keep) - {"\n", "\t"}:
        raise ValueError("only newline and tab may be kept")
    return _Table({ord(character): character for character in keep})


def _show(point: int) -> str:
    character = chr(point)
    if character.isprintable():
        return character
    if point < 0x20:
        return chr(_PICTURES + point)
    if point == 0x7F:
        return chr(_DELETE_PICTURE)
    if 0xDC80 <= point <= 0xDCFF:  # a byte that was no UTF-8, as surrogateescape carries it
        return f"\\x{point - 0xDC00:02x}"
    if unicodedata.category(character) == "Zs":
        return " "
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
