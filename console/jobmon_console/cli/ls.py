"""``jobmon ls``: files of the job's sandbox.

Names are bytes: what is no UTF-8 is shown as ``\\xff``, and travels in JSON as
the lone surrogate ``\\udcff`` (Python: ``name.encode("utf-8", "surrogateescape")``).
"""

import argparse
import stat
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jobmon_console.cli import columns, reach, screen, table, words
from jobmon_console.cli.table import Column
from jobmon_console.errors import JobMonError
from jobmon_console.replies import Record
from jobmon_console.safe import safe
from jobmon_wire import answers, verbs
from jobmon_wire.frames import NOTE, RECORD, Frame

_LETTERS = {
    "file": "-",
    "directory": "d",
    "link": "l",
    "fifo": "p",
    "socket": "s",
    "device": "c",
    "block-device": "b",
}
_SIGNS = {"directory": "/", "link": "@", "fifo": "|", "socket": "="}
_COLUMNS = (
    Column("", is_number=True, can_shrink=False),  # on disk
    Column("", can_shrink=False),  # kind and mode
    Column("", is_number=True, can_shrink=False),  # links
    Column("", can_shrink=False),  # owner
    Column("", can_shrink=False),  # group
    Column("", is_number=True, can_shrink=False),  # size
    Column("", can_shrink=False),  # time
    Column(""),
)


class _Group(NamedTuple):
    """What stands together: the entries of a directory, or several that were named themselves."""

    path: str | None
    entries: list[Record]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("job", metavar="JOB", help="id of a job, or an unambiguous prefix")
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        default=".",
        help="in the sandbox, default its root; a pattern ('out/*.log', '**/core.*') where no file is called so",
    )
    parser.add_argument("-l", "--long", action="store_true", help="space on disk, mode, owner, size and time too")
    parser.add_argument("-a", "--all", action="store_true", help="names that begin with a dot too")
    parser.add_argument("-d", "--directory", action="store_true", help="directories themselves, not what they hold")
    order = parser.add_mutually_exclusive_group()
    order.add_argument("-t", dest="sort", action="store_const", const="modified", help="newest first")
    order.add_argument("-S", dest="sort", action="store_const", const="size", help="largest first")
    parser.add_argument("-r", "--reverse", action="store_true", help="the other way round")
    parser.add_argument("--json", action="store_true", help="one JSON object a file, with its path")


def run(arguments: argparse.Namespace) -> int:
    """List the files."""
    target = reach.find_one(reach.contexts_of(arguments), arguments.job)
    asked = {"path": arguments.path, "directory": arguments.directory, "hidden": arguments.all}
    is_first = True
    for group in _groups(reach.ask_frames(target, "ls", asked)):
        if arguments.json:
            for entry in _sorted(group.entries, arguments):
                screen.put_json({**entry, "path": _path(group, entry)})
            continue
        if group.path is not None and group.path != arguments.path:
            screen.put(("" if is_first else "\n") + safe(group.path) + ":")
        for line in _lines(group, arguments, time.time()):
            screen.put(line)
        is_first = False
    return answers.DONE


def _groups(answer: Iterable[Frame]) -> Iterator[_Group]:
    """The groups as they become whole; the last also when the answer ends in a failure."""
    group: _Group | None = None
    try:
        for frame in answer:
            if frame.type == NOTE:
                _note(frame.document())
            elif frame.type == RECORD:
                found = _read_group(frame.document())
                if group is not None and group.path == found.path:
                    group.entries.extend(found.entries)
                    continue
                if group is not None:
                    yield group
                group = found
    except JobMonError:
        if group is not None:
            yield group
        raise
    if group is not None:
        yield group


def _read_group(document: Record) -> _Group:
    path, entries = document.get("path"), document.get("entries")
    return _Group(
        path if isinstance(path, str) else None,
        [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else [],
    )


def _note(note: Record) -> None:
    kind = note.get("kind")
    entries = columns.text(note.get("entries"))
    if kind == "more":
        screen.note(f"{entries} more are not listed; list a directory below it, or name them by a pattern")
    elif kind == "unsearched":
        screen.note(f"the search ended after {entries} names; there may be more: name their directory more closely")
    elif kind == "refused":
        screen.note(columns.text(note.get("message")))


def _sorted(entries: list[Record], arguments: argparse.Namespace) -> list[Record]:
    """In the order that is wanted; they come by name, and names stay the second key."""
    ordered = list(entries)
    if arguments.sort:
        ordered.sort(key=lambda entry: _number(entry.get(arguments.sort)), reverse=True)
    return ordered[::-1] if arguments.reverse else ordered


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and value == value else float("-inf")


def _path(group: _Group, entry: Record) -> str:
    """What `cat` would have to be given for an entry."""
    name = str(entry.get("name"))
    if group.path is None or group.path == ".":
        return f"./{name}" if name in verbs.STREAMS else name
    return f"{group.path.rstrip('/')}/{name}"


def _lines(group: _Group, arguments: argparse.Namespace, now: float) -> Iterator[str]:
    entries = _sorted(group.entries, arguments)
    if arguments.long:
        yield from table.lines(_COLUMNS, [_row(entry, now) for entry in entries], has_header=False)
    else:
        for entry in entries:
            yield safe(columns.text(entry.get("name")) + _SIGNS.get(str(entry.get("kind")), ""))


def _row(entry: Record, now: float) -> list[str]:
    mode = entry.get("mode")
    bits = stat.filemode(mode & 0o7777)[1:] if isinstance(mode, int) else "?????????"
    name = columns.text(entry.get("name"))
    if entry.get("target") is not None:
        name += f" -> {columns.text(entry['target'])}"
    return [
        words.size(entry.get("allocated")),
        _LETTERS.get(str(entry.get("kind")), "?") + bits,
        columns.text(entry.get("links")),
        columns.text(entry.get("owner")),
        columns.text(entry.get("group")),
        columns.text(entry.get("size")),
        words.clock(entry.get("modified"), now),
        name,
    ]
