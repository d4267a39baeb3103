"""Marks that processes carry in their environment.

Reading an environment takes the lock of the process's memory, so the reader
may wait: 0.2 s were seen, for a process of 3 GB that forks all the time.  A
verb has a process of its own for that; whoever must not wait has a child read.

The idle process imports this, so nothing large is imported here.
"""

import os
import time

from jobmon_agent.proc import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, List, Optional

    Read = Callable[[Iterable[int], bytes], "Optional[Dict[int, List[bytes]]]"]

PATIENCE = 0.5  # s for the child; 1,000 environments take 50 ms
_ENVIRON_BYTES = 8 * 1024 * 1024  # the kernel's own bound for arguments and environment is 6 MiB
_VALUE_BYTES = 64  # of a mark; a job's uuid has 36
_REPORT_BYTES = 1024 * 1024  # of what the child tells: 10,000 marks


def read(pids: "Iterable[int]", name: bytes) -> "Dict[int, List[bytes]]":
    """The values of a variable in the environments that processes were started with; they may occur twice."""
    return {pid: _values(pid, name) for pid in pids}


def read_aside(pids: "Iterable[int]", name: bytes) -> "Optional[Dict[int, List[bytes]]]":
    """The same, read by a child of this process; None when that takes too long."""
    wanted = list(pids)
    if not wanted:
        return {}
    pipe, its_end = os.pipe()
    try:
        child = os.fork()
    except OSError:  # no process left on the node
        os.close(pipe)
        os.close(its_end)
        return None
    if not child:
        try:
            _report(its_end, wanted, name)
        finally:
            os._exit(0)
    os.close(its_end)
    report = _read_in_time(pipe)
    os.close(pipe)
    if report is None:
        os.kill(child, 9)
        # One that cannot be killed either, since it waits in the kernel, is left alone.
        os.waitpid(child, os.WNOHANG)
        return None
    os.waitpid(child, 0)
    found: "Dict[int, List[bytes]]" = {pid: [] for pid in wanted}
    for line in report.splitlines():
        pid, _, value = line.partition(b" ")
        found[int(pid)].append(value)
    return found


def _report(pipe: int, pids: "Iterable[int]", name: bytes) -> None:
    lines = [b"%d %s\n" % (pid, value) for pid in pids for value in _values(pid, name)]
    rest = b"".join(lines)[:_REPORT_BYTES].rpartition(b"\n")[0]
    while rest:
        rest = rest[os.write(pipe, rest) :]


def _read_in_time(pipe: int) -> "Optional[bytes]":
    import select  # not needed by those who read themselves

    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    deadline = time.monotonic() + PATIENCE
    parts: "List[bytes]" = []
    while waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
        part = os.read(pipe, 65536)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None


def _values(pid: int, name: bytes) -> "List[bytes]":
    lines = read_file("/proc/%d/environ" % pid, _ENVIRON_BYTES).split(b"\0")
    start = name + b"="
    # Lines end at a newline in the report: a value with one is no mark.
    return [line[len(start) :][:_VALUE_BYTES].replace(b"\n", b" ") for line in lines if line.startswith(start)]
