"""``jobmon ps``: the job's processes as a tree."""

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from jobmon_console.cli import columns, reach, screen, table, words
from jobmon_console.cli.table import Column
from jobmon_console.replies import Record
from jobmon_wire import answers
from jobmon_wire.frames import RECORD

_ROOMY = 110  # columns of a terminal from which on all is shown; a pipe gets all


class _Cell(NamedTuple):
    """One column, and what of a process stands in it."""

    column: Column
    show: Callable[[Record, float], str]
    is_extra: bool = False  # shown where there is room

    @classmethod
    def number(cls, title: str, key: str, write: Callable[[Any], str], is_extra: bool = False) -> "_Cell":
        """A figure at the right."""
        column = Column(title, is_number=True, can_shrink=False)
        return cls(column, lambda process, now: write(process.get(key)), is_extra)


_CELLS = (
    _Cell.number("PID", "pid", columns.text),
    _Cell(Column("USER"), lambda process, now: columns.text(process.get("user"))),
    _Cell(Column("S", can_shrink=False), lambda process, now: columns.text(process.get("state"))),
    _Cell.number("CPU%", "cpu_percent", words.percent, True),
    _Cell.number("CPU", "cpu_seconds", words.span),
    _Cell.number("MEM", "rss", words.size),
    _Cell.number("THR", "threads", columns.text),
    _Cell.number("READ", "read", words.size, True),
    _Cell.number("WRITTEN", "written", words.size, True),
    _Cell.number("FILES", "open_files", columns.text, True),
    _Cell(Column("STARTED", can_shrink=False), lambda process, now: words.clock(process.get("started"), now)),
)
_SHARE = _Cell(Column("PSS", is_number=True, can_shrink=False), lambda process, now: _share(process))
_GPU = _Cell.number("GPU", "gpu_memory", words.size)
_BRANCHES = ("├─ ", "└─ ", "│  ")
_ASCII_BRANCHES = ("|- ", "`- ", "|  ")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("job", metavar="JOB", help="id of a job, or an unambiguous prefix")
    parser.add_argument("--pss", action="store_true", help="also each one's share of memory, which may hold it up")
    parser.add_argument("--force", action="store_true", help="with --pss: also of processes above 512 MiB")
    parser.add_argument("--json", action="store_true", help="one JSON object a process")


def run(arguments: argparse.Namespace) -> int:
    """Print the tree."""
    target = reach.find_one(reach.contexts_of(arguments), arguments.job)
    processes = read(target, {"pss": True, "force": arguments.force} if arguments.pss else {})
    if arguments.json:
        for process in processes:
            screen.put_json(process)
        return answers.DONE
    _print(processes, arguments.pss)
    for process in processes:
        if process.get("pss_refused"):
            screen.note(columns.text(process["pss_refused"]))
    return answers.DONE


def read(target: reach.Target, asked: Record) -> list[Record]:
    """The processes of a job, as its agent tells them.

    Args:
        asked: arguments of the verb.

    Raises:
        JobMonError: see ``errors``.
    """
    processes: list[Record] = []
    for frame in reach.ask_frames(target, "ps", asked):
        if frame.type == RECORD:
            processes += [process for process in frame.document().get("processes") or () if isinstance(process, dict)]
    return processes


def command(process: Record) -> str:
    """What it runs, or its name where that is not told; not safe for a screen yet."""
    return str(process.get("command") or f"[{columns.text(process.get('name'))}]")


def _print(processes: list[Record], with_share: bool) -> None:
    now, width = time.time(), screen.width()
    shown = [cell for cell in _CELLS if not cell.is_extra or not width or width >= _ROOMY]
    at = next(i for i, cell in enumerate(shown) if cell.column.title == "MEM") + 1
    shown[at:at] = [_SHARE] * with_share + [_GPU] * any(process.get("gpu_memory") for process in processes)
    branches = _BRANCHES if screen.draws_lines() else _ASCII_BRANCHES
    drawn = list(tree(processes, branches))
    rows = [[*(cell.show(process, now) for cell in shown), lead + command(process)] for lead, process in drawn]
    lines = table.lines([*(cell.column for cell in shown), Column("COMMAND")], rows)
    colours = ["bold"] + ["bold" if process.get("is_job") else "" for _, process in drawn]
    for line, colour in zip(lines, colours, strict=True):
        screen.put(screen.paint(line, colour))


def tree(processes: list[Record], branches: tuple[str, str, str]) -> Iterator[tuple[str, Record]]:
    """Each process with the branches that lead to it, parents before children."""
    pids = {_pid(process.get("pid")) for process in processes}
    children: dict[object, list[Record]] = {}
    for process in processes:
        parent = _pid(process.get("ppid"))
        # A process that is its own ancestor is a lie; it is shown at the root.
        is_root = parent not in pids or parent == _pid(process.get("pid"))
        children.setdefault(None if is_root else parent, []).append(process)
    shown: set[int] = set()
    # A stack of our own: a job may nest deeper than Python calls.
    stack = [(process, "", "") for process in reversed(children.get(None, []))]
    while stack:
        process, lead, below = stack.pop()
        shown.add(id(process))
        yield lead, process
        pid = _pid(process.get("pid"))
        own = children.get(pid, []) if pid is not None else []
        for i in range(len(own) - 1, -1, -1):
            is_last = i == len(own) - 1
            if id(own[i]) not in shown:
                stack.append(
                    (own[i], below + branches[1 if is_last else 0], below + ("   " if is_last else branches[2]))
                )
    for process in processes:  # what only circles reach
        if id(process) not in shown:
            yield "", process


def _pid(value: Any) -> int | str | None:
    """A process's number, or whatever a peer sends in its place that can be looked for."""
    return value if isinstance(value, (int, str)) else None


def _share(process: Record) -> str:
    return "refused" if process.get("pss_refused") else words.size(process.get("pss"))
