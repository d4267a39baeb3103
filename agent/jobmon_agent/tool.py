"""A program that looks into a process from outside: py-spy, gdb.

gdb stops a process by a signal and lets it go at its end.  When gdb is killed
in between, that signal can stay behind and the process would stop for good
(seen in 16 of 40 trials with 31 threads).  So a keeper stands beside the
program: it belongs to no request, ends the program when nobody waits for it any
more, and sends CONT to the process if the program did not end by itself.
"""

import errno
import marshal
import os
import select
import signal
import time

from jobmon_agent import descriptors
from jobmon_agent.errand import run_errand
from jobmon_agent.job import Job
from jobmon_agent.signals import Target, send
from jobmon_wire import limits
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

OUTPUT = 1 * limits.MIB  # bytes; 2,000 threads with 10 frames of 50 characters
_LOOK = 0.1  # s between two looks whether the program has ended
_SLACK = 5.0  # s beyond the deadline for the keeper to end and tell
_READ = 64 * limits.KIB  # bytes
_NOT_STARTED = 127
_SHELL = "/bin/sh"
# Where memory runs out the program shall end and not the job.  This process may not say so of itself, as its
# memory is private (kernel.keep_memory_private); what it becomes may.
_EXPENDABLE = 'echo 1000 2>/dev/null >/proc/self/oom_score_adj; exec "$0" "$@"'


class Outcome(NamedTuple):
    """What came of a program."""

    output: bytes  # standard output and errors
    status: int  # as a shell tells it: the code, or 128 and the signal
    is_late: bool  # it was ended at its deadline
    is_cut: bool  # it wrote more than OUTPUT
    seconds: float  # that it took


def find_program(name: str) -> str:
    """Where a program is on the PATH the job was started with; empty where it is not."""
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(directory, name)
        # A relative entry would find what the job has written to its working directory.
        if os.path.isabs(directory) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""


def run_program(job: Job, target: Target, line: "List[str]", seconds: float) -> Outcome:
    """Run a program on a process of the job.

    Args:
        line: its path and arguments.
        seconds: after which it is ended.

    Raises:
        OSError: it could not be started, or its keeper was killed.
    """

    def keep(pipe: int) -> None:
        _Keeper(job, target, pipe).run(line, seconds)

    told, _ = run_errand(keep, seconds + _SLACK, OUTPUT + limits.KIB)
    if not told:
        raise OSError(errno.ECHILD, "its keeper was killed")
    return Outcome(*marshal.loads(told))  # noqa: S302 - from our own child


class _Keeper:
    """The process between the request and the program."""

    def __init__(self, job: Job, target: Target, pipe: int) -> None:
        self._job = job
        self._target = target
        self._pipe = pipe  # to the request; broken when nobody waits any more
        self._output = bytearray()

    def run(self, line: "List[str]", seconds: float) -> None:
        """See the program through and tell what came of it."""
        start = time.monotonic()
        mine, its = os.pipe()
        program = os.fork()
        if not program:
            _become(line, its)
        os.close(its)
        ended = self._follow(program, mine, start + seconds)
        status = _reap(program) if ended else _stop(program)
        if status & 0x7F or not ended:
            # CONT also takes back a stop that is still on its way.
            send(self._job, self._target, signal.SIGCONT)
        code = 128 + (status & 0x7F) if status & 0x7F else status >> 8
        is_cut = len(self._output) > OUTPUT
        outcome = Outcome(
            bytes(self._output[:OUTPUT]), code, not ended and not is_cut, is_cut, time.monotonic() - start
        )
        _write(self._pipe, marshal.dumps(tuple(outcome)))

    def _follow(self, program: int, output: int, deadline: float) -> bool:
        """Collect what the program says; whether it came to its end."""
        waiting = select.poll()
        waiting.register(output, select.POLLIN)
        waiting.register(self._pipe, 0)  # tells of its end alone
        while len(self._output) <= OUTPUT:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            ready = dict(waiting.poll(min(left, _LOOK) * 1000))
            if self._pipe in ready:
                return False
            part = os.read(output, _READ) if output in ready else b""
            if not part and (output in ready or _has_ended(program)):
                return True  # what the program has forked may keep the pipe open after its end
            self._output += part
        return False


def _has_ended(program: int) -> bool:
    return os.waitid(os.P_PID, program, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _stop(program: int) -> int:
    """End the program; its wait status, which tells of a signal.

    By KILL, at which the kernel lets go of the process: gdb that gets TERM while
    it waits for the process passes an INT on to it, of which a job can die.
    """
    os.kill(program, signal.SIGKILL)
    return _reap(program)


def _reap(program: int) -> int:
    """Wait for the program and end what it has left: gdb forks to try out the kernel, and that may stop for good."""
    os.waitid(os.P_PID, program, os.WEXITED | os.WNOWAIT)
    try:
        os.killpg(program, signal.SIGKILL)  # its session's number, still its own as it is not reaped
    except OSError:
        pass
    return os.waitpid(program, 0)[1]


def _become(line: "List[str]", output: int) -> None:
    """Be the program, with nothing of the agent's but a pipe to it."""
    try:
        os.setsid()  # a session that is none of the job's, so that it is no member; its group can be ended whole
        output = descriptors.out_of_the_way(output)
        descriptors.keep_only([output])
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        for number in range(1, signal.NSIG):  # the agent ignores many
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                pass
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": "/", "LC_ALL": "C"}
        os.execve(_SHELL, [_SHELL, "-c", _EXPENDABLE] + line, environment)  # noqa: S606
    finally:
        os._exit(_NOT_STARTED)


def _write(pipe: int, data: bytes) -> None:
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(pipe, rest) :]
    except OSError:  # nobody waits any more
        pass
