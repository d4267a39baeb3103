"""A filter is completed, recalled, named, and explained when nothing matches; the console comes back as it was left."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from textual.events import Key

from jobmon_console.appearance import Appearance
from jobmon_console.preferences import Keeper, Preferences
from jobmon_console.tui.app import WELCOME, Console
from jobmon_console.tui.theme import LIGHT, THEMES


async def test_tab_completes_with_what_jobs_have(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    source.jobs["uuid-1"] = make_record(1, state="lost")
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", *"sta", "tab")
        await settle(pilot, lambda: console.jobs.filter.input.value == "state:")
        await settle(pilot, lambda: "running 6" in screen_text(console) and "lost 1" in screen_text(console))
        await pilot.press("l", "tab")
        await settle(pilot, lambda: console.jobs.board.filter == "state:lost")
        await pilot.press("enter")
        await settle(pilot, lambda: "Tab takes the first" not in screen_text(console))

        assert console.jobs.board.matching == 1


async def test_enter_right_behind_tab_takes_what_was_completed(console: Console, settle: Any) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", *"state:l")
        for key in ("tab", "enter"):
            console.post_message(Key(key, None))
        await settle(pilot, lambda: console.jobs.table.has_focus)

        assert console.jobs.board.filter == "state:lost"


async def test_the_arrows_go_through_earlier_filters_and_back(console: Console, settle: Any) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        field = console.jobs.filter.input
        for text in ("train-1", "train-2"):
            await pilot.press("slash", *["backspace"] * 10, *text.replace("-", "-"), "enter")
        await pilot.press("slash", *["backspace"] * 10, "x", "up")
        assert field.value == "train-2"
        await pilot.press("up", "up")
        assert field.value == "train-1"
        await pilot.press("down", "down", "down")
        assert field.value == "x"


async def test_a_filter_is_kept_as_a_view_opened_and_removed(console: Console, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", *"train-3", "enter", "V")
        await settle(pilot, lambda: "keep this filter" in screen_text(console))
        await pilot.press("end", "enter")
        await settle(pilot, lambda: "Name of the view" in screen_text(console))
        await pilot.press(*"mine", "enter")
        await settle(pilot, lambda: "comes with the console" in screen_text(console))
        await pilot.press(*["backspace"] * 4, *"third", "enter")
        await settle(pilot, lambda: console.jobs.views == {"third": "train-3"})
        await pilot.press("escape")
        await settle(pilot, lambda: console.jobs.board.matching == 7)
        await pilot.press("V")
        await settle(pilot, lambda: "third" in screen_text(console))
        await pilot.press("end", "up", "up", "enter")
        await settle(pilot, lambda: console.jobs.board.filter == "train-3")
        await pilot.press("V", "end", "enter", "enter")
        await settle(pilot, lambda: console.jobs.views == {})


async def test_nothing_matches_says_what_each_part_does(console: Console, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", *"state:running state:lost", "enter")
        await settle(pilot, lambda: "Nothing matches" in screen_text(console))

        rows = [row.split("▕")[-1].split() for row in screen_text(console).splitlines()]
        assert ["state:running", "7"] in rows
        assert ["state:lost", "0"] in rows


async def test_columns_that_have_no_room_say_so(console: Console, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("C")
        await settle(pilot, lambda: "in the headings" in screen_text(console))
        assert "no room for it" in screen_text(console)
        await pilot.resize_terminal(250, 40)
        await pilot.press("space", "space")  # another one is turned, and back: all are looked at again

        await settle(pilot, lambda: "no room for it" not in screen_text(console))


async def test_columns_are_hidden_and_shown(console: Console, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(160, 40)) as pilot:
        await settle(pilot, lambda: "OWNER" in screen_text(console))
        await pilot.press("C", "down", "down", "down", "space", "escape")
        await settle(pilot, lambda: "OWNER" not in screen_text(console))
        await pilot.press("C", "down", "down", "down", "enter", "escape")
        await settle(pilot, lambda: "OWNER" in screen_text(console))


async def test_the_console_comes_back_as_it_was_left(
    source: Any, make_source: Any, settle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def console() -> Console:
        again = make_source(list(source.jobs.values()))
        return Console([("caf", again)], keeper=Keeper(tmp_path / "console.json", ["caf"]))

    first = console()
    monkeypatch.setattr(first.jobs, "say", Mock())
    async with first.run_test(size=(160, 40)) as pilot:
        await settle(pilot, lambda: first.jobs.target)
        first.jobs.say.assert_called_once_with(WELCOME)
        await pilot.press("2", "z", "C", "down", "down", "down", "space", "escape", "greater_than_sign", "b")
        await pilot.press("slash", *"node:wn001", "enter")
        first.theme = LIGHT.name
        left = first.jobs.preferences()
    second = console()
    async with second.run_test(size=(160, 40)) as pilot:
        await settle(pilot, lambda: second.jobs.board.matching == 3)

        assert second.jobs.preferences() == left
        assert second.theme == LIGHT.name
        assert not second._notifications
    look = Appearance("high-contrast")
    chosen = Console(
        [("caf", make_source([]))], "state:lost", keeper=Keeper(tmp_path / "console.json", ["caf"]), look=look
    )
    async with chosen.run_test():
        assert chosen.jobs.board.filter == "state:lost"
        assert chosen.theme == THEMES["high-contrast"].name
    kept = Keeper(tmp_path / "console.json", ["caf"]).load()
    assert (kept.filter, kept.theme) == (left.filter, LIGHT.name)  # what was asked for at a start was for once
    assert left != Preferences()
