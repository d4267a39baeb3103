"""``jobmon ps``: the job's processes as a tree."""

import argparse
import time
from collections.abc import Iterator

from jobmon_console.cli import columns, reach, screen, table, words
from jobmon_console.cli.table import Column
from jobmon_console.jobs import Record
from jobmon_wire import answers
from jobmon_wire.frames import RECORD

_COLUMNS = (
    Column("PID", is_number=True, can_shrink=False),
    Column("USER"),
    Column("S", can_shrink=False),
    Column("CPU", is_number=True, can_shrink=False),
    Column("MEM", is_number=True, can_shrink=False),
    Column("THR", is_number=True, can_shrink=False),
    Column("STARTED", can_shrink=False),
    Column("COMMAND"),
)
_BRANCHES = ("├─ ", "└─ ", "│  ")
_ASCII_BRANCHES = ("|- ", "`- ", "|  ")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("job", metavar="JOB", help="id of a job, or an unambiguous prefix")
    parser.add_argument("--json", action="store_true", help="one JSON object a process")


def run(arguments: argparse.Namespace) -> int:
    """Print the tree."""
    target = reach.find_one(reach.contexts_of(arguments), arguments.job)
    processes: list[Record] = []
    for frame in reach.ask_frames(target, "ps", {}):
        if frame.type == RECORD:
            processes += [process for process in frame.document().get("processes") or () if isinstance(process, dict)]
    if arguments.json:
        for process in processes:
            screen.put_json(process)
        return answers.DONE
    now = time.time()
    branches = _BRANCHES if screen.draws_lines() else _ASCII_BRANCHES
    drawn = [(_row(process, lead, now), process) for lead, process in tree(processes, branches)]
    lines = table.lines(_COLUMNS, [row for row, _ in drawn])
    colours = ["bold"] + ["bold" if process.get("is_job") else "" for _, process in drawn]
    for line, colour in zip(lines, colours, strict=True):
        screen.put(screen.paint(line, colour))
    return answers.DONE


def tree(processes: list[Record], branches: tuple[str, str, str]) -> Iterator[tuple[str, Record]]:
    """Each process with the branches that lead to it, parents before children."""
    pids = {process.get("pid") for process in processes}
    children: dict[object, list[Record]] = {}
    for process in processes:
        parent = process.get("ppid")
        # A process that is its own ancestor is a lie; it is shown at the root.
        children.setdefault(parent if parent in pids and parent != process.get("pid") else None, []).append(process)
    shown: set[int] = set()
    # A stack of our own: a job may nest deeper than Python calls.
    stack = [(process, "", "") for process in reversed(children.get(None, []))]
    while stack:
        process, lead, below = stack.pop()
        shown.add(id(process))
        yield lead, process
        own = children.get(process.get("pid"), [])
        for i in range(len(own) - 1, -1, -1):
            is_last = i == len(own) - 1
            if id(own[i]) not in shown:
                stack.append(
                    (own[i], below + branches[1 if is_last else 0], below + ("   " if is_last else branches[2]))
                )
    for process in processes:  # what only circles reach
        if id(process) not in shown:
            yield "", process


def _row(process: Record, lead: str, now: float) -> list[str]:
    command = process.get("command") or f"[{columns.text(process.get('name'))}]"
    return [
        columns.text(process.get("pid")),
        columns.text(process.get("user")),
        columns.text(process.get("state")),
        words.span(process.get("cpu_seconds")),
        words.size(process.get("rss")),
        columns.text(process.get("threads")),
        words.clock(process.get("started"), now),
        f"{lead}{command}",
    ]
