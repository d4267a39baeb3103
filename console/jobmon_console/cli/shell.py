"""``jobmon shell``: a shell beside a job, on its node and as its user.

Between two terminals it is one long wire: keys go there as they are pressed,
and bytes come back raw, since they are meant for this terminal.  In a pipe it
is a program: what is read is its input, and its exit status is ours.
"""

import argparse
import os
import select
import shlex
import sys
from typing import Any

from jobmon_console import calls
from jobmon_console.cli import reach, screen
from jobmon_console.cli.parser import Parser
from jobmon_console.cli.terminal import EndedError, Escape, Raw, terminal_size
from jobmon_console.duplex import Duplex
from jobmon_console.errors import AnswerError, CutOffError, UsageError
from jobmon_console.tls import open_link
from jobmon_wire import answers, frames, limits, verbs
from jobmon_wire.documents import write_document
from jobmon_wire.frames import Frame

_PIECE = 16 * limits.KIB  # bytes of input in a frame; one TLS record
_LEAST = 256  # bytes of credit below which nothing is typed: a change of size must find room
_MORE = """

On a terminal it ends with exit, or with ~. at the start of a line (~~ types one ~).
In a pipe it is a program: it reads its input, and its exit status is the shell's.
All that came of it ends with it."""
_SIGNALLED = 128  # added to a signal's number, as shells do


def add_arguments(parser_: Parser) -> None:
    """The arguments of the command."""
    parser_.usage = f"{parser_.prog} [options] JOB [-- COMMAND [ARGUMENT ...]]"
    parser_.description = f"{parser_.description}{_MORE}"
    parser_.takes_command = True
    parser_.add_argument("job", metavar="JOB", help="id of a job, or an unambiguous prefix; behind -- a command")


def run(arguments: argparse.Namespace) -> int:
    """Be the shell's terminal, or its pipes, until it ends; its exit status."""
    target = reach.find_one(reach.contexts_of(arguments), arguments.job)
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        call = calls.shell(target.ref, _asked(arguments.words, has_terminal))
    except verbs.ArgumentError as error:
        raise UsageError(f"{error}; see: jobmon shell --help") from None
    try:
        with Duplex(open_link(target.context), call) as line:
            return _on_terminal(line, target) if has_terminal else Talk(line).run()
    except CutOffError:
        reach.ask_why(target.context)
        raise
    except EndedError as ended:
        ended.die()


def _asked(words: list[str], has_terminal: bool) -> dict[str, Any]:
    asked: dict[str, Any] = {"command": shlex.join(words) if words else None, "terminal": has_terminal}
    if has_terminal:
        rows, columns = terminal_size(sys.stdin.fileno())
        asked.update(term=os.environ.get("TERM") or "dumb", rows=_bounded(rows), columns=_bounded(columns))
    return asked


def _on_terminal(line: Duplex, target: reach.Target) -> int:
    screen.note(f"a shell beside job {target.name}; it ends with: exit, or ~. at the start of a line")
    talk = Talk(line)
    try:
        with Raw() as raw:
            return talk.run(raw)
    except BaseException:
        if not talk.is_at_start:  # what is said of it stands on a line of its own
            sys.stderr.write("\n")
        raise


class Talk:
    """Between this end's standard streams and the line."""

    def __init__(self, line: Duplex) -> None:
        self._line = line
        self._input = sys.stdin.fileno()
        self._output = sys.stdout.fileno()
        self._is_input_over = False
        self._escape = Escape()
        self._status: int | None = None
        self.is_at_start = True  # of a line, on the screen

    def run(self, raw: Raw | None = None) -> int:
        """Until END has come, or the user leaves; the exit status.

        Raises:
            JobMonError: see ``errors``.
        """
        sys.stdout.flush()
        size = raw.size() if raw else None
        while not self._line.is_done:
            ready = self._wait(raw)
            if raw and raw.resized in ready and (now := raw.size()) != size:
                size = now
                rows, columns = map(_bounded, now)
                self._line.send(frames.RESIZE, write_document({"rows": rows, "columns": columns}))
            if self._input in ready:
                self._type(os.read(self._input, _PIECE), is_raw=raw is not None)
                if self._escape.has_left:
                    return answers.INTERRUPTED
            for frame in self._line.move():
                self._take(frame)
        if self._status is None:
            raise AnswerError("the shell ended without a word how; look at the job's log")
        return self._status

    def _wait(self, raw: Raw | None) -> list[Any]:
        wanted: list[Any] = [self._line]
        if not self._is_input_over and self._line.credit >= _PIECE + _LEAST:
            wanted.append(self._input)
        if raw and self._line.credit >= _LEAST:
            wanted.append(raw.resized)
        writers = [self._line] if self._line.wants_to_write else []
        ready, _, _ = select.select(wanted, writers, [], 0 if self._line.has_more else None)
        return ready

    def _type(self, typed: bytes, is_raw: bool) -> None:
        if not typed:
            self._is_input_over = True
            self._line.send(frames.INPUT)
            return
        typed = self._escape.feed(typed) if is_raw else typed
        if typed:
            self._line.send(frames.INPUT, typed)

    def _take(self, frame: Frame) -> None:
        if frame.type == frames.DATA:
            rest = memoryview(frame.payload)
            while rest:
                rest = rest[os.write(self._output, rest) :]
            self.is_at_start = frame.payload.endswith(b"\n")
        elif frame.type == frames.RECORD:
            self._status = _status(frame.document().get("exit"))


def _status(told: Any) -> int:
    if isinstance(told, dict):
        code, name = told.get("code"), told.get("signal")
        if type(code) is int and 0 <= code < 256:
            return code
        if name in verbs.SIGNALS:
            return _SIGNALLED + verbs.signal_number(name)
    return answers.FAILED


def _bounded(cells: int) -> int:
    return min(max(cells, 1), limits.SCREEN)
