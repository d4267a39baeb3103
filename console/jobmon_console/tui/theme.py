"""The colours of the console, and the names of its styles.

A style has a name and one place in the sheet (``jobmon.tcss``); drawing code
says ``"good"`` and never a colour.
"""

from textual.theme import Theme

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

DARK = Theme(
    name="jobmon-dark",
    primary="#7aa2d6",
    secondary="#8fb3b0",
    accent="#d9b36c",
    foreground="#d3d7de",
    background="#14171c",
    surface="#1a1e25",
    panel="#232932",
    success="#87b97f",
    warning="#dcae60",
    error="#e3796f",
    dark=True,
    variables={
        "dim": "#8b94a3",
        "info": "#78a9d1",
        "done": "#8fa68b",
        "rule": "#313947",
        "cursor-background": "#2c405c",
        "cursor-away": "#262d38",
        "footer-key-foreground": "#d9b36c",
        "input-cursor-background": "#d9b36c",
        "input-selection-background": "#3c5a86",
    },
)

LIGHT = Theme(
    name="jobmon-light",
    primary="#2b5c94",
    secondary="#2f6d69",
    accent="#80560a",
    foreground="#22272e",
    background="#fbfaf7",
    surface="#f3f1ec",
    panel="#e6e3db",
    success="#2d6a2a",
    warning="#80560a",
    error="#a52a20",
    dark=False,
    variables={
        "dim": "#5c646f",
        "info": "#235f92",
        "done": "#4b6147",
        "rule": "#cfcabd",
        "cursor-background": "#c9dcf2",
        "cursor-away": "#e0e4e8",
        "footer-key-foreground": "#80560a",
        "input-cursor-background": "#80560a",
        "input-selection-background": "#b9d3ef",
    },
)

THEMES = (DARK, LIGHT)
