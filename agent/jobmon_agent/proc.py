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
    from typing import Dict, Iterator, List, Optional, Tuple

TICKS = os.sysconf("SC_CLK_TCK")  # clock ticks a second, the unit of stat's times
PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes

_STAT_BYTES = 4096  # 52 numbers and a name of 64 bytes at most
_LIST_BYTES = 1024 * 1024  # of a list of children: 100,000
_THREADS = 64  # threads of a process whose children are all asked for
_EXEC_LOOKS, _EXEC_PAUSE = 10, 0.001  # looks at a process that becomes another program, and s between two
_HIDDEN = 1  # what stat says of the start of another user's program (Linux, fs/proc/array.c)
_KTHREADD = 2  # the process that starts the kernel's own
_ENVIRON_BYTES = 8 * 1024 * 1024  # the kernel's own bound for arguments and environment is 6 MiB
_SHORT = 2048  # bytes; the kernel fills a page before it cuts what it has to say: after less there is no more
_BLOCK = 16 * 1024  # bytes a read; a larger buffer would cost the allocator more than the read
_BOOT_DIGITS = 8  # of the kernel's 32: a node is not started so often that two would agree
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
    try:
        descriptor = os.open("/proc/%d/stat" % pid, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # One read gives the whole line; a second would cost a fifth of a look at all processes.
        return parse_stat(os.read(descriptor, _STAT_BYTES))
    except (OSError, ValueError):  # ESRCH: it ended between the calls
        return None
    finally:
        os.close(descriptor)


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


def environment(pid: int) -> bytes:
    """What the process was started with, ``NAME=value`` ended by NUL each; nothing when it is not ours to read."""
    return read_file("/proc/%d/environ" % pid, _ENVIRON_BYTES)


def umask(pid: int) -> "Optional[int]":
    """The process's umask; None before Linux 4.7, or when it is gone."""
    # A line break in the name, which comes first, is escaped.
    digits = read_file("/proc/%d/status" % pid, _STAT_BYTES).partition(b"\nUmask:\t")[2].partition(b"\n")[0]
    return int(digits, 8) if digits else None


def children(process: Process) -> "List[int]":
    """Those it has forked and that still are its own; none where the kernel has no such list.

    Each thread has its own list.  Of a process with very many only the first
    thread is asked, as looking at all would cost more than it finds.
    """
    threads = [str(process.pid)]
    if 1 < process.threads <= _THREADS:
        try:
            threads = os.listdir("/proc/%d/task" % process.pid)
        except OSError:
            pass
    found: "List[int]" = []
    for thread in threads:
        found.extend(map(int, read_file("/proc/%d/task/%s/children" % (process.pid, thread), _LIST_BYTES).split()))
    return found


def lists_children() -> bool:
    """Whether the kernel lists the children of a process."""
    return os.path.exists("/proc/self/task/%d/children" % os.getpid())


def marks(process: Process, name: bytes) -> "Optional[List[bytes]]":
    """The values of a variable in the environment that a process was started with; it may occur twice.

    None: it cannot be told just now.
    """
    text = _started_with(process)
    if text is None:
        return None
    start = name + b"="
    return [line[len(start) :] for line in text.split(b"\0") if line.startswith(start)]


def _started_with(process: Process) -> "Optional[bytes]":
    """Its environment, also an empty one; None where it only seems to be empty.

    A process that becomes another program has no environment for a moment: the kernel sets where it is at
    the end of execve (Linux, fs/binfmt_elf.c), and ``stat`` says where without waiting for the process.
    """
    for _ in range(_EXEC_LOOKS):
        text = environment(process.pid)
        if text or _KTHREADD in (process.pid, process.ppid) or _has_no_environment(process):
            return text
        time.sleep(_EXEC_PAUSE)
    return None


def _has_no_environment(process: Process) -> bool:
    """Whether it was started with an empty one, or there is none to be read."""
    line = read_file("/proc/%d/stat" % process.pid, _STAT_BYTES)
    try:
        now = parse_stat(line)
        program, start, end = (int(line.rpartition(b")")[2].split()[field]) for field in (23, 47, 48))
    except (IndexError, ValueError):
        return True  # it is gone
    if now.is_dead or now.starttime != process.starttime or program == _HIDDEN:
        return True
    return start == end != 0


def transferred(pid: int) -> "Tuple[Optional[int], Optional[int]]":
    """Bytes that a process had read from and written to storage; None where that is not ours to know."""
    fields = read_file("/proc/%d/io" % pid, _STAT_BYTES).split()
    known = dict(zip(fields[::2], fields[1::2]))  # noqa: B905 - not in Python 3.6
    try:
        return int(known[b"read_bytes:"]), int(known[b"write_bytes:"])
    except (KeyError, ValueError):
        return None, None


def open_files(pid: int) -> "Optional[int]":
    """How many descriptors a process holds; None where that is not ours to know."""
    path = "/proc/%d/fd" % pid
    try:
        # Linux 6.2 and newer count them; older ones say 0, as for a process that has none.
        return os.stat(path).st_size or len(os.listdir(path))
    except OSError:
        return None


def share_of_memory(pid: int) -> "Optional[int]":
    """Bytes of resident memory, what is shared divided among those that share it (PSS).

    The kernel walks all its memory and holds up whoever maps or forks there
    meanwhile: 62 ms for 4 GB.  None where that is not ours to know.
    """
    for line in read_file("/proc/%d/smaps_rollup" % pid, _BLOCK).splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return None


def command(process: Process, longest: int) -> bytes:
    """Its command line, arguments apart by blanks; ``[name]`` where it has none, as of a zombie."""
    line = read_file("/proc/%d/cmdline" % process.pid, longest).rstrip(b"\0")
    return line.replace(b"\0", b" ") if line else b"[" + process.name + b"]"


def boot_moment() -> float:
    """When the node started, in seconds since 1970, by its clock now."""
    return time.time() - time.clock_gettime(_BOOTTIME)


def boot_id() -> str:
    """Which start of the node this is: eight hexadecimal digits, none where the kernel does not tell."""
    return text(read_file("/proc/sys/kernel/random/boot_id", _STAT_BYTES)[:_BOOT_DIGITS])


def exact_start(process: Process, boot: str) -> str:
    """What names the process for good together with its number: ``TICKS:BOOT``; no clock that is set changes it."""
    return "%d:%s" % (process.starttime, boot)


def text(name: bytes) -> str:
    """Bytes from the node as the wire carries them, whatever the locale is."""
    return name.decode("utf-8", "surrogateescape")


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
            parts.append(part)
            length += len(part)
            if len(part) < _SHORT:
                break
    except OSError:  # ESRCH: it ended between the calls
        return b""
    finally:
        os.close(descriptor)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _pids() -> "Iterator[int]":
    try:
        return (int(name) for name in os.listdir("/proc") if name.isdigit())
    except OSError:
        return iter(())
