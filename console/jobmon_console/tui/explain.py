"""What the table says when it has no rows: why, and what to do."""

from collections.abc import Sequence

from jobmon_console import link
from jobmon_console.safe import safe
from jobmon_console.selectors import Clause
from jobmon_console.tui import texts
from jobmon_console.tui.feed import Feed
from jobmon_console.tui.states import link_look

Span = tuple[str, str]
Rows = list[list[Span]]

FIRST_JOB = "jobmon run -- ./my-job.sh"
SKELETON = 4  # rows


def explain(
    feeds: Sequence[Feed], filter_: str, width: int, now: float, total: int, clauses: Sequence[Clause] = ()
) -> Rows:
    """Why the table is empty.

    Args:
        feeds: one per context.
        filter_: the selector that is set.
        width: cells.
        now: of the steady clock, s.
        total: jobs known, whatever the filter.
        clauses: the parts of the filter, with what each matches by itself.
    """
    if total:
        return _nothing_matches(filter_, total, clauses)
    troubled = [feed for feed in feeds if feed.link.state in (link.RETRYING, link.REFUSED)]
    if troubled:
        return [[], *(row for feed in troubled for row in _trouble(feed, now, width))]
    waiting = [feed for feed in feeds if not feed.mirror.is_live]
    if waiting:
        return _loading(waiting, now, width)
    return _nothing_registered()


def _nothing_matches(filter_: str, total: int, clauses: Sequence[Clause]) -> Rows:
    counts: Rows = [
        [(f"    {safe(clause.text)}", "accent" if clause.jobs else "warn"), (f"  {clause.jobs:,}", "plain")]
        for clause in clauses
    ]
    if counts:
        counts = [[], [("  Each part by itself:", "dim")], *counts]
    return [
        [],
        [("  Nothing matches ", "plain"), (safe(filter_), "accent")],
        *counts,
        [],
        [(f"  {texts.plural(total, 'job')} without the filter.  Esc clears it, / changes it.", "dim")],
    ]


def _nothing_registered() -> Rows:
    return [
        [],
        [("  No job is registered yet.", "plain")],
        [],
        [("  Start one here:  ", "dim"), (FIRST_JOB, "accent"), ("   (y copies this line)", "dim")],
        [("  For a batch system:  ", "dim"), ("jobmon credential --id NAME", "accent"), ("  says how.", "dim")],
    ]


def _loading(feeds: list[Feed], now: float, width: int) -> Rows:
    rows: Rows = [[]]
    for feed in feeds:
        look = link_look(feed.link, now)
        age = texts.short_span(now - feed.link.since)
        rows.append([(f"  {look.glyph} {safe(feed.name)}: {look.word} …  ", look.style), (age, "dim")])
    rows.append([])
    for row in range(SKELETON):
        cells = "  ".join("─" * length for length in (12, 9, 16 - 3 * (row % 3), 6, 9))
        rows.append([("  " + cells, "dim")])
    return rows


def _trouble(feed: Feed, now: float, width: int) -> Rows:
    look = link_look(feed.link, now)
    rows: Rows = [[(f"  {look.glyph} {safe(feed.name)}: {look.word}", look.style)]]
    rows += [[("    " + line, "plain")] for line in texts.wrap(feed.link.why, max(texts.LEAST, width - 6))]
    if feed.link.state == link.REFUSED:
        rows.append([("    Not tried again by itself.  Mend it, then press R.", "dim")])
    return [*rows, []]
