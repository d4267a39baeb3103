"""Starts many jobs, bare and under the launcher, and prints where their ends differ.

Executed with ``python -I -S`` and: the agent's directory, the codes to end with
(``all``, or ``few``), and the launcher's words.  The launcher's modules are
imported once, and no agent stays, so that a job costs some ms.
"""

import os
import resource
import runpy
import signal
import sys

sys.path.insert(0, sys.argv[1])

from jobmon_agent import idle, launch, pidfd, streams  # noqa: F401
from jobmon_wire import credential  # noqa: F401

AGENT, WORDS = sys.argv[1], sys.argv[3:]
CODES = range(256) if sys.argv[2] == "all" else (0, 1, 42, 126, 127, 128, 143, 255)
SIGNALS = ("TERM", "KILL", "PIPE", "INT", "HUP", "USR1", "ALRM", "SEGV", "ABRT", "XCPU", "QUIT", "BUS", "XFSZ")

idle.watch = lambda facts: None


def run(script, is_bare):
    """The wait status, and the core files that were left; what Python ignores is as a batch system has it."""
    pid = os.fork()
    if not pid:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(30)  # kept over exec: a job that hangs dies
        most = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))  # for a waiter, too: it shall leave no second file
        words = ["/bin/sh", "-c", script]
        if is_bare:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execv(words[0], words)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_IGN)  # as Python does when it starts
        sys.argv[1:] = WORDS + ["--"] + words
        runpy.run_path(AGENT, run_name="__main__")
        os._exit(99)
    status = os.waitpid(pid, 0)[1]
    cores = [name for name in os.listdir(".") if name.startswith("core")]
    for name in cores:
        os.unlink(name)
    return status, len(cores)


for script in [f"exit {code}" for code in CODES] + [f"kill -{name} $$" for name in SIGNALS]:
    (bare, cores), (under, left) = run(script, True), run(script, False)
    # A waiter dies as its job did, but it has dumped no core of its own.
    expected = bare & ~0x80 if "--wrap" in WORDS else bare
    if (under, left) != (expected, cores):
        print(f"{script}: bare {bare:#x} and {cores} cores, under the agent {under:#x} and {left}")
print("done")
