"""Stopping the console as a shell stops its jobs: all of what was started together, or the shell waits for the rest."""

import os
import signal
import sys
import termios
from contextlib import suppress
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
    """As Ctrl-Z does where no program takes it as a key; returns when the shell has us go on in the foreground.

    Nobody hears of being continued meanwhile: whoever takes the terminal again at
    that, and again where this returns, would find it taken, and leave it so.
    """
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTSTP, signal.SIGCONT)}
    try:
        os.kill(0, signal.SIGTSTP)
        _await_foreground()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _await_foreground() -> None:
    """The kernel stops the whole group at once where it is in the background and sets the line: behind ``bg``."""
    with suppress(termios.error, OSError):
        terminal = sys.__stdin__.fileno() if sys.__stdin__ else 0
        termios.tcsetattr(terminal, termios.TCSANOW, termios.tcgetattr(terminal))


def _parent(pid: int) -> int:
    """The process that started one; 0: it is gone, or not seen from here."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
