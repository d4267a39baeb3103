"""A program beside the job: started with what the job was started with, ended with all that came of it.

It is in a session of its own, and this process adopts every orphan that comes
of it: so all that came of it, daemons too, stays below this process.  It is
none of the job's: the variable that marks those is taken away.  The job comes
first: the program is nice, and the first to go when memory runs out.  Nothing
here knows who asked, or reads what is printed.
"""

import fcntl
import os
import signal
import struct
import termios
import time

from jobmon_agent import descriptors
from jobmon_agent.environment import SHELL, Environment, become, say
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.kernel import adopt_orphans, end_with_parent
from jobmon_agent.members import MARKER
from jobmon_agent.pidfd import open_pidfd
from jobmon_agent.pidstat import is_running
from jobmon_agent.proc import environment, read_processes, umask
from jobmon_agent.signals import Target, send
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set, Tuple

HANGUP = 0.2  # s between HUP and KILL: an editor saves its file, a shell its history
SETTLE = 0.7  # s for KILL; with HANGUP less than the second that is promised
SURE = 3  # looks that find nobody: one may miss a process that forks and ends while /proc is being read
POLL = 0.01  # s between two looks
_UMASK = 0o077  # where the kernel does not tell the job's
_IUTF8 = 0o40000  # a flag of a terminal's input that the termios module does not name: erase whole characters
_NOT_SHELLS = (b"nologin", b"false")  # what accounts have that shall not log in


class Wish(NamedTuple):
    """What to start."""

    command: "Optional[str]"  # for /bin/sh; None: the user's own shell
    screen: "Optional[Tuple[int, int]]"  # rows and columns of its terminal; None: pipes
    term: str  # what kind of terminal, as TERM names it


class Program:
    """A program that was started, and where to write to and read from; one at most in a process.

    Raises:
        VerbFailure: action-failed; there is no terminal to have, or no process.
    """

    def __init__(self, job: Job, wish: Wish) -> None:
        self._job = job
        self.is_on_terminal = wish.screen is not None
        self.status = int(signal.SIGKILL)  # how it ended, as wait() tells; known after ``clear``
        try:
            self.input, self.output, ends = _open(wish.screen)
            self.pid = self._start(wish, ends)
        except OSError as error:
            why = (error.strerror or "error").lower()
            raise VerbFailure("action-failed", "the node cannot start a shell: %s" % why)
        self.pidfd = open_pidfd(self.pid)
        self._spare_the_job()

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal, and so what runs on it, how large it is now."""
        if self.is_on_terminal:
            _resize(self.output, rows, columns)

    def close_input(self) -> None:
        """No more will be typed; on a terminal that is a character, not this."""
        if self.input >= 0:
            os.close(self.input)
            self.input = -1

    def has_ended(self) -> bool:
        """The program has ended; not all that came of it, perhaps.  Orphans that have are buried."""
        while True:
            # The program is not: as long as it is a zombie its number, the session's, means nobody else.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            if ended is None or ended.si_pid == self.pid:
                return ended is not None
            os.waitpid(ended.si_pid, 0)

    def clear(self) -> None:
        """End all that came of the program: HUP, as when a terminal is gone, then KILL."""
        for number in (signal.SIGHUP, signal.SIGCONT):  # one that is stopped does not hear the first
            for target in self._kin():
                send(self._job, target, number)
        deadline = time.monotonic() + HANGUP
        while self._kin() and time.monotonic() < deadline:
            time.sleep(POLL)
        deadline = time.monotonic() + SETTLE
        empty = 0
        while empty < SURE and time.monotonic() < deadline:
            kin = self._kin()
            empty = 0 if kin else empty + 1
            for target in kin:
                send(self._job, target, signal.SIGKILL)
            if kin:
                time.sleep(POLL)
        self._bury()

    def _bury(self) -> None:
        """Leave no zombie to a process 1 that may not look after them."""
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
            while pid:
                self.status = status if pid == self.pid else self.status
                pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pass

    def _start(self, wish: Wish, ends: "List[int]") -> int:
        variables = self._environment(wish)
        mask = umask(self._job.pid)
        adopt_orphans()
        begun, its_begun = os.pipe()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                self._prepare(ends, its_begun, _UMASK if mask is None else mask)
                status = become(_words(wish), variables)
            except OSError as error:
                say(b"cannot start a shell here: " + os.fsencode(error.strerror or ""))
            finally:
                os._exit(status)
        for descriptor in set(ends) | {its_begun}:
            os.close(descriptor)
        os.read(begun, 1)  # closed by exec
        os.close(begun)
        return pid

    def _prepare(self, ends: "List[int]", begun: int, mask: int) -> None:
        """In the child: be as a process that a terminal's session begins with."""
        end_with_parent()
        os.setsid()
        descriptors.keep_only(set(ends) | {begun, self._job.sandbox})
        for number, end in enumerate(ends):
            os.dup2(end, number)
        os.fchdir(self._job.sandbox)
        for descriptor in set(ends) | {self._job.sandbox}:
            os.close(descriptor)
        if self.is_on_terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.umask(mask)
        for number in range(1, signal.NSIG):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):  # KILL, STOP and those that the C library keeps
                pass
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def _environment(self, wish: Wish) -> "Environment":
        content = environment(self._job.pid)
        if not is_running(self._job.pid, self._job.starttime):
            content = b""  # of a stranger, perhaps
        variables = Environment.of(content) if content else Environment.inherited()
        variables.remove(MARKER.encode("ascii"))
        variables.put(b"TERM", wish.term.encode("ascii"))
        return variables

    def _spare_the_job(self) -> None:
        """Offer it first when memory runs out.

        Not from within: until the exec its /proc is root's alone, as that of all who hold the job's key.
        """
        for target in self._kin():
            try:
                with open("/proc/%d/oom_score_adj" % target.pid, "wb", 0) as file:
                    file.write(b"1000")
            except OSError:  # it has ended, or became another user
                pass

    def _kin(self) -> "List[Target]":
        """What came of the program and lives, the program first."""
        processes = read_processes()
        below: "Dict[int, List[int]]" = {}
        for pid, process in processes.items():
            below.setdefault(process.ppid, []).append(pid)
        found: "Set[int]" = set()
        # By the session too: a kernel or a sandbox may refuse that orphans are adopted.
        waiting = [pid for pid, process in processes.items() if process.session == self.pid]
        waiting += below.get(os.getpid(), [])
        while waiting:
            pid = waiting.pop()
            if pid not in found and processes[pid].group != self._job.group:
                found.add(pid)
                waiting.extend(below.get(pid, ()))
        living = [processes[pid] for pid in found if not processes[pid].is_dead]
        return sorted((Target(each.pid, each.starttime) for each in living), key=lambda target: target.pid != self.pid)


def _open(screen: "Optional[Tuple[int, int]]") -> "Tuple[int, int, List[int]]":
    """Our end for writing and ours for reading, and the program's three; ours never block."""
    if screen is not None:
        ours, theirs = os.openpty()
        _resize(ours, *screen)
        attributes = termios.tcgetattr(theirs)
        attributes[0] |= _IUTF8
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        ends = (ours, ours, [theirs, theirs, theirs])
    else:
        its_input, ours = os.pipe()
        answer, its_output = os.pipe()
        ends = (ours, answer, [its_input, its_output, its_output])
    os.set_blocking(ends[0], False)
    os.set_blocking(ends[1], False)
    return ends


def _resize(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _words(wish: Wish) -> "List[bytes]":
    if wish.command is not None:
        return [SHELL, b"-c", wish.command.encode("utf-8", "surrogateescape")]
    import pwd

    try:
        own = os.fsencode(pwd.getpwuid(os.getuid()).pw_shell)
    except KeyError:  # a user whom this node does not know
        own = b""
    is_shell = os.path.basename(own) not in _NOT_SHELLS and os.access(own, os.X_OK)
    return [own if own and is_shell else SHELL]
