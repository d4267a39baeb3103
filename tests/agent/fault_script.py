"""Runs the launcher again and again, and lets each time another call of its fail.

Executed with ``python -I -S`` and: the agent's directory, the process whose calls
fail (``launcher``; ``herald``, a process it forks; or ``waited``, the one that a
waiter forks to be the job), and the launcher's words.
Prints a line for each call after which the job did not run as it would bare, and
at last how many calls there were.  No agent stays: this is about the job.
"""

import os
import runpy
import signal
import sys

sys.path.insert(0, sys.argv[1])

# All that is imported on the way: to be quick, and because a broken module is another test.
import ctypes  # noqa: F401
import resource  # noqa: F401

from jobmon_agent import attach, copier, idle, launch, logfile, pidfd, pidstat, streams  # noqa: F401
from jobmon_wire import credential  # noqa: F401

AGENT, WHO, WORDS = sys.argv[1], sys.argv[2], sys.argv[3:]
MODULES = ("posix", "_signal", "_socket", "select", "fcntl", "marshal", "time")
# The last step, and the end of a process; to let them fail would be another job.
SPARED = ("execve", "execv", "_exit", "getpid", "getppid")
EXPECTED = (0, b"") if WORDS[0] == "attach" else (7 << 8, b"ran\n")
DEADLINE = 30  # s

idle.watch = lambda facts: None


def run(number, fault):
    """The job's wait status and output, and which call failed."""
    output, its_output = os.pipe()
    report, its_report = os.pipe()
    pid = os.fork()
    if not pid:
        signal.alarm(DEADLINE)  # kept over exec: a job that hangs dies
        os.dup2(its_output, 1)
        sys.argv[1:] = WORDS
        sys.setprofile(failing(number, fault, its_report))
        runpy.run_path(AGENT, run_name="__main__")
        os._exit(99)
    os.close(its_output)
    os.close(its_report)
    printed = read_all(output)
    status = os.waitpid(pid, 0)[1]
    return status, printed, read_all(report).decode()


def failing(number, fault, report):
    launcher, seen = os.getpid(), [0]

    def hook(frame, event, function):
        if event != "c_call" or getattr(function, "__module__", "") not in MODULES or function.__name__ in SPARED:
            return
        files = files_of(frame)
        if not any(file.startswith(AGENT) for file in files):
            return
        if (os.getpid() if WHO == "launcher" else os.getppid()) != launcher:
            return
        if WHO != "launcher" and any(file.endswith("/waiter.py") for file in files) != (WHO == "waited"):
            return
        seen[0] += 1
        if seen[0] == number:
            os.write(report, f"{function.__name__} at {frame.f_code.co_filename}:{frame.f_lineno}\n".encode())
            raise fault

    return hook


def files_of(frame):
    """Those whose functions are under way."""
    files = []
    while frame:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    return files


def read_all(descriptor):
    data = b""
    while True:
        part = os.read(descriptor, 65536)
        if not part:
            os.close(descriptor)
            return data
        data += part


calls = 0
while True:
    calls += 1
    fault = OSError(5, "injected") if calls % 2 else MemoryError()
    status, printed, failed = run(calls, fault)
    if (status, printed) != EXPECTED:
        print(f"call {calls}, {fault!r}: status {status:#x}, printed {printed!r}, failed {failed}")
    if not failed:
        break
print(f"calls {calls}")
