"""The verb `dump`: the functions a process is in, told by a tool that looks into it or by the process itself.

py-spy reads the memory of a Python process while it runs.  gdb stops a process
for about half a second.  A signal makes a process dump itself, if whoever
started it said which one (``JOBMON_DUMP_SIGNAL``) and it has a handler: the
default action of nearly every signal is to end it.
"""

import os
import signal

from jobmon_agent.choice import live_members, member_of
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.proc import Process, read_file, text
from jobmon_agent.signals import Target, is_there, send
from jobmon_agent.tool import Outcome, find_program, run_program
from jobmon_wire import frames, limits
from jobmon_wire.tuples import NamedTuple
from jobmon_wire.verbs import ArgumentError, parse_signal, signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

    Answer = Iterator[Tuple[int, Union[bytes, Dict[str, Any]]]]

OPT_IN = "JOBMON_DUMP_SIGNAL"  # in the environment a process was started with: the signal it answers with a dump
_NAMED = 8  # processes named to choose from
_STATUS_BYTES = 8192  # bytes of /proc/PID/status
_ENVIRON_BYTES = 8 * limits.MIB  # bytes; the kernel's own bound is 6 MiB


class _Tool(NamedTuple):
    """A program that dumps."""

    line: "Tuple[str, ...]"  # its arguments, with PID for the process
    seconds: float  # until it is ended
    stops: bool  # it stops the process
    proof: bytes  # what a dump holds


_TOOLS = {
    "py-spy": _Tool(("dump", "--nonblocking", "--pid", "PID"), 15.0, False, b"Thread"),
    # No files of the user's or of the program's may tell gdb what to do, and no server is asked for symbols.
    "gdb": _Tool(
        ("-nx", "-batch", "-iex", "set auto-load off", "-ex", "set width 0", "-p", "PID", "-ex", "thread apply all bt"),
        30.0,
        True,
        b"#0",
    ),
}


def dump(job: Job, arguments: "Dict[str, Any]") -> "Answer":
    """Yield a RECORD about what was done, and what a tool told as DATA."""
    process = _choose(job, arguments["pid"])
    name = arguments["tool"]
    if name == "signal":
        yield frames.RECORD, {"tool": name, "pid": process.pid, "signal": _signal(job, process)}
        return
    outcome = _run(job, process, name)
    yield (
        frames.RECORD,
        {"tool": name, "pid": process.pid, "seconds": round(outcome.seconds, 3), "is_cut": outcome.is_cut},
    )
    for start in range(0, len(outcome.output), limits.FRAME_PAYLOAD):
        yield frames.DATA, outcome.output[start : start + limits.FRAME_PAYLOAD]


def _choose(job: Job, pid: "Optional[int]") -> Process:
    members = live_members(job)
    if pid is not None:
        return member_of(members, pid)
    if len(members) == 1:
        return next(iter(members.values()))
    named = ", ".join("%d %s" % (process.pid, text(process.name)) for process in list(members.values())[:_NAMED])
    if not members:
        raise VerbFailure("action-failed", "no process of this job is running")
    raise VerbFailure("bad-request", "the job has %d processes; name one of them: %s" % (len(members), named))


def _run(job: Job, process: Process, name: str) -> Outcome:
    tool = _TOOLS[name]
    path = find_program(name)
    if not path:
        raise VerbFailure(
            "action-failed",
            "%s is not on the agent's PATH on %s; jobmon stack without a tool tells what each thread waits for"
            % (name, os.uname().nodename),
        )
    if tool.stops and process.state in "Tt":
        raise VerbFailure(
            "action-failed", "process %d is stopped already, and %s could not leave it so" % (process.pid, name)
        )
    target = Target(process.pid, process.starttime)
    if not is_there(target):
        raise _gone(process)
    line = [path] + [word if word != "PID" else str(process.pid) for word in tool.line]
    try:
        outcome = run_program(job, target, line, tool.seconds)
    except OSError as error:
        raise VerbFailure("action-failed", "%s could not be run: %s" % (name, error.strerror))
    # The tool knows the process by its number; only if that still is the one the number meant it all the time.
    if not is_there(target):
        raise _gone(process)
    if outcome.is_late:
        raise VerbFailure(
            "action-failed", "%s took more than %d s and was ended; the process goes on" % (name, tool.seconds)
        )
    if outcome.status > 128 and not outcome.is_cut:
        raise VerbFailure("action-failed", "%s was killed; the process goes on" % name)
    if tool.proof not in outcome.output:
        raise VerbFailure("action-failed", "%s failed: %s" % (name, _reason(outcome)))
    return outcome


def _gone(process: Process) -> VerbFailure:
    return VerbFailure("action-failed", "process %d has ended" % process.pid)


def _reason(outcome: Outcome) -> str:
    lines = [line for line in outcome.output.splitlines() if line.strip()]
    if not lines:
        return "it said nothing and exited with %d" % outcome.status
    return text(lines[-1].strip())[: limits.LOG_LINE // 2]


def _signal(job: Job, process: Process) -> str:
    """Send the signal the process answers with a dump, if it says so twice: in its environment and by a handler."""
    name = _declared(process.pid)
    number = signal_number(name)
    if number in (signal.SIGKILL, signal.SIGSTOP) or not _catches(process.pid, number):
        raise VerbFailure(
            "action-failed", "process %d has no handler for %s, which would end or stop it" % (process.pid, name)
        )
    if not send(job, Target(process.pid, process.starttime), number):
        raise _gone(process)
    return name


def _declared(pid: int) -> str:
    prefix = (OPT_IN + "=").encode("ascii")
    entries: "List[bytes]" = read_file("/proc/%d/environ" % pid, _ENVIRON_BYTES).split(b"\0")
    value = next((entry[len(prefix) :] for entry in entries if entry.startswith(prefix)), b"")
    if not value:
        raise VerbFailure(
            "action-failed",
            "process %d was not started with %s, so no signal is sent to it; name there the one it dumps at"
            % (pid, OPT_IN),
        )
    try:
        return parse_signal(text(value))
    except ArgumentError as error:
        raise VerbFailure("action-failed", "%s: %s" % (OPT_IN, error))


def _catches(pid: int, number: int) -> bool:
    for line in read_file("/proc/%d/status" % pid, _STATUS_BYTES).splitlines():
        if line.startswith(b"SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False
