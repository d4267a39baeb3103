"""The file that the job's output goes to where its stdout is none that could be read: ``--log-file``.

The job writes to the file, and a process of the agent's copies what comes to
where stdout went before.  So nothing stands in front of the job: when the
copier dies, or its reader is slow or gone, the job writes on.
"""

import errno
import os
import stat

TYPE_CHECKING = False  # importing typing would cost the launcher 10 ms
if TYPE_CHECKING:
    from typing import Optional

_STDOUT = 1
_STDERR = 2


def open_log_file(path: str) -> "Optional[int]":
    """A descriptor to append to the file with; None if the job's stdout is that very file.

    Raises:
        OSError: no file of one's own: what another user put there, a link, a FIFO, a device, a second name.
    """
    # Not to wait for a FIFO's reader; what was opened is looked at afterwards.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            raise OSError(errno.EPERM, "it is no file of yours with one name")
        if _is_same(status, _STDOUT):
            os.close(descriptor)
            return None
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def takes(number: int) -> bool:
    """Whether what is written to stdout or stderr goes to the log file: stderr does not when it is a file already."""
    if number == _STDOUT:
        return True
    try:
        return not stat.S_ISREG(os.fstat(number).st_mode)
    except OSError:  # closed
        return True


def redirect(descriptor: int) -> None:
    """Let this process, and so the job, write to the log file."""
    for number in (_STDERR, _STDOUT):
        if takes(number):
            os.dup2(descriptor, number)  # inherited by what is executed


def _is_same(status: os.stat_result, number: int) -> bool:
    try:
        other = os.fstat(number)
    except OSError:  # closed
        return False
    return (status.st_dev, status.st_ino) == (other.st_dev, other.st_ino)
