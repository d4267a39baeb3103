"""How many jobs are in which state, and on which node: kept as they change, never counted anew.

Nothing here draws.
"""

from collections import Counter

from jobmon_console.rows import PLACES, Row
from jobmon_wire.jobs import RUNNING

_STATE, _CLUSTER, _NODE = PLACES["state"], PLACES["cluster"], PLACES["node"]


class Tally:
    """Of the jobs of one node."""

    __slots__ = ("jobs", "running")

    def __init__(self) -> None:
        self.jobs = self.running = 0


class Census:
    """Of all jobs.

    Attributes:
        states: jobs by state.
        nodes: by the names of cluster and node; none is empty.
    """

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.nodes: dict[tuple[str, str], Tally] = {}

    def turn(self, old: Row | None, new: Row | None) -> None:
        """A job came, went, or is another now."""
        if old is not None and new is not None:
            was, now = old.cells, new.cells
            if was[_STATE] == now[_STATE] and was[_NODE] == now[_NODE] and was[_CLUSTER] == now[_CLUSTER]:
                return
        if old is not None:
            self._count(old, -1)
        if new is not None:
            self._count(new, 1)

    def _count(self, row: Row, step: int) -> None:
        state, key = str(row.cells[_STATE] or ""), place_of(row)
        self.states[state] += step
        tally = self.nodes.get(key)
        if tally is None:
            tally = self.nodes[key] = Tally()
        tally.jobs += step
        tally.running += step * (state == RUNNING)
        if not tally.jobs:
            del self.nodes[key]


def place_of(row: Row) -> tuple[str, str]:
    """The names of its cluster and node; empty where they are not known."""
    return str(row.cells[_CLUSTER] or ""), str(row.cells[_NODE] or "")
