"""``jobmon show``: one job, everything known."""

import argparse
import time
from typing import Any

from jobmon_console import calls
from jobmon_console.cli import columns, reach, screen, words
from jobmon_console.replies import Record
from jobmon_console.safe import safe
from jobmon_console.session import Session
from jobmon_wire import answers
from jobmon_wire.jobs import FIELDS

_SIZES = frozenset(["rss_bytes", "memory_limit", "output_bytes", "memory", "peak_rss", "stdout_bytes", "stderr_bytes"])
_MOMENTS = frozenset(["started", "ended", "registered", "last_seen", "output_at"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("job", metavar="JOB", help="id of a job, or an unambiguous prefix")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Show the job."""
    target = reach.find_one(reach.contexts_of(arguments), arguments.job)
    record = target.record
    if record is None:
        with Session(target.context) as session:
            record = session.fetch(calls.job(target.ref))
    assert record is not None
    if arguments.json:
        screen.put_json(record)
        return answers.DONE
    known = [field.name for field in FIELDS if record.get(field.name) not in (None, {}, "")]
    _print_block("", {name: record[name] for name in known}, record)
    for title in ("registration", "end"):
        if isinstance(record.get(title), dict):
            shown = {
                key: value for key, value in record[title].items() if key not in known and value not in (None, {}, "")
            }
            _print_block(title, shown, record)
    return answers.DONE


def _print_block(title: str, values: Record, record: Record) -> None:
    if title and values:
        screen.put(screen.paint(f"{title}:", "bold"))
    wide = max((len(safe(key)) for key in values), default=0)
    for key, value in values.items():
        shown = safe(key.replace("_", " ")).ljust(wide)
        screen.put(f"{'  ' if title else ''}{shown}  {safe(_text(key, value, record))}")


def _text(key: str, value: Any, record: Record) -> str:
    now = time.time()
    if key == "state":
        return columns.state(record)
    if key == "exit":
        core = ", core dumped" if isinstance(value, dict) and value.get("core") else ""
        source = value.get("source") if isinstance(value, dict) else None
        return f"{columns.row(['exit'], record, now)[0]}{core} (known by {source})"
    if key in _MOMENTS and words.seconds(value) is not None:
        return f"{words.clock(value, now)} ({words.ago(value, now)} ago)"
    if key in _SIZES and isinstance(value, int):
        return f"{words.size(value)} ({value} bytes)"
    return columns.text(value)
