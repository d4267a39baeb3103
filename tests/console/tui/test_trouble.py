"""Why nothing newer comes stands once, under the tabs, with the age of what is shown; it goes when it is over."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from jobmon_console.errors import CutOffError, RefusedError, UnreachableError
from jobmon_console.link import LIVE, RETRYING, Link
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.events import Events
from jobmon_console.tui.panes.files import Files
from jobmon_console.tui.panes.pane import ASK_AGAIN, Pane, Target
from jobmon_console.tui.widgets.trouble import MOST
from jobmon_wire.frames import DATA, Frame
from tests.console.tui.conftest import Clock, frame

AWAY = UnreachableError("no route to caf")
NOT_YOURS = RefusedError("not-permitted", "only the owner may look at it")
DOWN = RefusedError("draining", "the server goes down; ask again in a moment")
SILENT = RefusedError("job-silent", "no word from the job's agent; ask again later")


class Rows(Pane):
    """A pane that shows what it is told."""

    rows = 1

    def count(self) -> int:
        return self.rows


def pane_of(state: str, kind: type[Pane] = Rows) -> Pane:
    """A pane that came by rows at 100 s; no console."""
    pane = kind("rows") if kind is Rows else kind()  # type: ignore[call-arg]
    link = Link(100.0, lambda: 0.5)
    link.synced(100.0)
    feed: Any = SimpleNamespace(link=link)
    pane.target, pane._now = Target(feed, "uuid-1", {"state": state}), 100.0
    pane.came()
    return pane


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NOT_YOURS, "as it was 7s ago; only the owner may look at it (R asks again)"),
        (SILENT, "as it was 7s ago; no word from the job's agent; asks again by itself"),
        (AWAY, "as it was 7s ago; no route to caf"),
        (DOWN, "as it was 7s ago; the server goes down; asks again by itself"),
    ],
)
def test_the_age_comes_first_and_a_key_is_named_only_where_nothing_is_asked_without_it(error: Any, told: str) -> None:
    pane = pane_of("running")
    pane._now = 107.0
    pane.ended(error)

    assert pane.troubles() == [told]


def test_nobody_is_asked_again_who_is_not_there() -> None:
    pane = pane_of("lost")
    pane.problem = pane.nobody(pane.target)  # type: ignore[arg-type]

    assert pane.troubles() == ["as it was 0s ago; the job is lost: its agent does not answer any more"]


def test_there_is_no_trouble_when_all_is_well_or_when_rows_say_it() -> None:
    pane = pane_of("running")
    assert pane.troubles() == []

    pane.ended(NOT_YOURS)
    pane.rows = 0  # type: ignore[attr-defined]
    assert pane.troubles() == []


@pytest.mark.parametrize(("state", "told"), [("running", ["as it was 7s ago; no word from the server"]), ("ended", [])])
def test_an_answer_whose_server_is_gone_is_not_shown_as_new_unless_there_is_nothing_new(
    state: str, told: list[str]
) -> None:
    pane = pane_of(state)
    answer: Any = object()
    pane.reading, pane._now = answer if state == "running" else None, 107.0
    pane.target.feed.link.broke(105.0, "")  # type: ignore[union-attr]

    assert pane.troubles() == told


def test_a_try_to_connect_is_no_word_from_the_server() -> None:
    pane = pane_of("running")
    link = pane.target.feed.link  # type: ignore[union-attr]
    link.broke(105.0, "")
    link.opening(106.0)
    pane._now = 107.0

    assert pane._heard() == 100.0


def test_of_list_and_preview_one_reason_is_told_once_and_another_with_the_name_of_its_file() -> None:
    files = Files()
    for pane in (files.list, files.preview):
        pane.target, pane.problem = pane_of("running").target, str(AWAY)
        pane.count = lambda: 1  # type: ignore[method-assign]
    files.preview.file = "out.log"
    assert files.troubles() == ["no route to caf (R asks again)"]

    files.preview.problem = "it cannot be read"
    assert files.troubles() == ["no route to caf (R asks again)", "out.log: it cannot be read (R asks again)"]

    files.list.problem = ""
    assert files.troubles() == ["out.log: it cannot be read (R asks again)"]


async def test_a_log_is_as_old_as_the_last_word_of_its_server_not_as_its_last_event(
    source: Any, settle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, clock = source.rows, Clock()

    broken, tries = asyncio.Event(), []

    async def follow(call: Any) -> AsyncIterator[dict[str, Any]]:
        is_log = call.path.endswith("/log")
        tries.extend(["log"] if is_log else [])
        if not (is_log and broken.is_set()):
            async for row in rows(call):
                yield row
        await broken.wait()
        raise CutOffError("the server broke off its answer")

    monkeypatch.setattr(source, "rows", follow)
    console = Console([("caf", source)], now=clock, steady=clock)
    events: Events = console.jobs.detail.events
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("6")
        await settle(pilot, lambda: events.count())

        async def goes_on(seconds: float) -> None:
            clock.at += seconds
            source.change(*source.jobs.values())  # a word from the server
            await settle(pilot, lambda: console.jobs.board.feeds[0].link.silence(clock.at) == 0.0)

        for _ in range(10):
            await goes_on(6.0)
        clock.at += 4.0  # the server is silent, and nobody knows yet what that means
        console.jobs.tick()
        broken.set()
        await settle(pilot, lambda: events.problem)
        await goes_on(ASK_AGAIN - 1.0)
        clock.at += 1.0
        await settle(pilot, lambda: len(tries) == 2 and events.reading is None)

        assert [text.partition(";")[0] for text in events.troubles()] == ["as it was 7s ago"]


async def test_a_list_does_not_wait_for_its_next_try_where_its_server_goes_on_with_another_answer(
    source: Any, settle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_back = asyncio.Event()

    async def tail(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        yield frame(DATA, b"one\n")
        await is_back.wait()
        yield frame(DATA, b"two\n")
        await asyncio.Event().wait()

    monkeypatch.setattr(source, "_answer", tail)
    clock = Clock()  # which stands: by itself the list would never be asked for again
    console = Console([("caf", source)], now=clock, steady=clock)
    link = console.jobs.board.feeds[0].link
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.detail.output.count())
        link.tries = 10
        source.breaks(AWAY)
        await settle(pilot, lambda: link.state == RETRYING)
        assert link.wait(clock.at)

        is_back.set()
        await settle(pilot, lambda: link.state == LIVE)


async def test_a_second_try_that_fails_takes_no_word_away_and_makes_nothing_younger(source: Any, settle: Any) -> None:
    clock = Clock()
    console = Console([("caf", source)], now=clock, steady=clock)
    info = console.jobs.detail.info
    answer, tries = source._answer, []

    async def refuse(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        if verb == "node":
            tries.append(verb)
            raise SILENT
        async for one in answer(verb, arguments):
            yield one

    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("5")
        await settle(pilot, lambda: info._node and info.reading is None)
        source._answer = refuse
        await pilot.press("R")
        await settle(pilot, lambda: info.problem)
        told = []

        def tried_again() -> bool:
            told.append(info.troubles())
            return len(tries) == 2 and info.reading is None

        clock.at += ASK_AGAIN
        await settle(pilot, tried_again)

        assert all(told)
        assert info.troubles()[0].startswith("as it was 3s ago; ")


async def test_a_long_reason_leaves_room_for_rows_and_goes_when_it_is_over(
    source: Any, settle: Any, screen_text: Any
) -> None:
    why = "a reason " * 40
    console = Console([("caf", source)])
    answer = source._answer

    async def refuse(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        async for one in answer(verb, arguments):
            yield one
            if verb == "top":
                raise RefusedError("not-permitted", why)

    source._answer = refuse
    async with console.run_test(size=(60, 12)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("enter", "2")
        trouble = console.jobs.detail.trouble
        await settle(pilot, lambda: trouble.display and trouble.size.height == MOST)
        lines = screen_text(console).splitlines()
        assert lines[2].startswith(" as it was 0s ago; a reason")
        assert lines[1 + MOST].rstrip().endswith("…")
        assert "bash" in lines[1 + MOST + 5]

        source._answer = answer
        await pilot.press("R")
        await settle(pilot, lambda: not trouble.display and "a reason" not in screen_text(console))
        assert "CPU 812%" in screen_text(console).splitlines()[2]


async def test_what_is_known_of_the_node_of_a_lost_job_is_not_shown_as_new(
    source: Any, make_record: Any, settle: Any
) -> None:
    console = Console([("caf", source)])
    info = console.jobs.detail.info
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("5")
        await settle(pilot, lambda: info._node)
        number = int(console.jobs.target.row["id"].rpartition("-")[2])  # type: ignore[union-attr]
        source.change(make_record(number, state="lost"))

        await settle(pilot, lambda: info._job.get("state") == "lost" and not info._node)
