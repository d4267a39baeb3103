"""The verbs: one table from which every part takes what a verb needs.

The server takes the permission, the agent the arguments, the command line and
the console both.  A verb that is not here does not exist.
"""

from jobmon_wire import limits
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any, Dict, Tuple
else:
    import _signal as signal  # signal itself would cost 1 ms for its enumerations

VIEW = "view"  # what the job is and does
READ = "read"  # what its files and output hold
SIGNAL = "signal"  # change what it does
EXEC = "exec"  # run programs beside it, as its user; a site grants this by its configuration alone
PERMISSIONS = (VIEW, READ, SIGNAL, EXEC)

STREAMS = ("stdout", "stderr")  # names of a FILE argument that mean the job's output

# A job may be sent what it can be sent by `kill`; real-time signals have no portable names.
SIGNALS = tuple(
    sorted(
        name[3:]
        for name in dir(signal)
        if name.startswith("SIG") and not name.startswith(("SIG_", "SIGRT", "SIGCLD", "SIGPOLL"))
    )
)


class ArgumentError(ValueError):
    """The verb does not take that; the text is one sentence for the user."""


class UnknownArgumentError(ArgumentError):
    """The verb takes no such argument here: whoever asks is newer than this end, or has misspelt it."""

    def __init__(self, verb: str, name: str) -> None:
        super().__init__("%s takes no argument %r" % (verb, name[: limits.LABEL]))
        self.name = name[: limits.LABEL]


class Argument(NamedTuple):
    """One argument of a verb."""

    name: str
    kind: type  # str, int, float or bool
    default: "Any"  # stays what it is: one that is not sent means the receiver's
    low: float = 0
    high: float = 0  # 0: not bounded
    choices: "Tuple[str, ...]" = ()


class Verb(NamedTuple):
    """What may be asked of a running job."""

    name: str
    permission: str
    is_repeatable: bool  # asking again after a lost answer does no harm
    arguments: "Tuple[Argument, ...]"
    summary: str
    takes_input: bool = False  # the asker sends INPUT and RESIZE while it is answered, by a route of its own


ORDERS = ("cpu", "memory", "time")  # of the processes of a sample: what they use now, hold, and have used
TOOLS = ("py-spy", "gdb", "signal")  # what dumps a process; the last is the process itself

_PID = Argument("pid", int, None, 2, 2**22)  # the kernel's own bound; 1 is no job's process
_FILE = Argument("file", str, "stdout")
_LINES = Argument("lines", int, 10, 0, limits.LINES)
_BYTES = Argument("bytes", int, None, 0, limits.INTEGER)  # None: count lines instead

VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "ps",
            VIEW,
            True,
            # pss: reads memory maps, which holds up the process; force: also of those above 512 MiB.
            (Argument("pss", bool, False), Argument("force", bool, False)),
            "the job's processes, as a tree",
        ),
        Verb(
            "top",
            VIEW,
            True,
            # count 0: until cancelled.  A sample costs about 1 ms for 50 processes.
            (
                Argument("delay", float, 2.0, 0.2, 3600.0),
                Argument("count", int, 0, 0, limits.LINES),
                Argument("sort", str, None, choices=ORDERS),  # None: cpu, which every agent does unasked
            ),
            "the job's processes and their use of the node, again and again",
        ),
        Verb(
            "ls",
            READ,
            True,
            # directory: itself, not what it holds.  hidden: names that begin with a dot as well.
            (Argument("path", str, "."), Argument("directory", bool, False), Argument("hidden", bool, True)),
            "files of the job's sandbox",
        ),
        Verb("head", READ, True, (_FILE, _LINES, _BYTES), "the first lines or bytes of a file"),
        Verb(
            "tail",
            READ,
            True,
            (
                _FILE,
                _LINES,
                _BYTES,
                Argument("follow", bool, False),
                Argument("latest", bool, None),  # of a backlog only the end, when the job writes faster than is read
                Argument("resume", str, None),  # a cursor: go on there instead of at the last lines
            ),
            "the last lines or bytes of a file, and what is written to it",
        ),
        Verb(
            "cat",
            READ,
            True,
            # length None: to the end.
            (_FILE, Argument("offset", int, 0, 0, limits.INTEGER), Argument("length", int, None, 0, limits.INTEGER)),
            "a whole file, or a range of its bytes",
        ),
        Verb(
            "kill",
            SIGNAL,
            False,
            # grace None: with TERM the agent's default, with any other signal no KILL follows.
            # pid None: every process of the job.  started: what `ps` tells of that process as started_exactly, so
            # that another one with its number gets nothing; None: whichever process of the job has the number now.
            (
                Argument("signal", str, "TERM", choices=SIGNALS),
                Argument("grace", float, None, 0, limits.GRACE_LIMIT),
                _PID,
                Argument("started", str, None),
            ),
            "a signal to every process of the job, or to one of them",
        ),
        # Names of files and peers are in it, so it is more than a view; nothing of the job is touched.
        Verb("stack", READ, True, (_PID,), "what every thread of the job waits for"),
        # A tool reads a process's memory, gdb stops it meanwhile.  pid None: the only process there is.
        Verb(
            "dump",
            SIGNAL,
            False,
            (Argument("tool", str, "py-spy", choices=TOOLS), _PID),
            "the functions a process is in, by a tool that looks into it",
        ),
        Verb("node", VIEW, True, (), "the node the job runs on: load, memory, disk"),
        Verb(
            "shell",
            EXEC,
            False,
            (
                Argument("command", str, None),  # for /bin/sh; None: the user's own shell
                Argument("terminal", bool, True),  # else pipes, for scripts
                Argument("term", str, "dumb"),  # what kind of terminal, as TERM names it
                Argument("rows", int, 24, 1, limits.SCREEN),
                Argument("columns", int, 80, 1, limits.SCREEN),
            ),
            "a shell beside the job, in its directory and with its environment",
            takes_input=True,
        ),
    )
}

KILL_GRACE = 10.0  # s between TERM and KILL; HTCondor and Slurm wait 30 s, a person less


def check_arguments(verb: Verb, given: "Dict[str, Any]") -> "Dict[str, Any]":
    """The arguments with their defaults filled in.

    Raises:
        ArgumentError: an argument the verb does not take (an ``UnknownArgumentError``), or a value it cannot be.
    """
    unknown = sorted(set(given) - {argument.name for argument in verb.arguments})
    if unknown:
        raise UnknownArgumentError(verb.name, unknown[0])
    return {argument.name: _checked(argument, given.get(argument.name)) for argument in verb.arguments}


def needed_arguments(verb: Verb, checked: "Dict[str, Any]") -> "Dict[str, Any]":
    """What of the checked arguments has to be sent: no defaults, so that an older end refuses only what matters."""
    return {
        argument.name: checked[argument.name]
        for argument in verb.arguments
        if checked[argument.name] != argument.default
    }


def signal_number(name: str) -> int:
    """The number of a signal on this machine: ``"TERM"`` gives 15."""
    return int(getattr(signal, "SIG" + name))


def signal_name(number: int) -> str:
    """The name without SIG, or ``"42"`` where the number has none."""
    from signal import Signals

    try:
        return Signals(number).name[3:]
    except ValueError:
        return str(number)


def parse_signal(text: str) -> str:
    """The signal a user names as ``TERM``, ``SIGTERM``, ``term`` or ``15``.

    Raises:
        ArgumentError: no such signal.
    """
    name = signal_name(int(text)) if text.isdigit() else text.upper()
    name = name[3:] if name.startswith("SIG") else name
    if name not in SIGNALS:
        raise ArgumentError("%r is no signal; known are %s" % (text[: limits.LABEL], " ".join(SIGNALS)))
    return name


def is_text(value: object) -> bool:
    """Whether an argument of the kind text may have that value."""
    return isinstance(value, str) and 0 < len(value) <= limits.TEXT and "\0" not in value


def _checked(argument: Argument, value: "Any") -> "Any":
    if value is None:
        return argument.default
    if argument.kind is float and type(value) is int:
        value = float(value)
    if type(value) is not argument.kind:  # isinstance would take true for 1
        raise ArgumentError("%s must be %s" % (argument.name, _KINDS[argument.kind]))
    if isinstance(value, str):
        if not is_text(value):
            raise ArgumentError("%s must be 1 to %d characters, none of them NUL" % (argument.name, limits.TEXT))
        if argument.choices and value not in argument.choices:
            raise ArgumentError("%s must be one of %s" % (argument.name, " ".join(argument.choices)))
    elif isinstance(value, (int, float)) and argument.high and not argument.low <= value <= argument.high:
        raise ArgumentError("%s must be from %g to %g" % (argument.name, argument.low, argument.high))
    return value


_KINDS = {str: "text", int: "an integer", float: "a number", bool: "true or false"}
