"""A text is found wherever it stands in a long file, and how far it was looked for is told."""

from typing import Any

import pytest

from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.earlier import PIECES
from jobmon_console.tui.panes.output import Output
from jobmon_console.tui.panes.scrollback import KEPT
from tests.console.tui.longfiles import LINES, PAGE, WIDTH, Job, begin, fill, line, part_of, top_of


@pytest.fixture
def job(source: Any) -> Job:
    return Job(source)


async def test_n_finds_a_text_far_behind_a_part_and_the_other_way_far_before(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    job.words = {1: "needle one", 9 * PAGE: "needle two"}
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home", "slash", *"needle", "enter", "n")
        await settle(pilot, lambda: top_of(output).strip() == "needle two" or output.is_seen(output.stream.row))
        await settle(pilot, lambda: output.stream.text(output.stream.row).strip() == "needle two")
        assert "match 1 of 1 here: needle" in screen_text(console)

        await pilot.press("N")
        await settle(pilot, lambda: output.stream.text(output.stream.row).strip() == "needle one")
        assert output.is_seen(output.stream.row)
        await pilot.press("N")
        await settle(pilot, lambda: "no more before" in screen_text(console))


async def test_that_there_is_no_more_before_the_first_line_is_said_at_once(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    job.words = {1: "needle"}
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home", "slash", *"needle", "enter")
        await settle(pilot, lambda: "match 1 of 1 here" in screen_text(console))
        await pilot.press("N")
        await pilot.pause()

        assert "no more before" in screen_text(console)


async def test_one_key_looks_through_so_many_pieces_and_the_next_goes_on_there(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    job.words = {(PIECES + 5) * PAGE: "needle"}
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home", "slash", *"needle", "enter")
        await settle(pilot, lambda: "needle: not in the 4.0M behind, n goes on" in screen_text(console))
        assert len(job.ranges) == 1 + PIECES
        assert top_of(output) == line(0)

        await pilot.press("n")
        await settle(pilot, lambda: "match 1 of 1 here" in screen_text(console))
        assert output.stream.text(output.stream.row).strip() == "needle"


async def test_what_a_stream_has_no_room_for_is_looked_through_beside_it(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    job.words = {LINES - KEPT - 5 * PAGE: "needle"}
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await fill(pilot, settle, output)
        await pilot.press("slash", *"needle")
        await settle(pilot, lambda: "needle: not in the last 10,000 lines; 953M before: n" in screen_text(console))
        await pilot.press("enter")
        await settle(pilot, lambda: output.is_part)

        assert output.stream.text(output.stream.row).strip() == "needle"
        assert output.is_seen(output.stream.row)


@pytest.mark.parametrize("keys", [(), ("home",)])
async def test_a_search_that_is_under_way_is_told_and_escape_stops_it(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any, keys: tuple[str, ...]
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, *keys)
        if not keys:
            await fill(pilot, settle, output)
        job.gate.clear()
        seen, rows = top_of(output), output.count()
        await pilot.press("slash", *"needle", "enter")
        await settle(pilot, lambda: "Esc stops" in screen_text(console))
        await pilot.press("escape")
        job.gate.set()
        for _ in range(9):
            console.jobs.tick()
        await pilot.pause()

        assert "Esc stops" not in screen_text(console)
        assert (top_of(output), output.count(), output.search.text) == (seen, rows, "needle")
        await pilot.press("escape")
        assert not output.search
        assert console.jobs.focused is output


async def test_a_text_that_is_nowhere_behind_is_said_to_be(
    console: Console, source: Any, output: Output, settle: Any, screen_text: Any
) -> None:
    Job(source, 2 * KEPT)
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home", "slash", *"nowhere", "enter")
        await settle(pilot, lambda: "nowhere: no more behind" in screen_text(console))


async def test_the_other_key_looks_the_other_way_from_what_is_seen(
    console: Console, job: Job, output: Output, settle: Any
) -> None:
    job.words = {LINES - KEPT - 5 * PAGE: "needle"}
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await fill(pilot, settle, output)
        await pilot.press("pageup")
        await settle(pilot, lambda: output.is_part)
        job.gate.clear()
        await pilot.press("slash", *"needle", "enter", "N")
        job.gate.set()
        await settle(pilot, lambda: output.stream.text(output.stream.row).strip() == "needle")

        part = part_of(output)
        assert part.offset_of(part.row) == (LINES - KEPT - 5 * PAGE) * WIDTH
        assert output.is_seen(part.row)
