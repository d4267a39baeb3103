"""One process as /proc tells it: numbers from `stat`, text on request.

``stat`` never waits for the process; ``cmdline`` and ``environ`` take the lock
of its memory and may wait for it, so only verbs read them, in processes of
their own.  Nothing here knows which processes belong to a job.

The idle process imports this, so nothing large is imported here.
"""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, Optional

TICKS = os.sysconf("SC_CLK_TCK")  # clock ticks a second, the unit of stat's times
PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes

_STAT_BYTES = 4096  # 52 numbers and a name of 64 bytes at most
_BLOCK = 128 * 1024  # bytes a read; larger than nearly every environment
_ENVIRON_BYTES = 8 * 1024 * 1024  # the kernel's own bound for arguments and environment is 6 MiB
_BOOTTIME = 7  # CLOCK_BOOTTIME, which Python 3.6 does not name; start times count by it


class Process:
    """One line of /proc/PID/stat."""

    __slots__ = (
        "pid", "name", "state", "ppid", "group", "session", "cpu", "reaped", "threads", "starttime", "rss",
    )  # fmt: skip

    def __init__(
        self,
        pid: int,
        name: bytes,  # as the process set it: any bytes
        state: str,  # one letter
        ppid: int,
        group: int,
        session: int,
        cpu: int,  # clock ticks, user and system
        reaped: int,  # clock ticks that its children had used, as far as it has waited for them
        threads: int,
        starttime: int,  # clock ticks since the node started
        rss: int,  # bytes
    ) -> None:
        self.pid = pid
        self.name = name
        self.state = state
        self.ppid = ppid
        self.group = group
        self.session = session
        self.cpu = cpu
        self.reaped = reaped
        self.threads = threads
        self.starttime = starttime
        self.rss = rss

    @property
    def is_dead(self) -> bool:
        """Nothing of it runs any more; a leader that ended before its threads is not dead."""
        return self.state in "ZX" and self.threads <= 1


def parse_stat(line: bytes) -> Process:
    """Read a stat line; the name may hold blanks, newlines and ``)``: split from the right.

    Raises:
        ValueError: it is none.
    """
    head, _, tail = line.rpartition(b")")
    pid, opening, name = head.partition(b" (")
    fields = tail.split()
    if not opening or len(fields) < 22:
        raise ValueError("no stat line")
    return Process(
        pid=int(pid),
        name=name,
        state=fields[0].decode("ascii"),
        ppid=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        cpu=int(fields[11]) + int(fields[12]),
        reaped=int(fields[13]) + int(fields[14]),
        threads=int(fields[17]),
        starttime=int(fields[19]),
        rss=int(fields[21]) * PAGE,
    )


def read_process(pid: int) -> "Optional[Process]":
    """The process with that number now, or None."""
    line = read_file("/proc/%d/stat" % pid, _STAT_BYTES)
    try:
        return parse_stat(line)
    except ValueError:
        return None


def read_processes() -> "Dict[int, Process]":
    """Every process that /proc shows, by its number."""
    found = (read_process(pid) for pid in _pids())
    return {process.pid: process for process in found if process}


def owner(pid: int) -> int:
    """The user id a process runs as, or -1 when there is no such process."""
    try:
        return os.stat("/proc/%d" % pid).st_uid
    except OSError:
        return -1


def has_marker(pid: int, marker: bytes) -> bool:
    """Whether the process was started with ``marker``, ``NAME=value``, in its environment."""
    return marker in environment(pid).split(b"\0")


def environment(pid: int) -> bytes:
    """What the process was started with, ``NAME=value`` ended by NUL each; nothing when it is not ours to read."""
    return read_file("/proc/%d/environ" % pid, _ENVIRON_BYTES)


def umask(pid: int) -> "Optional[int]":
    """The process's umask; None before Linux 4.7, or when it is gone."""
    # A line break in the name, which comes first, is escaped.
    digits = read_file("/proc/%d/status" % pid, _STAT_BYTES).partition(b"\nUmask:\t")[2].partition(b"\n")[0]
    return int(digits, 8) if digits else None


def command(process: Process, longest: int) -> bytes:
    """Its command line, arguments apart by blanks; ``[name]`` where it has none, as of a zombie."""
    line = read_file("/proc/%d/cmdline" % process.pid, longest).rstrip(b"\0")
    return line.replace(b"\0", b" ") if line else b"[" + process.name + b"]"


def boot_moment() -> float:
    """When the node started, in seconds since 1970, by its clock now."""
    return time.time() - time.clock_gettime(_BOOTTIME)


def text(name: bytes) -> str:
    """Bytes from the node as the wire carries them, whatever the locale is."""
    return name.decode("utf-8", "surrogateescape")


def _pids() -> "Iterator[int]":
    try:
        return (int(name) for name in os.listdir("/proc") if name.isdigit())
    except OSError:
        return iter(())


def read_file(path: str, longest: int) -> bytes:
    """The file's bytes, or none when the process is gone or not ours to read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    parts, length = [], 0
    try:
        while length < longest:
            part = os.read(descriptor, min(_BLOCK, longest - length))
            if not part:
                break
            parts.append(part)
            length += len(part)
    except OSError:  # ESRCH: it ended between the calls
        return b""
    finally:
        os.close(descriptor)
    return b"".join(parts)
