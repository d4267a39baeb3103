"""A descriptor that means one process for good, also when its number is used again.

Linux 5.3 has them, Linux 6.15 tells through them how the process ended.
Everything works on a kernel without: the answer is None then.
"""

import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

_SYSCALL = 434  # pidfd_open, the same number on every architecture
_GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, struct pidfd_info of 64 bytes)
_INFO = struct.Struct("=Q52xi")  # mask, (ids that are of no use here), exit status
_INFO_EXIT = 1 << 3


def open_pidfd(pid: int) -> "Optional[int]":
    """A descriptor for the process; None if the kernel has none to give."""
    try:
        if hasattr(os, "pidfd_open"):  # Python 3.9
            return int(os.pidfd_open(pid))  # novm
        import ctypes  # 5 ms, so only where it is needed

        library = ctypes.CDLL(None, use_errno=True)
        descriptor = int(library.syscall(_SYSCALL, pid, 0))
    except (OSError, ImportError, AttributeError):
        return None
    if descriptor < 0:
        return None
    os.set_inheritable(descriptor, False)
    return descriptor


def exit_status(pidfd: int) -> "Optional[int]":
    """How the process ended, as wait() would tell; None if it was not reaped yet, or the kernel keeps no record."""
    buffer = bytearray(_INFO.size)
    _INFO.pack_into(buffer, 0, _INFO_EXIT, 0)
    try:
        fcntl.ioctl(pidfd, _GET_INFO, buffer)
    except OSError:
        return None
    mask, status = _INFO.unpack(buffer)
    return int(status) if mask & _INFO_EXIT else None


def tells_exit_status() -> bool:
    """Whether this kernel remembers how a process ended: tried out, since vendors' kernels differ from their number.

    Made for a process of its own that has no children: it forks one.
    """
    child = os.fork()
    if not child:
        os._exit(1)
    pidfd = open_pidfd(child)
    _, status = os.waitpid(child, 0)
    if pidfd is None:
        return False
    told = exit_status(pidfd)
    os.close(pidfd)
    return told == status
