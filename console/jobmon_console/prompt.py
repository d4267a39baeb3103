"""A question to the person at the terminal, and the line that is typed.

What is asked and what becomes of the answer is the caller's; whether there is
anybody to ask, too.
"""

import os
import select
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

# A person is back at the shell after these.
_LEAVING: tuple[int, ...] = (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP)


def ask(question: str) -> str:
    """What the person at the terminal types; empty at its end."""
    sys.stdout.flush()
    sys.stderr.write(question)
    sys.stderr.flush()
    _await_line()
    return sys.stdin.readline().strip()


def ask_unseen(question: str) -> str:
    """What the person at the terminal types without its being seen.

    The terminal shows again what is typed however this ends: by an answer, by Ctrl-C, or by a signal that ends or
    stops the program.

    Raises:
        EOFError: there is no answer.
    """
    sys.stdout.flush()
    with _unseen(sys.stdin.fileno(), lambda: _tell(question)):
        _await_line()
        line = sys.stdin.readline()
    _tell("\n")
    if not line:
        raise EOFError
    return line.removesuffix("\n")


@contextmanager
def _unseen(descriptor: int, begin: Callable[[], None]) -> Iterator[None]:
    """Have the terminal show nothing of what is typed; what was typed before ``begin`` asks is no answer."""
    seen = termios.tcgetattr(descriptor)
    unseen = [*seen]
    unseen[3] &= ~termios.ECHO
    handlers = {number: signal.getsignal(number) for number in _LEAVING if _hears(number)}

    def give_way(number: int, frame: FrameType | None) -> None:
        _show(descriptor, termios.TCSANOW, seen)
        signal.signal(number, handlers[number])
        signal.raise_signal(number)
        signal.signal(number, give_way)  # it was stopped, and goes on
        hide()

    def hide() -> None:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, unseen)
        begin()

    try:
        for number in handlers:
            signal.signal(number, give_way)
        hide()
        yield
    finally:
        _show(descriptor, termios.TCSAFLUSH, seen)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _hears(number: int) -> bool:
    """The signal does something, and handlers can be had: in a thread they cannot."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(number) not in (None, signal.SIG_IGN)


def _show(descriptor: int, when: int, attributes: list[Any]) -> None:
    with suppress(termios.error):  # it hung up
        termios.tcsetattr(descriptor, when, attributes)


def _tell(text: str) -> None:
    """Onto the terminal itself: standard error may be kept in a file."""
    try:
        with open("/dev/tty", "w") as terminal:
            terminal.write(text)
    except OSError:  # it is not the one this program belongs to, or it hung up
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


def _await_line() -> None:
    """Wait for a line of the terminal or a signal, whichever comes, and whenever.

    A signal that comes just before a read has begun is noted, and forgotten until the read ends: Ctrl-C at
    that moment would be without effect.  Through a pipe it is there when the waiting begins.
    """
    if not _hears(signal.SIGINT):
        return
    signalled, its_end = os.pipe()
    os.set_blocking(its_end, False)
    before = signal.set_wakeup_fd(its_end)
    try:
        while sys.stdin not in select.select([sys.stdin, signalled], [], [])[0]:
            os.read(signalled, select.PIPE_BUF)  # it was no Ctrl-C: that would have ended this
    finally:
        signal.set_wakeup_fd(before)
        os.close(signalled)
        os.close(its_end)
