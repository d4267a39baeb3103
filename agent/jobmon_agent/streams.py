"""What a process's stdout and stderr are, and a way to read one that is a file.

Anything but a file is never opened: bytes read from a pipe are lost to its
reader.
"""

import os
import stat

TYPE_CHECKING = False  # importing typing would cost the launcher 10 ms
if TYPE_CHECKING:
    from typing import Optional, Tuple

STREAMS = ((1, "stdout"), (2, "stderr"))
_TERMINALS = frozenset([4, 5]) | frozenset(range(136, 144))  # major numbers: consoles, and pseudo-terminals


def open_stream(process: str, number: int) -> "Tuple[str, Optional[int]]":
    """What the descriptor of a process is, and one of our own to read it if it is a file.

    Args:
        process: its number, or ``self``.
        number: of its descriptor.
    """
    try:
        # Only looked at: what is there may be anything, and may be another thing a moment later.
        held = os.open("/proc/%s/fd/%d" % (process, number), os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return "none", None
    try:
        status = os.fstat(held)
        kind = _kind(status)
        if kind != "file":
            return kind, None
        # An open file of its own: reading does not move the job's position.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return kind, os.open("/proc/self/fd/%d" % held, flags)
    except OSError:
        return "none", None
    finally:
        os.close(held)


def _kind(status: os.stat_result) -> str:
    if stat.S_ISREG(status.st_mode):
        return "file"
    if stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode):
        return "pipe"
    is_terminal = stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) in _TERMINALS
    return "terminal" if is_terminal else "none"
