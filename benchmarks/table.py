"""One table for every benchmark: what was measured, its target, and the limit measured in the same run.

A ``Row`` is a figure with all its repetitions.  Its limit is the least, or the
most, that anything could do here: on a machine that is shared and busy a ratio
to what ran beside it says more than a bare number.  Nothing here measures.
"""

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_COLUMNS = f"{'what':<46} {'median':>10} {'spread':>19} {'unit':<10} {'target':>9} {'limit':>10} {'ratio':>6}"


class Target(NamedTuple):
    """What a figure is to be."""

    bound: float  # in the row's unit
    is_least: bool = False  # the figure is to be at least that; else at most
    share: float | None = None  # the ratio to the limit that it is to reach as well, by the same sense

    def is_met(self, figure: float, ratio: float | None) -> bool:
        """Whether the figure and its ratio are what they are to be."""
        claims = [(figure, self.bound)]
        if self.share is not None and ratio is not None:
            claims.append((ratio, self.share))
        return all(found >= wanted if self.is_least else found <= wanted for found, wanted in claims)


class Row(NamedTuple):
    """One figure."""

    name: str
    values: Sequence[float]  # one for each repetition; none: it could not be measured
    unit: str
    target: Target | None = None
    limits: Sequence[float] = ()  # of the limit's repetitions, in the same unit; none: no limit was measured
    is_paired: bool = False  # each value was measured beside the limit of the same place
    note: str = ""  # behind the row: what the reader should know of this very run

    @property
    def ratio(self) -> float | None:
        """To the limit; None where there is none."""
        if not self.values or not self.limits or not all(self.limits):
            return None
        if self.is_paired:
            return statistics.median(ours / limit for ours, limit in zip(self.values, self.limits, strict=True))
        return statistics.median(self.values) / statistics.median(self.limits)

    @property
    def is_met(self) -> bool:
        """The target is met, or there is none."""
        if not self.values:
            return False
        return self.target is None or self.target.is_met(statistics.median(self.values), self.ratio)

    def line(self) -> str:
        """The row as it is printed."""
        spread = f"{_figure(min(self.values))} - {_figure(max(self.values))}" if len(self.values) > 1 else ""
        limit = _figure(statistics.median(self.limits)) if self.limits else ""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        middle = _figure(statistics.median(self.values)) if self.values else "-"
        cells = f"{self.name:<46} {middle:>10} {spread:>19} {self.unit:<10}"
        cells += f" {self._target():>9} {limit:>10} {ratio:>6}"
        missed = "" if self.is_met else "  missed"
        return (cells + missed + (f"  ({self.note})" if self.note else "")).rstrip()

    def _target(self) -> str:
        if self.target is None:
            return ""
        return (">= " if self.target.is_least else "<= ") + _figure(self.target.bound)


def at_most(bound: float) -> Target:
    """The figure is to be no more than that."""
    return Target(bound)


def at_least(bound: float, share: float | None = None) -> Target:
    """The figure is to be no less than that, and no less than this share of its limit."""
    return Target(bound, True, share)


def machine() -> str:
    """Where this was measured, and how busy it is: one line."""
    return (
        f"{platform.platform()}, {_processor()}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )


def show(rows: Iterable[Row]) -> int:
    """Print the table, each row as soon as it is there; give how many targets were missed."""
    missed = 0
    print(f"{machine()}\n{_COLUMNS}", flush=True)
    for row in rows:
        missed += not row.is_met
        print(row.line(), flush=True)
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    return missed


def _figure(value: float) -> str:
    """Three digits that count, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _processor() -> str:
    with open("/proc/cpuinfo") as lines:
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
