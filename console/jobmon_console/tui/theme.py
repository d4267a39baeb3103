"""The colours of the console, and the names of its styles.

A style has a name and one place in the sheet (``jobmon.tcss``); drawing code
says ``"good"`` and never a colour.
"""

from typing import Any

from textual.theme import BUILTIN_THEMES, Theme

STYLES = (
    "plain",
    "dim",
    "strong",
    "good",
    "done",
    "info",
    "warn",
    "bad",
    "accent",
    "heading",
    "title",
    "mark",
    "found",
    "bar",
    "bar-strong",
    "bar-warn",
    "bar-bad",
    "bar-good",
    "bar-info",
    "tab-active",
)
CURSOR, CURSOR_AWAY = "cursor", "cursor-away"  # backgrounds: with the focus, and without it
PREFIX = "line--"  # of the component classes
CLASSES = frozenset(PREFIX + name for name in (*STYLES, CURSOR, CURSOR_AWAY))

_CURSORS = ("cursor-background", "cursor-away")


def _theme(name: str, dark: bool, colours: dict[str, str], ansi: bool = False) -> Theme:
    """A theme from its colours; what a person types stands on the panel's colour."""
    own = {role: colours[role] for role in ("dim", "info", "done", "rule", *_CURSORS)}
    general: dict[str, Any] = {role: colour for role, colour in colours.items() if role not in own}
    typed = {
        "footer-key-foreground": colours["accent"],
        "input-cursor-background": colours["accent"],
        "input-selection-background": own["cursor-background"],
    }
    inherited = BUILTIN_THEMES["ansi-dark"].variables if ansi else {}
    return Theme(name=name, dark=dark, variables={**inherited, **own, **typed}, ansi=ansi, **general)


DARK = _theme(
    "jobmon-dark",
    True,
    {
        "primary": "#7aa2d6",
        "secondary": "#8fb3b0",
        "accent": "#d9b36c",
        "foreground": "#d3d7de",
        "background": "#14171c",
        "surface": "#1a1e25",
        "panel": "#232932",
        "success": "#87b97f",
        "warning": "#dcae60",
        "error": "#e8867d",
        "dim": "#98a1af",
        "info": "#78a9d1",
        "done": "#8fa68b",
        "rule": "#313947",
        "cursor-background": "#203657",
        "cursor-away": "#262d38",
    },
)
LIGHT = _theme(
    "jobmon-light",
    False,
    {
        "primary": "#2b5c94",
        "secondary": "#2a6561",
        "accent": "#80560a",
        "foreground": "#22272e",
        "background": "#fbfaf7",
        "surface": "#f3f1ec",
        "panel": "#e6e3db",
        "success": "#2d6a2a",
        "warning": "#80560a",
        "error": "#a52a20",
        "dim": "#565e69",
        "info": "#235f92",
        "done": "#4b6147",
        "rule": "#cfcabd",
        "cursor-background": "#c9dcf2",
        "cursor-away": "#e0e4e8",
    },
)
HIGH_CONTRAST = _theme(
    "jobmon-contrast",
    True,
    {
        "primary": "#8cc8ff",
        "secondary": "#7fffd4",
        "accent": "#ffe066",
        "foreground": "#ffffff",
        "background": "#000000",
        "surface": "#000000",
        "panel": "#1c1c1c",
        "success": "#5fff5f",
        "warning": "#ffd75f",
        "error": "#ffb0b0",
        "dim": "#dcdcdc",
        "info": "#87d7ff",
        "done": "#c0e8c0",
        "rule": "#8a8a8a",
        "cursor-background": "#002f70",
        "cursor-away": "#303030",
    },
)
# Blue, orange and grey are told apart with every common kind of colour blindness (Okabe and Ito's set).
COLOUR_BLIND = _theme(
    "jobmon-colour-blind",
    True,
    {
        "primary": "#56b4e9",
        "secondary": "#a8b3c0",
        "accent": "#f0e442",
        "foreground": "#d8dce2",
        "background": "#14171c",
        "surface": "#1a1e25",
        "panel": "#232932",
        "success": "#56b4e9",
        "warning": "#e6a01a",
        "error": "#f2823a",
        "dim": "#98a1ad",
        "info": "#a8b3c0",
        "done": "#86a5bd",
        "rule": "#313947",
        "cursor-background": "#203657",
        "cursor-away": "#262d38",
    },
)
ANSI = _theme(
    "jobmon-ansi",
    True,
    {
        "primary": "ansi_bright_blue",
        "secondary": "ansi_cyan",
        "accent": "ansi_yellow",
        "foreground": "ansi_default",
        "background": "ansi_default",
        "surface": "ansi_default",
        "panel": "ansi_black",
        "success": "ansi_green",
        "warning": "ansi_yellow",
        "error": "ansi_red",
        "dim": "ansi_bright_black",
        "info": "ansi_cyan",
        "done": "ansi_green",
        "rule": "ansi_bright_black",
        "cursor-background": "ansi_blue",
        "cursor-away": "ansi_black",
    },
    ansi=True,
)

THEMES = {  # by what the command line and the palette call them
    "dark": DARK,
    "light": LIGHT,
    "high-contrast": HIGH_CONTRAST,
    "colour-blind": COLOUR_BLIND,
    "ansi": ANSI,
}
