"""``jobmon top``: what a job's processes use, tick by tick.

On a terminal the screen is redrawn; a pipe gets one block a tick.
"""

import argparse
import sys
import time
from typing import Any

from jobmon_console import allowance
from jobmon_console.cli import columns, parser, reach, screen, table, words
from jobmon_console.cli.table import Column
from jobmon_console.replies import Record
from jobmon_console.safe import safe
from jobmon_wire import answers
from jobmon_wire.frames import RECORD

_HOME_AND_CLEAR = "\x1b[H\x1b[J"
_HEAD_LINES = 5  # above the processes, and the prompt's line below
_COLUMNS = (
    Column("PID", is_number=True, can_shrink=False),
    Column("S", can_shrink=False),
    Column("CPU%", is_number=True, can_shrink=False),
    Column("TIME", is_number=True, can_shrink=False),
    Column("MEM", is_number=True, can_shrink=False),
    Column("THR", is_number=True, can_shrink=False),
    Column("NAME"),
)


def add_arguments(parser_: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser_.add_argument("job", metavar="JOB", help="id of a job, or an unambiguous prefix")
    parser_.add_argument("-d", "--delay", metavar="SECONDS", type=parser.positive, default=2.0, help="between ticks")
    parser_.add_argument("-n", "--count", metavar="COUNT", type=parser.count, default=0, help="ticks; 0: until Ctrl-C")
    parser_.add_argument("--json", action="store_true", help="one JSON object a tick")


def run(arguments: argparse.Namespace) -> int:
    """Print ticks."""
    target = reach.find_one(reach.contexts_of(arguments), arguments.job)
    redraws = screen.is_terminal() and not arguments.json
    for frame in reach.ask_frames(target, "top", {"delay": arguments.delay, "count": arguments.count}):
        if frame.type != RECORD:
            continue
        tick = frame.document()
        if arguments.json:
            screen.put_json(tick)
        elif redraws:
            lines = _block(target.name, tick)[: max(_HEAD_LINES, screen.height() - 1)]
            sys.stdout.write(_HOME_AND_CLEAR + "\n".join(lines) + "\n")
        else:
            sys.stdout.write("\n".join(_block(target.name, tick)) + "\n\n")
        screen.flush()
    return answers.DONE


def _block(name: str, tick: Record) -> list[str]:
    job, node = _object(tick.get("job")), _object(tick.get("node"))
    load = node.get("load")
    loads = (
        " ".join(f"{value:.2f}" for value in load if isinstance(value, (int, float))) if isinstance(load, list) else "-"
    )
    limits = "  ".join(fact.text for fact in allowance.facts(job, words.size))
    head = [
        f"{name}  {words.clock(tick.get('at'), time.time())}  cpu {words.percent(job.get('cpu_percent'))}%"
        f"  mem {allowance.memory(job, words.size).text}  {_counted(job, 'process')}  {_counted(job, 'thread')}",
        *([f"limits  {limits}"] if limits else []),
        f"node  load {loads}  {columns.text(node.get('cpus'))} cpus"
        f"  mem {words.size(node.get('memory_available'))} free of {words.size(node.get('memory'))}",
    ]
    processes = [process for process in tick.get("processes") or () if isinstance(process, dict)]
    edge = screen.width()
    return [table.cut(safe(line), edge) for line in head] + table.lines(_COLUMNS, [_row(p) for p in processes])


def _counted(job: Record, noun: str) -> str:
    key = "processes" if noun == "process" else f"{noun}s"
    count = job.get(key)
    return words.plural(count, noun) if isinstance(count, int) else f"{words.UNKNOWN} {key}"


def _row(process: Record) -> list[str]:
    return [
        columns.text(process.get("pid")),
        columns.text(process.get("state")),
        words.percent(process.get("cpu_percent")),
        words.span(process.get("cpu_seconds")),
        words.size(process.get("rss")),
        columns.text(process.get("threads")),
        columns.text(process.get("name")),
    ]


def _object(value: Any) -> Record:
    return value if isinstance(value, dict) else {}
