"""The process that copies the job's log file to where the job's stdout went before.

It ends with the job, when it has copied the rest; nobody waits for it.  It
knows a file, a descriptor and the process whose end it waits for.
"""

import errno
import os
import select
import time

from jobmon_agent import descriptors, pidstat
from jobmon_agent.detach import detach

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any, Optional
else:
    import _signal  # signal itself would cost 3 ms for its enumerations

_BLOCK = 64 * 1024  # bytes a read
_INTERVAL = 100  # ms between two looks at a file that does not grow: 0.7 s of CPU an hour
_PATIENCE = 10.0  # s after the job's end in which a reader that takes nothing is waited for
_TICK = 1.0  # s between two looks at the clock while a write blocks
_NICE = 5


def start_copier(log: int, group: int, job: int, starttime: int, pidfd: "Optional[int]") -> None:
    """Fork the copier off, if there is a stdout to copy to.

    Args:
        log: the file; what it holds already is not copied.
        group: process group of the agent.
        job: whose end is the copier's, with its start time, and its pidfd if the kernel has such.
    """
    try:
        target = descriptors.out_of_the_way(os.dup(1))
    except OSError as error:
        if error.errno == errno.EBADF:  # closed: nobody misses anything
            return
        raise
    source = descriptors.out_of_the_way(os.open("/proc/self/fd/%d" % log, os.O_RDONLY | os.O_CLOEXEC))
    position = os.fstat(source).st_size
    if os.fork():
        return
    try:
        kept = [source, target] + ([] if pidfd is None else [pidfd])
        detach(group, kept)
        os.nice(_NICE)
        _Copier(source, target, position, _Life(job, starttime, pidfd)).run()
    finally:
        os._exit(0)


class _Life:
    """Whether the job still runs."""

    def __init__(self, job: int, starttime: int, pidfd: "Optional[int]") -> None:
        self._job = job
        self._starttime = starttime
        self._pidfd = pidfd

    def is_over(self, patience: int = 0) -> bool:
        """Whether it has ended; waits at most so many milliseconds for it."""
        if self._pidfd is not None:
            waiting = select.poll()  # its own each time: a signal's handler may ask while another waits
            waiting.register(self._pidfd, select.POLLIN)
            return bool(waiting.poll(patience))
        if patience:
            time.sleep(patience / 1000.0)
        return not pidstat.is_running(self._job, self._starttime)


class _Copier:
    def __init__(self, source: int, target: int, position: int, life: "_Life") -> None:
        self._source = source
        self._target = target
        self._position = position
        self._life = life
        self._stuck_since: "Optional[float]" = None  # after the job's end

    def run(self) -> None:
        _signal.signal(_signal.SIGALRM, self._tick)
        _signal.setitimer(_signal.ITIMER_REAL, _TICK, _TICK)
        is_over = False
        try:
            while True:
                moved = self._move()
                if is_over and not moved:
                    return
                # What was written before the end is there for the look after it.
                is_over = self._life.is_over(0 if moved else _INTERVAL)
        except OSError:  # the reader is gone, or the disk fails: the job writes on
            pass

    def _move(self) -> bool:
        if os.fstat(self._source).st_size < self._position:
            self._position = 0  # the job has emptied the file
        data = os.pread(self._source, _BLOCK, self._position)
        self._position += len(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._target, rest) :]
            self._stuck_since = None
        return bool(data)

    def _tick(self, *_: "Any") -> None:
        """Called also while a write blocks, which nothing else could end."""
        if self._life.is_over():
            now = time.monotonic()
            self._stuck_since = self._stuck_since or now
            if now - self._stuck_since > _PATIENCE:
                os._exit(0)
