"""The field of a filter: what is typed narrows the list as it is typed, and what is wrong is said and not lost."""

from typing import Any

import pytest
from textual.events import Key, Paste

from jobmon_console.tui.app import Console
from jobmon_wire.selectors import LONGEST
from tests.console.tui import screens

KEYS = {"/": "slash", ":": "colon", "-": "minus"}  # as Textual names them


async def test_a_wrong_filter_points_at_the_character_and_keeps_the_last_good_list(
    console: Console, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", *"name:train-3 ", '"')
        await settle(pilot, lambda: "this quote is not closed" in screen_text(console))
        typed, complaint = screen_text(console).splitlines()[1:3]

        assert complaint.index("^") == typed.index('"')
        assert console.jobs.board.matching == 1


async def test_while_the_name_of_a_field_is_typed_the_list_stays_and_enter_means_what_stands_there(
    console: Console, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("down", "down")
        key, jobs = console.jobs.table.key, console.jobs.board.matching
        await pilot.press("slash", *"own")
        await settle(pilot, lambda: "owner:" in screen_text(console))
        assert (console.jobs.board.matching, console.jobs.table.key) == (jobs, key)
        await pilot.press("enter")
        await settle(pilot, lambda: "Nothing matches own" in screen_text(console))

        assert console.jobs.filter.input.value == console.jobs.board.filter == "own"


async def test_a_letter_of_a_filter_and_another_number_of_jobs_lay_nothing_out_anew(
    console: Console, settle: Any
) -> None:
    async with console.run_test(size=(140, 60)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", "t", "r")
        await settle(pilot, lambda: console.jobs.board.filter == "tr")
        await settle(pilot, lambda: console.jobs.table.count() == console.jobs.table.virtual_size.height - 2)
        widgets = [console.jobs.table, console.jobs.clusters, console.jobs.filter.input]
        before = [widget._layout_updates for widget in widgets]
        for count, letter in enumerate("ain-3", 3):
            await pilot.press(letter)
            await settle(pilot, lambda count=count: len(console.jobs.board.filter) == count)
        await pilot.press("space", "s")
        await settle(pilot, lambda: "state:" in screens.text_of(console))  # what is offered has its line already

        assert console.jobs.board.matching == 1
        assert console.jobs.table.virtual_size.height == 5
        assert [widget._layout_updates for widget in widgets] == before


async def test_what_is_typed_in_one_burst_behind_the_slash_reaches_the_filter(console: Console, settle: Any) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        for character in "/name:train-3":
            console.post_message(Key(KEYS.get(character, character), character))
        await settle(pilot, lambda: console.jobs.filter.input.value == "name:train-3")
        await settle(pilot, lambda: console.jobs.board.matching == 1)


async def test_enter_behind_a_wrong_filter_leaves_it_there_to_be_mended(
    console: Console, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", *"state:runing", "enter")
        await settle(pilot, lambda: "state is one of" in screen_text(console))
        assert console.jobs.filter.input.value == "state:runing"
        assert console.jobs.is_typing
        await pilot.press(*["backspace"] * 3, *"ning", "enter")
        await settle(pilot, lambda: console.jobs.table.has_focus)

        assert console.jobs.board.filter == "state:running"


@pytest.mark.parametrize("before", ["", "name:train-3"])
async def test_escape_behind_a_wrong_filter_gives_back_the_one_before(
    console: Console, settle: Any, before: str
) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        console.jobs.use_filter(before)
        await pilot.press("slash", *["backspace"] * len(before), *"foo:bar")
        await settle(pilot, lambda: console.jobs.board.matching == 0)
        await pilot.press("escape")
        await settle(pilot, lambda: console.jobs.board.matching == (1 if before else 7))

        assert console.jobs.board.filter == console.jobs.filter.input.value == before


async def test_a_job_that_half_a_word_hides_has_the_cursor_again_when_the_whole_one_does_not(
    console: Console, source: Any, make_record: Any, settle: Any
) -> None:
    for number in (1, 2, 3):
        source.jobs[f"uuid-{number}"] = make_record(number, name=f"st-{number}")
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        console.jobs.table.go_to("job uuid-5")
        await pilot.press("slash", *"st")
        await settle(pilot, lambda: console.jobs.board.matching == 3)
        assert console.jobs.table.key != "job uuid-5"
        await pilot.press(*"ate:run")
        await settle(pilot, lambda: console.jobs.board.matching == 7)

        assert console.jobs.table.key == "job uuid-5"


async def test_of_what_is_pasted_lines_become_one_and_what_is_too_long_is_cut_and_told(
    console: Console, settle: Any
) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash")
        field = console.jobs.filter.input
        field.post_message(Paste("state:running\n\nname:train-3\n"))
        await settle(pilot, lambda: field.value == "state:running name:train-3")
        field.value = "x"
        await pilot.press("home")
        field.post_message(Paste("y" * 2 * LONGEST))
        await settle(pilot, lambda: [each for each in console._notifications if "characters fit" in each.message])

        assert field.value == "y" * (LONGEST - 1) + "x"


async def test_a_complaint_that_does_not_fit_says_that_it_goes_on(
    console: Console, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", *"foo:bar")
        await settle(pilot, lambda: "no field 'foo'" in screen_text(console))

        assert screen_text(console).splitlines()[2].rstrip().endswith("…")


async def test_what_is_offered_as_mine_is_counted(console: Console, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", *"owner:")

        await settle(pilot, lambda: "me 7" in screen_text(console))
