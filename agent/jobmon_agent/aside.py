"""Work done by a short-lived child, so that neither its memory nor its waiting are this process's.

The idle process has a look at the whole node done so: what a thousand
processes take in memory goes with the child, and so does a wait for the memory
lock of a process whose environment is read, where 0.2 s were seen.  Nothing
large is imported here.
"""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional

PATIENCE = 1.0  # s; a look at 1,000 processes and their environments takes 0.1 s of CPU
_SAID_BYTES = 1024 * 1024  # of what a child says: 50,000 processes
_READ = 16 * 1024  # bytes a read
_KILL = 9


def said_aside(act: "Callable[[], bytes]") -> "Optional[bytes]":
    """What the act gives, done by a child; None when it fails, takes too long or cannot be begun."""
    pipe, its_end = os.pipe()
    try:
        child = os.fork()
    except OSError:  # no process left on the node
        os.close(pipe)
        os.close(its_end)
        return None
    if not child:
        status = 1
        try:
            rest = act()[:_SAID_BYTES]
            while rest:
                rest = rest[os.write(its_end, rest) :]
            status = 0
        finally:
            os._exit(status)
    os.close(its_end)
    said = _read_in_time(pipe)
    os.close(pipe)
    if said is None:
        os.kill(child, _KILL)
        # One that waits in the kernel cannot be killed yet: it is not waited for.
        os.waitpid(child, os.WNOHANG)
        return None
    _, status = os.waitpid(child, 0)
    return None if status else said


def _read_in_time(pipe: int) -> "Optional[bytes]":
    import select  # only where there is such work

    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    deadline = time.monotonic() + PATIENCE
    parts: "List[bytes]" = []
    # Whole milliseconds: to take a part of one apart maps the mathematical library, 0.2 MB.
    while waiting.poll(max(0, int((deadline - time.monotonic()) * 1000))):
        part = os.read(pipe, _READ)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None
