"""Wall time from a line's being written to its being yielded by `tail -f`, and through a bare pipe.

    python -I -S latency.py JOBMOND.PYZ RUNS

Under any Python from 3.6 on; prints two lists of milliseconds as JSON.
"""

import json
import os
import signal
import sys
import time

sys.path.insert(0, sys.argv[1])

from jobmon_agent.job import Job
from jobmon_agent.tail import tail
from jobmon_wire import frames
from jobmon_wire.verbs import VERBS, check_arguments

PAUSE = 0.06  # s between two lines: a person's program, no flood


def write(descriptor, count):
    """In a child: write the moment, again and again."""
    child = os.fork()
    if child:
        return child
    for _ in range(count):
        time.sleep(PAUSE)
        os.write(descriptor, b"%.9f\n" % time.monotonic())
    time.sleep(PAUSE)
    os._exit(0)


def waited(lines):
    now = time.monotonic()
    return [1000 * (now - float(line)) for line in lines.split()]


def through_tail(count):
    output = os.open("latency", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    child = write(output, count)
    home = os.open(".", os.O_RDONLY)
    pidfd = getattr(os, "pidfd_open", lambda pid: None)(child)
    job = Job("0" * 36, child, 0, pidfd, home, os.getcwd(), output, None, os.getpgrp(), "exec")
    times = []
    for kind, payload in tail(job, check_arguments(VERBS["tail"], {"lines": 0, "follow": True})):
        if kind == frames.DATA:
            times += waited(payload)
        if len(times) == count:
            break
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return times


def through_pipe(count):
    end, other = os.pipe()
    child = write(other, count)
    times = []
    while len(times) < count:
        times += waited(os.read(end, 4096))
    os.waitpid(child, 0)
    return times


def main():
    count = 3 * int(sys.argv[2])
    print(json.dumps([through_tail(count), through_pipe(count)]))


main()
