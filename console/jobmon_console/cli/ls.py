"""``jobmon ls``: files of the job's sandbox."""

import argparse
import stat
import time
from collections.abc import Iterator

from jobmon_console.cli import columns, reach, screen, table, words
from jobmon_console.cli.table import Column
from jobmon_console.jobs import Record
from jobmon_console.safe import safe
from jobmon_wire import answers
from jobmon_wire.frames import NOTE, RECORD

_LETTERS = {"directory": "d", "link": "l", "fifo": "p", "socket": "s", "device": "c"}
_SIGNS = {"directory": "/", "link": "@", "fifo": "|", "socket": "="}
_COLUMNS = (
    Column("", can_shrink=False),
    Column("", can_shrink=False),
    Column("", is_number=True, can_shrink=False),
    Column("", can_shrink=False),
    Column(""),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("job", metavar="JOB", help="id of a job, or an unambiguous prefix")
    parser.add_argument("path", metavar="PATH", nargs="?", default=".", help="in the sandbox; default its root")
    parser.add_argument("-l", "--long", action="store_true", help="mode, owner, size and time too")
    parser.add_argument("--json", action="store_true", help="one JSON object a file")


def run(arguments: argparse.Namespace) -> int:
    """List the files."""
    target = reach.find_one(reach.contexts_of(arguments), arguments.job)
    now = time.time()
    for frame in reach.ask_frames(target, "ls", {"path": arguments.path}):
        if frame.type == RECORD:
            entries = [entry for entry in frame.document().get("entries") or () if isinstance(entry, dict)]
            for line in _lines(entries, arguments, now):
                screen.put(line)
        elif frame.type == NOTE and (more := frame.document()).get("kind") == "more":
            screen.note(f"{columns.text(more.get('entries'))} more are not listed; list a directory below")
    return answers.DONE


def _lines(entries: list[Record], arguments: argparse.Namespace, now: float) -> Iterator[str]:
    if arguments.json:
        for entry in entries:
            screen.put_json(entry)
    elif arguments.long:
        yield from table.lines(_COLUMNS, [_row(entry, now) for entry in entries], has_header=False)
    else:
        for entry in entries:
            yield safe(columns.text(entry.get("name")) + _SIGNS.get(str(entry.get("kind")), ""))


def _row(entry: Record, now: float) -> list[str]:
    kind, mode = str(entry.get("kind")), entry.get("mode")
    bits = stat.filemode(mode & 0o7777)[1:] if isinstance(mode, int) else "?????????"
    name = columns.text(entry.get("name"))
    if entry.get("target") is not None:
        name += f" -> {columns.text(entry['target'])}"
    return [
        _LETTERS.get(kind, "-") + bits,
        columns.text(entry.get("owner")),
        columns.text(entry.get("size")),
        words.clock(entry.get("modified"), now),
        name,
    ]
