"""``jobmon head``, ``tail`` and ``cat``: bytes of a job's output or files.

A pipe gets the bytes exactly as the job wrote them, each piece at once; a
terminal gets them with control characters made visible.  A follow that breaks
off is asked for again from where it was.  Of a job that has ended the last
words are kept, and used where they are enough.
"""

import argparse
from typing import Any

from jobmon_console import calls
from jobmon_console.cli import columns, parser, reach, screen
from jobmon_console.cli.retries import Retries
from jobmon_console.errors import JobMonError, NobodyToAskError, RefusedError
from jobmon_console.following import Place, ending, told
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
        backlog = parser_.add_mutually_exclusive_group()
        backlog.add_argument(
            "--latest",
            dest="latest",
            action="store_true",
            default=None,
            help="with -f: when the job writes faster than can be shown, skip to the end; default on a terminal",
        )
        backlog.add_argument(
            "--all", dest="latest", action="store_false", help="with -f: every byte, however late; default in a pipe"
        )
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
    reader = _Reader(arguments, target, out)
    try:
        reader.read()
    except RefusedError as error:
        if error.code != "job-ended":
            raise
        if reader.has_begun:
            _print_rest(arguments, target, reader.place, out)
        elif out.written:
            raise
        else:
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


class _Reader:
    """Reads an answer; one that follows is asked for again when it breaks off.

    Attributes:
        place: where it is in the file.
        has_begun: it follows, and has been told its place, so that it can go on.
    """

    def __init__(self, arguments: argparse.Namespace, target: reach.Target, out: screen.Bytes) -> None:
        self._arguments = arguments
        self._target = target
        self._out = out
        self._retries = Retries()
        self.place = Place()

    @property
    def has_begun(self) -> bool:
        return self._arguments.command == "tail" and self._arguments.follow and self.place.cursor is not None

    def read(self) -> None:
        """Read to the end.

        Raises:
            JobMonError: it failed, and did not go on.
        """
        while True:
            try:
                for frame in reach.ask_frames(self._target, self._arguments.command, self._asked()):
                    self._retries.came()
                    self._take(frame)
                return
            except JobMonError as error:
                if not self.has_begun:
                    raise
                if self._retries.broke(error):
                    where = f"after byte {self.place.offset}"
                    screen.note(f"the answer broke off {where}; going on there when it can be had")
                self._retries.wait()

    def _asked(self) -> dict[str, Any]:
        names = [argument.name for argument in verbs.VERBS[self._arguments.command].arguments]
        given = {name: getattr(self._arguments, name, None) for name in names}
        if given.get("follow"):
            given["resume"] = self.place.cursor
            given["file"] = self.place.file or given["file"]
            is_latest = screen.is_terminal() if given["latest"] is None else given["latest"]
            given["latest"] = is_latest or None  # everything is what every agent gives
        return {name: value for name, value in given.items() if value is not None}

    def _take(self, frame: Frame) -> None:
        self.place.take(frame)
        if frame.type == DATA:
            self._out.write(frame.payload)
        elif frame.type == NOTE:
            self._take_note(frame.document())

    def _take_note(self, note: dict[str, Any]) -> None:
        kind = note.get("kind")
        if kind == "file":
            # As head(1) and tail(1) do; cat(1) into a pipe gives the files' bytes alone.
            if self._arguments.command != "cat" or screen.is_terminal():
                self._out.title(str(note.get("name")))
            return
        if kind == "hole" and isinstance(note.get("bytes"), int):
            self._out.skip(note["bytes"])
        if words := told(note, self._arguments.file):
            screen.note(words)


def _print_rest(arguments: argparse.Namespace, target: reach.Target, place: Place, out: screen.Bytes) -> None:
    """After a follow broke off and the job ended meanwhile: what it has written since, from what was kept."""
    with Session(target.context) as session:
        ended = ending(session.fetch(calls.job(target.ref)).get("exit"))
        if arguments.file not in verbs.STREAMS:
            raise NobodyToAskError(f"{ended}; what it wrote to {arguments.file} after byte {place.offset} is not kept")
        rest = place.rest(session.content(calls.output(target.ref, arguments.file)))
    if rest.is_another:
        screen.note("the file was truncated meanwhile; going on with what was kept of it")
    if rest.missing:
        screen.note(f"{rest.missing} bytes before this were not kept")
    out.write(rest.data)
    screen.note(ended)


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
