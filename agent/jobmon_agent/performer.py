"""Performers: a forked process for each request under way, and the relay of its answer.

A verb may wait for a file, for a process's memory or for a grace to pass; in a
process of its own it holds up nobody and can be killed.  Its frames come
through a pipe.  The relay takes them on only as far as the reader has credit,
so that a slow reader stops the verb and not the agent's memory growing.  A verb
that takes input has a second pipe, downwards, whose sender has credit likewise.

One that has given a short answer can take another request: it is there, and has
in memory what the first took 3 ms to bring.  What the worker has learned of the
job since the fork it does not know, so the worker does not keep it for long.
"""

import marshal
import os
import time
from types import GeneratorType

from jobmon_agent import descriptors
from jobmon_agent.job import Job, VerbFailure
from jobmon_wire import answers, frames, limits
from jobmon_wire.documents import write_document
from jobmon_wire.frames import Frame, FrameError, FrameReader, write_frame, write_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Union

    Answer = Iterator[Tuple[int, Union[bytes, Dict[str, Any]]]]
    Perform = Callable[..., Answer]  # of the job and the arguments; for input also of the two pipes
else:
    import _signal as signal  # signal itself would cost 1 ms for its enumerations

NICENESS = 5  # the job comes first
_READ = 64 * limits.KIB  # bytes; as much as a pipe holds
_GRANT = limits.INPUT_WINDOW // 4  # bytes; grants this large keep CREDIT frames rare and the sender never dry
_DEPARTURE = 5.0  # s for a performer to clear up when nobody reads it any more; 1 s is promised
_DEATH = 0.1  # s; a killed process is gone within one, unless the kernel waits for a disk in its name
_LOOK = 0.001  # s
_SHORT = 64 * limits.KIB  # bytes of an answer after which a performer has not grown
_WORD = 4096  # bytes of a request to one that waits: a pipe takes so many at once, or none of them
_DONE = write_document(answers.end())

# Performers that were stopped and have not been reaped, by pid: when they are killed, by the monotonic clock.
_hanging: "Dict[int, float]" = {}


class Inlet:
    """The way down to a performer: frames that wait for its pipe, never more than were granted."""

    def __init__(self) -> None:
        self.its_end, self.pipe = os.pipe()
        os.set_blocking(self.pipe, False)
        self._credit = limits.INPUT_WINDOW
        self._waiting = bytearray()
        self._taken = 0  # bytes that the pipe took and the sender was not told of

    @property
    def is_waiting(self) -> bool:
        """There is something for the pipe."""
        return bool(self._waiting)

    def put(self, frame: Frame) -> None:
        """Take a frame from the sender.

        Raises:
            FrameError: it is more than was granted.
        """
        data = write_frame(*frame)
        self._credit -= len(data)
        if self._credit < 0:
            raise FrameError("input beyond its credit")
        self._waiting += data
        self.move()

    def move(self) -> None:
        """Put into the pipe what it takes now."""
        try:
            moved = os.write(self.pipe, self._waiting[:_READ])
        except BlockingIOError:
            return
        except BrokenPipeError:  # it has closed its end: its answer's end is on the way
            moved = len(self._waiting)
        del self._waiting[:moved]
        self._taken += moved

    def due(self) -> int:
        """Bytes to grant now; 0 while they are not worth a frame."""
        if self._taken < _GRANT:
            return 0
        due, self._taken = self._taken, 0
        self._credit += due
        return due

    def close(self) -> None:
        """Let go of the pipe, by which the performer knows that nobody is there."""
        os.close(self.pipe)


class Performer:
    """One request under way.

    Args:
        request: its id.
        patience: s it may still take after the job has ended.
        takes_input: the verb reads what the asker types, and clears up by itself when nobody is there any more.
        goes_on: another request may follow in the same process.
    """

    def __init__(
        self,
        request: bytes,
        perform: "Perform",
        job: Job,
        arguments: "Dict[str, Any]",
        patience: float,
        takes_input: bool = False,
        goes_on: bool = False,
    ) -> None:
        self._goes_on = goes_on
        self._begin(request, patience)
        self.inlet: "Optional[Inlet]" = Inlet() if takes_input else None
        opened = [self.inlet.its_end, self.inlet.pipe] if self.inlet else []
        try:
            opened = opened or list(os.pipe())
            its_input, self._more = opened
            opened += os.pipe()
            self.pipe, its_end = opened[2:]
            worker = os.getpid()
            self._pid = os.fork()
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        theirs = [its_input, its_end]
        if not self._pid:
            try:
                _be_performer(theirs, job, None if takes_input else worker)
                if takes_input:
                    _perform(its_end, request, perform(job, arguments, *theirs))
                else:
                    _perform_all(its_input, its_end, job, (request, perform, arguments))
            finally:
                os._exit(0)
        for descriptor in theirs:
            os.close(descriptor)

    def _begin(self, request: bytes, patience: float) -> None:
        self.request = request
        self.patience = patience
        self.is_done = False  # its END has been released
        self._credit = limits.CREDIT_WINDOW
        self._reader = FrameReader(frames.ANSWER)
        self._held: "List[Frame]" = []
        self._has_ended = False
        self._given = 0  # bytes
        self._is_done_well = False

    @property
    def can_go_on(self) -> bool:
        """It has given its answer, a short one, and waits for another request."""
        return self._goes_on and self._is_done_well and self._given < _SHORT

    def go_on(self, request: bytes, verb: str, arguments: "Dict[str, Any]", patience: float) -> bool:
        """Have one that waits perform another request; whether it does."""
        word = marshal.dumps((request, verb, arguments))
        if len(word) > _WORD:
            return False
        try:
            os.write(self._more, word)
        except OSError:  # it was killed
            return False
        self._begin(request, patience)
        return True

    def grant(self, credit: int) -> None:
        """The reader takes so many bytes more."""
        self._credit += credit

    @property
    def is_hungry(self) -> bool:
        """The pipe is worth reading: nothing waits for credit."""
        return not self._held and not self._has_ended

    def read(self) -> None:
        """Read the pipe, which is ready."""
        data = os.read(self.pipe, _READ)
        self._held += self._reader.feed(data)
        if not data:
            if not any(frame.type == frames.END for frame in self._held):
                self._held.append(failure(self.request, "action-failed", "the process that did it was killed"))
            self._has_ended = True
        elif self._held and self._held[-1].type == frames.END:
            self._has_ended = True

    def release(self) -> "Iterator[bytes]":
        """The frames that may go on now."""
        while self._held:
            frame = self._held[0]
            if frame.type in frames.METERED:
                if len(frame.payload) > self._credit:
                    return
                self._credit -= len(frame.payload)
                self._given += len(frame.payload)
            del self._held[0]
            self.is_done = frame.type == frames.END
            self._is_done_well = self.is_done and frame.payload == _DONE
            yield write_frame(frame.type, frame.request, frame.payload)

    def stop(self) -> None:
        """Kill it if it is still there, or leave it to clear up, and let go of all that is its."""
        os.close(self.pipe)
        if self.inlet:
            self.inlet.close()
            _hanging[self._pid] = time.monotonic() + _DEPARTURE
            return
        os.close(self._more)
        os.kill(self._pid, signal.SIGKILL)  # not reaped yet, so the number is its own
        deadline = time.monotonic() + _DEATH
        while not _is_reaped(self._pid):
            if time.monotonic() > deadline:
                _hanging[self._pid] = deadline
                return
            time.sleep(_LOOK)


def hanging() -> int:
    """How many performers were stopped and are still there: they clear up, or wait for a file system that hangs."""
    for pid, deadline in list(_hanging.items()):
        if _is_reaped(pid):
            del _hanging[pid]
        elif time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so the number is its own
    return len(_hanging)


def _is_reaped(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def failure(request: bytes, code: str, message: str) -> Frame:
    """The END of a request that failed."""
    return Frame(frames.END, request, write_document(answers.end(code, message[: limits.LOG_LINE])))


def _be_performer(pipes: "List[int]", job: Job, worker: "Optional[int]") -> None:
    if worker is not None:  # else the end of its input tells it
        _end_with_parent(worker)
    os.nice(NICENESS)
    # The pipes stay; the connection must not, or the worker could not close it.
    wanted = (job.sandbox, job.pidfd, job.stdout, job.stderr, job.status, job.trap)
    descriptors.keep_only(pipes + [descriptor for descriptor in wanted if descriptor is not None] + _archives())


def _archives() -> "List[int]":
    """Descriptors of archives that modules are imported from."""
    import sys

    prefix = "/proc/self/fd/"
    return [int(entry[len(prefix) :]) for entry in sys.path if entry.startswith(prefix)]


def _end_with_parent(parent: int) -> None:
    """A performer that waits for output would not notice that the worker was killed."""
    from jobmon_agent.kernel import end_with_parent

    end_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def _perform_all(more: int, pipe: int, job: Job, first: "Tuple[bytes, Perform, Dict[str, Any]]") -> None:
    """Perform a request, and others while they are asked for and can be done."""
    request, perform, arguments = first
    while _perform(pipe, request, perform(job, arguments)):
        word = os.read(more, _WORD)
        if not word:  # the worker has let go
            return
        request, verb, arguments = marshal.loads(word)  # noqa: S302 - from our own worker
        from jobmon_agent.verbs import VERBS

        perform = VERBS[verb]


def _perform(pipe: int, request: bytes, answer: "Answer") -> bool:
    """Answer a request; whether all went well."""
    try:
        for type_, payload in answer:
            if isinstance(payload, bytes):
                _write(pipe, write_frame(type_, request, payload))
            else:
                _write(pipe, write_object(type_, request, payload))
        last = Frame(frames.END, request, write_document(answers.end()))
    except VerbFailure as error:
        last = failure(request, error.code, error.message)
    except BrokenPipeError:  # the worker has gone
        return False
    except Exception as error:  # whatever a verb stumbles over, the asker gets an answer
        last = failure(request, "action-failed", "the agent failed: %s" % type(error).__name__)
    finally:
        if isinstance(answer, GeneratorType):
            answer.close()  # what it has begun it puts right
    _write(pipe, write_frame(last.type, request, last.payload))
    return last.payload == _DONE


def _write(pipe: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(pipe, rest) :]
