"""Every key of the table means what the table says, where it says, and nothing takes it away."""

from collections import Counter
from typing import Any

import pytest
from textual.binding import BindingsMap
from textual.events import Key
from textual.widget import Widget
from textual.widgets import Input

from jobmon_console import keys
from jobmon_console.errors import UsageError
from jobmon_console.keys import KEYS, MOVES
from jobmon_console.tui.app import Console
from jobmon_console.tui.bindings import IN_DIALOGS
from jobmon_console.tui.screens.jobs import JobsScreen
from jobmon_console.tui.screens.kill import Kill
from jobmon_console.tui.widgets.filter import SelectorInput

# What a person types into a text field edits the text: those keys are the field's while it has the focus.
EDITING = {"left", "right", "home", "end", "backspace", "delete", "enter", "ctrl+u", "ctrl+d"}
COMPLETING = {"tab", "up", "down"}  # a selector's field completes, and recalls earlier ones


def test_no_key_means_two_things() -> None:
    counted = Counter(key for entry in KEYS for key in entry.keys)

    assert {key: count for key, count in counted.items() if count > 1} == {}


def test_no_key_is_one_that_terminals_and_multiplexers_keep() -> None:
    assert not keys.UNUSABLE & {key for entry in KEYS for key in entry.keys}


def test_k_is_up_and_killing_is_x() -> None:
    assert "k" in keys.BY_ID["up"].keys
    assert keys.BY_ID["kill"].keys == ("x", "delete")


def test_a_person_can_have_other_keys() -> None:
    table = {key.id: key.keys for key in keys.remapped({"kill": "K", "up": "up, ctrl+k"})}

    assert (table["kill"], table["up"], table["down"]) == (("K",), ("up", "ctrl+k"), ("down", "j"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kil": "K"}, "nothing called 'kil'"),
        ({"kill": "ctrl+a"}, "terminals keep ctrl"),
        ({"kill": "j"}, "j would mean both down and kill"),
        ({"kill": " , "}, "kill needs a key"),
    ],
)
def test_keys_that_cannot_be_are_refused_with_the_reason(changes: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why.replace("+", r"\+")):
        keys.remapped(changes)


def test_every_key_has_something_to_do() -> None:
    special = set(MOVES) | {f"tab_{tab}" for tab in keys.TABS}

    assert [key.id for key in KEYS if key.id not in special and not hasattr(JobsScreen, "do_" + key.id)] == []
    assert set(IN_DIALOGS) <= set(keys.BY_ID)


COPYING = {"ctrl+c", "super+c", ""}  # Textual's own: copying selected text, and quitting


async def test_no_widget_takes_a_key_of_the_table(console: Console) -> None:
    async with console.run_test(size=(140, 40)):
        bound = (_bound(console.jobs._bindings) | _bound(console._bindings)) - COPYING
        taken = {
            (type(widget).__name__, key)
            for widget in console.jobs.query(Widget)
            for key in _bound(widget._bindings) & bound
            if not (isinstance(widget, Input) and key in EDITING)
            and not (isinstance(widget, SelectorInput) and key in COMPLETING)
        }

        assert taken == set()
        assert len(bound) >= sum(len(key.keys) for key in KEYS)


def _bound(bindings: BindingsMap) -> set[str]:
    return set(bindings.key_to_bindings)


SCOPES: dict[str, list[str]] = {
    keys.SCREEN: [],
    keys.LIST: [],
    keys.TABLE: [],
    keys.OUTPUT: [],
    keys.APP: [],
    keys.FILES: ["4", "tab"],
}


@pytest.mark.parametrize("scope", SCOPES)
async def test_every_key_of_a_scope_does_what_the_table_says(
    scope: str, console: Console, settle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press(*SCOPES[scope])
        await settle(pilot, lambda: True)
        monkeypatch.setattr(JobsScreen, "action_do", lambda self, id_: done.append(id_))
        for key in KEYS:
            for name in key.keys if key.scope == scope else ():
                done.clear()
                await pilot.press(name)

                assert done == [key.id], f"{name} should have been {key.id}"


async def test_letters_are_letters_while_a_filter_is_typed(console: Console, settle: Any) -> None:
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", *"xqk3")

        assert console.jobs.filter.input.value == "xqk3"
        assert console.screen is console.jobs


async def test_q_quits_in_the_list_and_nowhere_else(console: Console, settle: Any) -> None:
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("enter", "q")
        assert not console._exit

        await pilot.press("escape", "q")
        assert console._exit


async def test_escape_leaves_input_then_filter_then_pane_and_never_quits(console: Console, settle: Any) -> None:
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", *"train", "enter", "enter", "question_mark")
        jobs = console.jobs
        steps = []
        for _ in range(5):
            on_top = console.screen is jobs
            steps.append((on_top, jobs.board.filter, jobs.detail.has_focus_within))
            await pilot.press("escape")

        assert steps[:4] == [(False, "train", True), (True, "train", True), (True, "", True), (True, "", False)]
        assert not console._exit


async def test_the_footer_names_the_keys_that_are_valid_now(console: Console, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        in_table = screen_text(console).splitlines()[-1]
        await pilot.press("4", "tab")
        await settle(pilot, lambda: "tail" in screen_text(console).splitlines()[-1])
        in_files = screen_text(console).splitlines()[-1]

        assert "space mark" in in_table
        assert "space mark" not in in_files


async def test_help_and_palette_come_from_the_same_table(console: Console, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(120, 110)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("question_mark")
        await settle(pilot, lambda: "Keys" in screen_text(console))
        text = screen_text(console)

        assert [key.help for key in KEYS if key.help not in text] == []

        await pilot.press("escape", "ctrl+p", *"reverse")
        await settle(pilot, lambda: keys.BY_ID["reverse"].help in screen_text(console))
        await pilot.press("enter")
        await settle(pilot, lambda: console.jobs.board.is_reversed)


async def test_quit_behind_a_key_that_closes_a_dialog_is_not_lost_with_it(console: Console, settle: Any) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("x")
        await settle(pilot, lambda: isinstance(console.screen, Kill))

        for key in ("enter", "ctrl+q"):  # in one burst; Enter is on Cancel
            console.post_message(Key(key, None))

        await settle(pilot, lambda: console.return_code == 0)


BURSTS = [
    [*"/name:train-", "3", "enter", "enter"],
    ["slash", *"name:train-4", "enter", "x", "enter", "ctrl+u"],
    ["j", "j", "space", "slash", *"own", "tab", *"alice", "enter", "k", "space"],
    ["enter", "slash", *"step 3", "enter", "escape", "escape", "slash", *"x U A", "home", "delete", *"1", "enter"],
    ["f2", "escape", "f3", "escape", "slash", *"name:train-5", "enter", "s", "down", "enter", "r"],
    ["g", "V", "down", "enter", "slash", "ctrl+u", *"name:train-6", "enter", "space", "x", "escape"],
]


def _state(app: Console) -> tuple[Any, ...]:
    jobs = app.jobs
    field, find = jobs.filter.input, jobs.detail.find.input
    return (
        [type(screen).__name__ for screen in app.screen_stack],
        (field.value, field.cursor_position, find.value, jobs.board.filter, jobs.board.sort, jobs.board.is_reversed),
        (jobs.board.grouping, sorted(jobs.board.marks), jobs.table.key, getattr(jobs.focused, "id", None)),
    )


@pytest.mark.parametrize("keys_", BURSTS, ids=lambda keys_: "".join(key[0] for key in keys_))
async def test_keys_in_one_burst_do_what_they_do_one_by_one(
    keys_: list[str], make_source: Any, make_record: Any, settle: Any
) -> None:
    found = []
    for is_burst in (False, True):
        app = Console([("caf", make_source([make_record(number) for number in range(1, 8)]))])
        async with app.run_test(size=(140, 40)) as pilot:
            await settle(pilot, lambda app=app: app.jobs.target)
            for key in keys_:
                name = {" ": "space", "/": "slash", ":": "colon", "-": "minus"}.get(key, key)
                app.post_message(Key(name, {"slash": "/", "space": " "}.get(name, key if len(key) == 1 else None)))
                if not is_burst:
                    await pilot.pause(0.02)
            app.post_message(Key("f24", None))  # nobody's; the last to be handled
            await settle(pilot, lambda app=app: not app._keystrokes.is_busy)
            found.append(_state(app))

    assert found[1] == found[0]
