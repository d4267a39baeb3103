"""What a file has before the part that is shown is told, and comes when somebody goes above the first line."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import MouseScrollUp

from jobmon_console.errors import RefusedError
from jobmon_console.replies import Kept
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.earlier import PIECE
from jobmon_console.tui.panes.folding import Folding
from jobmon_console.tui.panes.output import FIRST, Output
from jobmon_console.tui.panes.scrollback import KEPT, SLACK, Scrollback
from jobmon_console.tui.panes.search import Search
from jobmon_wire.cursor import Cursor
from jobmon_wire.frames import DATA, NOTE, Frame
from tests.console.tui.conftest import frame

LINES = 943
FILE = b"".join(b"event %d of the run\n" % number for number in range(LINES))
SHOWN = b"".join(FILE.splitlines(keepends=True)[-FIRST:])
BEFORE = len(FILE) - len(SHOWN)  # bytes


class Job:
    """A job that has printed a file, of which a tail sends the end.

    Attributes:
        file: its bytes.
        notes: what the agent tells behind the first bytes.
        trouble: raised by ``cat``.
    """

    def __init__(self, source: Any, file: bytes = FILE) -> None:
        self.file = file
        self.notes: list[dict[str, Any]] = []
        self.trouble: RefusedError | None = None
        self.ranges: list[tuple[int, int]] = []  # asked of it: offset and length
        source._answer = self._answer

    async def _answer(self, verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        if verb == "cat":
            self.ranges.append((arguments["offset"], arguments["length"]))
            if self.trouble is not None:
                raise self.trouble
            yield frame(DATA, self.file[arguments["offset"] : arguments["offset"] + arguments["length"]])
        elif verb == "tail":
            shown = b"".join(self.file.splitlines(keepends=True)[-arguments["lines"] :])
            yield frame(NOTE, {"kind": "at", "cursor": at(len(self.file) - len(shown))})
            yield frame(DATA, shown)
            for note in self.notes:
                yield frame(NOTE, note)
            await asyncio.Event().wait()


def at(offset: int, inode: int = 2) -> str:
    """A cursor."""
    return Cursor.at(1, inode, offset, b"").text()


def top_of(output: Output) -> str:
    """The line under the eye: the first that is seen."""
    return output.stream.text(output.stream.row_at(output.scroll_offset.y))


@pytest.fixture
def job(source: Any) -> Job:
    return Job(source)


async def begin(pilot: Any, settle: Any, output: Output) -> None:
    """The end of the file is on the screen, and the pane has the keys."""
    await settle(pilot, lambda: output.count() >= FIRST)
    await pilot.press("enter")


# On the screen


async def test_what_stands_before_the_first_line_is_told(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)

        assert f"500 lines, {len(SHOWN) / 1024:.1f}K  {BEFORE / 1024:.1f}K before: Home" in screen_text(console)


@pytest.mark.parametrize("keys", [["home"], ["g"]])
async def test_home_goes_to_the_first_line_of_the_file(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any, keys: list[str]
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await pilot.press(*keys)
        await settle(pilot, lambda: "event 0 of the run" in screen_text(console))

        assert "before: Home" not in screen_text(console)
        assert "943 lines" in screen_text(console)
        assert output.count() == LINES
        assert job.ranges == [(0, BEFORE)]
        assert not output.follows


@pytest.mark.parametrize("way", ["page_up", "up", "wheel"])
@pytest.mark.parametrize("is_folded", [False, True])
async def test_scrolling_above_the_first_line_brings_what_is_before_and_the_line_under_the_eye_stays(
    console: Console, job: Job, output: Output, settle: Any, way: str, is_folded: bool
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        if is_folded:
            await pilot.press("w")
        output.scroll_to(y=0, animate=False)
        seen = top_of(output)
        if way == "wheel":
            await pilot._post_mouse_events([MouseScrollUp], "#output", button=0)
        else:
            await pilot.press(way.replace("_", ""))
        await settle(pilot, lambda: output.stream.buffer.before == 0)

        assert seen == top_of(output) == f"event {LINES - FIRST} of the run"
        assert output.scroll_offset.y >= LINES - FIRST


async def test_a_text_that_stands_further_up_is_not_said_to_be_nowhere_and_is_looked_for_there(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await pilot.press("slash", *"event 12 ")
        await settle(
            pilot, lambda: f"not in the last 500 lines; {BEFORE / 1024:.1f}K before: n" in screen_text(console)
        )
        assert "no line with" not in screen_text(console)
        await pilot.press("enter")
        await settle(pilot, lambda: "match 1 of 1: event 12" in screen_text(console))

        assert output.stream.text(output.stream.row) == "event 12 of the run"


@pytest.mark.parametrize("key", ["n", "N"])
async def test_n_goes_on_looking_above_the_first_line(
    console: Console, job: Job, output: Output, settle: Any, key: str
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await pilot.press("slash", *"12 of", "escape")
        output.find("event 412 ")
        await pilot.press(key)
        await settle(pilot, lambda: output.stream.text(output.stream.row) == "event 412 of the run")


async def test_the_match_before_the_first_of_those_here_is_looked_for_above(
    console: Console, job: Job, output: Output, settle: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        output.find("event 45")  # 450 to 459, and 45 in what is not here yet
        await pilot.press(*["N"] * 9)
        assert output.stream.text(output.stream.row) == "event 450 of the run"
        await pilot.press("N")
        await settle(pilot, lambda: output.stream.text(output.stream.row) == "event 45 of the run")


async def test_a_text_that_is_nowhere_in_the_whole_file_is_said_to_be(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await pilot.press("slash", *"nowhere", "enter")
        await settle(pilot, lambda: "no line with nowhere" in screen_text(console))

        assert output.stream.buffer.before == 0


async def test_a_file_that_fits_before_the_lines_that_are_here_comes_in_pieces(
    console: Console, source: Any, output: Output, settle: Any
) -> None:
    job = Job(source, b"".join(b"%099d\n" % number for number in range(KEPT)))
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await pilot.press("home")
        await settle(pilot, lambda: output.count() == KEPT)

        assert output.stream.buffer.before == 0
        assert {length for _, length in job.ranges[:-1]} == {PIECE}
        assert output.stream.text(0) == f"{0:099d}"


async def test_a_file_that_is_another_now_has_nothing_before_it(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    job.notes = [{"kind": "rotated", "cursor": at(0, inode=3)}]
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await settle(pilot, lambda: "replaced by a new one" in screen_text(console))
        await pilot.press("home")

        assert "before: Home" not in screen_text(console)
        assert job.ranges == []


async def test_a_piece_of_a_file_that_was_replaced_meanwhile_is_put_nowhere(
    console: Console, job: Job, output: Output, settle: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        output.move("top")
        assert output.stream.earlier.is_under_way
        output.take(frame(NOTE, {"kind": "rotated", "cursor": at(0, inode=3)}))
        await settle(pilot, lambda: not output.stream.earlier.is_under_way)

        assert output.stream.text(0) == f"event {LINES - FIRST} of the run"
        assert output.stream.buffer.before == 0


@pytest.mark.parametrize("is_short", [False, True])
async def test_a_piece_that_does_not_come_is_told_and_asked_for_again(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any, is_short: bool
) -> None:
    whole = job.file
    async with console.run_test(size=(120, 40)) as pilot:
        await begin(pilot, settle, output)
        job.trouble = None if is_short else RefusedError("job-silent", "no word from the job's agent")
        job.file = whole[:100] if is_short else whole
        await pilot.press("home")
        why = "it is not there any more" if is_short else "no word from the job's agent"
        await settle(pilot, lambda: f"before: {why}" in screen_text(console))
        assert output.count() == FIRST
        job.trouble, job.file = None, whole
        await pilot.press("home")

        await settle(pilot, lambda: output.count() == LINES)


@pytest.mark.parametrize(("start", "lines"), [(0, LINES), (1000, 892), (BEFORE + 5, FIRST)])
async def test_of_a_job_that_ended_meanwhile_what_was_kept_stands_before(
    console: Console, source: Any, job: Job, output: Output, settle: Any, start: int, lines: int, make_record: Any
) -> None:
    source.jobs = {"uuid-1": make_record(1)}

    async def content(call: Any) -> Kept:
        return Kept(FILE[start:], start, len(FILE))

    source.content = content
    job.notes = [{"kind": "ended", "exit": {"code": 0}}]
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        source.change(make_record(1, state="ended", exit={"code": 0, "signal": None}))
        await settle(pilot, lambda: output.stream.has_kept)
        await pilot.press("home")
        await settle(pilot, lambda: not output.stream.earlier.is_under_way)

        assert output.stream.buffer.kept_lines == lines
        head = "".join(text for text, _ in console.jobs.detail.output.head(0))
        assert ("before: not kept" in head) == bool(start)


# In the scrollback

PIECES = st.lists(st.binary(max_size=30), max_size=8).map(lambda parts: b"\n".join(parts))


@given(PIECES, st.integers(0, 100), st.integers(1, 7))
def test_a_file_read_from_its_end_in_two_pieces_is_the_file(file: bytes, cut: int, step: int) -> None:
    starts = [0, *(at + 1 for at, byte in enumerate(file) if byte == ord("\n"))]
    begins = starts[cut % len(starts)]
    buffer = Scrollback()
    buffer.begin(begins)
    for start in range(begins, len(file), step):
        buffer.feed(file[start : min(len(file), start + step)])
    buffer.close()
    while buffer.before:
        buffer.prepend(file[max(0, buffer.before - 20) : buffer.before])

    assert sum(row.size for row in buffer.rows) == len(file)
    assert (buffer.kept_lines, buffer.kept_bytes) == (len(buffer.rows), len(file))


def test_what_is_dropped_stands_before_the_first_row_from_then_on() -> None:
    buffer = Scrollback()
    buffer.begin(1000)
    buffer.feed(b"x" * 9 + b"\n")
    buffer.feed(b"a\0" + bytes(40) + b"\n")
    buffer.note("200 bytes were skipped", 200)
    buffer.feed(b"y\n" * (KEPT + SLACK - 2))

    assert len(buffer.rows) == KEPT
    assert buffer.before == 1000 + 10 + 43 + 200 + 2 * (KEPT + SLACK - 2) - 2 * KEPT
    assert buffer.kept_bytes == 2 * KEPT


def test_what_another_file_had_before_is_not_told_until_its_rows_are_gone() -> None:
    buffer = Scrollback()
    buffer.begin(1000)
    buffer.feed(b"old\n")
    buffer.begin(50)
    buffer.note("replaced")
    assert buffer.before == 0

    buffer.feed(b"z\n" * (KEPT + SLACK))
    assert buffer.before == 50 + 2 * SLACK


def test_the_end_of_a_line_that_is_longer_than_a_piece_stands_there_nevertheless() -> None:
    buffer = Scrollback()
    buffer.begin(5000)
    buffer.feed(b"now\n")
    buffer.prepend(b"x" * 99 + b"\n")

    assert (buffer.before, len(buffer.rows[0].data)) == (4900, 99)


@given(st.lists(st.text("ab ", max_size=12), max_size=9), st.integers(0, 9), st.integers(2, 5))
def test_rows_that_come_before_the_others_are_folded_and_looked_through(
    texts: list[str], came: int, width: int
) -> None:
    rows = texts[came:]
    whole, later = Folding(texts.__getitem__), Folding(lambda row: rows[row])
    search, found = Search("a", texts.__getitem__), Search("a", lambda row: rows[row])
    for each in (whole, later):
        each.restart(width)
    for all_, part in ((whole, later), (search, found)):
        all_.follow(len(texts))  # type: ignore[attr-defined]
        part.follow(len(rows))  # type: ignore[attr-defined]
    rows[:0] = texts[:came]
    pieces = later.prepend(len(texts[:came]))
    found.prepend(len(texts[:came]))

    assert later.pieces == whole.pieces
    assert found.rows == search.rows
    assert pieces == sum(piece.row < came for piece in whole.pieces)
