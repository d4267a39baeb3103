"""A time or an age that is named leads to the first line that came then or later, as far as lines have times."""

from typing import Any

import pytest

from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.output import Output
from tests.console.tui.conftest import Clock
from tests.console.tui.longfiles import Job, begin, is_typing, jump, told, top_of

WIDE = (120, 24)
CAME = 1_795_392_000.0 - 3600  # 2026-11-22T23:00:00Z, an hour before the tests' clock began


@pytest.fixture
def job(source: Any) -> Job:
    return Job(source)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def console(source: Any, clock: Clock) -> Console:
    return Console([("caf", source)], now=clock)


def date(output: Output, *times: float) -> None:
    """Lines that come while one looks on, one at each of the moments."""
    for number, moment in enumerate(times):
        output.stream.feed(f"fresh {number}\n".encode(), moment)
    output.taken()


@pytest.mark.parametrize(
    ("text", "seen", "words"),
    [
        ("23:00:10", "fresh 10", ""),
        ("23:00:10Z", "fresh 10", ""),
        ("-59m", "fresh 60", ""),
        ("-3590s", "fresh 10", ""),
        ("22:59", "fresh 0", "this is the first line with a time"),
        ("-2h", "fresh 0", "this is the first line with a time"),
    ],
)
async def test_a_time_or_an_age_leads_to_the_first_line_that_came_then_or_later(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any, text: str, seen: str, words: str
) -> None:
    async with console.run_test(size=WIDE) as pilot:
        await begin(pilot, settle, output)
        date(output, *(CAME + number for number in range(100)))
        await jump(pilot, text)

        assert top_of(output) == seen
        assert not output.follows
        await settle(pilot, lambda: ("with a time" in told(console, screen_text)) is bool(words))
        assert words in told(console, screen_text)


async def test_between_two_lines_the_later_is_gone_to_and_behind_the_last_the_end(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=WIDE) as pilot:
        await begin(pilot, settle, output)
        date(output, CAME, *(CAME + 600 + number for number in range(50)))
        await jump(pilot, "23:05")
        assert top_of(output) == "fresh 1"
        await jump(pilot, "-5m")
        await settle(pilot, lambda: "no line has come since 23:55:00Z" in told(console, screen_text))

        assert output.line == output.max_scroll_y


async def test_the_first_line_of_a_file_needs_no_word_that_there_are_earlier_ones(
    console: Console, source: Any, output: Output, settle: Any, screen_text: Any
) -> None:
    Job(source, 0)
    async with console.run_test(size=WIDE) as pilot:
        await settle(pilot, lambda: output.reading and output.stream.place.identity)
        output.stream.has_begun = True
        date(output, *(CAME + number for number in range(100)))
        await pilot.press("enter")
        await jump(pilot, "-2h")

        assert top_of(output) == "fresh 0"
        assert "with a time" not in told(console, screen_text)


@pytest.mark.parametrize(
    ("keys", "words"), [((), "no line that is here has a time"), (("home",), "the lines of a part have no times")]
)
async def test_where_no_line_has_a_time_that_is_said_and_the_view_stays(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any, keys: tuple[str, ...], words: str
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, *keys)
        seen = top_of(output)
        await jump(pilot, "14:02")
        await settle(pilot, lambda: words in told(console, screen_text))

        assert is_typing(console)
        await pilot.press("escape")
        assert top_of(output) == seen
