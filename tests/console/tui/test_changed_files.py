"""Of a file that is another now, of a job that ended or is lost, no line stands in a wrong place, and it is told."""

from typing import Any

import pytest

from jobmon_console.errors import RefusedError, UnreachableError
from jobmon_console.replies import Kept
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.earlier import PIECE
from jobmon_console.tui.panes.output import FIRST, Output
from tests.console.tui.longfiles import (
    LINES,
    PAGE,
    WIDTH,
    Job,
    begin,
    head_of,
    line,
    part_of,
    top_of,
)


@pytest.fixture
def job(source: Any) -> Job:
    return Job(source)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("rotated", "the file was replaced by a new one"),
        ("gone", "the file is not there any more"),
        ("truncated", "the file was truncated"),
        ("rewritten", "the file was changed here"),
        ("refused", "no word from the job's agent"),
        ("offline", "no route to caf"),
    ],
)
async def test_of_a_file_that_is_another_now_no_line_is_taken_and_it_is_told(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any, what: str, told: str
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home")
        rows = list(output.stream.buffer.rows)
        job.inode = {"rotated": 3, "gone": 0}.get(what, 2)
        job.lines = 7 if what == "truncated" else LINES
        job.words = dict.fromkeys(range(2 * PAGE), "another") if what == "rewritten" else {}
        refusals = {
            "refused": RefusedError("job-silent", "no word from the job's agent"),
            "offline": UnreachableError("no route to caf"),
        }
        job.trouble = refusals.get(what)
        output.see(output.max_scroll_y)
        await pilot.press("pagedown")
        await settle(pilot, lambda: told in " ".join(screen_text(console).split()))

        assert output.stream.buffer.rows == rows
        assert "End follows" in screen_text(console)
        job.inode, job.lines, job.words, job.trouble = 2, LINES, {}, None
        await pilot.press("pagedown")
        await settle(pilot, lambda: len(output.stream.buffer.rows) > len(rows))
        assert told not in " ".join(screen_text(console).split())


async def test_a_first_piece_that_does_not_come_is_told_and_the_stream_stays(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(120, 40)) as pilot:
        await begin(pilot, settle, output)
        job.inode = 3
        await pilot.press("home")
        await settle(pilot, lambda: "before: the file was replaced by a new one" in screen_text(console))

        assert not output.is_part
        assert output.count() == FIRST


async def test_of_a_lost_job_a_part_stays_and_it_is_told_why_it_does_not_go_on(
    console: Console, source: Any, job: Job, output: Output, settle: Any, screen_text: Any, make_record: Any
) -> None:
    source.jobs = {"uuid-1": make_record(1)}
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home")
        source.change(make_record(1, state="lost"))
        await settle(pilot, lambda: "the job is lost: its agent does not answer" in screen_text(console))
        asked = len(job.ranges)
        output.see(output.max_scroll_y)
        await pilot.press("pagedown")
        assert (top_of(output)[:5], len(job.ranges)) == ("event", asked)

        source.change(make_record(1))
        await settle(pilot, lambda: "the job is lost" not in screen_text(console))
        assert output.is_part


KEPT_LINES = 25_000  # of an ended job, more than a stream holds here


def ended(source: Any, job: Job, start: int) -> None:
    """Of the job's output the end was kept, from this byte on."""

    async def content(call: Any) -> Kept:
        return Kept(job.read(start, job.lines * WIDTH), start, job.lines * WIDTH)

    source.content = content


@pytest.mark.parametrize("start", [0, 1000 * WIDTH + 7, PIECE + 7])
async def test_of_a_job_that_has_ended_all_that_was_kept_is_reached(
    source: Any, settle: Any, make_record: Any, screen_text: Any, start: int
) -> None:
    job = Job(source, KEPT_LINES)
    ended(source, job, start)
    source.jobs = {"uuid-1": make_record(1, state="ended", exit={"code": 0, "signal": None})}
    console = Console([("caf", source)])
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.stream.has_kept)
        await pilot.press("enter", "home")
        await settle(pilot, lambda: output.is_part)

        assert top_of(output) == line(-(-start // WIDTH))
        assert ("before: not kept" in head_of(output)) == bool(start)
        assert "End leaves" in head_of(output)
        while part_of(output).behind:
            end = part_of(output).end
            output.see(output.max_scroll_y)
            output.move("page_down")
            await settle(pilot, lambda end=end: part_of(output).end > end)
        assert part_of(output).text(len(output.stream.buffer.rows) - 1) == line(KEPT_LINES - 1)
        await pilot.press("end")
        await settle(pilot, lambda: "the job has ended with exit 0" in screen_text(console))
        assert output.troubles() == []


async def test_what_was_kept_of_a_job_that_ends_is_not_shown_in_place_of_more_that_is_here(
    source: Any, settle: Any, make_record: Any
) -> None:
    job = Job(source, KEPT_LINES)
    ended(source, job, (KEPT_LINES - 9) * WIDTH)
    source.jobs = {"uuid-1": make_record(1)}
    console = Console([("caf", source)])
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        output.stream.is_told = True
        source.change(make_record(1, state="ended", exit={"code": 0, "signal": None}))
        await settle(pilot, lambda: output.stream.has_kept)
        await pilot.press("home")
        await settle(pilot, lambda: "before: not kept" in head_of(output))

        assert not output.is_part
        assert top_of(output) == line(KEPT_LINES - FIRST)


async def test_a_part_of_a_job_that_ends_goes_on_with_what_was_kept(
    source: Any, settle: Any, make_record: Any, screen_text: Any
) -> None:
    job = Job(source, KEPT_LINES)
    ended(source, job, 2 * PAGE * WIDTH)
    source.jobs = {"uuid-1": make_record(1)}
    console = Console([("caf", source)])
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home")
        source.change(make_record(1, state="ended", exit={"code": 0, "signal": None}))
        await settle(pilot, lambda: output.target and output.target.row["state"] == "ended")
        assert top_of(output) == line(0)
        output.see(output.max_scroll_y)
        await pilot.press("pagedown")
        await settle(pilot, lambda: "only the end was kept" in " ".join(screen_text(console).split()))
        await pilot.press("end")
        await settle(pilot, lambda: "the job has ended with exit 0" in screen_text(console))
