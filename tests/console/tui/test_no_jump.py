"""A place that cannot be reached is told with its reason, what is here is reached nevertheless, and the view stays."""

from typing import Any

import pytest

from jobmon_console.errors import RefusedError, UnreachableError
from jobmon_console.replies import Kept
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.output import FIRST, Output
from tests.console.tui.longfiles import LINES, WIDTH, Job, begin, is_typing, jump, line, part_of, told, top_of

WIDE = (120, 24)
SIZE = LINES * WIDTH  # bytes of the file
HERE = LINES - FIRST  # the first line that is here when it is opened


@pytest.fixture
def job(source: Any) -> Job:
    return Job(source)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("rotated", "the file was replaced by a new one"),
        ("gone", "the file is not there any more"),
        ("truncated", "the file was truncated"),
        ("silent", "no word from the job's agent"),
        ("offline", "no route to caf"),
    ],
)
@pytest.mark.parametrize("keys", [(), ("home",)])
async def test_a_place_that_does_not_come_is_told_and_what_is_seen_stays(
    console: Console,
    job: Job,
    output: Output,
    settle: Any,
    screen_text: Any,
    what: str,
    words: str,
    keys: tuple[str, ...],
) -> None:
    async with console.run_test(size=WIDE) as pilot:
        await begin(pilot, settle, output, *keys)
        stream, seen = output.stream, top_of(output)
        job.inode = {"rotated": 3, "gone": 0}.get(what, 2)
        job.lines = 7 if what == "truncated" else LINES
        job.trouble = {
            "silent": RefusedError("job-silent", "no word from the job's agent"),
            "offline": UnreachableError("no route to caf"),
        }.get(what)
        await jump(pilot, "45%")
        await settle(pilot, lambda: words in " ".join(each.message for each in console._notifications))

        assert output.stream is stream
        assert top_of(output) == seen
        assert words in " ".join(screen_text(console).split())


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("lost", "the job is lost: its agent does not answer any more; only what is here can be reached"),
        ("offline", "not connected; only what is here can be reached"),
    ],
)
@pytest.mark.parametrize("keys", [(), ("home",)])
async def test_where_nobody_can_be_asked_what_is_here_is_reached_and_it_is_said_why_not_more(
    source: Any,
    settle: Any,
    make_record: Any,
    screen_text: Any,
    state: str,
    words: str,
    keys: tuple[str, ...],
) -> None:
    job = Job(source)
    source.jobs = {"uuid-1": make_record(1)}
    console = Console([("caf", source)])
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, *keys)
        if state == "lost":
            source.change(make_record(1, state="lost"))
            await settle(pilot, lambda: output.target and output.target.row["state"] == "lost")
        else:
            source.breaks(UnreachableError("no route to caf"), for_good=True)
            await settle(pilot, lambda: not console.jobs.board.feeds[0].link.is_usable)
        asked, stream = len(job.ranges), output.stream
        await jump(pilot, "45%")
        assert words in " ".join(screen_text(console).split())
        assert is_typing(console)
        await pilot.press("escape")
        number = 2000 if keys else HERE + 100
        await jump(pilot, str(number * WIDTH))
        assert top_of(output) == line(number)
        assert output.stream is stream
        last = part_of(output).end // WIDTH - 1 if keys else LINES - 1
        await jump(pilot, str(last * WIDTH))
        assert output.is_seen(output.count() - 1)
        assert len(job.ranges) == asked


KEPT_LINES = 25_000  # of an ended job, more than a stream holds here
KEPT_FROM = 1000 * WIDTH + 7


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        ("50%", KEPT_LINES // 2, ""),
        (str(1001 * WIDTH), 1001, ""),
        (str(KEPT_LINES * WIDTH - 5 * FIRST * WIDTH), KEPT_LINES - 5 * FIRST, ""),
        ("1%", 1001, "this is the first that was kept"),
        ("0", 1001, "this is the first that was kept"),
        ("1G", None, "this is the end: stdout has 2.4M"),
    ],
)
async def test_of_a_job_that_has_ended_the_nearest_that_was_kept_is_reached(
    source: Any, settle: Any, make_record: Any, screen_text: Any, text: str, number: int | None, words: str
) -> None:
    job = Job(source, KEPT_LINES)

    async def content(call: Any) -> Kept:
        return Kept(job.read(KEPT_FROM, KEPT_LINES * WIDTH), KEPT_FROM, KEPT_LINES * WIDTH)

    source.content = content
    source.jobs = {"uuid-1": make_record(1, state="ended", exit={"code": 0, "signal": None})}
    console = Console([("caf", source)])
    output = console.jobs.detail.output
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot, lambda: output.stream.has_kept)
        await pilot.press("enter")
        await jump(pilot, text)
        await settle(pilot, lambda: not output.paging.is_under_way)

        if number is None:
            assert output.line == output.max_scroll_y
        else:
            assert top_of(output) == line(number)
        await settle(pilot, lambda: words in told(console, screen_text))
        assert ("this is" in told(console, screen_text)) is bool(words)


@pytest.mark.parametrize("file", ["stdout", "train.log"])
async def test_of_a_job_that_has_ended_the_nearest_line_is_gone_to_where_no_more_was_kept(
    source: Any, settle: Any, make_record: Any, screen_text: Any, file: str
) -> None:
    job = Job(source)

    async def content(call: Any) -> Kept:
        return Kept(job.read((LINES - 9) * WIDTH, SIZE), (LINES - 9) * WIDTH, SIZE)

    source.content = content
    source.jobs = {"uuid-1": make_record(1)}
    console = Console([("caf", source)])
    output = console.jobs.detail.output
    async with console.run_test(size=WIDE) as pilot:
        await begin(pilot, settle, output)
        output.choose(file)
        await settle(pilot, lambda: output.count() >= FIRST and output.reading)
        output.stream.is_told = True
        source.change(make_record(1, state="ended", exit={"code": 0, "signal": None}))
        await settle(pilot, lambda: output.target and output.target.row["state"] == "ended")
        await settle(pilot, lambda: output.stream.has_kept or file == "train.log")
        await jump(pilot, "45%")
        await settle(pilot, lambda: "the place was not kept: this is the nearest line" in told(console, screen_text))

        assert top_of(output) == line(HERE)
        assert not output.follows


async def test_where_nothing_was_printed_there_is_nothing_to_go_to(
    console: Console, source: Any, output: Output, settle: Any, screen_text: Any
) -> None:
    Job(source, 0)
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.reading and output.stream.place.identity)
        await jump(pilot, "45%")

        assert "nothing is here yet to go to" in screen_text(console)
        assert is_typing(console)
