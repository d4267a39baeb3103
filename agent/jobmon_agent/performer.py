"""Performers: one forked process for each request, and the relay of its answer.

A verb may wait for a file, for a process's memory or for a grace to pass; in a
process of its own it holds up nobody and can be killed.  Its frames come
through a pipe.  The relay takes them on only as far as the reader has credit,
so that a slow reader stops the verb and not the agent's memory growing.
"""

import os
import signal
import time
from typing import Any, Callable, Dict, Iterator, List, Tuple, Union

from jobmon_agent import descriptors
from jobmon_agent.job import Job, VerbFailure
from jobmon_wire import answers, frames, limits
from jobmon_wire.documents import write_document
from jobmon_wire.frames import Frame, FrameReader, write_frame, write_object

Answer = Iterator[Tuple[int, Union[bytes, Dict[str, Any]]]]
Perform = Callable[[Job, Dict[str, Any]], Answer]

NICENESS = 5  # the job comes first
_READ = 64 * limits.KIB  # bytes; as much as a pipe holds
_DEATH = 0.1  # s; a killed process is gone within one, unless the kernel waits for a disk in its name
_LOOK = 0.001  # s

_hanging: List[int] = []  # pids of performers that were killed and have not been reaped


class Performer:
    """One request under way.

    Args:
        request: its id.
        patience: s it may still take after the job has ended.
    """

    def __init__(self, request: bytes, perform: Perform, job: Job, arguments: Dict[str, Any], patience: float) -> None:
        self.request = request
        self.patience = patience
        self.is_done = False  # its END has been released
        self._credit = limits.CREDIT_WINDOW
        self._reader = FrameReader(frames.ANSWER)
        self._held: List[Frame] = []
        self._has_ended = False
        self.pipe, its_end = os.pipe()
        try:
            worker = os.getpid()
            self._pid = os.fork()
        except OSError:
            os.close(self.pipe)
            os.close(its_end)
            raise
        if not self._pid:
            try:
                _be_performer(its_end, job, worker)
                _perform(its_end, request, perform, job, arguments)
            finally:
                os._exit(0)
        os.close(its_end)

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

    def release(self) -> Iterator[bytes]:
        """The frames that may go on now."""
        while self._held:
            frame = self._held[0]
            if frame.type in frames.METERED:
                if len(frame.payload) > self._credit:
                    return
                self._credit -= len(frame.payload)
            del self._held[0]
            self.is_done = frame.type == frames.END
            yield write_frame(frame.type, frame.request, frame.payload)

    def stop(self) -> None:
        """Kill it if it is still there, and let go of all that is its."""
        os.kill(self._pid, signal.SIGKILL)  # not reaped yet, so the number is its own
        os.close(self.pipe)
        deadline = time.monotonic() + _DEATH
        while not _is_reaped(self._pid):
            if time.monotonic() > deadline:
                _hanging.append(self._pid)
                return
            time.sleep(_LOOK)


def hanging() -> int:
    """How many performers were killed and are still there, as those that read from a file system that hangs."""
    _hanging[:] = [pid for pid in _hanging if not _is_reaped(pid)]
    return len(_hanging)


def _is_reaped(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def failure(request: bytes, code: str, message: str) -> Frame:
    """The END of a request that failed."""
    return Frame(frames.END, request, write_document(answers.end(code, message[: limits.LOG_LINE])))


def _be_performer(pipe: int, job: Job, worker: int) -> None:
    _end_with_parent(worker)
    os.nice(NICENESS)
    # The pipe stays; the connection must not, or the worker could not close it.
    wanted = (pipe, job.sandbox, job.pidfd, job.stdout, job.stderr)
    descriptors.keep_only([descriptor for descriptor in wanted if descriptor is not None] + _archives())


def _archives() -> List[int]:
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


def _perform(pipe: int, request: bytes, perform: Perform, job: Job, arguments: Dict[str, Any]) -> None:
    try:
        for type_, payload in perform(job, arguments):
            if isinstance(payload, bytes):
                _write(pipe, write_frame(type_, request, payload))
            else:
                _write(pipe, write_object(type_, request, payload))
        last = Frame(frames.END, request, write_document(answers.end()))
    except VerbFailure as error:
        last = failure(request, error.code, error.message)
    except BrokenPipeError:  # the worker has gone
        return
    except Exception as error:  # whatever a verb stumbles over, the asker gets an answer
        last = failure(request, "action-failed", "the agent failed: %s" % type(error).__name__)
    _write(pipe, write_frame(last.type, request, last.payload))


def _write(pipe: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(pipe, rest) :]
