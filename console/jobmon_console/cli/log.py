"""``jobmon log``: what the job and JobMon reported, in time order."""

import argparse
import time
from collections.abc import Iterator

from jobmon_console import calls
from jobmon_console.cli import reach, screen, words
from jobmon_console.cli.retries import Retries
from jobmon_console.errors import CutOffError, JobMonError
from jobmon_console.replies import Record
from jobmon_console.safe import safe
from jobmon_console.session import Session
from jobmon_wire import answers
from jobmon_wire.jobs import ENDED

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
        events = _followed(session, target.ref) if arguments.follow else session.rows(calls.log(target.ref))
        for event in events:
            if arguments.json:
                screen.put_json(event)
            else:
                screen.put(_line(event))
            screen.flush()
    return answers.DONE


def _followed(session: Session, ref: str) -> Iterator[Record]:
    """The events as they come, each once, until the job has ended.

    Raises:
        JobMonError: they broke off, and did not go on.
    """
    retries, last = Retries(), 0  # number of the last event
    while True:
        try:
            for event in session.rows(calls.log(ref, follow=True)):
                retries.came()
                number = event.get("seq")
                if isinstance(number, int) and number > last:
                    last = number
                    yield event
            if session.fetch(calls.job(ref)).get("state") == ENDED:
                return
            raise CutOffError(f"{session.link.url} ended the log; ask again")
        except JobMonError as error:
            if not last:
                raise
            if retries.broke(error):
                screen.note("the log broke off; going on with it when it can be had")
            retries.wait()


def _line(event: Record) -> str:
    kind = str(event.get("kind") or words.UNKNOWN)
    line = f"{words.clock(event.get('at'), time.time()):12}  {safe(kind):10}  {safe(str(event.get('text') or ''))}"
    return screen.paint(line.rstrip(), _COLOURS.get(kind, ""))
