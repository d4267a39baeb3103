"""``jobmon head``, ``tail`` and ``cat``: bytes of a job's output or files.

A pipe gets the bytes exactly as the job wrote them, each piece at once; a
terminal gets them with control characters made visible.  Of a job that has
ended the last words are kept, and used where they are enough.
"""

import argparse
from typing import Any

from jobmon_console import calls
from jobmon_console.cli import columns, parser, reach, screen
from jobmon_console.errors import NobodyToAskError, RefusedError
from jobmon_console.replies import Kept
from jobmon_console.session import Session
from jobmon_wire import answers, verbs
from jobmon_wire.frames import DATA, NOTE, Frame

_LINES = 10  # as head and tail elsewhere


def add_arguments(parser_: argparse.ArgumentParser) -> None:
    """The arguments of the three commands."""
    verb = parser_.prog.rsplit(" ", 1)[-1]
    parser_.add_argument("job", metavar="JOB", help="id of a job, or an unambiguous prefix")
    parser_.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        default="stdout",
        help="stdout (default), stderr, or a path in the sandbox; a pattern such as 'log.*' where no file is called so",
    )
    if verb != "cat":
        amount = parser_.add_mutually_exclusive_group()
        amount.add_argument(
            "-n", "--lines", metavar="LINES", type=parser.count, help=f"so many lines; default {_LINES}"
        )
        amount.add_argument("-c", "--bytes", metavar="BYTES", type=parser.count, help="so many bytes instead")
    else:
        parser_.add_argument("--offset", metavar="BYTES", type=parser.count, help="from there on; default the start")
        parser_.add_argument("--length", metavar="BYTES", type=parser.count, help="so many bytes; default to the end")
    if verb == "tail":
        parser_.add_argument("-f", "--follow", action="store_true", help="go on as the job writes, until it ends")
    shown = parser_.add_mutually_exclusive_group()
    shown.add_argument(
        "--safe",
        dest="safe",
        action="store_true",
        default=None,
        help="control characters made visible; default on a terminal",
    )
    shown.add_argument("--raw", dest="safe", action="store_false", help="bytes as they are; default in a pipe")


def run(arguments: argparse.Namespace) -> int:
    """Print the bytes."""
    target = reach.find_one(reach.contexts_of(arguments), arguments.job)
    is_safe = screen.is_terminal() if arguments.safe is None else arguments.safe
    out = screen.Bytes(is_raw=not is_safe)
    try:
        for frame in reach.ask_frames(target, arguments.command, _asked(arguments)):
            _take(frame, out, arguments.command)
    except RefusedError as error:
        if error.code != "job-ended" or out.written:
            raise
        _print_kept(arguments, target, error, out)
    finally:
        out.close()
    return answers.DONE


def last_lines(data: bytes, lines: int) -> bytes:
    """The last lines; a line that is not finished counts as one."""
    if lines == 0:
        return b""
    position = len(data) - data.endswith(b"\n")
    for _ in range(lines):
        position = data.rfind(b"\n", 0, position)
        if position < 0:
            return data
    return data[position + 1 :]


def first_lines(data: bytes, lines: int) -> bytes:
    """The first lines."""
    position = 0
    for _ in range(lines):
        position = data.find(b"\n", position) + 1
        if not position:
            return data
    return data[:position]


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    names = [argument.name for argument in verbs.VERBS[arguments.command].arguments]
    given = {name: getattr(arguments, name, None) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def _take(frame: Frame, out: screen.Bytes, command: str) -> None:
    if frame.type == DATA:
        out.write(frame.payload)
    elif frame.type == NOTE:
        note = frame.document()
        if note.get("kind") != "file":
            screen.note(_NOTES.get(str(note.get("kind")), "{kind}").format_map(_Figures(note)))
        elif command != "cat" or screen.is_terminal():
            # As head(1) and tail(1) do; cat(1) into a pipe gives the files' bytes alone.
            out.title(str(note.get("name")))


class _Figures(dict[str, Any]):
    """What a note says; what it does not say is unknown."""

    def __missing__(self, key: str) -> str:
        return "?"


_NOTES = {
    "waiting": "the file is not there yet; waiting for it",
    "truncated": "the file was truncated; going on from its start",
    "rotated": "the file was replaced; going on with the new one",
    "skipped": "{bytes} bytes were skipped: the job writes faster than they can be sent",
    "more": "there is more than was sent",
    "cut": "cut after {bytes} bytes, the file has {size}; see others with: jobmon cat --offset BYTES --length BYTES",
    "refused": "{message}",
    "unsearched": "the search ended after {entries} names; there may be more files that match",
    "ended": "the job has ended",
}


def _print_kept(arguments: argparse.Namespace, target: reach.Target, ended: RefusedError, out: screen.Bytes) -> None:
    """What was kept of an ended job's output, where that answers the question."""
    if arguments.file not in verbs.STREAMS:
        raise NobodyToAskError(
            f"{target.name} has ended and its sandbox cannot be read; only stdout and stderr are kept"
        )
    with Session(target.context) as session:
        kept = session.content(calls.output(target.ref, arguments.file))
    is_whole = kept.start == 0 and kept.total in (None, len(kept.data))
    whole = "?" if kept.total is None else str(kept.total)
    if arguments.command != "tail" and not is_whole and not _is_kept(arguments, kept):
        raise NobodyToAskError(
            f"{target.name} has ended and only the last {len(kept.data)} of {whole} bytes are kept;"
            f" see them with: jobmon tail -c {len(kept.data)} {target.name} {arguments.file}"
        )
    extent = f"all {len(kept.data)} bytes" if is_whole else f"the last {len(kept.data)} of {whole} bytes kept"
    screen.note(f"job ended{_how(ended)}; this is from {extent}")
    out.write(_part(arguments, kept))


def _is_kept(arguments: argparse.Namespace, kept: Kept) -> bool:
    """Head and cat ask for no more than what is kept."""
    if arguments.command == "cat":
        end = kept.start + len(kept.data)
        return arguments.length is not None and kept.start <= (arguments.offset or 0) <= end - arguments.length
    return kept.start == 0 and _part(arguments, kept) != kept.data


def _part(arguments: argparse.Namespace, kept: Kept) -> bytes:
    """What was asked for, of what is kept."""
    data = kept.data
    if arguments.command == "cat":
        start = max(0, (arguments.offset or 0) - kept.start)
        return data[start:] if arguments.length is None else data[start : start + arguments.length]
    lines = _LINES if arguments.lines is None else arguments.lines
    if arguments.command == "head":
        return first_lines(data, lines) if arguments.bytes is None else data[: arguments.bytes]
    if arguments.bytes is None:
        return last_lines(data, lines)
    return data[max(0, len(data) - arguments.bytes) :]


def _how(ended: RefusedError) -> str:
    at = ended.facts.get("ended")
    return f" at {columns.text(at)}" if at else ""
