"""The first and the last line of the screen: who is connected, how many jobs; and which keys are valid now."""

import time
from collections.abc import Callable

from jobmon_console.keys import BY_ID, KEYS, Key, shown
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.board import Board
from jobmon_console.tui.states import link_look
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.jobs import RUNNING

ALWAYS = ("palette", "help")  # keys the footer shows at any width
_BAR_STYLES = {"good": "bar-good", "warn": "bar-warn", "bad": "bar-bad", "info": "bar-info"}


def header(board: Board, steady: float, now: float, read_only: bool) -> tuple[list[Span], list[Span]]:
    """Contexts with their states, counts, the clock."""
    left: list[Span] = [(" JobMon ", "bar-strong")]
    if read_only:
        left.append((" read-only ", "bar-warn"))
    for feed in board.feeds:
        look = link_look(feed.link, steady)
        left.append((f"  {safe(feed.name)} ", "bar"))
        left.append((f"{look.glyph} {look.word}", _BAR_STYLES.get(look.style, "bar")))
        if not feed.release.is_understood:
            left.append((f" read-only: {feed.release.difference}", "bar-warn"))
    states = board.counts()
    nodes = len(board.census.nodes)
    counts = f"{texts.plural(len(board.entries), 'job')}  {states[RUNNING]:,} running  {texts.plural(nodes, 'node')}"
    left.append((f"   {counts}", "bar"))
    return left, [(time.strftime("%H:%M:%SZ ", time.gmtime(now)), "bar")]


def footer(
    is_valid: Callable[[str], bool], read_only: bool, names: dict[str, str], width: int
) -> tuple[list[Span], list[Span]]:
    """The keys that mean something now, as many as fit; help and palette always."""
    right = [span for id_ in ALWAYS for span in _hint(BY_ID[id_], BY_ID[id_].label, False)]
    room = width - _cells(right) - 1
    left: list[Span] = [(" ", "bar")]
    for key in KEYS:
        if key.label and key.id not in ALWAYS and is_valid(key.id):
            hint = _hint(key, names.get(key.id, key.label), key.is_danger and read_only)
            if _cells(left) + _cells(hint) > room:
                break
            left += hint
    return left, right


def _hint(key: Key, label: str, is_off: bool) -> list[Span]:
    return [(shown(key.keys[0]), "bar" if is_off else "bar-warn"), (f" {label}{' (off)' if is_off else ''}  ", "bar")]


def _cells(spans: list[Span]) -> int:
    return sum(len(text) for text, _ in spans)  # labels are one cell a character
