"""CPU of one `ps` of 1,000 processes, and of the plainest reading of as many lines of /proc.

    python -I -S processes.py JOBMOND.PYZ RUNS

Under any Python from 3.6 on; prints two lists of milliseconds as JSON.
"""

import json
import os
import resource
import signal
import sys

sys.path.insert(0, sys.argv[1])

from jobmon_agent.job import Job
from jobmon_agent.members import Members
from jobmon_agent.proc import read_process

PROCESSES = 1000


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return 1000 * (used.ru_utime + used.ru_stime)


def children(end):
    """A job of so many processes, each waiting for the pipe's end; its leader's pid."""
    leader = os.fork()
    if not leader:
        os.setpgid(0, 0)
        for _ in range(PROCESSES - 1):
            if not os.fork():
                break
        os.read(end, 1)
        os._exit(0)
    return leader


def plain(pids):
    for pid in pids:
        with open("/proc/%d/stat" % pid, "rb", 0) as file:
            file.read(4096).rpartition(b")")[2].split()


def measured(act):
    before = cpu()
    act()
    return cpu() - before


def main():
    end, _ = os.pipe()
    leader = children(end)
    job = Job("0" * 36, leader, read_process(leader).starttime, None, 0, "/", None, None, os.getpgrp(), "exec")
    members = Members(job)
    try:
        while len(members.scan(False)) < PROCESSES:
            pass
        pids = list(members.scan(False))
        runs = range(int(sys.argv[2]))
        ours = [measured(lambda: members.scan(False)) for _ in runs]
        print(json.dumps([ours, [measured(lambda: plain(pids)) for _ in runs]]))
    finally:
        os.killpg(leader, signal.SIGKILL)


main()
