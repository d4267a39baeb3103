"""The table keeps its cursor on the job it is on, and shows exactly what is so."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobmon_console.jobs import Mirror
from jobmon_console.link import Link
from jobmon_console.tui.app import Console
from jobmon_console.tui.board import GROUPINGS, HOLD, LARGE, LOADING, PACE, Board
from jobmon_console.tui.feed import Feed
from jobmon_console.tui.listing import ARRAY, CLUSTER, JOB, NODE
from jobmon_console.tui.order import DEFAULT, SORTS, order_of

NAMES = st.sampled_from(["ann", "bob", "eve", "meg", None])
FILTERS = ["", "on", "me", "a", "an", "ann", "job-1", "b", "-ann", "cpu>300", "ann cpu>300", "owner:e"]
FILTERS += ["node:n1 or name:bob"]
CHANGES = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 9), st.integers(0, 2), st.floats(0, 900), NAMES),
    st.tuples(st.just("turn"), st.integers(0, 9), st.sampled_from([1.0, 600.0]), NAMES),
    st.tuples(st.just("turn"), st.integers(0, 9), st.sampled_from([1.0, 600.0]), NAMES),
    st.tuples(st.just("drop"), st.integers(0, 9)),
    st.tuples(st.just("sort"), st.sampled_from(sorted(SORTS))),
    st.tuples(st.just("group"), st.sampled_from(GROUPINGS)),
    st.tuples(st.just("filter"), st.sampled_from(FILTERS)),
)


def _feed() -> Any:
    return SimpleNamespace(name="caf", me="", mirror=Mirror("caf"), link=Link(0.0, lambda: 0.0))


def _out_of_order(board: Board) -> list[tuple[Any, Any]]:
    """Jobs under the same heading of which the second should come before the first; arrays stand by one of theirs."""
    tasks = {id(entry) for found in board.arrays.values() for entry in found}
    lines = [line for line in board.lines if not (line.is_ghost or line.kind == ARRAY or id(line.entry) in tasks)]
    pairs = [(one.entry, other.entry) for one, other in pairwise(lines) if one.kind == other.kind == JOB]
    ranks = [(order_of(one.row, board.sort), order_of(other.row, board.sort)) for one, other in pairs]
    step = -1 if board.is_reversed else 1
    return [
        (one, other)
        for one, other in ranks
        if (one is None and other is not None) or (one and other and step * ((one > other) - (one < other)) > 0)
    ]


@settings(max_examples=300)
@example(  # comes again with another name before anybody saw that it went
    [
        (("filter", "an"), True),
        (("drop", 0), False),
        (("filter", "a"), False),
        (("put", 0, 0, 0.0, "bob"), True),
    ]
)
@example([(("turn", 0, 1.0, None), False), (("filter", "on"), True)])  # a job without a name is not called None
@example(  # its owner is another while the list is about to be sorted by something else, which is taken back
    [
        (("sort", "owner"), True),
        (("sort", "cpu"), False),
        (("turn", 1, 1.0, "bob"), False),
        (("sort", "owner"), True),
    ]
)
@given(st.lists(st.tuples(CHANGES, st.booleans()), min_size=10, max_size=60))
def test_the_job_under_the_cursor_stays_whatever_changes_and_the_others_are_right(changes: list[Any]) -> None:
    feed = _feed()
    board = Board([feed], lambda: 2e9)
    key, now, nodes = "", 0.0, dict.fromkeys(range(10), 0)
    begun = [(("put", number, number % 2, 1.0, "ann"), False) for number in range(10)]
    for (kind, *change), is_arranged in [*begun, *changes, (("sort", DEFAULT), True)]:
        if kind in ("put", "turn"):  # a job comes, or moves; one is another where it is
            number, cpu, name = change[0], *change[-2:]
            node = nodes[number] = change[1] if kind == "put" else nodes[number]
            row = {"uuid": f"u{number}", "id": f"job-{number}", "cluster": f"c{node % 2}", "node": f"n{node}"}
            row |= {"state": "running" if cpu > 300 else "silent", "cpu_percent": cpu}
            row |= {"name": name, "owner": name or "eve"}
            row["batch"] = {"array": f"7_{number}"} if number > 4 else {}
            board.update(feed, feed.mirror.apply({"kind": "jobs", "jobs": [row]}))
        elif kind == "drop":
            board.update(feed, feed.mirror.apply({"kind": "gone", "uuids": [f"u{change[0]}"]}))
        elif kind == "sort":
            board.set_sort(change[0])
        elif kind == "group":
            board.grouping = change[0]
        elif kind == "filter":
            board.set_filter(change[0])
        if not is_arranged:
            continue
        now += 1.0
        if board.is_dirty or kind == "group":
            board.arrange(now, key)
        key = key if key in board.lines else next((line.key for line in board.lines if line.kind == JOB), "")

        jobs = [line for line in board.lines if line.kind == JOB]
        folded = {str(e.row["uuid"]) for line in board.lines if line.is_folded for e in board.arrays.get(line.key, ())}
        assert len({line.key for line in board.lines}) == len(board.lines)
        assert not folded & {line.uuid for line in jobs}
        assert folded | {line.uuid for line in jobs if not line.is_ghost} == {
            str(e.row["uuid"]) for e in board.select()
        }
        assert [line.key for line in jobs if line.is_ghost] in ([], [key])
        assert board.matching == len(board.select())
        for heading in [line for line in board.lines if line.kind in (CLUSTER, NODE)]:
            under = [e.row for e in board.select() if heading.name in (e.row["cluster"], e.row["node"])]
            assert (heading.jobs, heading.running) == (len(under), sum(row["state"] == "running" for row in under))
        assert _out_of_order(board) == []
        assert [board.lines.find(line.key) for line in board.lines] == list(range(len(board.lines)))


def test_unknown_values_come_last_whichever_way_round() -> None:
    feed = _feed()
    board = Board([feed], lambda: 2e9)
    board.grouping = ()
    rows = [{"uuid": f"u{at}", "id": f"j{at}", "cpu_percent": cpu} for at, cpu in enumerate([5.0, None, 9.0])]
    board.update(feed, feed.mirror.apply({"kind": "jobs", "jobs": rows}))
    orders = []
    for _ in range(2):
        board.set_sort("cpu")
        board.arrange(1.0)
        orders.append([line.uuid for line in board.lines])

    assert orders == [["u2", "u0", "u1"], ["u0", "u2", "u1"]]


def test_a_large_list_is_arranged_more_seldom_while_it_comes_in_and_not_while_nothing_comes() -> None:
    feed = Feed("caf", cast(Any, None), lambda: 0.0, lambda: 0.0)
    board = Board([feed], lambda: 2e9)
    feed.link.heard(0.0)
    rows = [{"uuid": f"u{at}", "id": f"j{at}"} for at in range(LARGE)]
    board.update(feed, feed.mirror.apply({"kind": "jobs", "jobs": rows}))
    board.arrange(0.0)
    board.is_dirty = True

    assert [board.is_due(now, moved=-HOLD) for now in (PACE, LOADING)] == [False, True]

    feed.link.broke(0.0, "the server ended the list")
    assert board.is_due(PACE, moved=-HOLD)

    feed.link.synced(0.0)
    feed.mirror.apply({"kind": "live"})
    assert board.is_due(PACE, moved=-HOLD)


def test_a_job_two_contexts_see_is_shown_once_and_stays_when_one_loses_it() -> None:
    first, second = _feed(), _feed()
    board = Board([first, second], lambda: 2e9)
    for feed in (second, first):
        board.update(feed, feed.mirror.apply({"kind": "jobs", "jobs": [{"uuid": "u1", "id": "j1"}]}))

    assert board.entries["u1"].feed is first

    board.update(first, first.mirror.apply({"kind": "gone", "uuids": ["u1"]}))

    assert board.entries["u1"].feed is second


async def test_the_cursor_on_the_screen_follows_its_job(
    console: Console, source: Any, make_record: Any, settle: Any
) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("down", "down")
        key = console.jobs.table.key
        source.change(*(make_record(number, node="aaa") for number in range(20, 60)))
        await settle(pilot, lambda: len(console.jobs.board.entries) == 47)
        table = console.jobs.table

        assert table.key == key
        assert table.board.lines[table.cursor].key == key
        assert table.scroll_offset.y <= table.cursor < table.scroll_offset.y + table.size.height - table.HEADS


async def test_a_job_that_leaves_stays_on_its_line_until_the_cursor_does(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        uuid = console.jobs.target.uuid  # type: ignore[union-attr]
        source.remove(uuid)
        await settle(pilot, lambda: "(left)" in screen_text(console))

        assert console.jobs.table.current.uuid == uuid  # type: ignore[union-attr]

        await pilot.press("down")
        source.change(*list(source.jobs.values())[:1])
        await settle(pilot, lambda: "(left)" not in screen_text(console))


async def test_every_row_is_as_wide_as_the_table_with_wide_and_zero_width_names(
    console: Console, source: Any, make_record: Any, settle: Any
) -> None:
    async with console.run_test(size=(97, 30)) as pilot:
        names = ["日本語の仕事" * 5, "e\u0301" * 30, "x" * 5000, "\u202eright\u202c", "🎉" * 20]
        source.change(*(make_record(at, name=name, id=name[:40]) for at, name in enumerate(names, 30)))
        await settle(pilot, lambda: len(console.jobs.board.entries) == 12)
        table = console.jobs.table

        assert {table.render_line(y).cell_length for y in range(table.size.height)} == {table.size.width}


async def test_a_job_that_falls_silent_is_not_counted_as_running_beside_the_table(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(160, 40)) as pilot:
        await settle(pilot, lambda: "7/7" in screen_text(console))
        source.change(make_record(3, state="silent"))

        await settle(pilot, lambda: "6/7" in screen_text(console))


async def test_marks_stay_with_jobs_and_drop_when_they_end(
    console: Console, source: Any, make_record: Any, settle: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("A")
        assert len(console.jobs.board.marks) == 7

        source.change(make_record(3, state="ended", exit={"code": 0, "signal": None, "source": "wrap"}))
        await settle(pilot, lambda: len(console.jobs.board.marks) == 6)
        await pilot.press("U")

        assert not console.jobs.board.marks


async def test_space_on_a_job_that_has_ended_says_why_it_bears_no_mark_and_steps_down(
    console: Console, source: Any, make_record: Any, settle: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        source.change(make_record(3, state="ended", exit={"code": 0, "signal": None, "source": "wrap"}))
        await settle(pilot, lambda: console.jobs.board.entries["uuid-3"].row["state"] == "ended")
        console.jobs.table.go_to("job uuid-3")
        await settle(pilot, lambda: console.jobs.table.key == "job uuid-3")
        await pilot.press("space")
        await settle(pilot, lambda: any("the job has ended" in each.message for each in console._notifications))

        assert not console.jobs.board.marks
        assert console.jobs.table.key != "job uuid-3"


async def test_an_array_is_one_line_that_opens_and_is_acted_on_whole(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    states = ["running", "running", "lost", "ended"]
    source.jobs = {
        f"uuid-{at}": make_record(
            at, id=f"77_{at}", node="wn1", name="sweep", state=state, batch={"array": f"77_{at}"}, exit={"code": 3}
        )
        for at, state in enumerate(states)
    }
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: "77 [4]" in screen_text(console))
        assert "● 2 ? 1 ✗ 1" in screen_text(console)
        assert "77_0" not in screen_text(console)

        await pilot.press("space")
        assert set(console.jobs.board.marks) == {"uuid-0", "uuid-1", "uuid-2"}
        await pilot.press("U", "home", "down", "down", "x")
        await settle(pilot, lambda: "Send a signal to 2 jobs" in screen_text(console))
        await pilot.press("escape", "e")
        await settle(pilot, lambda: "77_0" in screen_text(console))
        await pilot.press("down", "e")
        await settle(pilot, lambda: "77_0" not in screen_text(console))
        assert "left" not in screen_text(console)


async def test_the_job_under_the_cursor_is_not_folded_away_when_its_array_grows(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    def task(at: int) -> dict[str, Any]:
        return dict(make_record(at, id=f"77_{at}", node="wn1", batch={"array": f"77_{at}"}))

    source.jobs = {f"uuid-{at}": task(at) for at in range(2)}
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        key = console.jobs.table.key
        source.change(*(task(at) for at in range(2, 9)))
        await settle(pilot, lambda: "77 [9]" in screen_text(console))

        assert console.jobs.table.key == key
        assert console.jobs.target is not None


async def test_a_range_is_marked_from_where_it_began_either_way_with_the_arrays_in_it_and_without_what_has_ended(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    exit_ = {"code": 3, "signal": None, "source": "wrap"}
    source.jobs = {f"uuid-{at}": make_record(at, node="wn1") for at in range(6)}
    source.jobs["uuid-2"] |= {"state": "ended", "exit": exit_}
    source.jobs |= {f"uuid-7{at}": make_record(70 + at, node="wn1", batch={"array": f"77_{at}"}) for at in range(3)}
    async with console.run_test(size=(140, 40)) as pilot:
        table, board = console.jobs.table, console.jobs.board
        await settle(pilot, lambda: "77 [3]" in screen_text(console))
        whole = [line.uuid for line in board.lines if line.uuid and line.uuid != "uuid-2"] + [
            f"uuid-7{at}" for at in range(3)
        ]
        await pilot.press("end", "v")
        last = board.lines[table.cursor]
        name = last.name or last.entry.row["id"]  # type: ignore[union-attr]
        await settle(pilot, lambda: f"v marks from {name}" in screen_text(console))
        await pilot.press("home", "v")

        assert set(board.marks) == set(whole)
        await settle(pilot, lambda: "8 marked" in screen_text(console))
        assert "v marks from" not in screen_text(console)
        await pilot.press("U", "home", "v", "down", "down", "escape", "v", "v")
        assert len(board.marks) <= 1, "a range that was given up marks nothing"


async def test_a_range_whose_beginning_has_left_the_list_begins_anew(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        table, board = console.jobs.table, console.jobs.board
        await settle(pilot, lambda: table.count() > 7)
        await pilot.press("end", "v")
        gone = table.range_from.removeprefix("job ")
        await pilot.press("home", "down", "down")
        source.remove(gone)
        await settle(pilot, lambda: table.range_from not in board.lines)
        await pilot.press("v")

        assert (table.range_from, dict(board.marks)) == (table.key, {})
        assert any("begins here" in note.message for note in console._notifications)
