"""Each process of a job is one row under its parent, with what it and all below it take, whatever an agent sends."""

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobmon_console.ranking import number
from jobmon_console.tui.panes.pstree import DEEPEST, Row, arrange, nearest, places, unfolded

DEEP = 10_000

odd = st.one_of(
    st.sampled_from([None, False, True, 0.5, 1e9, -1.5, math.inf, math.nan]),
    st.integers(-5, 9),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=1), st.integers(), max_size=1),
)
hostile = st.lists(
    st.dictionaries(st.sampled_from(["pid", "ppid", "rss", "cpu_seconds", "started", "command"]), odd), max_size=30
)


@st.composite
def families(draw: Any) -> list[dict[str, Any]]:
    """Processes as an agent tells them: each but the first has a parent among those before it; the order is any."""
    size = draw(st.integers(1, 25))
    parents = [0, *(draw(st.integers(0, at - 1)) for at in range(1, size))]
    amounts = st.one_of(st.none(), st.integers(0, 2**40))
    found = [
        {"pid": 100 + at, "ppid": 100 + parents[at] if at else 1, "started": float(at), "rss": draw(amounts)}
        | {"cpu_seconds": draw(amounts)}
        for at in range(size)
    ]
    return list(draw(st.permutations(found)))


def below(processes: list[dict[str, Any]], pid: int) -> list[dict[str, Any]]:
    """The plain way: a process and all that descend from it."""
    own = [process for process in processes if process["pid"] == pid]
    return own + [p for child in processes if child["ppid"] == pid for p in below(processes, child["pid"])]


def total(processes: list[dict[str, Any]], field: str) -> float | None:
    known = [process[field] for process in processes if process[field] is not None]
    return sum(known) if known else None


@given(families())
def test_a_row_has_what_its_process_and_all_below_it_take(processes: list[dict[str, Any]]) -> None:
    rows = arrange(processes)

    for at, row in enumerate(rows):
        family = below(processes, row.process["pid"])
        assert (row.rss, row.cpu) == (total(family, "rss"), total(family, "cpu_seconds"))
        assert row.below == len(family) - 1
        assert {each.process["pid"] for each in rows[at : at + 1 + row.below]} == {each["pid"] for each in family}


@given(families(), st.data())
def test_what_is_folded_away_is_below_a_fold_and_nothing_else_is(
    processes: list[dict[str, Any]], data: st.DataObject
) -> None:
    rows = arrange(processes)
    folded = set(data.draw(st.lists(st.sampled_from([row.identity for row in rows]))))

    seen = [rows[at].process["pid"] for at in unfolded(rows, folded)]

    parents = {process["pid"]: process["ppid"] for process in processes}
    names = {row.process["pid"]: row.identity for row in rows}

    def is_hidden(pid: int) -> bool:
        parent = parents[pid]
        return parent in names and (names[parent] in folded or is_hidden(parent))

    assert seen == [row.process["pid"] for row in rows if not is_hidden(row.process["pid"])]


@given(hostile)
def test_whatever_is_sent_is_one_row_each_and_counted_once(processes: list[dict[str, Any]]) -> None:
    rows = arrange(processes)

    assert sorted(id(row.process) for row in rows) == sorted(map(id, processes))
    at, roots = 0, []
    while at < len(rows):  # those below a row are the next rows, so that these are the roots
        roots.append(rows[at])
        at += 1 + rows[at].below
    assert at == len(rows)
    numbers = [value for value in (number(process.get("rss")) for process in processes) if value is not None]
    sums = [root.rss for root in roots if root.rss is not None]
    assert bool(sums) == bool(numbers)
    assert abs(sum(sums) - sum(numbers)) <= 1e-6 * sum(map(abs, numbers))
    assert set(places(rows, unfolded(rows, {row.identity for row in rows}))) == {row.identity for row in rows}


def test_processes_that_go_in_circles_are_each_one_row() -> None:
    processes = [{"pid": 1, "ppid": 2}, {"pid": 2, "ppid": 1}, {"pid": 3, "ppid": 3}, {"pid": 3, "ppid": 1}]

    assert len(arrange(processes)) == len(processes)


def test_a_chain_of_ten_thousand_is_summed_up_folded_and_drawn_flat_from_a_depth_on() -> None:
    chain = [{"pid": at, "ppid": at - 1, "rss": 1, "cpu_seconds": 0.5} for at in range(1, DEEP + 1)]

    rows = arrange(chain)

    assert [rows[0].below, rows[0].rss, rows[0].cpu] == [DEEP - 1, DEEP, DEEP / 2]
    assert (rows[-1].below, rows[-1].rss) == (0, 1)
    assert max(len(row.branches) for row in rows) <= 3 * (DEEPEST + 1)
    assert unfolded(rows, {rows[1].identity}) == [0, 1]


def test_a_circle_of_ten_thousand_is_each_one_row() -> None:
    circle = [{"pid": at, "ppid": at % DEEP + 1} for at in range(1, DEEP + 1)]

    assert len(arrange(circle)) == DEEP


def test_lists_in_place_of_numbers_end_nothing_and_count_nothing() -> None:
    rows = arrange([{"pid": [1], "ppid": {"a": 1}, "rss": [5], "cpu_seconds": "7"}, {"pid": 2, "ppid": [1], "rss": 9}])

    assert [(row.below, row.rss, row.cpu) for row in rows] == [(0, 9.0, None), (0, None, None)]


def test_the_same_number_twice_is_two_processes() -> None:
    rows = arrange([{"pid": 5, "started": 1.0}, {"pid": 5, "started": 2.0}, {"pid": 6, "ppid": 5, "rss": 7}])

    assert len({row.identity for row in rows}) == 3
    assert sorted(row.below for row in rows) == [0, 0, 1], "its child is one of the two's, not both's"


def _names(rows: list[Row]) -> list[tuple[str, str]]:
    return [row.identity for row in rows]


def test_the_nearest_that_is_left_is_found_below_before_above() -> None:
    old = _names(arrange([{"pid": pid} for pid in range(10, 20)]))
    new = {name: at for at, name in enumerate(old) if at in (0, 3, 6)}

    assert nearest(old, 3, new) == (3, 0)
    assert nearest(old, 4, new) == (3, -1)
    assert nearest(old, 5, new) == (6, 1)
    assert nearest(old, 9, new) == (6, -3)
    assert nearest(old, 4, {old[2]: 7, old[6]: 8}) == (8, 2), "as far above as below"
    assert nearest(old, 9, {}) == (0, 0)
    assert nearest([], 0, new) == (0, 0)


def test_a_process_is_the_same_however_its_moment_was_rounded_and_another_if_it_started_at_another_tick() -> None:
    process = {"pid": 7, "started": 10.01, "started_exactly": "1001:dfe873ac"}
    (first,) = arrange([process])
    (same,) = arrange([process | {"started": 10.02}])
    (other,) = arrange([process | {"started_exactly": "1002:dfe873ac"}])

    assert first.identity == same.identity
    assert first.identity != other.identity
