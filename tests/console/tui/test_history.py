"""The line of bars shows what a job used lately, peaks included, and remembers no more than it may."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobmon_console.tui.app import Console
from jobmon_console.tui.history import BARS, JOBS, KEPT, WITHIN, History, bars
from jobmon_console.tui.panes.top import DELAYS

OFTEN = min(DELAYS)  # s


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=400), st.integers(1, 60))
def test_bars_fill_the_width_and_keep_the_peak(values: list[float], width: int) -> None:
    line = bars(values, width)

    assert len(line) == width
    assert set(line) <= set(BARS)
    if max(values) > 0:
        assert BARS[-1] in line


def test_next_to_nothing_does_not_look_like_much() -> None:
    assert bars([0.1, 0.1], 4, 100.0).strip() == BARS[1] * 2
    assert bars([0.1, 50.0, 400.0], 4, 100.0)[-1] == BARS[-1]  # more than that is not cut


def test_only_the_jobs_looked_at_last_and_the_last_ten_minutes_are_kept() -> None:
    history = History()
    for number in range(JOBS + 5):
        history.add(f"u{number}", 0.0, 1.0, 1)
    for sample in range(KEPT + 50):
        history.add("u204", sample * OFTEN, 1.0, 1)
    history.add("u204", 1.0, None, 1)

    assert history.of("u4", 0.0) == []
    assert len(history.of("u204", (KEPT + 49) * OFTEN)) == KEPT
    assert history.of("u204", (KEPT + 50) * OFTEN + WITHIN) == []


def test_figures_that_are_no_numbers_are_passed_over() -> None:
    history = History()
    history.add("u", 0.0, 1.0, 1)
    for cpu, memory in ((float("inf"), 1), (1.0, float("inf")), ("1", 1), (None, None)):
        history.add("u", 1.0, cpu, memory)

    assert [sample.at for sample in history.of("u", 1.0)] == [0.0]


async def test_top_draws_what_beats_and_samples_told(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("2")
        await settle(pilot, lambda: "CPU 812%" in screen_text(console))
        await settle(pilot, lambda: "≤ 812%" in screen_text(console))
