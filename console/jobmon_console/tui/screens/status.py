"""The first and the last line of the screen: who is connected, how many jobs; and which keys are valid now."""

import time
from collections.abc import Callable, Sequence

from rich.cells import cell_len

from jobmon_console.keys import BY_ID, KEYS, Key, shown
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.board import Board
from jobmon_console.tui.states import link_look
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.jobs import RUNNING

ALWAYS = ("palette", "help")  # keys the footer shows at any width
_BAR_STYLES = {"good": "bar-good", "warn": "bar-warn", "bad": "bar-bad", "info": "bar-info"}


def header(board: Board, steady: float, now: float, read_only: bool, width: int) -> tuple[list[Span], list[Span]]:
    """Contexts with their states, counts, the clock: whole, with a blank between, and the less important gives way."""
    left: list[Span] = [(" JobMon ", "bar-strong")]
    if read_only:
        left.append((" read-only ", "bar-warn"))
    for feed in board.feeds:
        look = link_look(feed.link, steady)
        left.append((f"  {safe(feed.name)} ", "bar"))
        left.append((f"{look.glyph} {look.word}", _BAR_STYLES.get(look.style, "bar")))
        if not feed.release.is_understood:
            left.append((f" read-only: {feed.release.difference}", "bar-warn"))
    jobs, running = texts.plural(len(board.entries), "job"), f"{board.counts()[RUNNING]:,} running"
    counts = [f"   {jobs}", f"  {running}", f"  {texts.plural(len(board.census.nodes), 'node')}"]
    clock = time.strftime("%H:%M:%SZ ", time.gmtime(now))
    shown, told = fitting(counts, clock, width - _cells(left))
    return [*left, (shown, "bar")], [(told, "bar")] if told else []


def fitting(counts: list[str], clock: str, room: int) -> tuple[str, str]:
    """What of the counts and of the clock is shown in so many cells: whole, and with a blank between them.

    Where there is no room for all, the last count gives way first, then the clock, then the other counts from the end.
    """
    ways = [("".join(counts), clock), ("".join(counts[:-1]), clock)]
    ways += [("".join(counts[:number]), "") for number in range(len(counts), 0, -1)]
    return next((way for way in ways if cell_len(way[0] + (way[1] and " " + way[1])) <= room), ("", ""))


def footer(
    is_valid: Callable[[str], bool], read_only: bool, names: dict[str, str], width: int, first: Sequence[str] = ()
) -> tuple[list[Span], list[Span]]:
    """The keys that mean something now, as many as fit; help and palette always.

    Args:
        is_valid: whether a key means something, by its id.
        read_only: what acts is off.
        names: labels other than those of the table.
        width: cells.
        first: scopes whose keys go before the others, as the pane with the focus has them.
    """
    right = [span for id_ in ALWAYS for span in _hint(BY_ID[id_], BY_ID[id_].label, False)]
    room = width - _cells(right) - 1
    left: list[Span] = [(" ", "bar")]
    for key in sorted(KEYS, key=lambda key: key.scope not in first):
        if key.label and key.id not in ALWAYS and is_valid(key.id):
            hint = _hint(key, names.get(key.id, key.label), key.is_danger and read_only)
            if _cells(left) + _cells(hint) > room:
                break
            left += hint
    return left, right


def typing(words: Sequence[tuple[str, str]]) -> list[Span]:
    """The same while keys are letters: what the others do in the field.

    Args:
        words: names of keys as the table has them, and what each does.
    """
    spans = [((shown(key), "bar-warn"), (f" {label}  ", "bar")) for key, label in words]
    return [(" ", "bar"), *(span for pair in spans for span in pair)]


def _hint(key: Key, label: str, is_off: bool) -> list[Span]:
    return [(shown(key.keys[0]), "bar" if is_off else "bar-warn"), (f" {label}{' (off)' if is_off else ''}  ", "bar")]


def _cells(spans: list[Span]) -> int:
    return sum(cell_len(text) for text, _ in spans)
