"""Stopping the console as a shell stops its jobs: all of what was started together, or the shell waits for the rest."""

import os
import signal
from pathlib import Path


def has_shell() -> bool:
    """Whether somebody can have this process group go on again: a process of the session that is in another group.

    Behind ``ssh HOST jobmon``, or as a terminal's one program, there is none.
    """
    session, group, pid = os.getsid(0), os.getpgrp(), os.getpid()
    while (parent := _parent(pid)) > 0 and os.getsid(parent) == session:
        if os.getpgid(parent) != group:
            return True
        pid = parent
    return False


def stop_group() -> None:
    """As Ctrl-Z does where no program takes it as a key; returns when the shell has us go on."""
    before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    try:
        os.kill(0, signal.SIGTSTP)
    finally:
        signal.signal(signal.SIGTSTP, before)


def _parent(pid: int) -> int:
    """The process that started one; 0: it is gone, or not seen from here."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
