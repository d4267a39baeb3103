"""Any part of a file of any size is reached, and what was followed is there again."""

from typing import Any
from unittest.mock import patch

import pytest
from textual.events import MouseScrollDown
from textual.geometry import Offset
from textual.selection import Selection

from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.earlier import PIECE
from jobmon_console.tui.panes.output import FIRST, Output
from jobmon_console.tui.panes.part import BEHIND
from jobmon_console.tui.panes.scrollback import KEPT
from tests.console.tui.longfiles import LINES, PAGE, WIDTH, Job, begin, fill, head_of, is_whole, line, part_of, top_of


@pytest.fixture
def job(source: Any) -> Job:
    return Job(source)


# There and back


async def test_home_is_at_the_first_line_of_a_file_of_any_size_at_once(
    console: Console, source: Any, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home")

        assert job.ranges == [(0, PIECE)]
        assert top_of(output) == line(0)
        assert " stdout  at 0% of 954M+  953M behind: PgDn  End follows" in screen_text(console)
        await settle(pilot, lambda: source.open == [])
        assert output.troubles() == []


@pytest.mark.parametrize("key", ["end", "G", "f"])
async def test_the_end_is_followed_again_with_all_lines_it_had_and_what_came_meanwhile(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any, key: str
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home", "pagedown")
        job.lines += 3
        await pilot.press(key)
        await settle(pilot, lambda: output.count() == FIRST + 3 and output.line == output.max_scroll_y)

        assert job.resumed == [LINES * WIDTH]
        assert output.follows
        assert output.stream.text(0) == line(LINES - FIRST)
        assert output.stream.text(output.count() - 1) == line(LINES + 2)
        assert "following" in screen_text(console)


async def test_home_pressed_again_asks_once_and_end_takes_it_back(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        job.gate.clear()
        await pilot.press("home", "home", "g")
        await settle(pilot, lambda: "954M before: asking" in screen_text(console))
        assert job.ranges == [(0, PIECE)]
        await pilot.press("end")
        job.gate.set()
        for _ in range(9):
            console.jobs.tick()
        await pilot.pause()

        assert not output.is_part
        assert output.follows
        assert output.line == output.max_scroll_y


async def test_home_in_a_part_is_asked_for_what_stands_before_it(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await fill(pilot, settle, output)
        await pilot.press("pageup")
        await settle(pilot, lambda: output.is_part)
        job.gate.clear()
        await pilot.press("home")
        await settle(pilot, lambda: "953M before: asking  913K behind: PgDn" in screen_text(console))
        job.gate.set()
        await settle(pilot, lambda: top_of(output) == line(0))


@pytest.mark.parametrize(("lines", "is_walked"), [(8_000, True), (FIRST + KEPT, False)])
async def test_a_rest_that_fits_before_the_lines_that_are_here_is_put_there(
    console: Console, source: Any, output: Output, settle: Any, lines: int, is_walked: bool
) -> None:
    Job(source, lines)
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await pilot.press("home")
        await settle(pilot, lambda: not output.paging.is_under_way)

        assert top_of(output) == line(0)
        assert output.is_part is not is_walked


async def test_short_lines_that_came_before_are_more_than_there_is_room_for(
    console: Console, job: Job, output: Output, settle: Any
) -> None:
    with patch("jobmon_console.tui.panes.paging._is_walked", lambda stream: True):
        async with console.run_test(size=(80, 24)) as pilot:
            await begin(pilot, settle, output, "home")

            assert top_of(output) == line(0)


# The window slides


@pytest.mark.parametrize("is_folded", [False, True])
async def test_paging_up_goes_on_beyond_the_lines_that_a_stream_may_have(
    console: Console, job: Job, output: Output, settle: Any, is_folded: bool
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await fill(pilot, settle, output)
        if is_folded:
            await pilot.press("w")
        seen = top_of(output)
        await pilot.press("pageup")
        await settle(pilot, lambda: output.is_part)
        assert top_of(output) == seen == line(LINES - KEPT)
        for _ in range(6):
            output.see(1)
            seen, start = top_of(output), part_of(output).start
            output.move("up")
            await settle(pilot, lambda start=start: part_of(output).start < start)
            assert output.line > 0
            output.move("down")
            assert top_of(output) == seen

        is_whole(part_of(output))


@pytest.mark.parametrize("way", ["pagedown", "down", "wheel"])
async def test_at_the_bottom_of_a_part_the_next_piece_comes_and_the_line_under_the_eye_stays(
    console: Console, job: Job, output: Output, settle: Any, way: str
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home")
        for number in range(1, 8):
            output.see(output.max_scroll_y)
            seen = top_of(output)
            if way == "wheel":
                await pilot._post_mouse_events([MouseScrollDown], "#output", button=0)
            else:
                await pilot.press(way)
            await settle(pilot, lambda number=number: part_of(output).end == (number + 1) * PAGE * WIDTH)
            assert top_of(output) == seen

        assert part_of(output).start > 0
        is_whole(part_of(output))


async def test_a_part_goes_on_to_the_end_of_the_file_and_to_what_is_written_later(
    console: Console, source: Any, output: Output, settle: Any
) -> None:
    job = Job(source, 2 * KEPT)
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home")
        while part_of(output).behind:
            end = part_of(output).end
            output.see(output.max_scroll_y)
            output.move("page_down")
            await settle(pilot, lambda end=end: part_of(output).end > end)
        assert "behind" not in head_of(output)
        job.lines += 1
        output.see(output.max_scroll_y)
        await pilot.press("down")
        await settle(pilot, lambda: output.stream.text(output.count() - 1) == line(2 * KEPT))


async def test_the_row_above_says_how_far_through_the_file_one_reads(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await fill(pilot, settle, output)
        await pilot.press("pageup")
        await settle(pilot, lambda: output.is_part)

        start = part_of(output).start // WIDTH
        assert start == LINES - KEPT - (PIECE - BEHIND) // WIDTH
        assert "at 99% of 954M+  953M before: Home  913K behind: PgDn  End follows" in screen_text(console)


# What else is done with lines


async def test_a_mark_stands_where_the_stream_is_followed_and_nowhere_in_a_part(
    console: Console, job: Job, output: Output, settle: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home", "m", "T")
        assert not any(row.is_note for row in output.stream.buffer.rows)
        assert {output.stream.time(row) for row in range(output.count())} == {""}
        await pilot.press("end")

        assert "mark" in output.stream.text(output.count() - 1)


@pytest.mark.parametrize("is_above", [False, True])
async def test_what_is_selected_stays_the_text_that_it_was_while_the_window_slides(
    console: Console, job: Job, output: Output, settle: Any, is_above: bool
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await fill(pilot, settle, output)
        await pilot.press("pageup")
        await settle(pilot, lambda: output.is_part)
        row = output.count() - 5
        console.jobs.selections = {output: Selection(Offset(1, row), Offset(39, row))}
        copied = console.jobs.get_selected_text()
        assert copied == output.stream.text(row)[:38]
        for _ in range(4 if is_above else 2):
            start, end = part_of(output).start, part_of(output).end
            output.see(0 if is_above else output.max_scroll_y)
            output.move("up" if is_above else "down")
            await settle(pilot, lambda now=(start, end): (part_of(output).start, part_of(output).end) != now)

        assert console.jobs.get_selected_text() == (None if is_above else copied)  # it is not here any more


async def test_a_part_is_there_again_after_the_other_stream_and_the_followed_end_after_another_job(
    console: Console, job: Job, output: Output, settle: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home", "pagedown", "o")
        await settle(pilot, lambda: output.file == "stderr" and output.count() >= FIRST and output.reading)
        await pilot.press("o")
        assert output.file == "stdout"
        assert top_of(output) == line(output.line)
        assert output.line > 0
        assert output.is_part

        uuid = output.target.uuid  # type: ignore[union-attr]
        await pilot.press("escape", "down")
        await settle(pilot, lambda: output.target.uuid != uuid and output.count() >= FIRST)  # type: ignore[union-attr]
        await pilot.press("up")
        await settle(pilot, lambda: output.target.uuid == uuid and output.reading)  # type: ignore[union-attr]
        assert not output.is_part
        assert output.count() == FIRST
