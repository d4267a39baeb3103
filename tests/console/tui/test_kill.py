"""The dialog of signals asks for more than Enter where a mistake would be dear, and its outcomes can be read."""

from typing import Any

import pytest

from jobmon_console.errors import RefusedError
from jobmon_console.tui.app import Console


@pytest.mark.parametrize(("tags", "is_counted"), [({"protected": ""}, True), ({"project": "protected"}, False)])
async def test_a_job_that_its_owner_has_protected_asks_for_the_number(
    console: Console,
    source: Any,
    make_record: Any,
    settle: Any,
    screen_text: Any,
    tags: dict[str, str],
    is_counted: bool,
) -> None:
    source.jobs = {"uuid-1": make_record(1, tags=tags)}
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("x")
        await settle(pilot, lambda: "Send a signal to 1 job" in screen_text(console))
        assert ("it is a protected job: type 1 to confirm" in screen_text(console)) is is_counted
        await pilot.click("#send")
        await settle(pilot, lambda: is_counted or "1 of 1 answered" in screen_text(console))

        assert len([verb for verb, _ in source.asked if verb == "kill"]) == (not is_counted)


async def test_the_number_may_be_typed_at_once_and_enter_leads_to_the_button_it_allows(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("A", "x")
        await settle(pilot, lambda: "type 7 to confirm" in screen_text(console))
        await pilot.press("8", "enter")
        assert console.focused is not None
        assert console.focused.id == "cancel"
        await pilot.press("shift+tab", "backspace", "7", "enter")
        assert console.focused.id == "send"
        assert not [verb for verb, _ in source.asked if verb == "kill"]
        await pilot.press("enter")
        await settle(pilot, lambda: "7 of 7 answered" in screen_text(console))


async def test_the_outcome_is_seen_however_long_the_command_is(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    source.jobs = {"uuid-1": make_record(1, command="python train.py " + "--fold 7 " * 40)}
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("x")
        await settle(pilot, lambda: "python train.py --fold" in screen_text(console))
        await pilot.press("tab", "enter")

        await settle(pilot, lambda: "TERM to 2 processes" in screen_text(console))


async def test_the_buttons_are_seen_however_high_the_terminal_is(console: Console, settle: Any) -> None:
    async with console.run_test(size=(80, 20)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("A", "x")
        await settle(pilot, lambda: console.screen.query("#buttons"))
        for height in (20, 24, 31, 35, 40):
            await pilot.resize_terminal(80, height)
            await settle(pilot, lambda height=height: console.screen.size.height == height)
            dialog, buttons = (console.screen.query_one(each).region for each in ("#kill", "#buttons"))

            assert buttons.height
            assert buttons.bottom < dialog.bottom <= height


@pytest.mark.parametrize("size", [(60, 12), (60, 20), (80, 24), (200, 50)])
async def test_an_outcome_is_read_in_full_at_every_size(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any, size: tuple[int, int]
) -> None:
    why = "only the owner of this job may send a signal to it; " + " ".join(f"ask {n} on wn{n:03}" for n in range(12))
    source.kill_answer = RefusedError("not-permitted", why, {})
    source.jobs = {"uuid-1": make_record(1, command="python train.py " + "--fold 7 " * 40)}
    async with console.run_test(size=size) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("x")
        await settle(pilot, lambda: console.screen.query("#buttons"))
        await pilot.press("tab", "enter")
        await settle(pilot, lambda: "1 of 1 answered" in screen_text(console))
        seen: list[str] = []
        for _ in range(20):
            targets = console.screen.query_one("#targets")
            rows = [targets.render_line(y).text.strip(" →") for y in range(targets.size.height)]
            seen += [row for row in rows if row not in seen]
            await pilot.press("pagedown")
            await pilot.pause()

        assert why in " ".join(seen)


@pytest.mark.parametrize("protocol", [2, 1])
async def test_nothing_is_sent_through_a_server_that_speaks_another_protocol(
    console: Console, source: Any, settle: Any, screen_text: Any, protocol: int
) -> None:
    source.release = {"version": "2.0.0", "protocol": protocol}
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        assert ("read-only: server 2.0.0" in screen_text(console)) is (protocol == 2)
        targets = console.jobs.marked_or_current()
        await pilot.press("x")
        await settle(pilot, lambda: console.screen.query("#buttons"))

        assert console.screen.query_one("#send").disabled is (protocol == 2)
        assert ("nothing can be sent" in screen_text(console)) is (protocol == 2)
        (shot,) = console.site.volley.send(targets, "TERM")
        assert (shot.outcome.text == "not sent: the server speaks another protocol") is (protocol == 2)
