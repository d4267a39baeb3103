"""``jobmon log``: what the job and JobMon reported, in time order."""

import argparse
import time

from jobmon_console import calls
from jobmon_console.cli import reach, screen, words
from jobmon_console.replies import Record
from jobmon_console.safe import safe
from jobmon_console.session import Session
from jobmon_wire import answers

_COLOURS = {
    "ended": "bold",
    "silent": "yellow",
    "lost": "magenta",
    "limit": "yellow",
    "batch": "yellow",
    "request": "dim",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("job", metavar="JOB", help="id of a job, or an unambiguous prefix")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Print the log."""
    target = reach.find_one(reach.contexts_of(arguments), arguments.job)
    with Session(target.context) as session:
        for event in session.rows(calls.log(target.ref, arguments.follow)):
            if arguments.json:
                screen.put_json(event)
            else:
                screen.put(_line(event))
            screen.flush()
    return answers.DONE


def _line(event: Record) -> str:
    kind = str(event.get("kind") or words.UNKNOWN)
    line = f"{words.clock(event.get('at'), time.time()):12}  {safe(kind):10}  {safe(str(event.get('text') or ''))}"
    return screen.paint(line.rstrip(), _COLOURS.get(kind, ""))
