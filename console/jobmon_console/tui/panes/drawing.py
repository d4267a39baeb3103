"""How a row of the Output tab is drawn: its time, its colours, what was found in it, what is hidden of it."""

from jobmon_console import sgr
from jobmon_console.tui import texts
from jobmon_console.tui.panes.folding import Piece
from jobmon_console.tui.panes.stream import Stream
from jobmon_console.tui.widgets.lines import Span

MARGIN = 1  # cells before a line
CLOCK = 9  # cells of a time and the space behind it


def margin(has_times: bool) -> int:
    """The cells before a line: air, and its time."""
    return MARGIN + (CLOCK if has_times else 0)


def drawn(stream: Stream, index: int, has_times: bool) -> list[Span]:
    """A line of the screen's list: a row, a piece of one, or a note about the stream."""
    piece = stream.folding.pieces[index] if stream.folding.width else None
    line = stream.line(index if piece is None else piece.row)
    text = line.text
    piece = piece or Piece(index, 0, len(text))
    row = stream.buffer.rows[piece.row]
    before = (stream.time(piece.row) if piece.start == 0 else "").ljust(CLOCK) if has_times else ""
    spans: list[Span] = [(" " * MARGIN + before, "dim")]
    places = stream.search.places(text)
    for run in sgr.cover(line.runs, piece.start, piece.end):
        at = run.start
        for begin, end in places:
            begin, end = max(begin, at), min(end, run.end)
            if begin < end:
                spans += [(text[at:begin], run.style), (text[begin:end], "found")]
                at = end
        spans.append((text[at : run.end], run.style))
    if piece.end == len(text):
        spans += [(f" … {texts.size(row.hidden)} more", "info")] if row.hidden else []
        spans += [(f" ␍ {texts.size(row.over)} before", "dim")] if row.over else []
    return spans
