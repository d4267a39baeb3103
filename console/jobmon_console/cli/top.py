"""``jobmon top``: what a job's processes use, tick by tick.

On a terminal the screen is redrawn; a pipe gets one block a tick.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

from jobmon_console import allowance, ranking
from jobmon_console.cli import columns, parser, reach, screen, table, words
from jobmon_console.cli.table import Column
from jobmon_console.errors import RefusedError
from jobmon_console.replies import Record
from jobmon_console.safe import safe
from jobmon_wire import answers
from jobmon_wire.frames import RECORD
from jobmon_wire.verbs import ORDERS

_HOME_AND_CLEAR = "\x1b[H\x1b[J"
TOO_OLD = "the agent, or the server, is too old for --sort {}: this is the order of the busiest, others are left out"
_HEAD_LINES = 6  # above the processes, and the prompt's line below
_COLUMNS = (
    Column("PID", is_number=True, can_shrink=False),
    Column("S", can_shrink=False),
    Column("CPU%", is_number=True, can_shrink=False),
    Column("TIME", is_number=True, can_shrink=False),
    Column("MEM", is_number=True, can_shrink=False),
    Column("THR", is_number=True, can_shrink=False),
    Column("NAME"),
)
_TITLES = {"cpu": "CPU%", "memory": "MEM", "time": "TIME"}  # by order


def add_arguments(parser_: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser_.add_argument("job", metavar="JOB", help="id of a job, or an unambiguous prefix")
    parser_.add_argument("-d", "--delay", metavar="SECONDS", type=parser.positive, default=2.0, help="between ticks")
    parser_.add_argument("-n", "--count", metavar="COUNT", type=parser.count, default=0, help="ticks; 0: until Ctrl-C")
    parser_.add_argument(
        "--sort",
        choices=ORDERS,
        default=ranking.USUAL,
        help="what the processes use now (cpu), hold (memory) or have used (time), most first; of more than 200 it"
        " decides which are sent; default: cpu",
    )
    parser_.add_argument("--json", action="store_true", help="one JSON object a tick")


def run(arguments: argparse.Namespace) -> int:
    """Print ticks."""
    target = reach.find_one(reach.contexts_of(arguments), arguments.job)
    redraws = screen.is_terminal() and not arguments.json
    sampling = _Sampling(target, arguments)
    for tick in sampling.ticks():
        if arguments.json:
            screen.put_json(tick)
        elif redraws:
            lines = _block(target.name, tick, arguments.sort, sampling.trouble)
            sys.stdout.write(_HOME_AND_CLEAR + "\n".join(lines[: max(_HEAD_LINES, screen.height() - 1)]) + "\n")
        else:
            sys.stdout.write("\n".join(_block(target.name, tick)) + "\n\n")
        screen.flush()
    return answers.DONE


class _Sampling:
    """The ticks of one job, in the order that was asked for, or as near to it as its agent can.

    Attributes:
        trouble: why it is not quite that order; empty: it is.
    """

    def __init__(self, target: reach.Target, arguments: argparse.Namespace) -> None:
        self._target = target
        self._arguments = arguments
        self._has_begun = False
        self.trouble = ""

    def ticks(self) -> Iterator[Record]:
        """One object a tick, until the count is reached or the job is over.

        Raises:
            JobMonError: see ``errors``.
        """
        sort = self._arguments.sort
        order = ranking.asked(sort)
        try:
            yield from self._ask(order)
            return
        except RefusedError as error:
            if self._has_begun or not order or not ranking.may_be_too_old(error):
                raise
        for tick in self._ask({}):
            if not self.trouble:
                self.trouble = TOO_OLD.format(sort)
                screen.note(self.trouble)
            yield {**tick, "processes": ranking.in_order(_processes(tick), sort)}

    def _ask(self, order: dict[str, str]) -> Iterator[Record]:
        asked = {"delay": self._arguments.delay, "count": self._arguments.count, **order}
        for frame in reach.ask_frames(self._target, "top", asked):
            if frame.type == RECORD:
                self._has_begun = True
                yield frame.document()


def _block(name: str, tick: Record, marked: str = "", trouble: str = "") -> list[str]:
    """One tick as lines.

    Args:
        name: of the job.
        tick: what the agent sent.
        marked: the order that is marked at the title of its column; in a pipe none is, for those who look for titles.
        trouble: what is to be said of the order.
    """
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
    head += [trouble] if trouble else []
    edge, arrow = screen.width(), "▼" if screen.draws_lines() else "v"
    shown = [c._replace(title=c.title + arrow) if c.title == _TITLES.get(marked) else c for c in _COLUMNS]
    return [table.cut(safe(line), edge) for line in head] + table.lines(shown, [_row(p) for p in _processes(tick)])


def _processes(tick: Record) -> list[Record]:
    found = tick.get("processes")
    return [process for process in found if isinstance(process, dict)] if isinstance(found, list) else []


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
