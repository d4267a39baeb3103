"""The lines of a part are the file's at that place, whatever came before, and however it grows."""

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_console.errors import AnswerError
from jobmon_console.tui.panes import part as parts
from jobmon_console.tui.panes.folding import Folding
from jobmon_console.tui.panes.part import Part
from jobmon_console.tui.panes.search import Search
from jobmon_console.tui.panes.stream import Stream
from jobmon_wire.cursor import Cursor
from jobmon_wire.frames import NOTE
from tests.console.tui.conftest import frame
from tests.console.tui.longfiles import at


class Came:
    """What ``Range`` brings of a file in memory."""

    def __init__(self, file: bytes, asked: int, end: int) -> None:
        self.asked = self.start = asked
        self.end = end
        self.data = file[asked:end]
        self.kept = None
        self.place = Cursor.at(1, 2, len(file), b"")


SMALL = {"PIECE": 64, "BEHIND": 16, "LINES": 5, "KEPT": 10, "SLACK": 4, "FINGERPRINT": 8}
SHORT = st.binary(max_size=9).map(lambda text: text.translate(None, b"\0\r"))
FILES = st.lists(SHORT | st.just(b"x" * 99), max_size=20).map(b"\n".join) | st.lists(SHORT, min_size=30).map(b"\n".join)
RUNS = st.sampled_from([["up"] * 7, ["down"] * 7, ["up"], ["down"], ["fold"], ["behind"], ["before"]])
PLACES = st.floats(0, 1, exclude_max=True)  # that are jumped to: shares of the file
MOVES = st.lists(RUNS | (st.integers(0, 99) | FILES | PLACES).map(lambda move: [move]), max_size=20).map(
    lambda runs: [move for run in runs for move in run]
)


@given(FILES, MOVES)
def test_the_lines_of_a_part_are_those_of_the_file_there_whatever_the_moves_and_however_it_grows(
    file: bytes, moves: list[Any]
) -> None:
    followed = Stream("stdout")
    followed.go_on(frame(NOTE, {"kind": "at", "cursor": at(0)}))
    followed.look_for("a")
    with patch.multiple(parts, **SMALL):
        part = Part(followed, 0)
        part.take(Came(file, *part.next(1)), 1)  # type: ignore[arg-type]
        part.look_for("a")
        for move in moves:
            if isinstance(move, bytes):
                file += move
            elif isinstance(move, int) and file:
                starts = [0, *(at + 1 for at, byte in enumerate(file[:-1]) if byte == ord("\n"))]
                part = Part(followed, starts[move % len(starts)])
                row = part.surround(Came(file, *part.around()))  # type: ignore[arg-type]
                part.look_for("a")
                assert part.offset_of(row) == starts[move % len(starts)]
            elif isinstance(move, float) and file:
                place = int(move * len(file))
                part = Part(followed, 0)
                row = part.reach(Came(file, *part.about(place)), place)  # type: ignore[arg-type]
                part.look_for("a")
                assert part.offset_of(row) <= place < part.offset_of(row) + max(1, part.buffer.rows[row].size or 99)
            elif move in ("behind", "before") and part.has_more(step := 1 if move == "behind" else -1):
                part = part.beside(step)
                part.take(Came(file, *part.next(step)), step)  # type: ignore[arg-type]
                part.look_for("a")
            elif move == "fold":
                part.folding.restart(0 if part.folding.width else 4)
                part.caught_up()
            elif move == "down" or (move == "up" and part.has_more(-1)):
                step = 1 if move == "down" else -1
                part.take(Came(file, *part.next(step)), step)  # type: ignore[arg-type]
            agrees(part, file)


def agrees(part: Part, file: bytes) -> None:
    """The window shows the file's bytes from its start on, no more of them than it may, each in its line."""
    rows = part.buffer.rows
    shown = b"".join(row.data + b"\n" * max(0, row.size - len(row.data)) for row in rows)
    assert shown == file[part.start : part.start + len(shown)]
    assert part.end <= part.start + len(shown)
    assert part.buffer.before == part.start
    assert len(rows) <= SMALL["KEPT"] + SMALL["SLACK"]
    if all(len(text) < 20 for text in file.split(b"\n")):  # none is longer than a piece
        assert part.start == 0 or file[part.start - 1] == ord("\n")
        lines = file[part.start :].split(b"\n")
        assert [row.data for row in rows[:-1]] == lines[: max(0, len(rows) - 1)]
        assert all(text.startswith(row.data) for row, text in zip(rows[-1:], lines[len(rows) - 1 :], strict=False))
    search, folding = Search("a", part.text), Folding(part.text)
    search.follow(len(rows))
    folding.restart(part.folding.width)
    folding.follow(len(rows))
    assert (part.search.rows, part.folding.pieces) == (search.rows, folding.pieces)


@pytest.mark.parametrize("step", [1, -1])
def test_nothing_is_taken_of_what_does_not_fit_to_the_lines_of_a_part(step: int) -> None:
    followed = Stream("stdout")
    file = b"".join(b"line %d\n" % number for number in range(40))
    with patch.multiple(parts, **SMALL):
        part = Part(followed, file.index(b"line 20"))
        part.surround(Came(file, *part.around()))  # type: ignore[arg-type]
        rows = list(part.buffer.rows)
        with pytest.raises(AnswerError, match="changed"):
            part.take(Came(b"X" * len(file), *part.next(step)), step)  # type: ignore[arg-type]

    assert part.buffer.rows == rows
