"""Nothing a job says acts on the terminal or on the console, whichever pane shows it."""

from typing import Any

import pytest
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.widgets import Static

from jobmon_console.tui.app import Console
from jobmon_console.tui.filters import ControlFilter

CORPUS = (
    "\x1b]52;c;Y3VybCBldmlsfHNo\x07",  # sets the clipboard
    "\x1b]0;owned\x07\x1b[2J\x1b[31m",  # renames the window, clears it
    "\x9b31m\x9d0;x\x9c",  # the same in C1
    "\u202egnp.exe\u2066",  # turns the direction of text
    "[@click=app.quit]x[/]",  # Textual's markup: an action on a click
    "x[/y] a[]b[/]",  # and a broken one
    "\ud800\udc80lone\r\n\t\0\x7f",  # surrogates, controls
    "[bold",  # unterminated
)
ALL = " ".join(CORPUS)


@pytest.fixture
def hostile(source: Any, make_record: Any) -> Any:
    """A server whose every text is hostile."""
    fields = dict.fromkeys(("id", "owner", "owner_name", "cluster", "node", "name", "command", "progress"), ALL)
    source.jobs = {"uuid-1": make_record(1, **fields, health="stuck", health_reason=ALL, tags={ALL: ALL})}
    source.output = ALL.encode("utf-8", "surrogatepass") + b"\xff\xfe\n" + b"y" * 100_000 + b"\n"
    source.notes = [{"kind": kind, "bytes": 5} for kind in ("waiting", "truncated", "rotated", "skipped", "ended", ALL)]
    source.processes = [{"pid": ALL, "ppid": ALL, "state": ALL, "name": ALL, "command": ALL, "user": ALL, "is_job": 1}]
    source.entries = [
        {"name": ALL, "kind": kind, "size": ALL, "modified": ALL, "target": ALL} for kind in ("file", ALL)
    ]
    source.events = [{"seq": 1, "at": 1.7e9, "kind": ALL, "text": ALL}]
    source.details = {"end": {"reason": ALL}, "registration": {ALL: {ALL: [ALL]}}}
    return source


def _raw(app: App[Any]) -> set[str]:
    """Characters on the screen, below the net, that a terminal could obey."""
    strips = [widget.render_line(y) for widget in app.screen.query("Lines, Bar") for y in range(widget.size.height)]
    return {c for strip in strips for segment in strip for c in segment.text if not c.isprintable()}


@pytest.mark.parametrize("tab", ["1", "2", "3", "4", "5", "6", "x", "colon", "slash", "question_mark"])
async def test_no_pane_lets_a_control_character_through(tab: str, hostile: Any, console: Console, settle: Any) -> None:
    async with console.run_test(size=(160, 50)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press(tab, *(["8"] if tab in ("colon", "slash") else []))
        for _ in range(4):
            await settle(pilot, lambda: True)
        text = "".join(
            segment.text
            for strip in console.screen._compositor.render_strips()
            for segment in strip
            if not segment.control
        )

        assert _raw(console) == set()
        assert all(character.isprintable() for character in text)
        assert len(text) > 1000
        assert console.screen is not None
        assert not console._exit


async def test_control_the_same_name_leaks_through_a_widget_that_nobody_sanitised() -> None:
    class Leaky(App[None]):
        def compose(self) -> ComposeResult:
            yield Static(CORPUS[0] + CORPUS[1], markup=False)

    async with Leaky().run_test() as pilot:
        strips = pilot.app.screen._compositor.render_strips()

        assert "\x1b" in "".join(segment.text for strip in strips for segment in strip)


async def test_the_net_catches_what_a_careless_widget_draws(console: Console, settle: Any) -> None:
    async with console.run_test(size=(100, 30)) as pilot:
        await console.jobs.mount(Static(ALL.replace("\n", ""), markup=False), before=0)
        await settle(pilot, lambda: True)
        strips = console.screen._compositor.render_strips()
        text = "".join(segment.text for strip in strips for segment in strip)

        assert "␛]52" in text
        assert all(character.isprintable() for character in text)


def test_the_net_passes_the_terminals_own_control_segments_by() -> None:
    own = Segment("\x1b[1m", None, [(1,)])  # type: ignore[list-item]

    assert ControlFilter().apply([own, Segment("a\x1bb")], None) == [own, Segment("a␛b")]  # type: ignore[arg-type]


async def test_a_click_on_a_hostile_name_does_nothing_but_move_the_cursor(
    hostile: Any, console: Console, settle: Any
) -> None:
    async with console.run_test(size=(160, 50)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        for x in range(2, 120, 6):
            await pilot.click("#jobs", offset=(x, 4))

        assert not console._exit


async def test_refusals_are_shown_safe(console: Console, source: Any, settle: Any, screen_text: Any) -> None:
    from jobmon_console.errors import RefusedError

    source.trouble = RefusedError("internal", ALL)
    async with console.run_test(size=(160, 50)) as pilot:
        await settle(pilot, lambda: "[@click=app.quit]" in screen_text(console))

        assert _raw(console) == set()
