"""The tabs ask only for what is looked at, show it, and stop asking."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import Mock

import pytest

from jobmon_console.errors import CutOffError, RefusedError
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes import pane
from jobmon_wire.cursor import Cursor
from jobmon_wire.documents import write_document
from jobmon_wire.frames import DATA, NOTE, RECORD, Frame


async def open_files(console: Console, pilot: Any, settle: Any, screen_text: Any) -> None:
    """The first job's files, the keys in their list."""
    await settle(pilot, lambda: console.jobs.target)
    await pilot.press("4", "enter")
    await settle(pilot, lambda: "out.log" in screen_text(console))


async def test_choosing_another_job_cancels_the_streams_of_the_one_before(
    console: Console, source: Any, settle: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: source.open == ["tail"])
        await pilot.press("down")
        await settle(pilot, lambda: len([verb for verb, _ in source.asked if verb == "tail"]) == 2)

        assert source.open == ["tail"]
        assert len({arguments["job"] for verb, arguments in source.asked if verb == "tail"}) == 2


async def test_only_the_tab_on_the_screen_asks(console: Console, source: Any, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: source.open == ["tail"])
        await pilot.press("2")
        await settle(pilot, lambda: source.open == ["top"])
        await settle(pilot, lambda: "CPU 812%" in screen_text(console))
        await pilot.press("z", "z")
        await settle(pilot, lambda: source.open == [])


@pytest.mark.parametrize("width", [160, 80, 60])
async def test_the_tabs_name_the_job_that_is_shown_at_any_width(
    console: Console, settle: Any, screen_text: Any, width: int
) -> None:
    async with console.run_test(size=(width, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("enter")
        bar = console.jobs.detail.bar
        job = str(console.jobs.target.row["id"])  # type: ignore[union-attr]

        await settle(pilot, lambda: job in screen_text(console).splitlines()[bar.region.y])
        row = screen_text(console).splitlines()[bar.region.y]
        assert "1 Output" in row
        assert all(f" {number} " in row for number in range(2, 7))


async def test_one_process_is_not_several(console: Console, source: Any, settle: Any, screen_text: Any) -> None:
    async def top(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        yield Frame(RECORD, bytes(16), write_document({"job": {"processes": 1, "threads": 1}, "processes": []}))
        await asyncio.Event().wait()

    source._answer = top
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("2")
        await settle(pilot, lambda: "1 process, 1 thread " in screen_text(console))


@pytest.mark.parametrize("width", [200, 80, 60])
@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            RefusedError("not-permitted", "only the owner may look at the processes of this job", {}),
            "only the owner may",
        ),
        (None, "the agent sends no more"),
    ],
)
async def test_top_says_why_nothing_newer_comes_and_keeps_the_last_sample(
    console: Console, source: Any, settle: Any, screen_text: Any, error: Any, why: str, width: int
) -> None:
    async def top(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        processes = [{"pid": 77, "name": "reco"}]
        yield Frame(RECORD, bytes(16), write_document({"job": {"processes": 1}, "processes": processes}))
        if error is not None:
            raise error

    source._answer = top
    async with console.run_test(size=(width, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("enter", "2")
        await settle(pilot, lambda: "R asks again" in " ".join(screen_text(console).split()))

        assert why in " ".join(screen_text(console).split())
        assert "reco" in screen_text(console)


async def test_scrolling_up_stops_following_and_the_end_resumes_it(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "step 39" in screen_text(console))
        await pilot.press("enter", "k", "k")
        assert not console.jobs.detail.output.follows
        await pilot.press("G")
        assert console.jobs.detail.output.follows


async def test_notes_of_the_stream_stand_between_its_lines(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.notes = [{"kind": "rotated"}, {"kind": "skipped", "bytes": 2048}, {"kind": "waiting"}]
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "waiting for stdout" in screen_text(console))

        assert "replaced by a new one" in screen_text(console)
        assert "2048 bytes were skipped" in screen_text(console)


async def test_an_ended_job_shows_its_last_words_and_asks_no_agent(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    source.jobs = {"uuid-1": make_record(1, state="ended", exit={"code": 3, "signal": None, "source": "wrap"})}
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "last words" in screen_text(console))
        assert "ended 3" in screen_text(console)
        await pilot.press("2")
        await settle(pilot, lambda: "nobody to ask" in screen_text(console))

        assert source.open == []
        assert {verb for verb, _ in source.asked} == {"output"}


async def test_output_that_breaks_off_goes_on_with_the_next_byte(
    console: Console, source: Any, settle: Any, screen_text: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pane, "ASK_AGAIN", 0.05)
    asked = []

    async def tail(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        asked.append(arguments)
        if len(asked) > 1:
            yield Frame(DATA, bytes(16), b"second\n")
            await asyncio.Event().wait()
        yield Frame(NOTE, bytes(16), write_document({"kind": "at", "cursor": Cursor.at(1, 2, 100, b"").text()}))
        yield Frame(DATA, bytes(16), b"einmal\n")
        raise CutOffError("the server broke off its answer")

    monkeypatch.setattr(source, "_answer", tail)
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "going on when it can be had" in screen_text(console))
        await settle(pilot, lambda: "second" in screen_text(console))
        await settle(pilot, lambda: "the server broke off" not in screen_text(console))

        assert screen_text(console).count("einmal") == 1
    assert "resume" not in asked[0]
    assert Cursor.read(asked[1]["resume"]).offset == 107
    assert asked[1]["latest"] is True


@pytest.mark.parametrize(("columns", "ends"), [(120, "|........|"), (240, "|................|")])
async def test_a_dump_is_seen_whole_however_wide_the_preview_is(
    console: Console, source: Any, settle: Any, screen_text: Any, columns: int, ends: str
) -> None:
    source.output = bytes(64)
    async with console.run_test(size=(columns, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("4", "enter", "z")
        await settle(pilot, lambda: "out.log" in screen_text(console))
        await pilot.press("down")

        await settle(pilot, lambda: any(line.rstrip().endswith(ends) for line in screen_text(console).splitlines()))


async def test_files_are_entered_previewed_and_followed(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("4", "tab")
        await settle(pilot, lambda: "data/" in screen_text(console))
        await pilot.press("enter")
        await settle(pilot, lambda: "../" in screen_text(console))
        paths = [arguments["path"] for verb, arguments in source.asked if verb == "ls"]
        await pilot.press("down", "down")
        await settle(pilot, lambda: "step 1" in screen_text(console))
        await pilot.press("enter")
        await settle(pilot, lambda: "tail" in source.open)

        assert paths == [".", "data"]
        assert source.asked[-1][1]["file"] == "data/out.log"


@pytest.mark.parametrize("number", [3, 100])
async def test_when_a_file_was_changed_is_seen_whole_also_beside_a_scrollbar(
    console: Console, source: Any, settle: Any, screen_text: Any, number: int
) -> None:
    source.entries = [dict(source.entries[1], name=f"f{at:03}", modified=1.7e9) for at in range(number)]
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("4", "enter")
        await settle(pilot, lambda: "f001" in screen_text(console))

        assert "11-14 22:13" in screen_text(console)


async def test_the_cursor_stays_on_its_file_when_others_come_before_it(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    files = console.jobs.detail.files.list
    async with console.run_test(size=(140, 40)) as pilot:
        await open_files(console, pilot, settle, screen_text)
        await pilot.press("down")
        assert files.chosen["name"] == "out.log"

        source.entries = [dict(source.entries[1], name="a.log"), *source.entries]
        await pilot.press("R")
        await settle(pilot, lambda: "a.log" in screen_text(console))

        assert files.chosen["name"] == "out.log"


async def test_a_file_that_went_does_not_take_the_cursor_when_it_comes_back(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    files, (data, log) = console.jobs.detail.files.list, source.entries
    async with console.run_test(size=(140, 40)) as pilot:
        await open_files(console, pilot, settle, screen_text)
        await pilot.press("down")

        for entries in ([data], [data, log]):
            source.entries = entries
            await pilot.press("R")
            await settle(pilot, lambda entries=entries: files.count() == len(entries) and files.reading is None)

        assert files.chosen["name"] == "data"


async def test_the_cursor_is_where_it_was_when_the_tab_is_seen_again(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    files = console.jobs.detail.files.list
    async with console.run_test(size=(140, 40)) as pilot:
        await open_files(console, pilot, settle, screen_text)
        await pilot.press("down", "5")
        await settle(pilot, lambda: "Registration" in screen_text(console))

        source.entries = [dict(source.entries[1], name="a.log"), *source.entries]
        await pilot.press("4")
        await settle(pilot, lambda: files.count() == 3 and files.reading is None)

        assert files.chosen["name"] == "out.log"


async def test_why_there_are_no_files_is_seen_whole_in_a_narrow_pane(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    source.jobs = {"uuid-1": make_record(1, state="ended", exit={"code": 0})}
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("4")

        def said() -> bool:
            words = " ".join(line.partition("▕")[0].strip() for line in screen_text(console).splitlines())
            return "the job has ended: there is nobody to ask" in " ".join(words.split())

        await settle(pilot, said)


@pytest.mark.parametrize("columns", range(78, 83))
async def test_the_tabs_name_the_job_at_every_width(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any, columns: int
) -> None:
    source.jobs = {"uuid-1": make_record(1, id="demo-crash-1", state="ended", exit={"signal": "SEGV"})}
    async with console.run_test(size=(columns, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("enter")
        await settle(
            pilot,
            lambda: any("1 Output" in line and "demo-crash-1" in line for line in screen_text(console).splitlines()),
        )


async def test_info_and_events_show_what_is_known(console: Console, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(140, 60)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("5")
        await settle(pilot, lambda: "Registration" in screen_text(console) and "kernel" in screen_text(console))
        await pilot.press("6")
        await settle(pilot, lambda: "registered on wn001" in screen_text(console))


async def test_a_kill_names_its_frozen_targets_and_begins_on_cancel(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        name = console.jobs.target.row["command"]  # type: ignore[union-attr]
        await pilot.press("x")
        await settle(pilot, lambda: "Send a signal to 1 job" in screen_text(console))
        assert name in screen_text(console)
        await pilot.press("enter")
        await settle(pilot, lambda: console.screen is console.jobs)
        assert not [verb for verb, _ in source.asked if verb == "kill"]

        await pilot.press("x", "shift+tab", "right", "tab", "tab", "enter")
        await settle(pilot, lambda: "to 2 processes" in screen_text(console))

        assert [arguments["signal"] for verb, arguments in source.asked if verb == "kill"] == ["INT"]


async def test_more_than_a_handful_of_targets_must_be_counted(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("A", "x")
        await settle(pilot, lambda: "type 7 to confirm" in screen_text(console))
        await pilot.click("#send")
        assert not [verb for verb, _ in source.asked if verb == "kill"]
        await pilot.click("#number")
        await pilot.press("7")
        await pilot.click("#send")
        await settle(pilot, lambda: "7 of 7 answered" in screen_text(console))

        assert len([verb for verb, _ in source.asked if verb == "kill"]) == 7


async def test_a_refused_kill_says_why(console: Console, source: Any, settle: Any, screen_text: Any) -> None:
    source.kill_answer = RefusedError("not-permitted", "administrators may look, not signal")
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("x", "tab", "enter")
        await settle(pilot, lambda: "administrators may look" in screen_text(console))


async def test_another_zoom_has_the_widgets_styled_once(
    console: Console, settle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        styled = Mock(wraps=console.jobs.update_node_styles)
        monkeypatch.setattr(console.jobs, "update_node_styles", styled)
        await pilot.press("z")
        await pilot.pause()

        assert console.jobs.has_class("-zoom-full")
        assert styled.call_count == 1
