"""Each stream of a job keeps its lines and its place while another one is looked at."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.output import FILES, FIRST, Output
from jobmon_wire.cursor import Cursor
from jobmon_wire.frames import DATA, NOTE, Frame
from tests.console.tui.conftest import frame

LINES = 600


class Streams:
    """A running job's files, each of which has more lines than the pane begins with, and grows when it is told to."""

    def __init__(self, source: Any) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[dict[str, Any]] = []
        source._answer = self._answer

    def file(self, name: str) -> bytes:
        """All that it holds."""
        return self.files.setdefault(name, b"".join(b"%s line %d\n" % (name.encode(), at) for at in range(LINES)))

    async def _answer(self, verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        file = self.file(arguments["file"])
        self.asked.append({"verb": verb} | arguments)
        if verb == "cat":
            yield frame(DATA, file[arguments["offset"] : arguments["offset"] + arguments["length"]])
            return
        if "resume" in arguments:
            start = Cursor.read(arguments["resume"]).offset
        else:
            start = len(file) - len(b"".join(file.splitlines(keepends=True)[-arguments["lines"] :]))
        yield frame(NOTE, {"kind": "at", "cursor": Cursor.at(1, 2, start, b"").text()})
        if start < len(file):
            yield frame(DATA, file[start:])
        await asyncio.Event().wait()


def top_of(output: Output) -> str:
    """The first line that is seen."""
    return output.stream.text(output.stream.row_at(output.scroll_offset.y))


@pytest.fixture
def streams(source: Any) -> Streams:
    return Streams(source)


@pytest.mark.parametrize("is_folded", [False, True])
async def test_a_stream_that_one_comes_back_to_is_where_it_was_with_all_its_lines(
    console: Console, streams: Streams, settle: Any, is_folded: bool
) -> None:
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.count() >= FIRST)
        await pilot.press("enter", "home")
        await settle(pilot, lambda: output.count() == LINES)
        await pilot.press("pagedown", "down", "o")
        await settle(pilot, lambda: output.file == "stderr" and output.count() >= FIRST)
        assert output.follows
        await pilot.press("pageup")
        assert not output.follows
        on_stderr = top_of(output)
        if is_folded:
            await pilot.press("w")
        streams.files["stdout"] += b"fresh\n"
        await pilot.press("o")
        await settle(pilot, lambda: output.stream.unseen)

        assert output.file == "stdout"
        assert not output.follows
        assert output.stream.buffer.kept_lines == LINES + 1
        assert top_of(output) == "stdout line 10"
        assert "resume" in streams.asked[-1]
        await pilot.press("o")
        await settle(pilot, lambda: output.file == "stderr")
        assert top_of(output) == on_stderr


async def test_a_stream_that_was_followed_is_seen_at_its_end(console: Console, streams: Streams, settle: Any) -> None:
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.count() >= FIRST)
        await pilot.press("enter", "o")
        await settle(pilot, lambda: output.file == "stderr" and output.count() >= FIRST)
        streams.files["stdout"] += b"fresh\n"
        await pilot.press("o")
        await settle(pilot, lambda: output.count() == FIRST + 1 and output.scroll_offset.y == output.max_scroll_y)

        assert output.follows


async def test_a_text_is_looked_for_in_the_stream_that_is_shown(
    console: Console, streams: Streams, settle: Any, screen_text: Any
) -> None:
    output = console.jobs.detail.output
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: output.count() >= FIRST)
        await pilot.press("enter", "o", "o", "slash", *"line 599", "enter", "o")
        await settle(pilot, lambda: "of 1 line with line 599" in screen_text(console))

        assert output.file == "stderr"


async def test_no_more_files_are_kept_than_may_be(console: Console, streams: Streams, settle: Any) -> None:
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.count() >= FIRST)
        for name in (*(f"{number}.log" for number in range(FILES)), "stdout"):
            output.choose(name)
            await settle(pilot, lambda name=name: output.count() >= FIRST and output.reading)

        assert list(output._streams) == ["1.log", "2.log", "3.log", "stdout"]
        assert [each["file"] for each in streams.asked if "resume" not in each].count("stdout") == 2


async def test_a_job_that_runs_again_begins_with_nothing_of_the_run_before(
    console: Console, source: Any, streams: Streams, settle: Any, make_record: Any
) -> None:
    output = console.jobs.detail.output
    source.jobs = {"uuid-1": make_record(1)}
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.count() >= FIRST)
        await pilot.press("enter", "o")
        await settle(pilot, lambda: output.file == "stderr" and output.count() >= FIRST)
        for state in ("ended", "running"):
            source.change(make_record(1, state=state, exit={"code": 0} if state == "ended" else None))
            await settle(pilot, lambda state=state: output.target.row["state"] == state)

        assert list(output._streams) == ["stderr"]
