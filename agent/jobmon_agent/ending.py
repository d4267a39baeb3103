"""How a process ended: its wait status, and who told.

The waiter of wrap mode is told; the kernel remembers it behind a pidfd
(Linux 6.15); a zombie shows it until its parent has looked; a shell that
observes itself leaves its word.  What none of them tells is unknown: it is
said so, never guessed.  Small enough for the idle process.
"""

import _socket
import os
import time

from jobmon_agent import pidfd, pidstat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

UNKNOWN = (None, "unknown")

_PATIENCE = 2.0  # s until the batch system has looked at its dead child; it does at once
_GRACE = 0.05  # s for the kernel's record of a process that is gone; it is written before that
_LATE = 0.02  # s from which on nobody is in a hurry any more
_EAGER = 0.001  # s in which a parent that waits has looked: a zombie lives no longer
# Until then the batch system may kill the agent as soon as it has reaped the job: look often, at 10 us a look.
_INTERVAL = 0.0002  # s between two looks
_LATE_INTERVAL = 0.003  # s
_WORD = 32  # bytes of the waiter's message at most: a number


class Ending:
    """The end of one process, which is over: ``look`` again and again, or ``learn``.

    Args:
        pid: of the process.
        starttime: of the process, in clock ticks; 0 where there is no /proc.
        descriptor: its pidfd, if the kernel has such.
        waiter: socket on which the waiter of wrap mode tells, in that mode.
        trap: directory in which the job's shell leaves its word, if it does.
    """

    def __init__(
        self,
        pid: int,
        starttime: int,
        descriptor: "Optional[int]",
        waiter: "Optional[int]" = None,
        trap: "Optional[int]" = None,
    ) -> None:
        self._pid = pid
        self._starttime = starttime
        self._pidfd = descriptor
        self._waiter = waiter
        self._trap = trap
        self._start = time.monotonic()

    @property
    def interval(self) -> float:
        """Seconds until the next look is worth it."""
        waited = time.monotonic() - self._start
        return 0.0 if waited < _EAGER else _INTERVAL if waited < _LATE else _LATE_INTERVAL

    def learn(self) -> "Tuple[Optional[int], str]":
        """The wait status and the source; waits up to two seconds to be told."""
        while True:
            told = self.look()
            if told:
                return told
            time.sleep(self.interval)

    def look(self) -> "Optional[Tuple[Optional[int], str]]":
        """The wait status and the source, without waiting; None as long as they may still become known."""
        told = self._told()
        if told:
            return told
        waited = time.monotonic() - self._start
        return (self._of_trap() or UNKNOWN) if waited > (_GRACE if self._is_gone() else _PATIENCE) else None

    def _told(self) -> "Optional[Tuple[int, str]]":
        if self._waiter is not None:
            word = peek(self._waiter)
            if word:
                return int(word), "wrap"
            if word is None:  # it lives, and will tell
                return None
            self._waiter = None
        known = pidfd.exit_status(self._pidfd) if self._pidfd is not None else None
        if known is not None:
            return known, "pidfd"
        shown = pidstat.zombie_status(self._pid, self._starttime)
        return None if shown is None else (shown, "zombie")

    def _is_gone(self) -> bool:
        """Whether it was reaped, so that nobody but its shell can tell any more."""
        return self._waiter is None and 0 != self._starttime != pidstat.start_time(self._pid)

    def _of_trap(self) -> "Optional[Tuple[int, str]]":
        word = word_of(self._trap) if self._trap is not None else None
        return None if word is None else (word << 8, "trap")


def peek(waiter: int) -> "Optional[bytes]":
    """The waiter's word, which is left there for a worker that may come later.

    Empty when it will not come any more, None when it has not come yet.
    """
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, waiter)
    try:
        return bytes(listener.recv(_WORD, _socket.MSG_PEEK | _socket.MSG_DONTWAIT))
    except BlockingIOError:
        return None
    except OSError:
        return b""
    finally:
        listener.detach()


def word_of(trap: int) -> "Optional[int]":
    """The exit code that a shell left in its directory, as the name of an empty file."""
    try:
        names = os.listdir(trap)
    except OSError:
        return None
    words = [name for name in names if name.isdigit()]
    # The directory is the job's: it may hold anything.
    if len(words) != 1 or words[0] != str(int(words[0])) or int(words[0]) > 255:
        return None
    return int(words[0])
