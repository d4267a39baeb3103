"""The line of a job array says, under the titles of the columns, what its tasks share and come to together."""

from typing import Any

import pytest

from jobmon_console.tui.app import Console
from jobmon_console.tui.widgets import arrays
from jobmon_console.tui.widgets.columns import choose

EXIT = {"code": 3, "signal": None, "source": "wrap"}


def shown(name: str, *tasks: dict[str, Any], width: int = 200) -> str:
    """The cell as text, in a table so wide, at second 100."""
    column = next(column for column, _ in choose(width) if column.id == name)
    return "".join(text for text, _ in arrays.cell(column, tasks, 100.0))


@pytest.mark.parametrize(
    ("column", "tasks", "text"),
    [
        ("state", [{"state": "running"}] * 3, "● 3 running"),
        ("state", [{"state": "running"}] * 2 + [{"state": "ended", "exit": EXIT}], "● 2 ✗ 1 "),
        ("state", [{"state": "ended", "exit": EXIT}] * 1200, "✗ 1,200 ended"),
        ("health", [{"health": "ok", "state": "running"}] * 3, ""),
        ("health", [{"health": h, "state": "running"} for h in ("ok", "memory", "stuck", "stuck")], "! 2 stuck"),
        ("name", [{"name": "sweep"}] * 3, "sweep"),
        ("name", [{"name": f"fold-{n}"} for n in (1, 12, 20)], "fold-*"),
        ("name", [{"name": "fold"}, {"name": "sweep"}], "-"),
        ("name", [{"name": "a\x1b[2J1"}, {"name": "a\x1b[2J2"}], "a␛[2J*"),
        ("name", [{"name": None}, {}], "-"),
        ("owner", [{"owner": "alice"}] * 3, "alice"),
        ("owner", [{"owner": "alice"}, {"owner": "bob"}], "2 owners"),
        ("node", [{"node": "wn1"}, {"node": "wn2"}, {"node": "wn2"}], "2 nodes"),
        ("node", [{"node": ["x"]}] * 2, "['x']"),
        ("cpu", [{"cpu_percent": 99.5}, {"cpu_percent": 0.5}, {"cpu_percent": None}], "100"),
        ("cpu", [{"cpu_percent": None}, {"cpu_percent": "99"}, {"cpu_percent": True}], "-"),
        ("mem", [{"rss_bytes": 2**30}, {"rss_bytes": 2**29}], "1.5G"),
        ("output", [{"output_bytes": 0}, {}], "0B"),
        ("elapsed", [{"started": 40.0}, {"started": 10.0, "ended": 20.0}, {}], "00:01:00"),
        ("elapsed", [{}, {"started": "nonsense"}], "-"),
        ("progress", [{"progress": "37%"}] * 2, ""),
    ],
)
def test_a_cell_of_an_array_sums_up_its_tasks(column: str, tasks: list[dict[str, Any]], text: str) -> None:
    assert shown(column, *tasks) == text


def test_where_health_has_no_column_the_states_of_an_array_have_it_as_those_of_jobs_do() -> None:
    tasks = [{"health": health, "state": "running"} for health in ("ok", "ok", "stuck")]

    assert shown("state", *tasks) == "● 3 running"
    assert shown("state", *tasks, width=80) == "● 2 ! 1 "


@pytest.mark.parametrize("size", [(140, 30), (80, 24), (60, 20)])
async def test_what_an_array_shows_stands_under_the_titles(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any, size: tuple[int, int]
) -> None:
    source.jobs = {
        f"uuid-{at}": make_record(
            at,
            id=f"4000077_{at}",
            node="wn1",
            name="sweep",
            rss_bytes=2**29,
            cpu_percent=10.0,
            batch={"array": f"4000077_{at}"},
        )
        for at in range(12)
    }
    async with console.run_test(size=size) as pilot:
        await settle(pilot, lambda: "4000077 [12]" in screen_text(console))
        await pilot.press("b", "b", "e")  # neither cluster nor node takes room
        await settle(pilot, lambda: "4000077_3 " in screen_text(console))
        lines = screen_text(console).splitlines()
        titles = next(line for line in lines if " STATE " in line)
        whole = next(line for line in lines if "4000077 [12]" in line)
        task = next(line for line in lines if "4000077_3 " in line)

    state, right = titles.index("STATE"), titles.index("CPU%") + len("CPU%")
    assert whole[state:].startswith("● 12 running")
    assert task[state:].startswith("● running")
    assert whole[titles.index("NAME") :].startswith("sweep ")
    assert (whole[:right].split()[-1], task[:right].split()[-1]) == ("120", "10")
    if "MEM" in titles:
        right = titles.index("MEM") + len("MEM")
        assert (whole[:right].split()[-1], task[:right].split()[-1]) == ("6.0G", "512M")


async def test_an_array_with_a_long_number_keeps_how_many_tasks_it_has(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    array = "x" * 40
    source.jobs = {f"uuid-{at}": make_record(at, node="wn1", batch={"array": f"{array}_{at}"}) for at in range(4)}
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "… [4]" in screen_text(console))
