"""One piece of work in a process of its own, because it may hang: what it wrote, within a time and a size.

The kernel may keep a reader of a stuck process's memory waiting for as long as
that is stuck, and nothing but a signal that ends the reader helps.
"""

import os
import select
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Tuple

_READ = 64 * 1024  # bytes


def run_errand(work: "Callable[[int], None]", seconds: float, longest: int) -> "Tuple[bytes, bool]":
    """Have the work done; what it wrote, and whether it came to its end.

    Args:
        work: writes to the descriptor it is given.
        seconds: after which it is killed.
        longest: bytes after which it is killed.

    Raises:
        OSError: there is no process left to do it.
    """
    mine, its = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(mine)
        os.close(its)
        raise
    if not child:
        try:
            os.close(mine)
            work(its)
        finally:
            os._exit(0)
    os.close(its)
    try:
        return _collect(mine, time.monotonic() + seconds, longest)
    finally:
        os.close(mine)
        _end(child)


def _collect(descriptor: int, deadline: float, longest: int) -> "Tuple[bytes, bool]":
    data = bytearray()
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    while len(data) <= longest:
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            break
        part = os.read(descriptor, _READ)
        if not part:
            return bytes(data), True
        data += part
    return bytes(data[:longest]), False


def _end(child: int) -> None:
    os.kill(child, signal.SIGKILL)  # not reaped yet, so the number is its own
    # One that waits for a dead disk stays; it ends with this process's own end.
    end = time.monotonic() + 0.1
    while not os.waitpid(child, os.WNOHANG)[0] and time.monotonic() < end:
        time.sleep(0.001)
