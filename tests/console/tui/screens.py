"""Screens for golden files: what stands in each cell, and in which style.

A golden screen is the text; with styles also a ruled line and for each row the
runs of cells that share a style: ``12+3 a`` is three cells from the twelfth in
style ``a``.  The styles are named below, in the order they appear, each as it
looks in every theme; a run ends where any theme's style does.
"""

import os
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from textual._context import visible_screen_stack
from textual.strip import Strip

from jobmon_console.tui.app import Console

DIRECTORY = Path(__file__).with_name("golden")
WRITE = "JOBMON_GOLDEN"  # set to ``write``, the files are made anew: make golden
RULE = "─"  # as long as the screen is wide, between the text and the styles
BESIDE = " | "  # between the looks in different themes
WORDS = ("bold", "dim", "italic", "underline", "reverse")

Looks = list[list[str]]  # of each cell of each row


class Picture(NamedTuple):
    """One screen in one theme."""

    text: str
    looks: Looks


class Run(NamedTuple):
    """Cells of a golden screen that share a style."""

    row: int
    at: int  # cells from the left
    text: str
    looks: dict[str, str]  # by theme


def strips_of(app: Console) -> list[Strip]:
    """The rows as they go to the terminal, filters applied; behind a dialog, too, if this is its first drawing."""
    visible_screen_stack.set(app._background_screens)
    return app.screen._compositor.render_strips()


def text_of(app: Console) -> str:
    """What a person reads."""
    return _text(strips_of(app))


def picture(app: Console) -> Picture:
    """What a person sees; every row is as wide as the screen."""
    strips = strips_of(app)
    looks = [[look for s in strip for look in [_look(s.style)] * s.cell_length] for strip in strips]
    assert {len(row) for row in looks} == {app.size.width}
    return Picture(_text(strips), looks)


def drawn(pictures: Mapping[str, Picture]) -> str:
    """Text and styles of a screen in several themes."""
    (text,) = {each.text for each in pictures.values()}
    first = next(iter(pictures.values()))
    return "\n".join([text, RULE * len(first.looks[0]), styles(pictures)])


def styles(pictures: Mapping[str, Picture]) -> str:
    """Runs of every row and what their names stand for."""
    names: dict[str, str] = {}
    rows = []
    for number, row in enumerate(zip(*(each.looks for each in pictures.values()), strict=True)):
        runs, at = [], 0
        for look, cells in groupby(BESIDE.join(cell) for cell in zip(*row, strict=True)):
            length = len(list(cells))
            runs.append(f"{at}+{length} {names.setdefault(look, _name(len(names)))}")
            at += length
        rows.append(f"{number:3} {', '.join(runs)}")
    legend = [f"{name} = {look}" for look, name in names.items()]
    return "\n".join([*rows, f"= {BESIDE.join(pictures)}", *legend, ""])


def check(found: str, name: str) -> None:
    """The screen is the golden one; else the difference is the assertion's."""
    path = DIRECTORY / f"{name}.txt"
    if os.environ.get(WRITE) == "write":
        path.write_text(found, encoding="utf-8")
    assert found.splitlines() == path.read_text(encoding="utf-8").splitlines(), f"{path.name}: make golden, and look"


def golden_text(name: str) -> str:
    """The text of a golden screen."""
    return (DIRECTORY / f"{name}.txt").read_text(encoding="utf-8").split(f"\n{RULE * 60}")[0].rstrip("\n")


def golden_runs(path: Path) -> list[Run]:
    """The runs of a golden screen with text and styles, row after row."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rule = next(at for at, line in enumerate(lines) if set(line) == {RULE})
    split = next(at for at, line in enumerate(lines) if at > rule and line.startswith("= "))
    themes = lines[split][2:].split(BESIDE)
    legend = dict(line.split(" = ", 1) for line in lines[split + 1 :])
    found = []
    for number, (text, row) in enumerate(zip(lines[:rule], lines[rule + 1 : split], strict=True)):
        cells = [cell for character in text for cell in [character, *[""] * (cell_len(character) - 1)]]
        for run in row[4:].split(", "):
            place, name = run.split(" ")
            at, length = map(int, place.split("+"))
            looks = dict(zip(themes, legend[name].split(BESIDE), strict=True))
            found.append(Run(number, at, "".join(cells[at : at + length]), looks))
    return found


def _text(strips: list[Strip]) -> str:
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


def _name(number: int) -> str:
    return chr(ord("a") + number % 26) + (str(number // 26) if number >= 26 else "")


def _look(style: Style | None) -> str:
    if style is None:
        return "default"
    words = [style.color.name if style.color else "default", "on", style.bgcolor.name if style.bgcolor else "default"]
    words += [word for word in WORDS if getattr(style, word)]
    return " ".join(words)
