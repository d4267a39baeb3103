"""Verbs asked for paths that lead astray, in whichever Python runs this: 3.6 and up.

    python -I -S sandbox_script.py AGENT_DIRECTORY SANDBOX ASKED

ASKED is a file of JSON: a list of verb and arguments.  Prints one line of JSON:
for each what it answered, the seconds and the CPU it took, and the bytes its memory grew.
"""

import grp
import json
import os
import pwd
import resource
import sys
import time

sys.path.insert(0, sys.argv[1])

from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.verbs import VERBS as KNOWN
from jobmon_wire import frames
from jobmon_wire.verbs import VERBS, ArgumentError, check_arguments

FUNCTIONS = dict(KNOWN)  # imported before anything is measured or watched

ENOUGH = 64 * 2**20  # bytes of an answer without end
NOBODY = 65534


def memory():
    """Bytes, the most that were ever resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def ask(job, verb, arguments):
    """The outcome's code, its message, the bytes of data, and the last objects."""
    length, objects, names = 0, [], []
    try:
        for type_, payload in FUNCTIONS[verb](job, check_arguments(VERBS[verb], arguments)):
            if type_ == frames.DATA:
                length += len(payload)
            elif type_ == frames.RECORD:
                names += [entry["name"] for entry in payload["entries"]][: 100 - len(names)]
                frames.write_object(type_, frames.CHANNEL, payload)
            else:
                objects.append(payload)
            if length >= ENOUGH:
                break
    except VerbFailure as failure:
        return [failure.code, failure.message, length, objects, names]
    except ArgumentError as error:
        return ["bad-request", str(error), length, objects, names]
    return ["done", "", length, objects, names]


def timed(job, verb, arguments):
    began, cpu, before = time.monotonic(), time.process_time(), memory()
    outcome = ask(job, verb, arguments)
    return outcome + [time.monotonic() - began, time.process_time() - cpu, memory() - before]


def main(path, asked):
    root = os.open(path, 0o10000000 | os.O_DIRECTORY)
    job = Job("astray", os.getpid(), 0, None, root, os.path.realpath(path), None, None, 0, "exec")
    with open(asked) as file:
        questions = json.load(file)
    if os.environ.get("AS_NOBODY"):
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    grp.getgrgid(0), pwd.getpwuid(0)  # what the C library reads for these once
    os.access("/begin", os.F_OK)  # a mark for whoever traces this
    found = [timed(job, verb, arguments) for verb, arguments in questions]
    os.access("/end", os.F_OK)
    print(json.dumps(found))


main(*sys.argv[2:])
