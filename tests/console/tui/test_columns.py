"""Which columns a table of a width has, and what they tell."""

from typing import Any

import pytest

from jobmon_console.tui.app import Console
from jobmon_console.tui.order import SORTS
from jobmon_console.tui.widgets.columns import COLUMNS, FAIR_NAME, GAP, choose
from tests.console.tui.conftest import record

NOW = 0.0


def cells(width: int, **fields: object) -> dict[str, str]:
    row = record(1, **fields)
    return {column.title: column.cell(row, NOW)[0] for column, _ in choose(width)}


def test_the_columns_fit_and_none_gets_less_than_its_least_or_more_than_its_most() -> None:
    for width in range(30, 220):
        chosen = choose(width)
        assert sum(cells + GAP for _, cells in chosen) <= width
        assert all(column.width <= cells <= column.most for column, cells in chosen)


def test_names_can_be_told_apart_before_a_column_comes_that_is_for_wide_tables() -> None:
    for width in range(70, 220):
        widths = {column.id: cells for column, cells in choose(width)}
        assert widths["name"] >= FAIR_NAME or not {"health", "output", "progress"} & set(widths)


def test_a_wide_table_has_them_all() -> None:
    assert [column for column, _ in choose(220)] == list(COLUMNS)


def test_without_a_column_for_health_the_state_of_a_job_that_runs_tells_what_is_wrong() -> None:
    assert cells(70, health="stuck")["STATE"] == "! stuck"
    assert cells(70, health="ok")["STATE"] == "● running"
    assert cells(70, health="stuck", state="silent")["STATE"] == "◐ silent"
    assert cells(220, health="stuck")["STATE"] == "● running"


def test_who_has_hidden_health_does_not_see_it() -> None:
    chosen = choose(70, frozenset(["health"]))
    [state] = [column for column, _ in chosen if column.id == "state"]

    assert state.cell(record(1, health="stuck"), NOW)[0] == "● running"


def test_a_title_has_room_for_the_arrow_of_its_order() -> None:
    ordered = [column for column in COLUMNS if column.id in SORTS]

    assert {"output", "elapsed", "cpu"} <= {column.id for column in ordered}
    for column in ordered:
        for is_reversed in (False, True):
            assert len(column.title + SORTS[column.id].arrow(is_reversed)) <= column.width, column.title


@pytest.mark.parametrize("grouping", [(), ("cluster", "node")])
async def test_a_click_on_a_title_orders_by_its_column_and_another_the_other_way_round(
    console: Console, settle: Any, screen_text: Any, grouping: tuple[str, ...]
) -> None:
    console.jobs.board.grouping = grouping
    async with console.run_test(size=(200, 40)) as pilot:
        await settle(pilot, lambda: "step 39" in screen_text(console))
        table, board = console.jobs.table, console.jobs.board
        await settle(pilot, lambda: "OUTPUT" in screen_text(console))
        before = table.key
        for column in [column for column, _ in table.columns if column.id in SORTS]:
            titles = screen_text(console).splitlines()[table.region.y + 1][table.region.x :]
            at = titles.index(f" {column.title}") + 1
            await pilot.click("#jobs", offset=(at + len(column.title) - 1, 1))
            is_reversed = board.is_reversed
            assert board.sort == column.id
            await pilot.click("#jobs", offset=(at, 1))
            assert (board.sort, board.is_reversed) == (column.id, not is_reversed)

        sort = board.sort, board.is_reversed
        await pilot.click("#jobs", offset=(3, 0))
        assert (board.sort, board.is_reversed, table.key) == (*sort, before), "nothing else is done by it"
