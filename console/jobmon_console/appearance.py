"""How the console is drawn on this terminal: what the command line and the environment say.

Nothing here draws.
"""

from collections.abc import Mapping
from typing import NamedTuple

THEME_NAMES = ("dark", "light", "high-contrast", "colour-blind", "ansi")
# Terminals of 16 colours or fewer by their own account; those that have more say so by their name, or in COLORTERM.
FEW_COLOURS = frozenset(
    ["ansi", "cygwin", "dumb", "linux", "rxvt", "screen", "tmux", "vt100", "vt102", "vt220", "xterm", "xterm-color"]
    + ["xterm-mono"]
)


class Appearance(NamedTuple):
    """How the console is drawn."""

    theme: str = ""  # one of THEME_NAMES; empty: as it was left
    is_ascii: bool = False  # nothing but ASCII: no boxes, no glyphs
    has_mouse: bool = True
    is_still: bool = False  # no animation


def appearance(
    theme: str, is_ascii: bool, no_mouse: bool, no_animation: bool, environ: Mapping[str, str]
) -> Appearance:
    """What the command line says, else what the environment does.

    A terminal of 16 colours gets the theme that leaves them to it, one without
    UTF-8 gets ASCII, and over ssh nothing moves that need not.
    """
    locale = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    is_utf8 = "UTF-8" in locale.upper() or "UTF8" in locale.upper()
    if not theme and environ.get("TERM", "") in FEW_COLOURS and not environ.get("COLORTERM"):
        theme = "ansi"
    is_remote = bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))
    return Appearance(
        theme,
        is_ascii or (bool(locale) and not is_utf8),
        not no_mouse,
        no_animation or is_remote or bool(environ.get("NO_COLOR")),
    )
