"""The pages tell what runs where, who did what, and how each server is connected."""

from typing import Any

from jobmon_console.errors import CredentialRefusedError, UnreachableError
from jobmon_console.tui.app import Console
from jobmon_console.tui.screens.activity import Activity, ActivityRows
from jobmon_console.tui.screens.connect import Connect
from jobmon_console.tui.screens.nodes import Nodes, nodes_of


async def test_nodes_add_up_what_their_jobs_take_and_lead_to_them(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    source.jobs["uuid-4"] = make_record(4, state="silent", callback="udp")
    source.jobs["uuid-7"] = make_record(7, state="ended", exit={"code": 0, "signal": None, "source": "wrap"})
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("f2")
        await settle(pilot, lambda: "HEARD" in screen_text(console))
        row = next(row for row in screen_text(console).splitlines() if "wn001" in row)
        assert row.split()[2:8] == ["3", "1", "1", "0", "62", "1.2G"]
        await pilot.press("down", "enter")
        await settle(pilot, lambda: console.jobs.board.filter == "cluster=caf node=wn001")

        assert console.jobs.board.matching == 3


async def test_from_each_page_the_keys_of_the_others_lead_there_and_its_own_back(console: Console, settle: Any) -> None:
    pages = {"f2": Nodes, "f3": Activity, "f4": Connect}
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        for key in ("f2", "f3", "f4", "f3", "f2", "f4", "f2"):
            await pilot.press(key)
            await settle(pilot, lambda: isinstance(console.screen, pages[key]))  # noqa: B023
        await pilot.press("f2")
        await settle(pilot, lambda: console.screen is console.jobs)


def test_a_node_is_named_by_its_cluster_too() -> None:
    from jobmon_console.tui.board import Entry

    rows = [{"cluster": cluster, "node": "wn10"} for cluster in ("b", "a")] + [{"cluster": "a", "node": "wn9"}]

    found = nodes_of(Entry(None, row) for row in rows)  # type: ignore[arg-type]

    assert [(node.cluster, node.name) for node in found] == [("a", "wn9"), ("a", "wn10"), ("b", "wn10")]


async def test_activity_shows_what_was_done_newest_first(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.audit = [
        {"at": 1.7e9, "who": "alice", "verb": "tail", "id": "8812", "decision": "allowed", "outcome": "done"},
        {
            "at": 1.8e9,
            "who": "/O=x/OU=People/CN=eve",
            "verb": "kill",
            "id": "8813",
            "decision": "refused",
            "arguments": {"signal": "KILL"},
        },
    ]
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("f3")
        await settle(pilot, lambda: "signal=KILL" in screen_text(console) and "tail" in screen_text(console))

        text = screen_text(console)
        assert " eve " in text
        assert text.index("eve") < text.index("alice")
        await pilot.press("escape")
        await settle(pilot, lambda: console.screen is console.jobs)


async def test_a_long_trail_comes_in_one_piece(console: Console, source: Any, settle: Any) -> None:
    source.audit = [{"at": 1.7e9 + number, "who": "alice", "verb": "ps", "id": "8812"} for number in range(100)]
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        rows = ActivityRows(console.feeds)
        rows.ask()
        await settle(pilot, lambda: all(reading.is_over for _, reading in rows._readings))
        rows.take()

        assert len(rows.rows) == 100


async def test_titles_go_sideways_with_what_they_stand_above(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.audit = [{"at": 1.7e9, "who": "alice", "verb": "tail", "id": "8812", "outcome": "o" * 200}]
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("f3")
        await settle(pilot, lambda: "oooo" in screen_text(console))

        def distance() -> int:
            titles, row = screen_text(console).splitlines()[1:3]
            return titles.index("OUTCOME") - row.index("ooo")

        before = distance()
        await pilot.press("right", "right", "right")
        await settle(pilot, lambda: "WHO" not in screen_text(console))

        assert distance() == before == 0


async def test_the_cursor_stays_on_its_action_when_newer_ones_come(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    first = {"at": 1.7e9, "who": "alice", "verb": "tail", "id": "8812", "decision": "allowed"}
    source.audit = [dict(first, at=1.6e9, verb="top"), first]
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("f3")
        await settle(pilot, lambda: "top" in screen_text(console))
        await pilot.press("down")
        rows = console.screen.rows
        assert rows.rows[rows.cursor]["verb"] == "top"

        source.audit = [dict(first, at=1.8e9, verb="kill"), dict(source.audit[0], outcome="done"), first]
        await pilot.press("R")
        await settle(pilot, lambda: "kill" in screen_text(console))

        assert rows.rows[rows.cursor]["verb"] == "top"


async def test_connections_tell_the_state_and_the_remedy(
    make_source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    well, down, refused = make_source([make_record(1)]), make_source(), make_source()
    down.trouble, refused.trouble = (
        UnreachableError("no answer from cern:8443"),
        CredentialRefusedError("it has expired"),
    )
    console = Console([("caf", well), ("cern", down), ("fnal", refused)])
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("f4")
        await settle(pilot, lambda: "1 of 3 answer" in screen_text(console))

        text = screen_text(console)
        assert "CN=alice (owner)" in text
        assert "no answer from cern:8443" in text
        assert "it has expired" in text
        assert "jobmon doctor" in text
