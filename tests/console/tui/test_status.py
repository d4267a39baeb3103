"""The first line keeps its parts whole and apart; on a narrow terminal what is less important gives way."""

from typing import Any

import pytest

from jobmon_console.tui.app import Console
from jobmon_console.tui.screens.status import fitting
from tests.console.tui.conftest import Clock

COUNTS = ["   7 jobs", "  7 running", "  3 nodes"]
CLOCK = "02:13:20Z "


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (40, ("   7 jobs  7 running  3 nodes", CLOCK)),
        (39, ("   7 jobs  7 running", CLOCK)),
        (31, ("   7 jobs  7 running", CLOCK)),
        (30, ("   7 jobs  7 running  3 nodes", "")),
        (28, ("   7 jobs  7 running", "")),
        (19, ("   7 jobs", "")),
        (8, ("", "")),
        (-5, ("", "")),
    ],
)
def test_the_nodes_give_way_before_the_clock_and_the_clock_before_the_jobs(room: int, shown: tuple[str, str]) -> None:
    assert fitting(COUNTS, CLOCK, room) == shown


@pytest.mark.parametrize("jobs", [7, 10, 100])
async def test_no_part_touches_another_at_any_width(make_source: Any, make_record: Any, settle: Any, jobs: int) -> None:
    clock = Clock()
    source = make_source([make_record(number) for number in range(jobs)])
    console = Console([("caf", source)], now=clock, steady=clock)
    async with console.run_test(size=(60, 20)) as pilot:
        await settle(pilot, lambda: console.jobs.table.count())
        for width in range(60, 72):
            await pilot.resize_terminal(width, 20)
            await settle(pilot, lambda width=width: console.jobs.header.size.width == width)
            parts = console.jobs.header.render_line(0).text.split()

            whole = ["JobMon", "caf", "●", "live", str(jobs), "jobs", str(jobs), "running", "3", "nodes", "00:00:00Z"]
            assert [part for part in whole if part in parts] == parts
            assert "00:00:00Z" in parts
