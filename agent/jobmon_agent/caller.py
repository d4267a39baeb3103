"""The shell that calls the agent from a script: which process it is, and how it tells its own end.

A shell can say with which status it is about to exit, in an EXIT trap.  Some
run that trap also when they die of a signal, with a status that is not theirs:
then only those exits are told that cannot be anything else.
"""

import os

from jobmon_agent import pidstat

TYPE_CHECKING = False  # importing typing would cost the launcher 10 ms
if TYPE_CHECKING:
    import signal as _signal
    from typing import Optional
else:
    import _signal  # signal itself would cost 3 ms for its enumerations

_PPID = 1  # of stat's fields, counted from the state
_GENERATIONS = 8  # processes looked at upwards: a command substitution has one or two
_SHELLS = frozenset([b"ash", b"bash", b"busybox", b"dash", b"ksh", b"ksh93", b"mksh", b"sh", b"yash", b"zsh"])

# Prints nothing if the EXIT trap is for exits of the shell alone, not for signals nor for the end of a function.
_TRIAL = b"f() { trap 'echo told' EXIT; }; f; kill -TERM $$; while :; do :; done"
_TRIAL_CPU = 2  # s; it takes 2 ms


class ShellError(Exception):
    """There is no shell to watch; the text says why."""


def calling_shell(process: int, printed: "Optional[int]" = None) -> int:
    """The shell that called a process.

    Args:
        process: its number.
        printed: descriptor of a pipe: the shell is then the one that reads it, for a command
            substitution may be run in a process between the two.

    Raises:
        ShellError: it has ended, or is another user's.
    """
    shell = _parent(process)
    if printed is not None:
        shell = _reader(shell, printed) or shell
    if shell <= 0 or (shell == 1 and os.getsid(1) != os.getsid(process)):
        raise ShellError("the shell that called has ended")
    try:
        owner = os.stat("/proc/%d" % shell).st_uid
    except OSError:
        raise ShellError("the shell that called cannot be seen in /proc")
    if owner != os.geteuid():
        raise ShellError("the shell that called is another user's")
    return shell


def command(shell: int) -> "list[bytes]":
    """The words it was started with."""
    try:
        with open("/proc/%d/cmdline" % shell, "rb", 0) as file:
            return file.readall().rstrip(b"\0").split(b"\0")
    except OSError:
        return [b"sh"]


def tells_exits_alone(shell: int) -> bool:
    """Whether this kind of shell runs its EXIT trap only when it exits: tried out, with the shell's own program."""
    name = os.path.basename(command(shell)[0]).lstrip(b"-")
    path = b"/proc/%d/exe" % shell
    if name not in _SHELLS or os.path.basename(os.readlink(path)) not in _SHELLS:
        return False
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            _try(path, name, writing)
        finally:
            os._exit(1)
    os.close(writing)
    told = os.read(reading, 1)
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    return not told and os.WIFSIGNALED(status) and os.WTERMSIG(status) == _signal.SIGTERM


def _try(path: bytes, name: bytes, output: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (_TRIAL_CPU, _TRIAL_CPU))
    _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number, end in ((0, nowhere), (1, output), (2, nowhere)):
        os.dup2(end, number)
    os.execve(path, [name, b"-c", _TRIAL], {})  # noqa: S606 - the shell itself


def _parent(process: int) -> int:
    fields = pidstat.stat_fields(process)
    if fields:
        return int(fields[_PPID])
    return os.getppid() if process == os.getpid() else 0


def _reader(process: int, printed: int) -> int:
    """The process upwards from one that holds the other end of a pipe; 0 if none does."""
    pipe = os.readlink("/proc/self/fd/%d" % printed)
    for _ in range(_GENERATIONS):
        if process <= 1:
            break
        if _reads(process, pipe):
            return process
        process = _parent(process)
    return 0


def _reads(process: int, pipe: str) -> bool:
    directory = "/proc/%d/fd" % process
    try:
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            # The mode of the link says how it was opened: 0400 is for reading.
            if os.readlink(path) == pipe and os.lstat(path).st_mode & 0o700 == 0o500:
                return True
    except OSError:  # it has ended, or is another user's
        pass
    return False
