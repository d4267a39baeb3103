"""The table of benchmarks says what was missed, and nothing else."""

import pytest

from benchmarks.table import Row, Target, at_least, at_most, show


@pytest.mark.parametrize(
    ("target", "values", "limits", "is_met"),
    [
        (at_most(4), [3.9, 4.0, 9.0], [], True),
        (at_most(4), [3.9, 4.1, 9.0], [], False),
        (at_least(400), [399.0, 401.0, 402.0], [], True),
        (at_least(400), [398.0, 399.0, 402.0], [], False),
        (at_least(400, 0.60), [450.0], [700.0], True),
        (at_least(400, 0.60), [450.0], [800.0], False),
        (at_least(400, 0.60), [390.0], [600.0], False),
        (Target(2.0, share=1.5), [1.4], [1.0], True),
        (Target(2.0, share=1.5), [1.6], [1.0], False),
        (None, [1.0], [], True),
    ],
)
def test_a_target_is_met_by_the_median_and_by_its_share_of_the_limit(
    target: Target | None, values: list[float], limits: list[float], is_met: bool
) -> None:
    row = Row("x", values, "ms", target, limits)

    assert row.is_met is is_met
    assert ("missed" in row.line()) is not is_met


def test_paired_values_are_each_compared_with_their_own_limit() -> None:
    values, limits = [1.0, 10.0, 30.0], [1.0, 20.0, 20.0]

    assert Row("x", values, "ms", limits=limits, is_paired=True).ratio == 1.0
    assert Row("x", values, "ms", limits=limits).ratio == 0.5


def test_a_row_without_a_limit_has_no_ratio() -> None:
    assert Row("x", [1.0], "ms").ratio is None
    assert Row("x", [1.0], "ms", limits=[0.0]).ratio is None


def test_a_row_that_could_not_be_measured_is_missed() -> None:
    row = Row("x", [], "ms", at_most(4), [1.0], note="the disk is full")

    assert not row.is_met
    assert row.line().endswith("missed  (the disk is full)")


def test_every_row_is_printed_below_the_machine_and_the_missed_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    missed = show([Row("first", [5.0], "ms", at_most(4)), Row("second", [1234.5], "/s", note="as told")])

    head, columns, first, second, last = capsys.readouterr().out.splitlines()
    assert missed == 1
    assert "load" in head
    assert "load" in last
    assert columns.split() == ["what", "median", "spread", "unit", "target", "limit", "ratio"]
    assert first.endswith("missed")
    assert second.startswith("second")
    assert "1,23" in second
    assert second.endswith("(as told)")
