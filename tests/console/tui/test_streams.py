"""What was read of a stream stays, with its place, while another stream or another job is looked at, and offline."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobmon_console.errors import CutOffError, UnreachableError
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.output import FIRST, Output
from jobmon_console.tui.panes.stream import LAG, Stream
from jobmon_console.tui.panes.streams import AWAY, AWAY_LINES, FILES, Streams
from jobmon_wire.cursor import Cursor
from jobmon_wire.frames import DATA, NOTE, Frame
from jobmon_wire.limits import FRAME_PAYLOAD
from tests.console.tui.conftest import Clock, frame

LINES = 600


class Job:
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
def job(source: Any) -> Job:
    return Job(source)


@pytest.mark.parametrize("is_folded", [False, True])
async def test_a_stream_that_one_comes_back_to_is_where_it_was_with_all_its_lines(
    console: Console, job: Job, settle: Any, is_folded: bool
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
        job.files["stdout"] += b"fresh\n"
        await pilot.press("o")
        await settle(pilot, lambda: output.stream.unseen)

        assert output.file == "stdout"
        assert not output.follows
        assert output.stream.buffer.kept_lines == LINES + 1
        assert top_of(output) == "stdout line 10"
        assert "resume" in job.asked[-1]
        await pilot.press("o")
        await settle(pilot, lambda: output.file == "stderr")
        assert top_of(output) == on_stderr


async def test_a_stream_that_was_followed_is_seen_at_its_end(console: Console, job: Job, settle: Any) -> None:
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.count() >= FIRST)
        await pilot.press("enter", "o")
        await settle(pilot, lambda: output.file == "stderr" and output.count() >= FIRST)
        job.files["stdout"] += b"fresh\n"
        await pilot.press("o")
        await settle(pilot, lambda: output.count() == FIRST + 1 and output.scroll_offset.y == output.max_scroll_y)

        assert output.follows


async def test_a_text_is_looked_for_in_the_stream_that_is_shown(
    console: Console, job: Job, settle: Any, screen_text: Any
) -> None:
    output = console.jobs.detail.output
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: output.count() >= FIRST)
        await pilot.press("enter", "o", "o", "slash", *"line 599", "enter", "o")
        await settle(pilot, lambda: "1 match: line 599" in screen_text(console))

        assert output.file == "stderr"


async def test_no_more_files_are_kept_than_may_be(console: Console, job: Job, settle: Any) -> None:
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.count() >= FIRST)
        for name in (*(f"{number}.log" for number in range(FILES)), "stdout"):
            output.choose(name)
            await settle(pilot, lambda name=name: output.count() >= FIRST and output.reading)

        assert [file for _, file in output._streams] == ["1.log", "2.log", "3.log", "stdout"]
        assert [each["file"] for each in job.asked if "resume" not in each].count("stdout") == 2


async def test_a_job_that_runs_again_begins_with_nothing_of_the_run_before(
    console: Console, source: Any, job: Job, settle: Any, make_record: Any
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

        assert list(output._streams) == [("uuid-1", "stderr")]


async def test_a_job_that_was_lost_keeps_both_streams_and_goes_on(
    console: Console, source: Any, job: Job, settle: Any, make_record: Any
) -> None:
    output = console.jobs.detail.output
    source.jobs = {"uuid-1": make_record(1)}
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.count() >= FIRST)
        await pilot.press("enter", "o")
        await settle(pilot, lambda: output.file == "stderr" and output.count() >= FIRST)
        for state in ("lost", "running"):
            source.change(make_record(1, state=state))
            await settle(pilot, lambda state=state: output.target.row["state"] == state)

        assert len(list(output._streams)) == 2


@pytest.mark.parametrize(("other", "told"), [(49, " stderr 49B+: o "), (0, ""), (-7, "")])
async def test_while_a_job_runs_it_is_told_what_its_other_stream_has(
    source: Any, job: Job, settle: Any, make_record: Any, other: int, told: str
) -> None:
    clock = Clock()
    source.jobs = {"uuid-1": make_record(1, output_bytes=len(job.file("stdout")) + other)}
    console = Console([("caf", source)], now=clock, steady=clock)
    output = console.jobs.detail.output

    def head() -> str:
        return "".join(text for text, _ in output.head(0)) + " "

    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: output.count() >= FIRST and output.stream._due is not None)
        console.jobs.tick()
        assert "stderr" not in head()
        clock.at += LAG
        await settle(pilot, lambda: output.stream._due is None)

        assert told in head()
        assert ("stderr" in head()) == bool(told)
        source.change(make_record(1, output_bytes=len(job.file("stdout")) + 2048))
        await settle(pilot, lambda: output.stream._due is not None)
        clock.at += LAG
        await settle(pilot, lambda: "stderr 2.0K+: o" in head())


def test_what_has_not_come_yet_of_a_stream_is_not_taken_for_the_other_ones() -> None:
    stream = Stream("stdout")
    stream.go_on(frame(NOTE, {"kind": "at", "cursor": Cursor.at(1, 2, 0, b"").text()}))
    stream.reckon(10 * FRAME_PAYLOAD, 0.0)
    for _ in range(9):
        stream.go_on(frame(DATA, bytes(FRAME_PAYLOAD)))
        stream.feed(bytes(FRAME_PAYLOAD), 0.0)
        stream.reckon(10 * FRAME_PAYLOAD, LAG)
    assert stream.other == 0

    stream.go_on(frame(DATA, bytes(100)))
    stream.feed(bytes(100), LAG)
    assert stream.reckon(10 * FRAME_PAYLOAD, 2 * LAG)
    assert stream.other == FRAME_PAYLOAD - 100
    stream.leave(0, None)
    stream.reckon(11 * FRAME_PAYLOAD, 9 * LAG)
    assert stream.other == FRAME_PAYLOAD - 100


def test_a_file_of_the_sandbox_has_no_other_stream() -> None:
    stream = Stream("train.log")
    stream.go_on(frame(NOTE, {"kind": "at", "cursor": Cursor.at(1, 2, 0, b"").text()}))
    for now in (0.0, LAG):
        assert not stream.reckon(100, now)


async def test_another_job_and_back_finds_the_lines_and_the_place(console: Console, job: Job, settle: Any) -> None:
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.count() >= FIRST)
        uuid = output.target.uuid  # type: ignore[union-attr]
        await pilot.press("enter", "pageup", "pageup")
        seen = top_of(output)
        await pilot.press("escape", "down")
        await settle(pilot, lambda: output.target.uuid != uuid and output.count() >= FIRST)  # type: ignore[union-attr]
        assert output.follows
        job.files["stdout"] += b"fresh\n"
        await pilot.press("up")
        await settle(pilot, lambda: output.target.uuid == uuid and output.stream.unseen)  # type: ignore[union-attr]

        assert top_of(output) == seen
        assert not output.follows
        assert output.stream.text(output.count() - 1) == "fresh"


async def test_what_was_read_is_seen_offline_with_its_age_and_what_happens_next(
    source: Any, job: Job, settle: Any, screen_text: Any, make_record: Any
) -> None:
    clock, gate = Clock(), asyncio.Event()
    source.jobs = {f"uuid-{at}": make_record(at) for at in (1, 2)}
    answer = source._answer

    async def break_off(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        if gate.is_set():
            raise UnreachableError("no route to caf")
        stream = answer(verb, arguments)
        yield await anext(stream)
        yield await anext(stream)
        await gate.wait()
        raise CutOffError("caf broke off its answer; ask again")

    source._answer = break_off
    console = Console([("caf", source)], now=clock, steady=clock)
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        for uuid in ("uuid-1", "uuid-2"):
            await settle(pilot, lambda uuid=uuid: console.jobs.reveal(uuid))
            await settle(pilot, lambda uuid=uuid: output.target.uuid == uuid and output.count() >= FIRST)
        gate.set()
        await settle(pilot, lambda: "caf broke off its answer; asks again by itself" in screen_text(console))
        source.breaks(UnreachableError("no route to caf"), for_good=True)
        await settle(pilot, lambda: not console.jobs.board.feeds[0].link.is_usable)
        clock.at += 40.0
        console.jobs.reveal("uuid-1")
        await settle(pilot, lambda: output.target.uuid == "uuid-1")
        await settle(pilot, lambda: "asks when the server answers again" in " ".join(screen_text(console).split()))

        assert "as it was 40s ago; not connected" in " ".join(screen_text(console).split())
        assert "stdout line 599" in screen_text(console)
        await pilot.press("R")
        await settle(pilot, lambda: output._has_asked)
        assert "stdout line 599" in screen_text(console)


async def test_of_a_run_that_ended_nothing_is_seen_when_one_comes_back_to_the_next(
    source: Any, job: Job, settle: Any, make_record: Any
) -> None:
    source.jobs = {f"uuid-{at}": make_record(at) for at in (1, 2)}
    console = Console([("caf", source)])
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.reveal("uuid-1"))
        await settle(pilot, lambda: output.target.uuid == "uuid-1" and output.count() >= FIRST)
        output.stream.is_told = True
        for uuid in ("uuid-2", "uuid-1"):
            console.jobs.reveal(uuid)
            await settle(pilot, lambda uuid=uuid: output.target.uuid == uuid and output.count() >= FIRST)

        assert not output.stream.is_told
        assert "resume" not in job.asked[-1]


async def test_of_an_ended_job_that_was_read_to_its_end_nothing_is_awaited_when_the_server_is_back(
    source: Any, settle: Any, make_record: Any
) -> None:
    clock = Clock()
    source.jobs = {"uuid-1": make_record(1, state="ended", exit={"code": 0, "signal": None})}
    console = Console([("caf", source)], now=clock, steady=clock)
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: output.stream.has_kept)
        output.problem, output._has_asked = "not connected", False
        await settle(pilot, lambda: output._has_asked)

        assert output.troubles() == []


def test_of_other_jobs_the_last_lines_of_the_last_streams_are_kept() -> None:
    streams = Streams()
    for number in range(AWAY + 3):
        for file in ("stdout", "stderr")[: 1 + number % 2]:
            stream = Stream(file)
            stream.buffer.begin(0)
            stream.feed(b"line\n" * 2 * AWAY_LINES, 0.0)
            stream.caught_up()
            stream.follows, stream.top = False, AWAY_LINES + 7
            streams.put(f"uuid-{number}", stream)
        streams.leave(f"uuid-{number}")
    streams.put("uuid-now", Stream("stdout"))

    kept = list(streams)
    assert len(kept) == AWAY + 1
    assert kept[0] == ("uuid-5", "stderr")
    found = streams.get(*kept[0], True)
    assert found is not None
    assert (len(found.buffer.rows), found.buffer.before, found.top) == (AWAY_LINES, 5 * AWAY_LINES, 7)
