"""A job's processes as a tree: who is below whom, what each has with all below it, and what of it is folded away.

What an agent sends may be anything: circles, numbers that come twice, lists in
place of texts.  Every process is one row, once.  Nothing here calls itself, for
a chain may be deeper than Python calls, and nothing here draws.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from jobmon_console.ranking import number

DEEPEST = 64  # levels drawn; a chain of more is drawn flat

Process = dict[str, Any]
Identity = tuple[str, str]  # number and start time: a number may be given again


class Row(NamedTuple):
    """One process; those below it are the ``below`` rows that follow."""

    process: Process
    identity: Identity
    branches: str  # drawn before the command
    below: int  # processes, of all levels
    rss: float | None  # bytes resident of it and all below; what they share counts for each.  None: not known of any
    cpu: float | None  # s of processor time of it and all below, so far


def arrange(processes: Sequence[Process]) -> list[Row]:
    """A row for each process, children after their parents and in the order of their numbers.

    A process whose parent is not in the list is a root.  What an agent sends
    may go in circles: every process is drawn once.
    """
    ordered, parents = _in_order(processes)
    below = [0] * len(ordered)
    rss = [number(process.get("rss")) for process, _ in ordered]
    cpu = [number(process.get("cpu_seconds")) for process, _ in ordered]
    for at in range(len(ordered) - 1, -1, -1):  # whatever is below comes behind: it is summed up before it is added
        parent = parents[at]
        if parent >= 0:
            below[parent] += below[at] + 1
            rss[parent], cpu[parent] = _sum(rss[parent], rss[at]), _sum(cpu[parent], cpu[at])
    return [
        Row(process, _identity(process), branches, below[at], rss[at], cpu[at])
        for at, (process, branches) in enumerate(ordered)
    ]


def unfolded(rows: Sequence[Row], folded: Collection[Identity]) -> list[int]:
    """Which rows are seen: those that are below none that is folded."""
    seen, at = [], 0
    while at < len(rows):
        seen.append(at)
        at += 1 + (rows[at].below if rows[at].identity in folded else 0)
    return seen


def places(rows: Sequence[Row], seen: Sequence[int]) -> dict[Identity, int]:
    """Where in what is seen each process is, or the one it is folded into."""
    found: dict[Identity, int] = {}
    for place, begin in enumerate(seen):
        end = seen[place + 1] if place + 1 < len(seen) else len(rows)
        for row in rows[begin:end]:
            found.setdefault(row.identity, place)
    return found


def nearest(old: Sequence[Identity], at: int, new: dict[Identity, int]) -> tuple[int, int]:
    """The process that was in a place, or else was the nearest to it, of those that are still there.

    Args:
        old: the processes that were seen.
        at: the place.
        new: where each is now.

    Returns:
        Where it is now, and how many places from ``at`` it was; where none is left, the first and 0.
    """
    for step in range(len(old)):
        for place in (at + step, at - step):
            if 0 <= place < len(old) and old[place] in new:
                return new[old[place]], place - at
    return 0, 0


def _in_order(processes: Sequence[Process]) -> tuple[list[tuple[Process, str]], list[int]]:
    """Each process with its branches, and the place of each one's parent; -1 for a root."""
    known = {_key(process.get("pid")) for process in processes} - {None}
    children: dict[Any, list[Process]] = {}
    roots: list[Process] = []
    for process in sorted(processes, key=lambda process: str(process.get("pid", "")).zfill(10)):
        parent = _key(process.get("ppid"))
        is_root = parent not in known or parent == _key(process.get("pid"))
        (roots if is_root else children.setdefault(parent, [])).append(process)
    rows: list[tuple[Process, str]] = []
    parents: list[int] = []
    drawn: set[int] = set()
    left = iter(processes)  # for when only circles are left: begin with any of them
    waiting = [(root, "", "", 0, -1) for root in reversed(roots)]
    while waiting or len(rows) < len(processes):
        if not waiting:
            waiting.append((next(p for p in left if id(p) not in drawn), "", "", 0, -1))
        process, stem, branch, depth, parent = waiting.pop()
        if id(process) in drawn:
            continue
        drawn.add(id(process))
        here = len(rows)
        rows.append((process, stem + branch))
        parents.append(parent)
        below = children.get(_key(process.get("pid")), [])
        under = stem + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch] if depth < DEEPEST else stem
        for at, child in reversed(list(enumerate(below))):
            waiting.append((child, under, "└─ " if at == len(below) - 1 else "├─ ", depth + 1, here))
    return rows, parents


def _key(value: Any) -> int | str | None:
    """A process's number, or whatever an agent sends in its place that can be looked for."""
    return value if isinstance(value, (int, str)) else None


def _identity(process: Process) -> Identity:
    # The moment is worked out for each list from the node's clock, and may be a hundredth another in the next.
    return str(process.get("pid")), str(process.get("started_exactly") or process.get("started"))


def _sum(one: float | None, other: float | None) -> float | None:
    return one if other is None else other if one is None else one + other
