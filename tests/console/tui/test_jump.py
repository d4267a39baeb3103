"""A place of the output that is named is at the top of the view, or it is said why not, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from textual.events import Key

from jobmon_console.tui import texts
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.earlier import PIECE
from jobmon_console.tui.panes.output import FIRST, Output
from jobmon_wire.frames import DATA, NOTE, Frame
from tests.console.tui.conftest import frame
from tests.console.tui.longfiles import (
    LINES,
    WIDTH,
    Job,
    at,
    begin,
    head_of,
    is_typing,
    is_whole,
    jump,
    line,
    part_of,
    told,
    top_of,
)

SIZE = LINES * WIDTH  # bytes of the file
HERE = LINES - FIRST  # the first line that is here when it is opened


@pytest.fixture
def job(source: Any) -> Job:
    return Job(source)


# Shares and bytes


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("45%", LINES * 45 // 100),
        ("0%", 0),
        ("99.9%", LINES * 999 // 1000),
        ("1234567", 12345),
        ("12345699", 123456),
        ("10M", 10 * 2**20 // WIDTH),
        ("0.5G", 2**29 // WIDTH),
    ],
)
async def test_a_share_or_a_byte_of_a_file_of_any_size_is_seen_at_once_from_the_start_of_its_line(
    console: Console, job: Job, output: Output, settle: Any, text: str, number: int
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await jump(pilot, text)
        await settle(pilot, lambda: output.is_part)

        assert top_of(output) == line(number)
        assert len(job.ranges) == 1
        assert not output.follows
        assert console.jobs.focused is output
        is_whole(part_of(output))
        assert f"at {texts.percent(min(99, 100 * number / LINES))}% of 954M" in head_of(output)
        await pilot.press("end")
        await settle(pilot, lambda: output.follows and output.count() == FIRST)


@pytest.mark.parametrize("is_folded", [False, True])
async def test_a_place_among_the_lines_that_are_here_is_scrolled_to_and_nothing_is_asked(
    console: Console, job: Job, output: Output, settle: Any, is_folded: bool
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        if is_folded:
            await pilot.press("w")
        await jump(pilot, str((LINES - 300) * WIDTH + 42))

        assert top_of(output) == line(LINES - 300)
        assert not output.follows
        assert not output.is_part
        assert job.ranges == []
        assert "f follows" in head_of(output)


@pytest.mark.parametrize(("text", "is_told"), [("100%", False), ("5T", True), (str(SIZE), True), ("9" * 30, True)])
@pytest.mark.parametrize("keys", [(), ("home",)])
async def test_what_is_beyond_the_end_is_the_end_and_that_is_said(
    console: Console,
    job: Job,
    output: Output,
    settle: Any,
    screen_text: Any,
    text: str,
    is_told: bool,
    keys: tuple[str, ...],
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, *keys)
        await pilot.press("pageup")
        await jump(pilot, text)
        await settle(pilot, lambda: output.follows and output.line == output.max_scroll_y)

        assert not output.is_part
        await settle(pilot, lambda: ("this is the end: stdout has 954M" in told(console, screen_text)) is is_told)


async def test_in_a_part_a_place_is_at_the_top_also_where_the_part_ends_soon_behind_it(
    console: Console, job: Job, output: Output, settle: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home")
        part = part_of(output)
        await jump(pilot, str(1000 * WIDTH))
        assert top_of(output) == line(1000)
        assert output.stream is part

        last = part.end // WIDTH - 1
        await jump(pilot, str(last * WIDTH))
        await settle(pilot, lambda: output.stream is not part)
        assert top_of(output) == line(last)
        assert output.line < output.max_scroll_y


async def test_a_place_in_what_is_followed_is_seen_there_also_from_a_part(
    console: Console, job: Job, output: Output, settle: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home")
        asked = len(job.ranges)
        job.lines += 3
        await jump(pilot, str((HERE + 200) * WIDTH))
        await settle(pilot, lambda: output.count() == FIRST + 3)

        assert not output.is_part
        assert top_of(output) == line(HERE + 200)
        assert not output.follows
        assert len(job.ranges) == asked


async def test_a_share_and_a_byte_are_of_the_file_as_it_is_now(
    console: Console, job: Job, output: Output, settle: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home")
        job.lines = 2 * LINES
        await jump(pilot, str(SIZE + 5000 * WIDTH))
        await settle(pilot, lambda: top_of(output) == line(LINES + 5000))
        job.lines = 4 * LINES
        await jump(pilot, "45%")
        await settle(pilot, lambda: top_of(output) == line(4 * LINES * 45 // 100))


async def test_bytes_that_were_skipped_are_asked_for(
    console: Console, source: Any, job: Job, output: Output, settle: Any
) -> None:
    skipped, rest = (LINES - 8000) * WIDTH, (LINES - 100) * WIDTH
    cat = source._answer

    async def answer(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        if verb == "tail" and arguments.get("lines") == FIRST:
            yield frame(NOTE, {"kind": "at", "cursor": at(skipped - FIRST * WIDTH)})
            yield frame(DATA, job.read(skipped - FIRST * WIDTH, skipped))
            yield frame(NOTE, {"kind": "skipped", "bytes": rest - skipped, "cursor": at(rest)})
            yield frame(DATA, job.read(rest, SIZE))
            await asyncio.Event().wait()
        async for each in cat(verb, arguments):
            yield each

    source._answer = answer
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await jump(pilot, str(rest))
        assert top_of(output) == line(LINES - 100)
        await jump(pilot, str(skipped + 4000 * WIDTH))
        await settle(pilot, lambda: output.is_part)

        assert top_of(output) == line(LINES - 4000)


@pytest.mark.parametrize("file", ["stderr", "train.log"])
async def test_places_are_of_the_stream_or_file_that_is_shown(
    console: Console, job: Job, output: Output, settle: Any, file: str
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        output.choose(file)
        await settle(pilot, lambda: output.count() >= FIRST and output.reading)
        await jump(pilot, "45%")
        await settle(pilot, lambda: output.is_part)

        assert top_of(output) == line(LINES * 45 // 100)
        assert f" {file}  at 45%" in head_of(output)


async def test_of_a_line_longer_than_a_piece_what_came_of_it_is_seen(
    console: Console, source: Any, output: Output, settle: Any
) -> None:
    job = Job(source)
    job.read = lambda start, end: b"x" * (min(end, SIZE) - start)  # type: ignore[method-assign]
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.count() and output.reading)
        await pilot.press("enter")
        await jump(pilot, "45%")
        await settle(pilot, lambda: output.is_part)

        assert set(top_of(output)[:50]) == {"x"}
        assert part_of(output).start == SIZE * 45 // 100 - PIECE


# The field


LONGEST = "a share (45%), bytes from the start (12M), a time (14:02) or an age (-10m) was expected"


@pytest.mark.parametrize(
    ("text", "words", "size"),
    [
        ("nonsense [b]", LONGEST, (60, 24)),
        ("nonsense [b]", LONGEST, (80, 24)),
        ("nonsense [b]", LONGEST, (200, 50)),
        ("150%", "a share from 0% to 100% was expected", (80, 24)),
        ("25:00", "a time of day such as 14:02 or 14:02:30 was expected, in UTC", (80, 24)),
        ("-10M", "an age such as -90s, -10m or -1h30m was expected", (80, 24)),
    ],
)
async def test_what_is_no_place_can_be_mended_and_loses_nothing(
    console: Console,
    job: Job,
    output: Output,
    settle: Any,
    screen_text: Any,
    text: str,
    words: str,
    size: tuple[int, int],
) -> None:
    async with console.run_test(size=size) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("enter")  # on a small terminal the list stands alone before that
        await begin(pilot, settle, output, "home", "pagedown")
        seen = top_of(output)
        await jump(pilot, text)
        pane = " ".join(screen_text(console).replace("│", " ").split())
        if size[0] < 200:  # beside the clusters another pane's words stand between
            assert words in pane
        assert words[-20:] in pane
        assert is_typing(console)
        assert console.jobs.detail.jump.input.value == text

        await pilot.press("home", *(["delete"] * len(text)), *"45")
        assert "expected" not in screen_text(console)
        await pilot.press(*"%", "escape")
        assert top_of(output) == seen
        assert not console.jobs.detail.jump.display
        await pilot.press("ctrl+g")
        assert console.jobs.detail.jump.input.value == ""


@pytest.mark.parametrize("text", ["50%", "0"])
async def test_where_all_of_it_is_on_the_screen_that_is_said_and_it_is_followed_on(
    console: Console,
    source: Any,
    output: Output,
    settle: Any,
    screen_text: Any,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    async def tail(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        yield frame(NOTE, {"kind": "at", "cursor": at(0)})
        yield frame(DATA, b"one\ntwo\n")
        await asyncio.Event().wait()

    monkeypatch.setattr(source, "_answer", tail)
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot, lambda: output.count() == 2)
        await pilot.press("1")
        await jump(pilot, text)
        await settle(pilot, lambda: "all of it is on the screen" in told(console, screen_text))

        assert output.follows


@pytest.mark.parametrize("leave", [("enter",), ("escape",), (" ", "enter"), (*"45%", "escape")])
@pytest.mark.parametrize("first", ["enter", "escape"])
async def test_a_field_that_is_left_empty_or_given_up_changes_nothing(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any, leave: tuple[str, ...], first: str
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        await pilot.press(first)
        # Without the last line: which keys mean something is told a moment after the key.
        focused, seen = console.jobs.focused, screen_text(console).splitlines()[11:-1]
        await pilot.press("ctrl+g")
        assert is_typing(console)
        assert "jump to 45%, 12M, 14:02 or -10m:" in screen_text(console)
        await settle(pilot, lambda: "↵ go there  Esc back" in screen_text(console))
        await pilot.press(*leave)
        await settle(pilot, lambda: screen_text(console).splitlines()[11:-1] == seen)

        assert console.jobs.focused is focused
        assert output.follows
        assert job.ranges == []


async def test_of_the_two_fields_one_is_there_at_a_time(
    console: Console, job: Job, output: Output, settle: Any
) -> None:
    detail = console.jobs.detail
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output, "home")
        await pilot.press("slash", *"event", "ctrl+g")
        assert (detail.find.display, detail.jump.display) == (True, False)  # a key that means nothing while one types
        await pilot.click("#jobs")
        await pilot.press("ctrl+g")
        assert (detail.find.display, detail.jump.display) == (False, True)
        await pilot.press("2")
        assert detail.tab == "output"
        assert detail.jump.input.value == "2"
        detail.open_tab("top")
        assert not detail.jump.display


async def test_a_place_that_comes_in_one_burst_with_its_keys_is_gone_to(
    console: Console, job: Job, output: Output, settle: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        for key, character in (("ctrl+g", None), ("4", "4"), ("5", "5"), ("percent_sign", "%"), ("enter", None)):
            console.post_message(Key(key, character))
        console.post_message(Key("down", None))
        await settle(pilot, lambda: output.is_part)

        assert top_of(output) in (line(LINES * 45 // 100), line(LINES * 45 // 100 + 1))


async def test_another_place_or_the_end_takes_back_one_that_has_not_come(
    console: Console, job: Job, output: Output, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await begin(pilot, settle, output)
        job.gate.clear()
        await jump(pilot, "45%")
        await settle(pilot, lambda: "954M before: asking" in screen_text(console))
        await jump(pilot, "12%")
        await settle(pilot, lambda: len(job.ranges) == 2)
        await pilot.press("end")
        job.gate.set()
        for _ in range(9):
            console.jobs.tick()
        await pilot.pause()
        assert output.follows
        job.gate.clear()
        await jump(pilot, "45%")
        await jump(pilot, "12%")
        job.gate.set()
        await settle(pilot, lambda: output.is_part)

        assert top_of(output) == line(LINES * 12 // 100)
