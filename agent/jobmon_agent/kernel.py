"""Requests to the kernel that the standard library has no name for."""

import ctypes
import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # signal itself would cost 1 ms for its enumerations

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36

_LIBRARY = ctypes.CDLL(None)  # opened once, not in every performer: it takes 0.4 ms


def end_with_parent() -> None:
    """Have this process killed when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def keep_memory_private() -> None:
    """No core file and no debugger: the memory of this process holds the job's key."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of whatever comes of this process's children and loses its own: daemons too."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, argument: int) -> None:
    # A kernel or a sandbox that refuses leaves things as they are.
    _LIBRARY.prctl(option, ctypes.c_ulong(argument), 0, 0, 0)
