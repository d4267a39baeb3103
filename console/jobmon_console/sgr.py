"""Colours in what a job prints: ``ESC [ n m`` becomes a style, and nothing else does.

Each line begins without one, as lines are shown in any order.  A style is one of
the console's own, so that what is red is as red as the theme has it, and nothing
can be printed in the colour of its background.  Every other sequence is made
visible like all that a terminal could obey.  Nothing here draws.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from jobmon_console.safe import safe

PLAIN = "plain"
_SEQUENCE = re.compile(r"\x1b\[([0-9;]{0,40})m")  # ECMA-48, select graphic rendition; longer ones are no colours
_COLOURS = (PLAIN, "bad", "good", "warn", "info", "accent", "info", PLAIN)  # black, red, green, yellow, blue, ...
_WEIGHTS = {1: "strong", 2: "dim", 22: ""}
_EXTENDED, _BY_NUMBER, _BY_PARTS = (38, 48), 5, 2  # a colour of 256, or of red, green and blue
_BRIGHT_BLACK = 90


class Run(NamedTuple):
    """Characters in one style."""

    start: int
    end: int
    style: str


class Line(NamedTuple):
    """A line of output."""

    text: str  # safe, without the sequences that are styles
    runs: tuple[Run, ...]  # those that are not plain, in order


def read_line(data: bytes, tabs: int) -> Line:
    """A line as it is shown.

    Args:
        data: without the newline.
        tabs: columns between the stops of tabs.
    """
    if b"\x1b[" not in data:
        return Line(safe(data, tabs=tabs), ())
    parts = _SEQUENCE.split(data.decode("utf-8", "surrogateescape"))
    shown, runs, at, state = [], list[Run](), 0, _State()
    for number, part in enumerate(parts):
        if number % 2:
            state.take(part)
            continue
        # Tabs go to the stops of the line, wherever the part begins in it.
        part = (" " * (at % tabs) + part).expandtabs(tabs)[at % tabs :] if "\t" in part else part
        text = safe(part)
        if text and state.style != PLAIN:
            goes_on = bool(runs) and runs[-1].end == at and runs[-1].style == state.style
            runs.append(Run(runs.pop().start if goes_on else at, at + len(text), state.style))
        shown.append(text)
        at += len(text)
    return Line("".join(shown), tuple(runs))


def cover(runs: tuple[Run, ...], start: int, end: int) -> Iterator[Run]:
    """Runs from start to end without a gap; what is in none is plain."""
    at = start
    for run in runs:
        begin, stop = max(run.start, at), min(run.end, end)
        if begin < stop:
            if at < begin:
                yield Run(at, begin, PLAIN)
            yield Run(begin, stop, run.style)
            at = stop
    if at < end:
        yield Run(at, end, PLAIN)


class _State:
    """What the sequences so far have chosen."""

    def __init__(self) -> None:
        self._colour, self._weight = PLAIN, ""

    @property
    def style(self) -> str:
        """A style has a colour or a weight; the colour tells more."""
        return self._colour if self._colour != PLAIN else self._weight or PLAIN

    def take(self, parameters: str) -> None:
        """One sequence."""
        numbers = iter([int(each or 0) for each in parameters.split(";")])
        for number in numbers:
            if number == 0:
                self._colour, self._weight = PLAIN, ""
            elif number in _WEIGHTS:
                self._weight = _WEIGHTS[number]
            elif number in _EXTENDED:
                self._take_extended(number, numbers)
            elif 30 <= number <= 37 or 90 <= number <= 97:
                self._colour = "dim" if number == _BRIGHT_BLACK else _COLOURS[number % 10]
            elif number == 39:
                self._colour = PLAIN

    def _take_extended(self, which: int, numbers: Iterator[int]) -> None:
        kind = next(numbers, 0)
        if kind == _BY_NUMBER:
            colour = next(numbers, 0)
            if which == _EXTENDED[0]:
                self._colour = "dim" if colour == 8 else _COLOURS[colour % 8] if colour < 16 else PLAIN
        elif kind == _BY_PARTS:
            for _ in range(3):
                next(numbers, 0)
            if which == _EXTENDED[0]:
                self._colour = PLAIN
