"""The first row of the Output tab: which file, how much of it is here, what else there is, is it followed."""

from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.earlier import TOP
from jobmon_console.tui.panes.paging import Paging
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.panes.part import Part
from jobmon_console.tui.panes.stream import Stream, other_of
from jobmon_console.tui.widgets.lines import Span


def headline(stream: Stream, target: Target | None, is_heard: bool, paging: Paging, top: int) -> list[Span]:
    """The row.

    Args:
        stream: what is shown.
        target: whose it is.
        is_heard: what is written now would come.
        paging: what is under way of the rest of the file.
        top: the row that is the first on the screen.
    """
    spans: list[Span] = [(f" {safe(stream.file)}", "accent")]
    if isinstance(stream, Part):
        return [*spans, *_part(stream, target, paging, top)]
    spans += _extent(stream, target, paging)
    if stream.skipped:  # the lines that say so scroll by as fast as the others
        spans.append((f"  {texts.size(stream.skipped)} skipped", "warn"))
    if stream.other:  # of a job that failed, that is where the reason stands
        more = "" if stream.has_kept else "+"  # the job runs: it is what it had written at its last beat
        spans.append((f"  {other_of(stream.file)} {texts.size(stream.other)}{more}: o", "info"))
    if stream.search:
        spans.append((f"  {_matches(stream, target, paging)}", "info" if stream.search.rows else "warn"))
    if stream.follows:
        spans.append(("  following" if is_heard else "", "good"))
    elif target is None or target.is_alive or stream.unseen:
        spans.append((f"  f follows, {stream.unseen:,} new" if stream.unseen else "  f follows", "warn"))
    return spans


def _extent(stream: Stream, target: Target | None, paging: Paging) -> list[Span]:
    """How much of the file is here and what stands before it; where a text is not found, that is told with it."""
    buffer, spans = stream.buffer, list[Span]()
    if stream.search and not stream.search.rows and buffer.before:
        return spans
    if buffer.kept_lines:
        lines = texts.plural(buffer.kept_lines, "line")
        spans.append((f"  {lines}, {texts.size(buffer.kept_bytes)}", "dim"))
    is_told = stream.earlier.is_out and buffer.rows[:1] and buffer.rows[0].is_note  # by the first line
    if buffer.before and not is_told:
        spans.append((f"  {texts.size(buffer.before)} before: {_way_above(stream, target, paging, 'Home')}", "info"))
    return spans


def _matches(stream: Stream, target: Target | None, paging: Paging) -> str:
    search, buffer = stream.search, stream.buffer
    what, rows = safe(search.text), search.rows
    if rows:
        further = _further(stream, paging)
        return f"{_counted(stream)}: {what}" + (f"; {further}" if further else "")
    if not buffer.before:
        return f"no line with {what}"
    sought = paging.sought
    if sought is None:
        here, before = texts.plural(buffer.kept_lines, "line"), buffer.before
    else:
        here, before = texts.size(sought.size - sought.start), sought.start
    way = "looking, Esc stops" if paging.is_looking and sought is not None else _way_above(stream, target, paging, "n")
    return f"{what}: not in the last {here}; {texts.size(before)} before" + (f": {way}" if before else "")


def _counted(stream: Stream) -> str:
    rows = stream.search.rows
    at = rows.index(stream.row) + 1 if stream.row in rows else 0
    return f"match {at:,} of {len(rows):,}" if at else f"{len(rows):,} match{'' if len(rows) == 1 else 'es'}"


def _way_above(stream: Stream, target: Target | None, paging: Paging, key: str) -> str:
    """How to get what is before the first row: a key, or why it cannot be had."""
    earlier = stream.earlier
    if paging.is_under_way:
        return "asking"
    if not earlier.can_be_had(target, stream.file):
        return "not kept"
    return paging.why or (key if earlier.error is None else safe(str(earlier.error)))


# A part of a file


def _part(part: Part, target: Target | None, paging: Paging, top: int) -> list[Span]:
    is_alive = target is not None and target.is_alive
    share = texts.percent(min(99.0, 100 * part.offset_of(top) / max(1, part.size)))  # its last lines are not all of it
    size = f"{texts.size(part.size)}{'+' if is_alive else ''}"  # of a file that grows, when a piece came last
    if part.search:
        spans: list[Span] = [(f"  at {share}%", "dim")]
        spans.append((f"  {_found(part, paging)}", "info" if part.search.rows else "warn"))
    else:
        spans = [(f"  at {share}% of {size}", "dim"), *_rest(part, paging)]
    return [*spans, ("  End follows" if is_alive else "  End leaves", "warn")]


def _rest(part: Part, paging: Paging) -> list[Span]:
    """What the file has besides the lines that are here, and how to get it."""
    asking = 0 if not paging.is_under_way else -1 if paging.purpose == TOP else paging.step
    spans = list[Span]()
    if part.start:
        way = "not kept" if not part.has_more(-1) else "asking" if asking < 0 else "Home"
        spans.append((f"  {texts.size(part.start)} before: {way}", "info"))
    if part.behind:
        spans.append((f"  {texts.size(part.behind)} behind: {'asking' if asking > 0 else 'PgDn'}", "info"))
    return spans


def _found(part: Part, paging: Paging) -> str:
    what, further = safe(part.search.text), _further(part, paging)
    if part.search.rows:
        return f"{_counted(part)} here: {what}" + (f"; {further}" if further else "")
    return f"{what}: {further or 'not here; n looks behind, N before'}"


def _further(stream: Stream, paging: Paging) -> str:
    """How far a text was looked for beyond the lines that are here; empty: it was not."""
    sought = paging.sought
    if sought is None:
        return ""
    where, key = ("behind", "n") if paging.step > 0 else ("before", "N")
    if isinstance(stream, Part):
        size = sought.end - stream.end if paging.step > 0 else stream.start - sought.start
    else:
        size = stream.buffer.before - sought.start
    if paging.is_looking:
        return f"looking {where}, {texts.size(size)} so far, Esc stops"
    if not sought.has_more(paging.step):
        return f"no more {where}"
    return f"not in the {texts.size(size)} {where}, {key} goes on"
