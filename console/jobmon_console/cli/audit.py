"""``jobmon audit``: who did what to my jobs."""

import argparse
import time

from jobmon_console import calls
from jobmon_console.cli import columns, parser, reach, screen, table, words
from jobmon_console.cli.table import Column
from jobmon_console.replies import Record
from jobmon_console.session import Session
from jobmon_wire import answers

_COLUMNS = (
    Column("TIME", can_shrink=False),
    Column("WHO"),
    Column("ROLE", can_shrink=False),
    Column("VERB", can_shrink=False),
    Column("JOB"),
    Column("DECISION", can_shrink=False),
    Column("OUTCOME"),
    Column("ARGUMENTS"),
    Column("FROM"),
)


def add_arguments(parser_: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser_.add_argument("job", metavar="JOB", nargs="?", help="only what was done to this job")
    parser_.add_argument("--limit", metavar="N", type=parser.count, help="only the last so many")
    parser_.add_argument("--json", action="store_true", help="one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Print the trail, newest last."""
    contexts = reach.contexts_of(arguments)
    if arguments.job:
        target = reach.find_one(contexts, arguments.job)
        with Session(target.context) as session:
            _print(list(session.rows(calls.audit(target.ref, arguments.limit))), arguments.json)
        return answers.DONE
    outcomes = reach.over_contexts(contexts, lambda s: list(s.rows(calls.audit("", arguments.limit))))
    rows = [row for outcome in outcomes for row in outcome.value or ()]
    if len(contexts) > 1:
        rows.sort(key=lambda row: words.seconds(row.get("at")) or 0.0)
    _print(rows, arguments.json)
    return reach.complain(outcomes)


def _print(rows: list[Record], as_json: bool) -> None:
    if as_json:
        for row in rows:
            screen.put_json(row)
        return
    now = time.time()
    for line in table.lines(_COLUMNS, [_cells(row, now) for row in rows]):
        screen.put(line)


def _cells(row: Record, now: float) -> list[str]:
    job = row.get("id") or row.get("job")
    shown = [row.get(key) for key in ("who", "role", "verb")] + [job]
    shown += [row.get(key) for key in ("decision", "outcome", "arguments", "source")]
    return [words.clock(row.get("at"), now)] + [columns.text(value) for value in shown]
