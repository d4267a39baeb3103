"""``jobmond.pyz attach``: one line in a batch script, whose shell is the job from then on.

It returns at once and always with status 0: a script under ``set -e`` goes on
whatever breaks here.
"""

import os

from jobmon_agent import caller, jobfiles, sidecar, trap
from jobmon_agent.environment import say
from jobmon_agent.herald import ATTACH, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # signal itself would cost 3 ms for its enumerations

_STDOUT = 1


class Attachment:
    """An agent for the shell that called.

    Args:
        credential: path; else it is looked for.
        is_quiet: do not say why the job runs unmonitored.
        is_evaluated: the shell evaluates what is printed: let it tell its end, and know who it is.
    """

    def __init__(self, credential: str, is_quiet: bool, is_evaluated: bool) -> None:
        self._credential = credential
        self._is_quiet = is_quiet
        self._is_evaluated = is_evaluated

    def run(self) -> None:
        """Start the agent; print the code for the shell if it evaluates that."""
        try:
            code = self._attach()
        except (OSError, caller.ShellError) as error:
            code = trap.NOTHING
            if not self._is_quiet:
                why = error.strerror if isinstance(error, OSError) else str(error)
                say(os.fsencode("cannot start the agent: %s; the job runs unmonitored" % why))
        if self._is_evaluated:
            os.write(_STDOUT, code)

    def _attach(self) -> bytes:
        # An inherited "ignore" would reap our own children before we can wait for them.
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        own = os.getpid()
        job = self._caller(own)
        plan = Plan(caller.command(job), ATTACH, self._credential, self._is_quiet)
        plan.is_shell = True
        plan.has_log = plan.has_trap = self._is_evaluated  # of which the shell must be told
        plan.is_there = lambda job: self._caller(own) == job
        introduction = sidecar.introduce(plan)
        if not introduction:
            return trap.NOTHING
        tells = bool(introduction.trap) and caller.tells_exits_alone(job)
        introduction.settle(job)
        return trap.code(introduction.uuid, introduction.log or jobfiles.NO_LOG, introduction.trap, tells)

    def _caller(self, process: int) -> int:
        return caller.calling_shell(process, _STDOUT if self._is_evaluated else None)
