"""The thin waiter of wrap mode: the job's parent, which passes signals in and the end out.

It dies as the job died, so that the batch system sees the job's own status.
The price against exec mode: the job is not the batch system's own process, and
a KILL or STOP sent to the waiter's number does not reach it.
"""

import os
import select
import time

from jobmon_agent import descriptors
from jobmon_agent.environment import become
from jobmon_agent.parting import BUSY

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Callable, List

    from jobmon_agent.environment import Environment
    from jobmon_agent.sidecar import Introduction
else:
    import _signal  # signal itself would cost 3 ms for its enumerations

_LONGEST = 1.0  # s the job's end is held up at most, while the agent is telling the server of it
_FIRST_WORD = 0.1  # s for the agent to say that it is; one that has no connection says nothing
_FROM_KERNEL = 0x80  # si_code: a terminal's ^C goes to the whole group, so the job has it already
# Faults of the waiter itself are not for the job, and two signals are the C library's own.
_NOT_PASSED = frozenset(
    [_signal.SIGKILL, _signal.SIGSTOP, _signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL, 32, 33]
)
_PASSED = [number for number in range(1, _signal.NSIG) if number not in _NOT_PASSED]

_COPIED, _BARE = b"c", b"b"  # words that let the job start


class Waiter:
    """Starts the job as a child and waits for it."""

    def __init__(self, command: "List[bytes]", environment: "Environment", prepare: "Callable[[bool], None]") -> None:
        """Fork; the job starts only when ``run`` lets it.

        Args:
            prepare: called in the child, last before it becomes the command; it is told whether
                the log file is copied.

        Raises:
            OSError: no process to be had.
        """
        gate, self._gate = [descriptors.out_of_the_way(end) for end in os.pipe()]
        # Blocked before the fork: none may arrive while nobody waits for it.
        mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, _PASSED)
        try:
            self._job = os.fork()
        except OSError:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
            raise
        if not self._job:
            status = 1
            try:
                _attempt(lambda: _signal.pthread_sigmask(_signal.SIG_SETMASK, mask))
                _attempt(lambda: os.close(self._gate))
                _attempt(lambda: prepare(_pass(gate)))
                _attempt(lambda: os._exit(become(command, environment)))
                status = become(command, environment)  # what failed may not fail again
            finally:
                os._exit(status)
        _attempt(lambda: os.close(gate))

    def run(self, introduction: "Introduction") -> None:
        """Introduce the job to its agent, let it start, wait for it, and end as it does."""
        try:
            introduction.settle(self._job)
            os.write(self._gate, _COPIED if introduction.is_copied else _BARE)
            # Else the waiter would hold open what the job closes.
            descriptors.keep_only([introduction.status])
            status = self._wait()
        except BaseException:  # whatever happened, the job runs, and is waited for
            _attempt(lambda: os.write(self._gate, _BARE))
            status = os.waitpid(self._job, 0)[1]
        _attempt(lambda: os.write(introduction.status, b"%d" % status))  # in vain if the agent was killed
        _attempt(lambda: _linger(introduction.status))
        _end_with(status)

    def _wait(self) -> int:
        # The job's own signals need no way back; the waiter's own is the SIGPIPE of a write to an agent that is gone.
        own = (self._job, os.getpid())
        while True:
            signal = _signal.sigwaitinfo(_PASSED)
            if signal.si_signo == _signal.SIGCHLD:
                pid, status = os.waitpid(self._job, os.WNOHANG | os.WUNTRACED)
                if pid and os.WIFSTOPPED(status):
                    os.kill(os.getpid(), _signal.SIGSTOP)  # so that a shell's job control sees it
                elif pid:
                    return status
            elif signal.si_code != _FROM_KERNEL and signal.si_pid not in own:
                os.kill(self._job, signal.si_signo)  # not reaped yet: the number is still the job's


def _pass(gate: int) -> bool:
    """Wait for the launcher's word; whether the log file is copied.

    Without a word the launcher was killed, and so is the job.
    """
    word = os.read(gate, 1)
    if not word:
        os._exit(1)
    return word == _COPIED


def _attempt(step: "Callable[[], object]") -> None:
    try:
        step()
    except BaseException:  # a job without it is better than none
        pass


def _linger(agent: int) -> None:
    """Let the agent tell of the end: where the batch system counts what the job leaves, it dies with this process."""
    patience, end = _FIRST_WORD, time.monotonic() + _LONGEST
    while select.select([agent], [], [], max(0.0, min(patience, end - time.monotonic())))[0]:
        if os.read(agent, len(BUSY)) != BUSY or time.monotonic() >= end:  # done, or gone
            return
        patience = _LONGEST


def _end_with(status: int) -> None:
    """End as the wait status says."""
    if not os.WIFSIGNALED(status):
        os._exit(os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    try:
        import resource

        # One byte, not 0: a core handler behind a pipe is called at 0, too.
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))
        if number != _signal.SIGKILL:
            _signal.signal(number, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
        os.kill(os.getpid(), number)
    finally:
        os._exit(128 + number)  # process 1 of a container does not die by its own signal
