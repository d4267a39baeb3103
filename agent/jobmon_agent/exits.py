"""How the job ended, and how that became known.

The waiter of wrap mode is told; the kernel remembers it behind a pidfd
(Linux 6.15); a zombie shows it until its parent has looked.  What none of them
tells is unknown: it is said so, never guessed.
"""

import os
import select
import socket
import time
from typing import Optional

from jobmon_agent import pidfd
from jobmon_agent.job import Job, stat_fields
from jobmon_wire.records import WRAP, Exit
from jobmon_wire.verbs import signal_name

UNKNOWN = Exit(None, None, False, "unknown")

_PATIENCE = 2.0  # s until the batch system has looked at its dead child; it does at once
_ZOMBIE_PATIENCE = 0.3  # s the kernel's record is waited for when a zombie told already
_INTERVAL = 0.003  # s between two looks
_EXIT_CODE = 49  # of stat's fields, counted from the state


def read_exit(job: Job, status: Optional[int]) -> Exit:
    """How the job, which is over, ended; waits up to two seconds for it to be told.

    Args:
        status: socket on which the waiter of wrap mode tells, where there is one;
            the message is left there for whoever asks later.
    """
    start = time.monotonic()
    zombie: Optional[int] = None
    is_told = job.mode == WRAP and status is not None
    while True:
        if is_told and status is not None:
            told = _peek(status)
            if told:
                return _exit(int(told), "wrap")
            is_told = told is None  # else the waiter has ended without a word
        known = pidfd.exit_status(job.pidfd) if job.pidfd is not None else None
        if known is not None:
            return _exit(known, "pidfd")
        zombie = _of_zombie(job) if zombie is None else zombie
        if time.monotonic() - start > (_PATIENCE if zombie is None or is_told else _ZOMBIE_PATIENCE):
            return UNKNOWN if zombie is None else _exit(zombie, "zombie")
        time.sleep(_INTERVAL)


def _peek(status: int) -> Optional[bytes]:
    """The waiter's word; empty when it will not come any more, None when it has not come yet."""
    waiting = select.poll()
    waiting.register(status, select.POLLIN)
    if not waiting.poll(0):
        return None
    listener = socket.fromfd(status, socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        return listener.recv(32, socket.MSG_PEEK)
    except OSError:
        return b""
    finally:
        listener.close()


def _of_zombie(job: Job) -> Optional[int]:
    fields = stat_fields(job.pid)
    if not fields or fields[0] != b"Z" or int(fields[19]) != job.starttime:
        return None
    try:
        # Of another user's process the kernel shows 0 in place of the status: that would be a guess.
        is_ours = os.stat("/proc/%d" % job.pid).st_uid == os.geteuid()
    except OSError:
        return None
    return int(fields[_EXIT_CODE]) if is_ours else None


def _exit(status: int, source: str) -> Exit:
    if os.WIFSIGNALED(status):
        return Exit(None, signal_name(os.WTERMSIG(status)), os.WCOREDUMP(status), source)
    return Exit(os.WEXITSTATUS(status), None, False, source)
