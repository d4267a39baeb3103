"""The verb `shell`: a program beside the job, and the talk between it and who asked.

What is typed comes down one pipe as frames, what is printed goes up another;
neither is waited for, so a key is heard while a flood waits for its reader.
Only as much is held as one read gives: a reader without credit stops the
program, a program that does not read stops the typing.  The program and all
that came of it end with whoever asked, with the job, and when both are idle.
"""

import errno
import os
import select
import time

from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.program import Program, Wish
from jobmon_wire import frames, limits
from jobmon_wire.frames import Frame, FrameError, FrameReader
from jobmon_wire.verbs import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Optional

    from jobmon_agent.performer import Answer

IDLE = 1800.0  # s with nothing typed and nothing printed until it counts as forgotten
FORBIDDEN = "JOBMON_SHELL"  # with the value "off" in the job's environment at its start: no shell beside it
LOOK = 0.1  # s between two looks where the kernel has no pidfd
REST = 256 * limits.KIB  # bytes that may be in the terminal when everything has ended; more is a daemon that escaped
# A pipe that is ready takes so many bytes at once, so a frame of that size never waits.
BLOCK = select.PIPE_BUF - frames.HEADER_BYTES  # bytes
_END_OF_INPUT = b"\x04"  # ^D, which a terminal takes for it
_READ = 64 * limits.KIB  # bytes; as much as a pipe holds
_TERM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._")


def shell(job: Job, arguments: "Dict[str, Any]", inbox: int, outlet: int) -> "Answer":
    """Yield DATA as it is printed, and at the end a RECORD that tells how the program ended.

    Args:
        job: the job.
        arguments: of the verb.
        inbox: frames that are typed; at its end nobody is there any more.
        outlet: what takes the frames that are yielded.
    """
    if os.environ.get(FORBIDDEN, "").lower() == "off":
        raise VerbFailure("not-permitted", "this job was started with %s=off: there is no shell beside it" % FORBIDDEN)
    screen = (arguments["rows"], arguments["columns"]) if arguments["terminal"] else None
    term = arguments["term"]
    is_name = len(term) <= limits.LABEL and not set(term) - _TERM
    program = Program(job, Wish(arguments["command"], screen, term if is_name else "dumb"))
    talk = _Talk(job, program, inbox, outlet)
    try:
        yield from talk.run()
    finally:
        program.clear()
    yield from talk.rest()
    status = program.status
    exit = {"code": None, "signal": signal_name(os.WTERMSIG(status))} if os.WIFSIGNALED(status) else None
    yield frames.RECORD, {"exit": exit or {"code": os.WEXITSTATUS(status), "signal": None}}


class _Talk:
    """Between the program and the two pipes."""

    def __init__(self, job: Job, program: Program, inbox: int, outlet: int) -> None:
        self._job = job
        self._program = program
        self._inbox = inbox
        self._outlet = outlet
        self._reader = FrameReader(frames.TYPED)
        self._typed = b""  # what the program has not taken yet
        self._is_input_over = False
        self._is_printing = False  # there may be something to read
        self._is_silent = False  # nothing will ever be
        self._active = time.monotonic()

    def run(self) -> "Answer":
        """Until the program has ended, or nobody is there.

        Raises:
            VerbFailure: it was ended: job-ended, timeout, bad-request.
        """
        while not self._program.has_ended():
            ready = self._wait()
            if ready.get(self._inbox, 0) & (select.POLLHUP | select.POLLERR):
                return
            if self._job.pidfd in ready or (self._job.pidfd is None and self._job.is_over()):
                raise VerbFailure("job-ended", "the job has ended, and with it the shell beside it")
            if time.monotonic() - self._active > IDLE:
                raise VerbFailure("timeout", "the shell was idle for %d minutes and was ended" % (IDLE / 60))
            if ready.get(self._inbox, 0) & select.POLLIN:
                self._hear(os.read(self._inbox, _READ))
            self._type()
            if self._program.output in ready:
                self._is_printing = True
            if self._outlet in ready:
                yield from self._print()

    def rest(self) -> "Answer":
        """What was printed last, now that nobody prints any more."""
        left = REST
        self._is_printing = True
        while self._is_printing and left > 0:
            ready = _poll({self._inbox: 0, self._outlet: select.POLLOUT}, None)
            if self._inbox in ready:
                return
            for type_, data in self._print():
                left -= len(data)
                yield type_, data

    def _wait(self) -> "Dict[int, int]":
        interests = {self._inbox: 0 if self._typed else select.POLLIN}
        if self._is_printing:
            interests[self._outlet] = select.POLLOUT
        elif not self._is_silent:
            interests[self._program.output] = select.POLLIN
        if self._typed:
            interests[self._program.input] = interests.get(self._program.input, 0) | select.POLLOUT
        timeout = self._active + IDLE - time.monotonic()
        for pidfd in (self._program.pidfd, self._job.pidfd):
            if pidfd is None:
                timeout = min(timeout, LOOK)
            else:
                interests[pidfd] = select.POLLIN
        return _poll(interests, max(0.0, timeout))

    def _hear(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                self._take(frame)
        except FrameError as error:
            raise VerbFailure("bad-request", str(error))

    def _take(self, frame: Frame) -> None:
        self._active = time.monotonic()
        if frame.type == frames.RESIZE:
            self._program.resize(*frame.size())
        elif frame.payload and not self._is_input_over:
            self._typed += frame.payload
        elif not self._is_input_over:
            self._is_input_over = True
            self._typed += _END_OF_INPUT if self._program.is_on_terminal else b""

    def _type(self) -> None:
        """Give the program what it takes."""
        if self._typed:
            try:
                self._typed = self._typed[os.write(self._program.input, self._typed) :]
            except BlockingIOError:
                return
            except OSError:  # nobody reads it, and nobody will
                self._typed = b""
        if self._is_input_over and not self._typed and not self._program.is_on_terminal:
            self._program.close_input()

    def _print(self) -> "Iterator[Any]":
        data = self._read()
        if data:
            self._active = time.monotonic()
            yield frames.DATA, data
        elif data is not None:
            self._is_silent = True
        if not data:
            self._is_printing = False

    def _read(self) -> "Optional[bytes]":
        """A piece of what was printed; None for nothing now, no bytes for nothing more."""
        try:
            return os.read(self._program.output, BLOCK)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.EIO:  # what a terminal says when the last one has closed it
                raise
            return b""


def _poll(interests: "Dict[int, int]", timeout: "Optional[float]") -> "Dict[int, int]":
    waiting = select.poll()
    for descriptor, mask in interests.items():
        waiting.register(descriptor, mask)
    return dict(waiting.poll(None if timeout is None else int(timeout * 1000 + 1)))
