"""A tab asks anew, by itself, when the job's state says that somebody answers again or that nobody does any more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobmon_console.tui.app import Console
from jobmon_wire.cursor import Cursor
from jobmon_wire.frames import DATA, NOTE, Frame
from tests.console.tui.conftest import frame

LOST = "the job is lost"
TABS = {"2": ("top", "CPU 812%"), "3": ("ps", "python train.py"), "4": ("ls", "out.log")}


def asked(source: Any, verb: str) -> list[dict[str, Any]]:
    """The arguments of each call of a verb."""
    return [arguments for each, arguments in source.asked if each == verb]


@pytest.fixture
def one(make_source: Any, make_record: Any) -> Any:
    """A server with one job."""
    return make_source([make_record(1)])


@pytest.mark.parametrize("tab", TABS)
async def test_a_job_that_is_lost_and_comes_back_is_asked_without_a_key(
    one: Any, make_record: Any, settle: Any, screen_text: Any, tab: str
) -> None:
    console, (verb, seen) = Console([("caf", one)]), TABS[tab]
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press(tab)
        await settle(pilot, lambda: seen in screen_text(console))
        one.change(make_record(1, state="lost"))
        await settle(pilot, lambda: LOST in screen_text(console))
        assert len(asked(one, verb)) == 1
        assert verb not in one.open

        one.change(make_record(1))
        await settle(pilot, lambda: len(asked(one, verb)) == 2 and LOST not in screen_text(console))

        assert seen in screen_text(console)


@pytest.mark.parametrize(("tab", "verb", "seen"), [("1", "tail", "step 39"), ("2", "top", "CPU 812%")])
async def test_an_answer_that_goes_on_is_not_given_up_for_a_beat_that_was_not_heard(
    one: Any, make_record: Any, settle: Any, screen_text: Any, tab: str, verb: str, seen: str
) -> None:
    console = Console([("caf", one)])
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press(tab)
        await settle(pilot, lambda: seen in screen_text(console))
        for state in ("silent", "running"):
            one.change(make_record(1, state=state))
            await settle(pilot, lambda state=state: console.jobs.detail.lines.target.row["state"] == state)

        assert (one.open, len(asked(one, verb))) == ([verb], 1)


async def test_a_log_is_followed_again_when_its_job_is_back(
    one: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    one.jobs = {"uuid-1": make_record(1, state="lost")}
    console = Console([("caf", one)])
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("6")
        await settle(pilot, lambda: "registered on" in screen_text(console))
        one.events = [*one.events, {"seq": 2, "at": 1.7e9, "kind": "returned", "text": "it is back"}]
        one.change(make_record(1))

        await settle(pilot, lambda: "it is back" in screen_text(console))


@pytest.mark.parametrize("state", ["running", "ended"])
async def test_output_of_a_job_that_was_lost_goes_on_where_it_was(
    one: Any, make_record: Any, settle: Any, screen_text: Any, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    async def tail(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        place = Cursor.read(arguments["resume"]).offset if "resume" in arguments else 89
        yield frame(NOTE, {"kind": "at", "cursor": Cursor.at(1, 2, place, b"").text()})
        yield frame(DATA, b"first half\n" if place == 89 else b"last words\n")
        await asyncio.Event().wait()

    monkeypatch.setattr(one, "_answer", tail)
    console = Console([("caf", one)])
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "first half" in screen_text(console))
        one.change(make_record(1, state="lost"))
        await settle(pilot, lambda: LOST in screen_text(console))
        one.change(make_record(1, state=state, exit={"code": 0} if state == "ended" else None))
        await settle(pilot, lambda: "last words" in screen_text(console))

        assert screen_text(console).count("first half") == 1
        assert LOST not in screen_text(console)
