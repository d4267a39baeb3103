"""``jobmon stack``: where a job hangs.

By itself it only looks: the state, the system call and what that waits for, of
every thread.  With a tool it asks for the functions of one process; gdb stops
it meanwhile, so that is asked first.
"""

import argparse
from collections.abc import Iterator
from typing import Any

from jobmon_console import prompt
from jobmon_console.cli import columns, parser, reach, screen, words
from jobmon_console.errors import UsageError
from jobmon_console.replies import Record
from jobmon_console.safe import safe
from jobmon_wire import answers
from jobmon_wire.frames import DATA, NOTE, RECORD

STOP = "gdb stops the process for about half a second, longer if it is large"

_STATES = {
    "R": "running",
    "S": "waiting",
    "D": "waiting, and no signal reaches it",
    "T": "stopped by a signal",
    "t": "stopped by a debugger",
    "Z": "ended",
    "I": "idle",
}
_PHRASES = {
    "read": "read from",
    "readv": "read from",
    "pread64": "read from",
    "preadv": "read from",
    "write": "write to",
    "writev": "write to",
    "pwrite64": "write to",
    "pwritev": "write to",
    "recvfrom": "receive from",
    "recvmsg": "receive from",
    "recvmmsg": "receive from",
    "sendto": "send to",
    "sendmsg": "send to",
    "sendmmsg": "send to",
    "connect": "connect by",
    "accept": "accept at",
    "accept4": "accept at",
    "flock": "lock",
    "fsync": "write out to disk",
    "fdatasync": "write out to disk",
    "epoll_wait": "an event of",
    "epoll_pwait": "an event of",
    "epoll_pwait2": "an event of",
}
_WITHOUT_DESCRIPTOR = {
    "futex": "a lock or another thread (futex)",
    "futex_wait": "a lock or another thread (futex)",
    "futex_waitv": "a lock or another thread (futex)",
    "nanosleep": "time to pass (nanosleep)",
    "clock_nanosleep": "time to pass (clock_nanosleep)",
    "pause": "a signal (pause)",
    "rt_sigsuspend": "a signal (rt_sigsuspend)",
    "rt_sigtimedwait": "a signal (rt_sigtimedwait)",
}
_WHY_HIDDEN = "the kernel does not let the agent look"
_YAMA = "kernel.yama.ptrace_scope forbids it on this node"


def add_arguments(parser_: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser_.add_argument("job", metavar="JOB", help="id of a job, or an unambiguous prefix")
    parser_.add_argument("pid", metavar="PID", nargs="?", type=parser.count, help="one process of it, see: jobmon ps")
    tool = parser_.add_mutually_exclusive_group()
    for name, text in (
        ("py-spy", "functions of a Python process, which runs on; the node needs py-spy"),
        ("gdb", "functions of any process, which is stopped meanwhile; the node needs gdb"),
        ("signal", "have the process dump itself, if it was started with JOBMON_DUMP_SIGNAL"),
    ):
        tool.add_argument("--" + name, dest="tool", action="store_const", const=name, help=text)
    parser_.add_argument("--yes", action="store_true", help="do not ask")
    parser_.add_argument("--json", action="store_true", help="one JSON object a process")


def run(arguments: argparse.Namespace) -> int:
    """Print where the job hangs."""
    target = reach.find_one(reach.contexts_of(arguments), arguments.job)
    asked: Record = {} if arguments.pid is None else {"pid": arguments.pid}
    if arguments.tool is None:
        return _look(target, asked, arguments.json)
    if arguments.tool == "gdb" and not arguments.yes and not _is_confirmed():
        screen.note("nothing was done")
        return answers.USAGE
    return _dump(target, dict(asked, tool=arguments.tool), arguments.json)


def _is_confirmed() -> bool:
    if not screen.can_ask():
        raise UsageError(f"{STOP}, and there is no terminal to ask at; give --yes")
    return prompt.ask(f"{STOP}; go on? [y/N] ").lower() in ("y", "yes")


def _dump(target: reach.Target, asked: Record, as_json: bool) -> int:
    told: Record = {}
    output = b""
    for frame in reach.ask_frames(target, "dump", asked):
        if frame.type == RECORD:
            told.update(frame.document())
        elif frame.type == DATA:
            output += frame.payload
    if as_json:
        screen.put_json(dict(told, output=output.decode("utf-8", "surrogateescape")))
    elif told.get("signal"):
        signal, pid = columns.text(told["signal"]), columns.text(told.get("pid"))
        screen.put(
            safe(f"{signal} sent to {pid}; its handler writes the dump, often here: jobmon tail {target.name} stderr")
        )
    else:
        writer = screen.Bytes(is_raw=False)
        writer.write(output)
        writer.close()
        if told.get("is_cut"):
            screen.note(f"more was told than {words.size(len(output))}")
    return answers.DONE


def _look(target: reach.Target, asked: Record, as_json: bool) -> int:
    processes: dict[object, Record] = {}
    scope: Any = None
    more = 0
    for frame in reach.ask_frames(target, "stack", asked):
        document = frame.document() if frame.type in (RECORD, NOTE) else {}
        if frame.type == NOTE:
            more = document.get("threads") or 0
        scope = document.get("ptrace_scope", scope)
        for process in _objects(document.get("processes")):
            processes[process.get("pid")] = dict(process, waits=[])
        for thread in _objects(document.get("threads")):
            if thread.get("pid") in processes:
                processes[thread["pid"]]["waits"].append(thread)
    for process in processes.values():
        if as_json:
            screen.put_json(process)
            continue
        for line, colour in lines(process, scope):
            screen.put(screen.paint(safe(line), colour))
    if more:
        screen.note(f"{words.plural(more, 'thread')} more are not shown")
    return answers.DONE


def lines(process: Record, scope: Any) -> Iterator[tuple[str, str]]:
    """One process as people read it, threads that wait alike together; each line with its colour."""
    pid = process.get("pid")
    command = process.get("command") or f"[{columns.text(process.get('name'))}]"
    yield f"{columns.text(pid)} {' '.join(str(command).split())}", "bold"
    alike: dict[str, list[Record]] = {}
    for thread in _objects(process.get("waits")):
        alike.setdefault(told(thread), []).append(thread)
    for sentence, threads in alike.items():
        yield f"  {_who(threads, pid)}: {sentence}", "red" if threads[0].get("state") == "D" else ""
    denied = process.get("denied")
    if isinstance(denied, list) and denied != ["stack"] and denied:
        why = _YAMA if isinstance(scope, int) and scope > 0 else _WHY_HIDDEN
        hidden = ", ".join(columns.text(name) for name in denied if name != "stack")
        yield f"  not readable: {hidden} ({why})", "yellow"


def told(thread: Record) -> str:
    """What a thread does, in words."""
    state = columns.text(thread.get("state"))
    said = _STATES.get(state, f"state {state}")
    place = f"in {columns.text(thread['wchan'])}" if state == "D" and thread.get("wchan") else ""
    where = ", ".join(part for part in (_wait(thread), place) if part)
    return f"{said}: {where}" if where else said


def _wait(thread: Record) -> str:
    call, number = thread.get("call"), thread.get("number")
    if number is None:
        place = thread.get("wchan")
        return f"in the kernel at {columns.text(place)}" if place and thread.get("state") != "D" else ""
    if call is None:
        return f"system call {columns.text(number)}"
    if thread.get("child") is not None:
        return f"the end of its child {columns.text(thread['child'])} ({columns.text(call)})"
    if thread.get("descriptor") is None:
        return _WITHOUT_DESCRIPTOR.get(call, columns.text(call))
    phrase = _PHRASES.get(call, f"{columns.text(call)} on")
    what = thread.get("file") or f"descriptor {columns.text(thread['descriptor'])}"
    return f"{phrase} {columns.text(what)}{_beside(thread)}"


def _beside(thread: Record) -> str:
    """What is known besides the name of a file."""
    holders = thread.get("held_by")
    if isinstance(holders, list):
        what = "the lock" if thread.get("call") in ("flock", "fcntl") else "the other end"
        if not holders:
            return f" (no process of the job holds {what})"
        if holders == [thread.get("pid")]:
            return f" (the process alone holds {what})"
        return f" ({what} is held by {', '.join(columns.text(pid) for pid in holders)})"
    watched = thread.get("watches")
    if isinstance(watched, list) and watched:
        return f" ({'; '.join(columns.text(each) for each in watched)})"
    return f" ({columns.text(thread['peer'])})" if thread.get("peer") else ""


def _who(threads: list[Record], pid: object) -> str:
    if len(threads) > 1:
        return words.plural(len(threads), "thread")
    tid = threads[0].get("tid")
    return "main thread" if tid == pid else f"thread {columns.text(tid)} {columns.text(threads[0].get('name'))}"


def _objects(value: object) -> list[Record]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
