"""Screens for golden files: what stands in each cell, and in which style.

A golden screen is the text; with styles also a ruled line and for each row the
runs of cells that share a style: ``12+3 a`` is three cells from the twelfth in
style ``a``.  The styles are named below, in the order they appear.
"""

import os
from pathlib import Path

from rich.style import Style
from textual._context import visible_screen_stack
from textual.strip import Strip

from jobmon_console.tui.app import Console

DIRECTORY = Path(__file__).with_name("golden")
WRITE = "JOBMON_GOLDEN"  # set to ``write``, the files are made anew: make golden


def strips_of(app: Console) -> list[Strip]:
    """The rows as they go to the terminal, filters applied; behind a dialog, too, if this is its first drawing."""
    visible_screen_stack.set(app._background_screens)
    return app.screen._compositor.render_strips()


def text_of(app: Console) -> str:
    """What a person reads."""
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips_of(app))


def drawn(app: Console) -> str:
    """Text and styles."""
    names: dict[str, str] = {}
    rows = []
    for number, strip in enumerate(strips_of(app)):
        runs, at = [], 0
        for segment in strip.simplify():
            look = _look(segment.style)
            name = names.setdefault(look, _name(len(names)))
            runs.append(f"{at}+{segment.cell_length} {name}")
            at += segment.cell_length
        rows.append(f"{number:3} {', '.join(runs)}")
    styles = [f"{name} = {look}" for look, name in names.items()]
    return "\n".join([text_of(app), "─" * app.size.width, *rows, *styles, ""])


def check(found: str, name: str) -> None:
    """The screen is the golden one; else the difference is the assertion's."""
    path = DIRECTORY / f"{name}.txt"
    if os.environ.get(WRITE) == "write":
        path.write_text(found, encoding="utf-8")
    assert found.splitlines() == path.read_text(encoding="utf-8").splitlines(), f"{path.name}: make golden, and look"


def _name(number: int) -> str:
    return chr(ord("a") + number % 26) + (str(number // 26) if number >= 26 else "")


def _look(style: Style | None) -> str:
    if style is None:
        return "default"
    words = [style.color.name if style.color else "default", "on", style.bgcolor.name if style.bgcolor else "default"]
    words += [word for word in ("bold", "dim", "italic", "underline", "reverse") if getattr(style, word)]
    return " ".join(words)
