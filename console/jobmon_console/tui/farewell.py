"""The farewell: a console that is told to stop has a few seconds to give the terminal back, then it ends anyhow.

A terminal that is gone takes nothing any more, and drawing on it can hold up
the very loop that is to hear of the stop.  So a thread of its own counts, and a
signal reaches it by a pipe: nothing else is safe in a handler.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType

BY_SIGNAL = 128  # plus the signal's number: the exit status of one that was asked to stop
PATIENCE = 3.0  # s for giving the terminal back
_OVER = b"\0"  # no signal has this number


class Farewell:
    """Counts from the first signal on, in a thread that ends with the process or with ``over``."""

    def __init__(self) -> None:
        self._ear, self._mouth = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        threading.Thread(target=self._watch, name="farewell", daemon=True).start()

    def heed(self, numbers: Iterable[int]) -> None:
        """Count when one of these signals comes, besides what asyncio does at it; to be called after that was told."""
        for number in numbers:
            signal.signal(number, self._begin)

    def over(self) -> None:
        """The terminal is given back."""
        self._say(_OVER)

    def _begin(self, number: int, frame: FrameType | None) -> None:
        self._say(bytes([number]))

    def _say(self, word: bytes) -> None:
        with suppress(BlockingIOError):  # thousands of signals are enough
            os.write(self._mouth, word)

    def _watch(self) -> None:
        number, deadline = 0, float("inf")
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._ear], [], [], left if number else None)[0]:
                words = os.read(self._ear, select.PIPE_BUF)
                if _OVER in words:
                    return
                if not number:
                    number, deadline = words[0], time.monotonic() + PATIENCE
        os._exit(BY_SIGNAL + number)
