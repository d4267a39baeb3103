"""The local terminal as a plain wire: keys go out as they are pressed, and it is put right whatever happens."""

import contextlib
import fcntl
import os
import signal
import struct
import sys
import termios
import tty
from types import FrameType, TracebackType
from typing import Any, NoReturn

ESCAPE = b"~"
LEAVE = b"."
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_SIZE = struct.Struct("HHHH")


class EndedError(BaseException):
    """A signal ends this command; not before the terminal has been put right."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def die(self) -> NoReturn:
        """End by that signal, as whoever sent it expects."""
        signal.signal(self.number, signal.SIG_DFL)
        os.kill(os.getpid(), self.number)
        signal.pause()  # until it comes
        sys.exit(128 + self.number)


class Raw:
    """The terminal in raw mode, for as long as a ``with`` lasts.

    ``resized`` is readable when the size may have changed.

    Raises:
        EndedError: within the ``with``, where a signal ends the command.
    """

    def __init__(self) -> None:
        self._terminal = sys.stdin.fileno()
        self.resized, self._wake = os.pipe()
        self._before: dict[signal.Signals, Any] = {}  # handlers

    def __enter__(self) -> "Raw":
        for descriptor in (self.resized, self._wake):
            os.set_blocking(descriptor, False)
        self._wake_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, _wake_up)
        for number in _ENDING:
            self._before[number] = signal.signal(number, _end)
        self._attributes = termios.tcgetattr(self._terminal)
        tty.setraw(self._terminal, termios.TCSADRAIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in _ENDING:  # a second one must not come between
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._attributes)
        signal.set_wakeup_fd(self._wake_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.resized)
        os.close(self._wake)

    def size(self) -> tuple[int, int]:
        """Rows and columns now."""
        with contextlib.suppress(OSError):
            while os.read(self.resized, 512):
                pass
        return terminal_size(self._terminal)


class Escape:
    """What is typed, but for the escape: ``~.`` at the start of a line leaves, ``~~`` is one ``~``."""

    def __init__(self) -> None:
        self._is_at_start = True
        self._is_held = False  # an escape that means nothing yet
        self.has_left = False

    def feed(self, typed: bytes) -> bytes:
        """The part that goes on."""
        out = bytearray()
        for at in range(len(typed)):
            key = typed[at : at + 1]
            if self._is_held:
                self._is_held = False
                if key == LEAVE:
                    self.has_left = True
                    break
                out += key if key == ESCAPE else ESCAPE + key
            elif self._is_at_start and key == ESCAPE:
                self._is_held = True
                continue
            else:
                out += key
            self._is_at_start = key in (b"\r", b"\n")
        return bytes(out)


def terminal_size(descriptor: int) -> tuple[int, int]:
    """Rows and columns; of a terminal that does not know, the usual ones."""
    try:
        rows, columns, _, _ = _SIZE.unpack(fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(_SIZE.size)))
    except OSError:
        rows = columns = 0
    return rows or 24, columns or 80


def _wake_up(_number: int, _frame: FrameType | None) -> None:
    """Nothing: the pipe tells."""


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise EndedError(number)
