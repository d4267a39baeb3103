"""Every key of the table means what the table says, where it says, and nothing takes it away."""

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple
from unittest.mock import Mock

import pytest
from textual.binding import BindingsMap
from textual.events import Key
from textual.keys import _character_to_key
from textual.widget import Widget
from textual.widgets import Input

from jobmon_console import keys
from jobmon_console.errors import UsageError
from jobmon_console.keys import KEYS, MOVES
from jobmon_console.tui.app import Console
from jobmon_console.tui.bindings import IN_DIALOGS
from jobmon_console.tui.board import GROUPINGS
from jobmon_console.tui.screens.jobs import JobsScreen
from jobmon_console.tui.screens.kill import Kill
from jobmon_console.tui.screens.view import HALF
from jobmon_console.tui.widgets.filter import SelectorInput

# What a person types into a text field edits the text: those keys are the field's while it has the focus.
EDITING = {"left", "right", "home", "end", "backspace", "delete", "enter", "ctrl+u", "ctrl+d"}
COMPLETING = {"tab", "up", "down"}  # a selector's field completes, and recalls earlier ones


def test_no_key_means_two_things_where_both_may_be_valid() -> None:
    meanings = [(key, entry) for entry in KEYS for key in entry.keys]
    shared = [(key, one, two) for (key, one), (other, two) in combinations(meanings, 2) if key == other]

    assert [(key, one.id, two.id) for key, one, two in shared if keys.can_meet(one.scope, two.scope)] == []
    assert {(key, one.id, two.id) for key, one, two in shared} == {
        ("T", "times", "order_time"),
        ("e", "fold", "fold_process"),
    }


FOCUSES = {
    "jobs": (),
    "clusters": ("shift+tab",),
    "tab": ("tab",),
    "filter": ("slash",),
}


@pytest.mark.parametrize("focus", FOCUSES)
async def test_scopes_that_never_meet_are_never_valid_together(focus: str, console: Console, settle: Any) -> None:
    """What the table says of scopes is what the screen does, on each tab and wherever the focus is."""
    one_of = {key.scope: key.id for key in KEYS if key.id != "kill"}
    met: set[frozenset[str]] = set()
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        for number, _ in enumerate(keys.TABS, 1):
            await pilot.press("escape", "escape", str(number), *FOCUSES[focus])
            await settle(pilot, lambda: True)
            valid = [scope for scope, id_ in one_of.items() if console.jobs.is_valid(id_)]
            met |= {frozenset(pair) for pair in combinations(valid, 2)}

    assert {tuple(sorted(pair)) for pair in met if not keys.can_meet(*pair)} == set()
    assert met, "the control"


def test_no_key_is_one_that_terminals_and_multiplexers_keep() -> None:
    assert not keys.UNUSABLE & {key for entry in KEYS for key in entry.keys}


def test_k_is_up_and_killing_is_x() -> None:
    assert "k" in keys.BY_ID["up"].keys
    assert keys.BY_ID["kill"].keys == ("x", "delete")


def test_a_person_can_have_other_keys() -> None:
    table = {key.id: key.keys for key in keys.remapped({"kill": "K", "up": "up, ctrl+k"})}

    assert (table["kill"], table["up"], table["down"]) == (("K",), ("up", "ctrl+k"), ("down", "j"))


def test_two_keys_may_be_one_where_they_are_never_valid_together() -> None:
    changes = {"wrap": "P", "tail_file": "e", "mark": "O", "fold_process": "O, e"}

    table = {key.id: key.keys for key in keys.remapped(changes)}

    assert {id_: ", ".join(table[id_]) for id_ in changes} == changes


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kil": "K"}, "nothing called 'kil'"),
        ({"kill": "ctrl+a"}, "terminals keep ctrl"),
        ({"kill": "j"}, "j would mean both down and kill"),
        ({"columns": "e"}, "e would mean both columns and fold"),
        ({"stream": "e"}, "e would mean both fold and stream"),  # Output may be on the screen while the list has keys
        ({"order_cpu": "R"}, "R would mean both order_cpu and reconnect"),
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
        assert bound >= {_character_to_key(name) if len(name) == 1 else name for key in KEYS for name in key.keys}


def _bound(bindings: BindingsMap) -> set[str]:
    return set(bindings.key_to_bindings)


SCOPES: dict[str, list[str]] = {
    keys.SCREEN: [],
    keys.LIST: [],
    keys.TABLE: [],
    keys.OUTPUT: [],
    keys.APP: [],
    keys.FILES: ["4", "tab"],
    keys.TOP: ["2"],
    keys.TREE: ["3", "tab"],
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


class Effect(NamedTuple):
    """What pressing a key of the table changes, and in which way."""

    before: tuple[str, ...]  # keys that lead to where it means something
    look: Callable[[Console], Any]
    is_right: Callable[[Any, Any], bool]  # what was before, and what is


def changes(look: Callable[[Console], Any], *before: str) -> Effect:
    """It becomes another."""
    return Effect(before, look, lambda old, new: bool(old != new))


def becomes(wanted: Any, look: Callable[[Console], Any], *before: str) -> Effect:
    """It becomes this, and was not."""
    return Effect(before, look, lambda old, new: bool(old != wanted and new == wanted))


def _cursor(console: Console) -> int:
    return console.jobs.table.cursor


def _screen(console: Console) -> str:
    return type(console.screen).__name__


def _focus(console: Console) -> str:
    return str(console.focused and console.focused.id)


def _column(console: Console) -> int:
    return console.jobs.detail.output.scroll_offset.x


def _marks(console: Console) -> int:
    """Lines of one's own."""
    stream = console.jobs.detail.output.stream
    return sum("mark" in stream.text(row) for row in range(len(stream.buffer.rows)))


def _order(console: Console) -> str:
    return console.jobs.detail.top.order


def _match(console: Console) -> int:
    return console.jobs.detail.output.stream.row


FINDING = ("enter", "slash", *"step", "enter")
EFFECTS = {
    "up": Effect(("down", "down"), _cursor, lambda old, new: new == old - 1),
    "down": Effect(("home",), _cursor, lambda old, new: new == old + 1),
    "page_up": Effect(("end",), _cursor, lambda old, new: new < old - 1),
    "page_down": Effect(("home",), _cursor, lambda old, new: new > old + 1),
    "top": becomes(0, _cursor, "end"),
    "bottom": Effect(("home",), _cursor, lambda old, new: new > old + 5),
    "left": Effect(("enter", "right", "right"), _column, lambda old, new: new < old),
    "right": Effect(("enter",), _column, lambda old, new: new > old),
    "enter": becomes("output", _focus),
    "escape": becomes("jobs", _focus, "enter"),
    "next_pane": becomes("output", _focus),
    "previous_pane": becomes("clusters", _focus),
    "filter": becomes("filter-input", _focus),
    "mark": becomes(1, lambda console: len(console.jobs.board.marks), "U"),
    "mark_range": Effect(
        ("U", "v", "down", "down"),
        lambda console: len(console.jobs.board.marks),
        lambda old, new: old == 0 and new >= 2,
    ),
    "mark_all": becomes(7, lambda console: len(console.jobs.board.marks), "U"),
    "unmark_all": becomes(0, lambda console: len(console.jobs.board.marks), "A"),
    "kill": becomes("Kill", _screen),
    "sort": becomes("Menu", _screen),
    "sort_left": changes(lambda console: console.jobs.board.sort),
    "sort_right": changes(lambda console: console.jobs.board.sort),
    "reverse": changes(lambda console: console.jobs.board.is_reversed),
    "columns": becomes("Toggles", _screen),
    "views": becomes("Menu", _screen),
    "fold": Effect((), lambda console: console.jobs.table.count(), lambda old, new: new < old),
    "grouping": changes(lambda console: console.jobs.board.grouping),
    "pause": changes(lambda console: console.jobs.table.is_paused),
    **{f"tab_{tab}": becomes(tab, lambda console: console.jobs.detail.tab, "5") for tab in keys.TABS if tab != "info"},
    "tab_info": becomes("info", lambda console: console.jobs.detail.tab),
    "previous_tab": becomes("info", lambda console: console.jobs.detail.tab, "6"),
    "next_tab": becomes("top", lambda console: console.jobs.detail.tab),
    "zoom": changes(lambda console: console.jobs.zoom),
    "follow": changes(lambda console: console.jobs.detail.output.follows),
    "stream": changes(lambda console: console.jobs.detail.output.file),
    "find_next": changes(_match, *FINDING),
    "find_previous": Effect(FINDING, _match, lambda old, new: new == old - 1),
    "jump": becomes("jump-input", _focus),
    "wrap": changes(lambda console: console.jobs.detail.output.is_folded),
    "times": changes(lambda console: console.jobs.detail.output.has_times),
    "rule": Effect((), _marks, lambda old, new: new == old + 1),
    "order_cpu": becomes("cpu", _order, "2", "M"),
    "order_memory": becomes("memory", _order, "2", "P"),
    "order_time": becomes("time", _order, "2", "P"),
    "faster": becomes(1.0, lambda console: console.jobs.detail.top.delay, "2"),
    "slower": becomes(2.0, lambda console: console.jobs.detail.top.delay, "2"),
    "fold_process": becomes(1, lambda console: console.jobs.detail.processes.count(), "3", "tab"),
    "kill_process": becomes("Kill", _screen, "3", "tab"),
    "tail_file": becomes("out.log", lambda console: console.jobs.detail.output.file, "4", "tab", "down"),
    "parent": becomes(".", lambda console: console.jobs.detail.files.list.path, "4", "tab", "home", "enter"),
    "nodes": becomes("Nodes", _screen),
    "activity": becomes("Activity", _screen),
    "connect": becomes("Connect", _screen),
    "save": becomes("Save", _screen),
    "copy": Effect((), lambda console: console.clipboard, lambda old, new: new.startswith("8812-")),
    "copy_command": Effect((), lambda console: console.clipboard, lambda old, new: new.startswith("jobmon jobs")),
    "reconnect": changes(lambda console: len(console.feeds[0].source.asked)),  # type: ignore[attr-defined]
    "palette": becomes("CommandPalette", _screen),
    "help": becomes("Help", _screen),
    "leave": Effect((), lambda console: console.exit.call_count, lambda old, new: new == old + 1),  # type: ignore[attr-defined]
    "quit": Effect((), lambda console: console.exit.call_count, lambda old, new: new == old + 1),  # type: ignore[attr-defined]
    "redraw": changes(lambda console: console.screen.refresh.call_count),  # type: ignore[attr-defined]
    "suspend": changes(lambda console: console.action_suspend_process.call_count),  # type: ignore[attr-defined]
}


def test_every_row_of_the_table_has_an_effect_that_is_looked_at() -> None:
    assert set(EFFECTS) == {key.id for key in KEYS}


@pytest.mark.parametrize("group", keys.GROUPS)
async def test_every_key_has_its_effect(
    group: str, console: Console, source: Any, settle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.output = b"".join(b"step %d %s\n" % (at, b"x" * 300) for at in range(40))
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.detail.output.count())
        monkeypatch.setattr(console, "exit", Mock())
        monkeypatch.setattr(console, "action_suspend_process", Mock())
        monkeypatch.setattr(console.screen, "refresh", Mock(wraps=console.screen.refresh))
        for key in (key for key in KEYS if key.group == group):
            for name in key.keys:
                effect = EFFECTS[key.id]
                await _to_the_table(console, pilot, settle)
                for step in effect.before:
                    await pilot.press(step)
                    await settle(pilot, lambda: not console.jobs.target or console.jobs.detail.lines.count())
                before = effect.look(console)
                await pilot.press(name)

                await settle(pilot, partial(_is_right, effect, console, before))


def _is_right(effect: Effect, console: Console, before: Any) -> bool:
    return effect.is_right(before, effect.look(console))


async def _to_the_table(console: Console, pilot: Any, settle: Any) -> None:
    """Out of everything, the cursor on a job in the middle, with its output beside it."""
    jobs = console.jobs
    while console.screen is not jobs or console.focused is not jobs.table or jobs.board.filter:
        await pilot.press("escape")
    console.clear_notifications()
    console._clipboard = ""
    jobs.board.folded.clear()
    jobs.board.set_filter("")
    jobs.table.is_paused = False
    jobs.zoom, jobs.board.grouping = HALF, GROUPINGS[0]
    jobs.detail.output.choose("stdout")
    await pilot.press("1", "U")
    jobs._rearrange()
    jobs.table.go_to("job uuid-3")
    await settle(pilot, lambda: jobs.detail.output.count() >= 40)


async def test_a_key_of_another_pane_says_where_it_means_something(console: Console, settle: Any) -> None:
    def told() -> str:
        return " ".join(each.message for each in console._notifications)

    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("2", "f")
        await settle(pilot, lambda: "f is a key in Output (1)" in told())
        await pilot.press("tab", "s")
        await settle(pilot, lambda: "s is a key in the list of jobs" in told())
        await pilot.press("T", "3")
        assert console.jobs.detail.top.order == "time"
        await pilot.press("T")
        await settle(pilot, lambda: "T is a key in Output (1) and in Top (2)" in told())
        await pilot.press("1", "e")
        await settle(pilot, lambda: "e is a key in the list of jobs and in Tree (3), once Tab" in told())
        await pilot.press("escape", "home", "x")
        await settle(pilot, lambda: "no job is chosen" in told())
        await pilot.press("space")
        await settle(pilot, lambda: "Space marks jobs" in told())
        await pilot.press("ctrl+c")
        await settle(pilot, lambda: "Ctrl-Q leaves" in told())

        assert console.screen is console.jobs


async def test_the_order_that_is_chosen_again_stays_as_it_is(console: Console, settle: Any) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("s", "enter")
        await settle(pilot, lambda: console.screen is console.jobs)

        assert not console.jobs.board.is_reversed


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


async def test_the_footer_names_the_keys_of_the_pane_first_and_while_somebody_types_those_of_the_field(
    console: Console, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("1", "tab")
        await settle(pilot, lambda: screen_text(console).splitlines()[-1].startswith(" f follow"))
        assert "/ find" in screen_text(console).splitlines()[-1]
        await pilot.press("slash")
        await settle(pilot, lambda: "↵ to the output" in screen_text(console).splitlines()[-1])
        await pilot.press("escape", "escape", "slash")

        await settle(pilot, lambda: "Tab complete" in screen_text(console).splitlines()[-1])


async def test_on_a_narrow_terminal_the_help_is_whole(console: Console, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(70, 160)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("question_mark")
        await settle(pilot, lambda: "Keys" in screen_text(console))
        words = " ".join(screen_text(console).replace("│", " ").split())

        assert [key.help for key in KEYS if key.help not in words] == []
        assert "(in the table)" in words


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
