"""Starts many jobs, bare and under the launcher, and prints where their ends differ.

Executed with ``python -I -S`` and: the agent's directory, the codes to end with
as START:STOP:STEP, and the launcher's words.  The launcher's modules are
imported and its first lines are compiled once, and no agent stays, so that a
job costs some ms.
"""

import os
import resource
import signal
import sys
import zlib  # noqa: F401

sys.path.insert(0, sys.argv[1])

from jobmon_agent import idle, launch, logfile, pidfd, streams, waiter  # noqa: F401
from jobmon_wire import credential  # noqa: F401

AGENT, WORDS = sys.argv[1], sys.argv[3:]
CODES = range(*map(int, sys.argv[2].split(":")))
FEW = (0, 1, 42, 126, 127, 128, 143, 255)  # compared with a job that runs bare
SIGNALS = ("TERM", "KILL", "PIPE", "INT", "HUP", "USR1", "ALRM", "SEGV", "ABRT", "XCPU", "QUIT", "BUS", "XFSZ")

idle.watch = lambda facts: None
with open(os.path.join(AGENT, "__main__.py")) as file:
    MAIN = compile(file.read(), file.name, "exec")  # once: the launcher as it is, started as Python starts it


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
        exec(MAIN, {"__name__": "__main__", "__file__": os.path.join(AGENT, "__main__.py"), "__package__": ""})
        os._exit(99)
    status = os.waitpid(pid, 0)[1]
    cores = [name for name in os.listdir(".") if name.startswith("core")]
    for name in cores:
        os.unlink(name)
    return status, len(cores)


for code in CODES:
    under, _ = run(f"exit {code}", False)
    if under != code << 8:
        print(f"exit {code}: under the agent {under:#x}")
for script in [f"exit {code}" for code in FEW] + [f"kill -{name} $$" for name in SIGNALS]:
    (bare, cores), (under, left) = run(script, True), run(script, False)
    # A waiter dies as its job did, but it has dumped no core of its own.
    expected = bare & ~0x80 if "--wrap" in WORDS else bare
    if (under, left) != (expected, cores):
        print(f"{script}: bare {bare:#x} and {cores} cores, under the agent {under:#x} and {left}")
print("done")
