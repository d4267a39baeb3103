"""What /proc/PID/stat tells of one process: whether it runs, since when, how it ended.

Small enough for the launcher, whose time is the job's, and for the idle
process.  Nothing here knows of jobs.
"""

import os

TYPE_CHECKING = False  # importing typing would cost the launcher 10 ms
if TYPE_CHECKING:
    from typing import List, Optional

_STARTTIME = 19  # of the fields, counted from the state
_EXIT_CODE = 49


def start_time(pid: int) -> int:
    """When the process started, in clock ticks; 0 if there is none, or no /proc."""
    fields = stat_fields(pid)
    return int(fields[_STARTTIME]) if fields else 0


def is_running(pid: int, starttime: int) -> bool:
    """Whether that very process still runs; a zombie does not."""
    fields = stat_fields(pid)
    if not fields:
        # Without /proc only the number is left to go by.
        return not starttime and _exists(pid)
    return fields[0] not in (b"Z", b"X") and (not starttime or int(fields[_STARTTIME]) == starttime)


def stat_fields(pid: int) -> "List[bytes]":
    """The fields of /proc/PID/stat from the third on, the state; none if there is no such process."""
    # The name may hold ')' and blanks: split from the right.
    try:
        descriptor = os.open("/proc/%d/stat" % pid, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        return os.read(descriptor, 4096).rpartition(b")")[2].split()
    except OSError:  # ESRCH: it ended between the two calls
        return []
    finally:
        os.close(descriptor)


def zombie_status(pid: int, starttime: int) -> "Optional[int]":
    """How the process ended, as wait() would tell, while it waits to be reaped; else None."""
    fields = stat_fields(pid)
    if not fields or fields[0] != b"Z" or int(fields[_STARTTIME]) != starttime:
        return None
    try:
        # Of another user's process the kernel shows 0 in place of the status: that would be a guess.
        is_ours = os.stat("/proc/%d" % pid).st_uid == os.geteuid()
    except OSError:
        return None
    return int(fields[_EXIT_CODE]) if is_ours else None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
