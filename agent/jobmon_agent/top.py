"""The verb `top`: what the job uses, tick by tick.

Only `stat` of processes is read at a tick, never a command line or a memory
map: those take locks that the job may be waiting for.  Environments are read
once for each process that no other rule makes a member, every ten seconds.
"""

import time

from jobmon_agent.gpu import Asking, Gpus
from jobmon_agent.job import Job
from jobmon_agent.members import group_of
from jobmon_agent.node import load, memory
from jobmon_agent.proc import TICKS, Process, text
from jobmon_agent.usage import Look, Watch, cpu_by_member, cpu_of_job
from jobmon_wire import frames, limits
from jobmon_wire.verbs import ORDERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Optional, Tuple

    Figures = Dict[str, Optional[float]]

PROCESSES = 200  # rows of one tick: the first in the order that was asked for
FIRST_BASE = 0.2  # s between the two looks that the first tick's percentages come from
SCAN_EVERY = 1.0  # s between looks at the whole node
MARKS_EVERY = 10.0  # s between looks at environments of new processes
GPUS_EVERY = 10.0  # s between two questions to the GPUs' driver, each a process of 0.1 s and more

# By order: what a process goes by, and what decides between equal ones; the largest comes first.
_FIELDS = {
    "cpu": ("cpu_percent", "cpu_seconds"),
    "memory": ("rss", "cpu_percent"),
    "time": ("cpu_seconds", "cpu_percent"),
}


def top(job: Job, arguments: "Dict[str, Any]") -> "Iterator[Tuple[int, Dict[str, Any]]]":
    """Yield one RECORD a tick, until the count is reached or the job is over."""
    watch = Watch(job, (SCAN_EVERY, SCAN_EVERY), MARKS_EVERY)
    cards = _Cards()
    sort = arguments.get("sort") or ORDERS[0]
    before = watch.look()
    is_over = job.wait_over(FIRST_BASE)
    done = 0
    while True:
        now = watch.look()
        figures = group_of(job).figures(len(now.members))
        yield frames.RECORD, tick(before, now, figures, cards.look(now), sort)
        before, done = now, done + 1
        if is_over or done == arguments["count"]:
            return
        is_over = job.wait_over(max(0.0, now.at + arguments["delay"] - time.monotonic()))


def tick(
    before: Look,
    now: Look,
    figures: "Figures",
    gpus: "Optional[Gpus]",
    sort: str = ORDERS[0],
    most: int = PROCESSES,
) -> "Dict[str, Any]":
    """The object of one tick, from two looks, the control groups' figures and the GPUs.

    Args:
        before, now: the looks.
        figures, gpus: what else there is to tell.
        sort: one of ``ORDERS``, which decides whose rows there are, and how they follow each other.
        most: rows.
    """
    elapsed = max(now.at - before.at, 1e-3)
    used = cpu_by_member(before, now)
    rows = [_row(process, used[pid] / elapsed) for pid, process in now.members.items()]
    first, second = _FIELDS[sort]
    rows.sort(key=lambda row: (-row[first], -row[second], row["pid"]))
    rows = rows[:most]
    for row in rows:
        row["gpu_memory"] = gpus.memory.get(row["pid"]) if gpus else None
    return {
        "at": time.time(),
        "job": dict(
            figures,
            cpu_percent=round(100 * cpu_of_job(before, now) / elapsed, 1),
            rss=min(sum(process.rss for process in now.members.values()), limits.INTEGER),
            processes=len(now.members),
            threads=sum(process.threads for process in now.members.values()),
            gpus=gpus.devices if gpus else [],
        ),
        "node": dict(load(), **memory(("memory", "memory_available"))),
        "processes": rows,
    }


class _Cards:
    """The GPUs as they were told last; asked for aside, so that no tick waits for a driver."""

    def __init__(self) -> None:
        self._asking: "Optional[Asking]" = Asking()
        self._asked = time.monotonic()
        self._known: "Optional[Gpus]" = None

    def look(self, now: Look) -> "Optional[Gpus]":
        """What is known now; asks again when it is time, unless there was no answer."""
        if self._asking is not None:
            found = self._asking.look(list(now.members))
            if self._asking.is_over:
                self._asking, self._known = None, found
        elif self._known is not None and now.at - self._asked >= GPUS_EVERY:
            self._asking, self._asked = Asking(), now.at
        return self._known


def _row(process: Process, share: float) -> "Dict[str, Any]":
    return {
        "pid": process.pid,
        "ppid": process.ppid,
        "state": process.state,
        "name": text(process.name),
        "cpu_percent": round(100 * share, 1),
        "cpu_seconds": process.cpu / TICKS,
        "rss": min(process.rss, limits.INTEGER),
        "threads": process.threads,
    }
