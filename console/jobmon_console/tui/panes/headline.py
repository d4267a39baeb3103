"""The first row of the Output tab: which file, how much of it is here, what else there is, is it followed."""

from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.panes.stream import Stream, other_of
from jobmon_console.tui.widgets.lines import Span


def headline(stream: Stream, target: Target | None, is_heard: bool) -> list[Span]:
    """The row.

    Args:
        stream: what is shown.
        target: whose it is.
        is_heard: what is written now would come.
    """
    spans: list[Span] = [(f" {safe(stream.file)}", "accent"), *_extent(stream, target)]
    if stream.skipped:  # the lines that say so scroll by as fast as the others
        spans.append((f"  {texts.size(stream.skipped)} skipped", "warn"))
    if stream.other:  # of a job that failed, that is where the reason stands
        more = "" if stream.has_kept else "+"  # the job runs: it is what it had written at its last beat
        spans.append((f"  {other_of(stream.file)} {texts.size(stream.other)}{more}: o", "info"))
    if stream.search:
        spans.append((f"  {_matches(stream, target)}", "info" if stream.search.rows else "warn"))
    if stream.follows:
        spans.append(("  following" if is_heard else "", "good"))
    elif target is None or target.is_alive or stream.unseen:
        spans.append((f"  f follows, {stream.unseen:,} new" if stream.unseen else "  f follows", "warn"))
    return spans


def _extent(stream: Stream, target: Target | None) -> list[Span]:
    """How much of the file is here and what stands before it; where a text is not found, that is told with it."""
    buffer, spans = stream.buffer, list[Span]()
    if stream.search and not stream.search.rows and buffer.before:
        return spans
    if buffer.kept_lines:
        lines = texts.plural(buffer.kept_lines, "line")
        spans.append((f"  {lines}, {texts.size(buffer.kept_bytes)}", "dim"))
    is_told = stream.earlier.is_out and buffer.rows[:1] and buffer.rows[0].is_note  # by the first line
    if buffer.before and not is_told:
        spans.append((f"  {texts.size(buffer.before)} before: {_way_above(stream, target, 'Home')}", "info"))
    return spans


def _matches(stream: Stream, target: Target | None) -> str:
    search, buffer = stream.search, stream.buffer
    what, rows = safe(search.text), search.rows
    if rows:
        at = rows.index(stream.row) + 1 if stream.row in rows else 0
        found = f"match {at:,} of {len(rows):,}" if at else f"{len(rows):,} match{'' if len(rows) == 1 else 'es'}"
        return f"{found}: {what}"
    if not buffer.before:
        return f"no line with {what}"
    here = f"not in the last {texts.plural(buffer.kept_lines, 'line')}"
    return f"{what}: {here}; {texts.size(buffer.before)} before: {_way_above(stream, target, 'n')}"


def _way_above(stream: Stream, target: Target | None, key: str) -> str:
    """How to get what is before the first row: a key, or why it cannot be had."""
    earlier = stream.earlier
    if earlier.is_under_way:
        return "asking"
    if not stream.buffer.room:
        return "S saves all"
    if not earlier.can_be_had(target, stream.file):
        return "not kept"
    return key if earlier.error is None else safe(str(earlier.error))
