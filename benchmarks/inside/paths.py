"""CPU of opening a file of the sandbox, and of opening it without any check.

    python -I -S paths.py JOBMOND.PYZ RUNS

Under any Python from 3.6 on; prints two lists of milliseconds an open as JSON.
"""

import json
import os
import resource
import sys

sys.path.insert(0, sys.argv[1])

from jobmon_agent import sandbox
from jobmon_agent.job import Job

OPENS = 2000  # in one measurement
PATH = "directory/file"


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return 1000 * (used.ru_utime + used.ru_stime)


def measured(act):
    before = cpu()
    for _ in range(OPENS):
        os.close(act())
    return (cpu() - before) / OPENS


def main():
    os.makedirs("directory", exist_ok=True)
    with open(PATH, "w") as file:
        file.write("a line\n")
    home = os.open(".", os.O_RDONLY)
    job = Job("0" * 36, os.getpid(), 0, None, home, os.getcwd(), None, None, os.getpgrp(), "exec")
    runs = range(int(sys.argv[2]))
    ours = [measured(lambda: sandbox.open_file(job, PATH)) for _ in runs]
    print(json.dumps([ours, [measured(lambda: os.open(PATH, os.O_RDONLY)) for _ in runs]]))


main()
