"""The launcher: forks the agent off, then becomes the job, or waits for it.

exec mode: the process that the batch system started becomes the job, so that
its number, its parent, its signals and its end are those of a job run bare.
wrap mode: it stays as a thin waiter, because the kernel does not remember how
a process ended; then the status is exact all the same.

Whatever fails here, the job runs: without an agent if need be.  Imports are
few, since everything before the exec delays the job and is billed to it.
"""

import os
import sys

from jobmon_agent import sidecar
from jobmon_agent.environment import Environment, become, say
from jobmon_agent.herald import ATTACH, Plan
from jobmon_agent.jobfiles import NO_LOG

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import List, Optional

    from jobmon_agent.sidecar import Introduction
else:
    import _signal  # signal itself would cost 3 ms for its enumerations

AUTO = "auto"
EXEC = "exec"
WRAP = "wrap"

USAGE = """\
usage: jobmond.pyz [OPTION...] [--] COMMAND [ARGUMENT...]
       jobmond.pyz attach [--credential FILE] [--quiet]
       eval "$(jobmond.pyz attach --sh [--credential FILE] [--quiet])"

The first form runs COMMAND as it would run without JobMon, and lets its owner watch it.

  --credential FILE  the job's credential; else $JOBMON_CREDENTIAL, else the only
                     *.jobmon file in the working directory
  --exec             become the job; its exit status is known from Linux 6.15 on
  --wrap             wait for the job, so that its exit status is known everywhere
                     (the default is --exec where that tells the status, else --wrap)
  --log-file FILE    append the job's output to FILE, where its owner can read it, and copy it
                     on to where stdout went; stderr, too, unless it is a file already
  --quiet            do not say on stderr why the job runs unmonitored
  --version, --help  say so, and run nothing
  --self-test        say what works on this node and what does not, and run nothing;
                     the exit status is 1 if jobs run unmonitored here

example: python3 -I -S jobmond.pyz -- ./simulate --events 1000

The job finds its id in $JOBMON_JOB_ID; lines appended to the file $JOBMON_LOG
are its progress:  echo "37% event 12k" >> "$JOBMON_LOG"

attach is a line in a batch script: it returns at once, always with status 0, and the script's
shell is the job from then on.  It cannot set variables in that shell; attach --sh prints code that
does, and that reports the script's exit status on every kernel (from bash: when it ends by `exit`,
or by a failed command under `set -e`).
"""


class UsageError(Exception):
    """The command line cannot be understood; the text says why."""


class Options:
    """What the command line asks for."""

    def __init__(self, arguments: "List[str]") -> None:
        self.mode = AUTO
        self.credential = ""
        self.log_file = ""
        self.is_quiet = False
        self.is_evaluated = False  # by the shell that is attached to
        self.asks = ""  # help, version or self-test
        self._rest = list(arguments)
        if self._rest[:1] == [ATTACH]:
            self.mode = self._rest.pop(0)
        while self._rest and self._rest[0].startswith("-"):
            option, _, value = self._rest.pop(0).partition("=")
            if option == "--":
                break
            self._take(option, value)
            if self.asks in ("help", "version"):
                return
        if not self._rest and self.mode != ATTACH and not self.asks:
            raise UsageError("no command to run")
        if self._rest and self.mode == ATTACH:
            raise UsageError("attach runs no command")
        self.command = [os.fsencode(word) for word in self._rest]

    def _take(self, option: str, value: str) -> None:
        if option == "--quiet":
            self.is_quiet = True
        elif option in ("--help", "-h", "--version"):
            self.asks = "version" if option == "--version" else "help"
        elif option == "--self-test" and self.mode != ATTACH:
            self.asks = "self-test"
        elif option == "--credential":
            self.credential = self._file(option, value)
        elif option == "--sh" and self.mode == ATTACH:
            self.is_evaluated = True
        elif option == "--log-file" and self.mode != ATTACH:
            self.log_file = self._file(option, value)
        elif option in ("--exec", "--wrap", "--auto") and self.mode != ATTACH:
            self.mode = option[2:]
        else:
            raise UsageError("there is no option %s" % option)

    def _file(self, option: str, value: str) -> str:
        if not value and not self._rest:
            raise UsageError("%s needs a file" % option)
        return value or self._rest.pop(0)


def main(arguments: "List[str]") -> int:
    """Run the agent's command line; the status to exit with, if the job has not taken this process over."""
    try:
        options = Options(arguments)
    except UsageError as error:
        say(("%s; jobmond.pyz --help tells more" % error).encode("utf-8", "surrogateescape"))
        return 0 if arguments[:1] == [ATTACH] else 2
    if options.asks:
        return _tell(options)
    if options.mode == ATTACH:
        from jobmon_agent.attach import Attachment

        Attachment(options.credential, options.is_quiet, options.is_evaluated).run()
        return 0
    return launch(options)


def _tell(options: "Options") -> int:
    from jobmon_agent import VERSION, bytecode, selftest

    if options.asks == "self-test":
        return selftest.self_test(options.credential)
    version = "jobmond %s (%s)\n" % (VERSION, bytecode.tag_of(sys.modules["jobmon_agent"]))
    sys.stdout.write(USAGE if options.asks == "help" else version)
    return 0


def launch(options: "Options") -> int:
    """Fork the agent off and run the command."""
    environment = Environment.inherited()
    ignores_children = _free_signals()
    introduction, log_file = None, None
    try:
        log_file = _open_log_file(options)
        introduction = _introduce(options, log_file)
    except Exception as error:  # no process, descriptor or memory left: the job comes first
        _complain(options, b"cannot start the agent: %s; the job runs unmonitored", error)
    announce(environment, introduction)

    def prepare(is_copied: bool) -> None:
        if ignores_children:
            _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
        if is_copied and log_file is not None:
            from jobmon_agent import logfile

            logfile.redirect(log_file)

    if introduction and introduction.mode == WRAP:
        from jobmon_agent.waiter import Waiter

        try:
            waiter = Waiter(options.command, environment, prepare)
        except OSError:  # no process left: better no exit status than no job
            pass
        else:
            waiter.run(introduction)
    if introduction:
        introduction.settle(os.getpid())
    prepare(introduction is not None and introduction.is_copied)
    return become(options.command, environment)


def _free_signals() -> bool:
    """Set two signals as the launcher needs them; whether SIGCHLD was ignored, and must be again for the job."""
    if _signal.getsignal(_signal.SIGINT) == _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # ^C ends the job, now as later
    # An inherited "ignore" would reap the launcher's own children before it can wait for them.
    return _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL) == _signal.SIG_IGN


def _introduce(options: "Options", log_file: "Optional[int]") -> "Optional[Introduction]":
    mode = options.mode if options.mode != AUTO else _best_mode()
    plan = Plan(options.command, mode, options.credential, options.is_quiet)
    plan.log_file = log_file
    return sidecar.introduce(plan)


def _open_log_file(options: "Options") -> "Optional[int]":
    if not options.log_file:
        return None
    from jobmon_agent import logfile

    try:
        return logfile.open_log_file(options.log_file)
    except OSError as error:
        _complain(
            options, b"cannot write to " + os.fsencode(options.log_file) + b": %s; the output stays where it is", error
        )
        return None


def _complain(options: "Options", sentence: bytes, error: Exception) -> None:
    if not options.is_quiet:
        why = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
        say(sentence % why.encode("utf-8", "replace"))


def announce(environment: "Environment", introduction: "Optional[Introduction]") -> None:
    """Tell the job who it is and where its progress goes."""
    if introduction:
        environment.put(b"JOBMON_JOB_ID", introduction.uuid)
    environment.put(b"JOBMON_LOG", (introduction and introduction.log) or NO_LOG)


def _best_mode() -> str:
    if _is_swept_up():
        return WRAP
    child = os.fork()
    if not child:
        status = 1
        try:
            from jobmon_agent.pidfd import tells_exit_status

            status = 0 if tells_exit_status() else 1
        finally:
            os._exit(status)
    return EXEC if os.waitpid(child, 0)[1] == 0 else WRAP


def _is_swept_up() -> bool:
    """Whether the batch system kills all that it finds of the job when it has looked at its end.

    Slurm does so by cgroup and Grid Engine by group, within a millisecond or
    few; half of the agents beside a job are not even scheduled until then.  A
    waiter holds the end up until it is told.
    """
    if b"SGE_JOB_SPOOL_DIR" in os.environb:
        return True
    try:
        with open("/proc/self/cgroup", "rb", 0) as file:
            return b"/job_%s/" % os.environb[b"SLURM_JOB_ID"] in file.read(4096)
    except (OSError, KeyError):
        return False
