"""A question to the person at the terminal, and the line that is typed.

What is asked and what becomes of the answer is the caller's; whether there is
anybody to ask, too.
"""

import os
import select
import signal
import sys


def ask(question: str) -> str:
    """What the person at the terminal types; empty at its end."""
    sys.stdout.flush()
    sys.stderr.write(question)
    sys.stderr.flush()
    _await_line()
    return sys.stdin.readline().strip()


def _await_line() -> None:
    """Wait for a line of the terminal or a signal, whichever comes, and whenever.

    A signal that comes just before a read has begun is noted, and forgotten until the read ends: Ctrl-C at
    that moment would be without effect.  Through a pipe it is there when the waiting begins.
    """
    signalled, its_end = os.pipe()
    os.set_blocking(its_end, False)
    before = signal.set_wakeup_fd(its_end)
    try:
        select.select([sys.stdin, signalled], [], [])
    finally:
        signal.set_wakeup_fd(before)
        os.close(signalled)
        os.close(its_end)
