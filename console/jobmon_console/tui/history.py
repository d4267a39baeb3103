"""What jobs have used lately: CPU and memory of those that were looked at, for a line of small bars.

Figures come with beats, every 25 s or so, and with the samples of Top, every
0.5 s at the most.  Nothing here draws.
"""

import math
from collections import OrderedDict, deque
from itertools import pairwise
from typing import NamedTuple

KEPT = 1200  # figures of a job: ten minutes of Top's samples, however often they come
JOBS = 200  # that were looked at last
WITHIN = 600.0  # s that are shown
BARS = " ▁▂▃▄▅▆▇█"


class Sample(NamedTuple):
    """What a job used at a moment."""

    at: float  # s, of a steady clock
    cpu: float  # percent of a core
    memory: float  # bytes


class History:
    """The samples of the jobs looked at last."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, deque[Sample]] = OrderedDict()

    def add(self, uuid: str, at: float, cpu: object, memory: object) -> None:
        """Note figures; those that are not known, or came already, are passed over."""
        if not isinstance(cpu, (int, float)) or not isinstance(memory, (int, float)):
            return
        if not math.isfinite(cpu) or not math.isfinite(memory):
            return
        samples = self._jobs.setdefault(uuid, deque(maxlen=KEPT))
        self._jobs.move_to_end(uuid)
        samples.append(Sample(at, float(cpu), float(memory)))
        while len(self._jobs) > JOBS:
            self._jobs.popitem(last=False)

    def of(self, uuid: str, now: float) -> list[Sample]:
        """The samples of a job in the last ten minutes, oldest first."""
        return [sample for sample in self._jobs.get(uuid, ()) if now - sample.at <= WITHIN]


def bars(values: list[float], width: int, least: float = 0.0) -> str:
    """A line of small bars, the newest at the right; the highest is the largest value, the lowest is 0.

    Args:
        values: oldest first.
        width: cells.
        least: what the highest stands for at the least, so that next to nothing does not look like much.
    """
    if not values or width <= 0:
        return ""
    shown = _thinned(values, width)
    top = max(*shown, least) or 1.0
    steps = len(BARS) - 1
    return "".join(BARS[max(1, round(steps * value / top)) if value > 0 else 1] for value in shown).rjust(width)


def _thinned(values: list[float], width: int) -> list[float]:
    """At most ``width`` values; of neighbours that share a cell the larger stays, so that no peak is lost."""
    if len(values) <= width:
        return values
    cuts = [len(values) * at // width for at in range(width + 1)]
    return [max(values[begin:end]) for begin, end in pairwise(cuts)]
