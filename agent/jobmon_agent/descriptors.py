"""Open files of the agent's own processes: which to keep, which to let go.

An agent that kept a job's pipe open would hide the end of the job from
whoever reads the pipe.  Nothing here knows what a descriptor is for.
"""

import _socket
import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, List, Tuple

FIRST_FREE = 3  # descriptors 0 to 2 have a meaning
_MOST = 65536  # descriptors looked at where /proc cannot list them


def out_of_the_way(descriptor: int) -> int:
    """The same open file at a number above 2, closed on exec.

    A process that was started without stdin finds its first pipe at 0.
    """
    if descriptor >= FIRST_FREE:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE)
    os.close(descriptor)
    return moved


def pair() -> "Tuple[int, int]":
    """A pair of sockets that keep messages whole, so that each can be looked at and left there."""
    here, there = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    return out_of_the_way(here.detach()), out_of_the_way(there.detach())


def keep_only(wanted: "Iterable[int]") -> None:
    """Close everything else, and connect 0 to 2 with /dev/null.

    Wanted descriptors are above 2.
    """
    kept = set(wanted)
    for descriptor in _open_descriptors():
        if descriptor not in kept:
            # Passes over the listing's own, which is closed: the text of an error would map 0.6 MB of the C library.
            os.closerange(descriptor, descriptor + 1)
    # The lowest free numbers are 0, 1 and 2 now.
    for descriptor in range(FIRST_FREE):
        if os.open(os.devnull, os.O_RDWR) == descriptor:
            os.set_inheritable(descriptor, True)


def _open_descriptors() -> "List[int]":
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return list(range(_MOST))
