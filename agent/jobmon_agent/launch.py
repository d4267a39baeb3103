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
from jobmon_agent.waiter import Waiter

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
NO_LOG = b"/dev/null"  # what JOBMON_LOG names when nobody reads it: the job may write to it all the same

USAGE = """\
usage: jobmond.pyz [--credential FILE] [--exec|--wrap] [--quiet] [--] COMMAND [ARGUMENT...]

Runs COMMAND as it would run without JobMon, and lets its owner watch it.

  --credential FILE  the job's credential; else $JOBMON_CREDENTIAL, else the only
                     *.jobmon file in the working directory
  --exec             become the job; its exit status is known from Linux 6.15 on
  --wrap             wait for the job, so that its exit status is known everywhere
                     (the default is --exec where that tells the status, else --wrap)
  --quiet            do not say on stderr why the job runs unmonitored
  --version, --help  say so, and run nothing
  --self-test        say what works on this node and what does not, and run nothing;
                     the exit status is 1 if jobs run unmonitored here

example: python3 -I -S jobmond.pyz -- ./simulate --events 1000

The job finds its id in $JOBMON_JOB_ID; lines appended to the file $JOBMON_LOG
are its progress:  echo "37% event 12k" >> "$JOBMON_LOG"
"""


class UsageError(Exception):
    """The command line cannot be understood; the text says why."""


class Options:
    """What the command line asks for."""

    def __init__(self, arguments: "List[str]") -> None:
        self.mode = AUTO
        self.credential = ""
        self.is_quiet = False
        self.asks = ""  # help, version or self-test
        rest = list(arguments)
        while rest and rest[0].startswith("-"):
            option, _, value = rest.pop(0).partition("=")
            if option == "--":
                break
            if option in ("--exec", "--wrap", "--auto"):
                self.mode = option[2:]
            elif option == "--quiet":
                self.is_quiet = True
            elif option in ("--help", "-h", "--version"):
                self.asks = "version" if option == "--version" else "help"
                return
            elif option == "--self-test":
                self.asks = "self-test"
            elif option == "--credential":
                if not value and not rest:
                    raise UsageError("--credential needs a file")
                self.credential = value or rest.pop(0)
            else:
                raise UsageError("there is no option %s" % option)
        if not rest and not self.asks:
            raise UsageError("no command to run")
        self.command = [os.fsencode(word) for word in rest]


def main(arguments: "List[str]") -> int:
    """Run the agent's command line; the status to exit with, if the job has not taken this process over."""
    try:
        options = Options(arguments)
    except UsageError as error:
        say(("%s; jobmond.pyz --help tells more" % error).encode("utf-8", "surrogateescape"))
        return 2
    if options.asks:
        return _tell(options)
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
    # An inherited "ignore" would reap the launcher's own children before it can wait for them.
    ignores_children = _signal.getsignal(_signal.SIGCHLD) == _signal.SIG_IGN
    if ignores_children:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)

    if _signal.getsignal(_signal.SIGINT) == _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # ^C ends the job, now as later

    def restore() -> None:
        if ignores_children:
            _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)

    introduction = _introduce(options)
    announce(environment, introduction)
    if introduction and introduction.mode == WRAP:
        try:
            waiter = Waiter(options.command, environment, restore)
        except OSError:  # no process left: better no exit status than no job
            pass
        else:
            waiter.run(introduction)
    if introduction:
        introduction.settle(os.getpid())
    restore()
    return become(options.command, environment)


def _introduce(options: "Options") -> "Optional[Introduction]":
    try:
        mode = options.mode if options.mode != AUTO else _best_mode()
        return sidecar.introduce(options.command, options.credential, mode, options.is_quiet)
    except OSError as error:  # no process, descriptor or memory left: the job comes first
        if not options.is_quiet:
            say(b"cannot start the agent: %s; the job runs unmonitored" % os.fsencode(error.strerror or ""))
        return None


def announce(environment: "Environment", introduction: "Optional[Introduction]") -> None:
    """Tell the job who it is and where its progress goes."""
    if introduction:
        environment.put(b"JOBMON_JOB_ID", introduction.uuid)
    environment.put(b"JOBMON_LOG", introduction.log if introduction else NO_LOG)


def _best_mode() -> str:
    child = os.fork()
    if not child:
        status = 1
        try:
            from jobmon_agent.pidfd import tells_exit_status

            status = 0 if tells_exit_status() else 1
        finally:
            os._exit(status)
    return EXEC if os.waitpid(child, 0)[1] == 0 else WRAP
