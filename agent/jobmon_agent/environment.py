"""What a program inherits: environment, signals, the search for a command.

Python changes some of it when it starts; the job must not see that.  Nothing
here knows of JobMon: ``become`` replaces this process by a command, as a
shell's ``exec`` would, with the environment and the signals this process
itself was started with.
"""

import errno
import os

TYPE_CHECKING = False  # importing typing would cost the launcher 10 ms
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any, List, Tuple
else:
    import _signal  # signal itself would cost 3 ms for its enumerations

NOT_FOUND = 127
NOT_EXECUTABLE = 126
SHELL = b"/bin/sh"
DEFAULT_PATH = b"/usr/local/bin:/usr/bin:/bin"

# Python ignores these two when it starts, and ignored signals survive exec.
_CHANGED_BY_PYTHON = (_signal.SIGPIPE, _signal.SIGXFSZ)


class Environment:
    """Variables in their order, repeated ones too: what ``os.execve`` takes as a mapping, and a dict cannot be."""

    def __init__(self, pairs: "List[Tuple[bytes, bytes]]") -> None:
        self._pairs = pairs

    @classmethod
    def inherited(cls) -> "Environment":
        """What this process was started with, byte for byte.

        ``os.environ`` will not do: under the C locale Python adds LC_CTYPE to it (PEP 538).
        """
        try:
            with open("/proc/self/environ", "rb", 0) as file:
                content = file.readall()
        except OSError:
            content = b""
        # Without /proc there is no content.
        return cls.of(content) if content else cls(list(os.environb.items()))

    @classmethod
    def of(cls, content: bytes) -> "Environment":
        """What a process's /proc/PID/environ tells."""
        # A name may start with "=", so look for the sign behind its first byte.  An entry without any
        # sign is no variable, and execve from Python cannot pass it on.
        entries = [(entry, entry.find(b"=", 1)) for entry in content.split(b"\0")]
        return cls([(entry[:sign], entry[sign + 1 :]) for entry, sign in entries if sign > 0])

    def get(self, name: bytes, default: bytes) -> bytes:
        """The first value of a variable, as the C library finds it."""
        return next((value for key, value in self._pairs if key == name), default)

    def put(self, name: bytes, value: bytes) -> None:
        """Set a variable, in place of all that had the name."""
        self._pairs = [pair for pair in self._pairs if pair[0] != name] + [(name, value)]

    def remove(self, name: bytes) -> None:
        """Unset a variable."""
        self._pairs = [pair for pair in self._pairs if pair[0] != name]

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, name: bytes) -> bytes:
        return dict(self._pairs)[name]

    def keys(self) -> "List[bytes]":
        """The names, in order."""
        return [name for name, _ in self._pairs]

    def values(self) -> "List[bytes]":
        """The values, in the same order."""
        return [value for _, value in self._pairs]


def become(command: "List[bytes]", environment: "Environment") -> int:
    """Replace this process by the command.

    Returns:
        Only if there is no such command: 127 or 126, after a line on stderr.
    """
    try:
        _restore_signals()
    except Exception:  # a job that ignores SIGPIPE is better than none
        pass
    error = _execute(command, environment)
    found = error.errno not in (errno.ENOENT, errno.ENOTDIR)
    if error.errno == errno.ENOENT and b"/" not in command[0]:
        why = b"command not found"
    else:
        why = os.fsencode(os.strerror(error.errno or errno.ENOENT))
    say(command[0] + b": " + why)
    return NOT_EXECUTABLE if found else NOT_FOUND


def say(sentence: bytes) -> None:
    """One line on stderr; nowhere if that is closed."""
    try:
        os.write(2, b"jobmond: " + sentence + b"\n")
    except OSError:
        pass


def _restore_signals() -> None:
    for number in _CHANGED_BY_PYTHON:
        _signal.signal(number, _signal.SIG_DFL)
    # The launcher's own children have left a SIGCHLD pending where the signal is blocked, and a herald that was
    # killed has left a SIGPIPE, which is kept even though Python ignores it; exec would keep both.
    for number in {_signal.SIGCHLD, _signal.SIGPIPE} & _signal.pthread_sigmask(_signal.SIG_BLOCK, []):
        while _signal.sigtimedwait([number], 0):
            pass


def _execute(command: "List[bytes]", environment: "Environment") -> "OSError":
    """Try every place the command may be in; give the reason why it is in none."""
    name = command[0]
    mapping: "Any" = environment
    directories = [b""] if b"/" in name else environment.get(b"PATH", DEFAULT_PATH).split(b":")
    reason = OSError(errno.ENOENT, "")
    for directory in directories:
        # An empty entry of PATH is the working directory.
        path = name if b"/" in name else os.path.join(directory or b".", name)
        try:
            os.execve(path, command, mapping)  # noqa: S606 - to be the job is the purpose
        except OSError as error:
            if error.errno == errno.ENOEXEC:  # a script without "#!": what shells and execvp do
                return _interpret(path, command, mapping)
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                reason = error  # "permission denied" tells more than "not found" in a later directory
                if error.errno != errno.EACCES:
                    break
    return reason


def _interpret(script: bytes, command: "List[bytes]", mapping: "Any") -> "OSError":
    try:
        os.execve(SHELL, [SHELL, script] + command[1:], mapping)  # noqa: S606
    except OSError as error:
        return error
