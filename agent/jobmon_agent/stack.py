"""The verb `stack`: what every thread of the job waits for, without touching the job.

All of it is read from /proc: the state, the place in the kernel (wchan), the
system call with what its descriptor leads to.  What the kernel does not let
the agent read is named, not guessed.
"""

import os

from jobmon_agent.choice import live_members, member_of
from jobmon_agent.endpoints import Endpoints
from jobmon_agent.errand import run_errand
from jobmon_agent.job import Job
from jobmon_agent.kernel import end_with_parent
from jobmon_agent.proc import Process, command, parse_stat, text
from jobmon_agent.rows import records
from jobmon_agent.syscalls import read_call
from jobmon_wire import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    Record = Dict[str, Any]

THREADS = 5000  # told of; more are counted
_FRAMES = 16  # of a thread's way through the kernel, the innermost
_LINE_BYTES = 4096  # bytes of a file about one thread
_COMMANDS = 1.0  # s to read command lines in: a process that hangs may hold the lock they need
_COMMAND_BYTES = 1024  # bytes of one command line


def stack(job: Job, arguments: "Record") -> "Iterator[Tuple[int, Record]]":
    """Yield the members, then their threads, as RECORDs."""
    members = live_members(job)
    chosen = [member_of(members, arguments["pid"])] if arguments["pid"] is not None else list(members.values())
    threads, denied, more = _threads(chosen, Endpoints(members))
    scope = _ptrace_scope()
    yield from records("processes", _processes(chosen, denied), ptrace_scope=scope)
    yield from records("threads", threads)
    if more:
        yield frames.NOTE, {"kind": "more", "threads": more}


def _processes(chosen: "List[Process]", denied: "Dict[int, List[str]]") -> "Iterator[Record]":
    commands = _commands(chosen)
    for process in chosen:
        yield {
            "pid": process.pid,
            "ppid": process.ppid,
            "state": process.state,
            "name": text(process.name),
            "command": commands.get(process.pid),
            "threads": process.threads,
            "denied": denied.get(process.pid, []),
        }


def _commands(chosen: "List[Process]") -> "Dict[int, str]":
    """Command lines, as many as can be had in time: the kernel may hold them back while a process hangs."""

    def read_all(descriptor: int) -> None:
        end_with_parent()
        for process in chosen:
            os.write(descriptor, b"%d %s\0" % (process.pid, command(process, _COMMAND_BYTES)))

    data, _ = run_errand(read_all, _COMMANDS, len(chosen) * (_COMMAND_BYTES + 32))
    lines = (line.partition(b" ") for line in data.split(b"\0")[:-1])
    return {int(pid): text(line) for pid, _, line in lines}


def _threads(chosen: "List[Process]", endpoints: Endpoints) -> "Tuple[List[Record], Dict[int, List[str]], int]":
    """What the threads wait for, what could not be read of which process, and how many threads were left out."""
    found: "List[Record]" = []
    denied: "Dict[int, List[str]]" = {}
    more = 0
    for process in chosen:
        for looked, tid in enumerate(_thread_ids(process.pid)):
            if len(found) == THREADS:
                more += max(0, process.threads - looked)
                break
            row, hidden = _thread(process.pid, tid, endpoints)
            if row is not None:
                found.append(row)
                known = denied.setdefault(process.pid, [])
                known.extend(name for name in hidden if name not in known)
    return found, denied, more


def _thread(pid: int, tid: int, endpoints: Endpoints) -> "Tuple[Optional[Record], List[str]]":
    """One thread, and the names of what the kernel did not let us read of it; None when it has ended."""
    looks = _Looks("/proc/%d/task/%d/" % (pid, tid))
    try:
        status = parse_stat(looks.read("stat"))
    except ValueError:
        return None, []
    call = read_call(looks.read("syscall"))
    place = text(looks.read("wchan"))
    row: "Record" = {
        "pid": pid,
        "tid": tid,
        "name": text(status.name),
        "state": status.state,
        "wchan": place if place not in ("", "0") else None,
        "number": call.number if call else None,
        "call": call.name if call else None,
        "descriptor": call.descriptor if call else None,
        "child": call.child if call else None,
        "stack": _kernel_stack(looks),
    }
    if call and call.descriptor is not None:
        try:
            row.update(endpoints.facts(pid, call.descriptor, call.name or "", place))
        except OSError:
            looks.denied.append("fd")
    return row, looks.denied


class _Looks:
    """Reads of files about one thread; notes those that are not for us."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self.denied: "List[str]" = []

    def read(self, name: str) -> bytes:
        """The content; empty when the thread has gone, or when it is not for us."""
        try:
            descriptor = os.open(self._directory + name, os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:
            self.denied.append(name)
            return b""
        except OSError:
            return b""
        try:
            return os.read(descriptor, _LINE_BYTES)
        except PermissionError:  # the kernel checks some at the read
            self.denied.append(name)
        except OSError:
            pass
        finally:
            os.close(descriptor)
        return b""


def _kernel_stack(looks: _Looks) -> "List[str]":
    """The functions the thread has gone through in the kernel, the innermost first; root alone may see them."""
    lines = looks.read("stack").splitlines()[:_FRAMES]
    functions = (line.partition(b"] ")[2].partition(b"+")[0] for line in lines)
    return [text(function) for function in functions if function]


def _thread_ids(pid: int) -> "List[int]":
    try:
        return sorted(int(name) for name in os.listdir("/proc/%d/task" % pid))
    except OSError:
        return []


def _ptrace_scope() -> "Optional[int]":
    """How far Yama forbids to look at processes that are not one's children; None where there is no Yama."""
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None
