"""Every state a person can meet is on the screen, in words, and true."""

from typing import Any

import pytest

from jobmon_console import link
from jobmon_console.errors import CredentialRefusedError, UnreachableError
from jobmon_console.tui import board
from jobmon_console.tui.app import Console
from jobmon_console.tui.layout import layout


@pytest.mark.parametrize(
    ("size", "name"),
    [((120, 24), "wide"), ((119, 24), "double"), ((80, 24), "double"), ((80, 23), "single"), ((79, 50), "single"),
     ((60, 12), "single"), ((59, 40), "tiny"), ((200, 11), "tiny")],
)  # fmt: skip
def test_the_size_of_the_terminal_decides_the_panes(size: tuple[int, int], name: str) -> None:
    assert layout(*size) == name


async def test_a_list_that_is_not_complete_shows_a_skeleton_and_never_no_jobs(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.is_slow, source.jobs = True, {}
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "loading" in screen_text(console))

        assert "No job is registered" not in screen_text(console)
        assert "────" in screen_text(console)


async def test_nothing_registered_says_how_to_start_the_first_job_and_copies_the_line(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.jobs = {}
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "No job is registered yet" in screen_text(console))
        await pilot.press("y")

        assert console.clipboard.startswith("jobmon run")


async def test_nothing_matches_names_the_filter_and_escape_clears_it(
    console: Console, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("slash", *"zzz", "enter")
        await settle(pilot, lambda: "Nothing matches zzz" in screen_text(console))
        await pilot.press("escape")

        assert console.jobs.target is not None


async def test_of_a_long_list_the_reasons_come_when_nobody_types_and_are_those_of_the_filter(
    console: Console, settle: Any, screen_text: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "LARGE", 1)
    async with console.run_test(size=(120, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        console.jobs.set_filter("owner:alice zzz")
        first = list(console.jobs.board.reasons.clauses)
        await settle(pilot, lambda: "zzz  0" in screen_text(console))
        console.jobs.set_filter("owner:alice yyy")
        second = list(console.jobs.board.reasons.clauses)
        await settle(pilot, lambda: "yyy  0" in screen_text(console))

        assert first == second == []
        assert [clause.jobs > 0 for clause in console.jobs.board.reasons.clauses] == [True, False]


async def test_a_server_that_is_away_is_tried_again_and_its_jobs_stay_dim(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(120, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        source.breaks(UnreachableError("nobody listens"), for_good=True)
        await settle(pilot, lambda: "next in" in screen_text(console))

        assert "R now" in screen_text(console)
        assert "8812-0001" in screen_text(console)

        source.trouble = None
        await pilot.press("R")
        await settle(pilot, lambda: console.feeds[0].link.state == link.LIVE)


async def test_one_dead_context_leaves_the_other_alone(
    make_source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    good = make_source([make_record(1)])
    bad = make_source([make_record(2, cluster="desy", uuid="d2")])
    bad.trouble = UnreachableError("nobody listens")
    app = Console([("caf", good), ("desy", bad)])
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot, lambda: "↻ try" in screen_text(app) and app.jobs.target)

        assert "caf ● live" in screen_text(app).splitlines()[0]


async def test_a_certificate_problem_is_not_tried_again_until_a_person_says_so(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.trouble = CredentialRefusedError("the certificate expired 3 h ago; run: jobmon pki renew")
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot, lambda: "certificate problem" in screen_text(console))

        assert "expired 3 h ago" in screen_text(console)
        assert console.feeds[0].link.wait(1e12) is None

        source.trouble = None
        await pilot.press("R")
        await settle(pilot, lambda: console.jobs.target)
        assert ("renew", None) in source.asked


async def test_a_terminal_that_is_too_small_says_so_and_still_quits(
    console: Console, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(50, 10)) as pilot:
        await settle(pilot, lambda: "50x10 is too small: 60x12 is needed" in screen_text(console))
        await pilot.resize_terminal(100, 30)
        await settle(pilot, lambda: "8812-0001" in screen_text(console))
        await pilot.resize_terminal(50, 10)
        await pilot.press("q")

        assert console._exit


async def test_a_small_terminal_shows_one_pane_and_enter_and_escape_move_between_them(
    console: Console, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(70, 20)) as pilot:
        await settle(pilot, lambda: "8812-0001" in screen_text(console))
        assert "1 Output" not in screen_text(console)
        await pilot.press("enter")
        await settle(pilot, lambda: "step 39" in screen_text(console))
        assert "STATE" not in screen_text(console)
        await pilot.press("escape")
        await settle(pilot, lambda: "STATE" in screen_text(console))


async def test_read_only_says_so_and_opens_no_dialog(source: Any, settle: Any, screen_text: Any) -> None:
    app = Console([("caf", source)], read_only=True)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot, lambda: app.jobs.target)
        await pilot.press("x")
        await settle(pilot, lambda: any("nothing is sent" in notice.message for notice in app._notifications))

        assert app.screen is app.jobs
        assert "read-only" in screen_text(app).splitlines()[0]
