"""Read a path while somebody exchanges its parts, in whichever Python runs this: 3.6 and up.

    python -I -S race_script.py AGENT_DIRECTORY DIRECTORY PART TRIES SWAPPER...

PART is ``dir`` or ``dir/file``: what is exchanged, for a link that leads out of
the sandbox.  SWAPPER is a command that exchanges the two names it is given, as
fast as it can, and counts in the file it is given.  Prints one line of JSON
for the test to judge.
"""

import contextlib
import json
import os
import struct
import subprocess
import sys
import time

sys.path.insert(0, sys.argv[1])

from jobmon_agent import sandbox
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.verbs import VERBS as KNOWN
from jobmon_wire import frames
from jobmon_wire.verbs import VERBS, check_arguments

FUNCTIONS = dict(KNOWN)  # imported before anything is measured or watched

CONTROL = 300000  # tries of the naive reader at most; it leaks in 2 to 7 of 100


def naive(job):
    """What must not be done: check the path, then open it."""
    whole = os.path.realpath(os.path.join(job.sandbox_path, "dir/file"))
    if os.path.commonpath([whole, job.sandbox_path]) != job.sandbox_path:
        return b"refused"
    with open(os.path.join(job.sandbox_path, "dir/file"), "rb") as file:
        return file.read()


def opened(job):
    descriptor = sandbox.open_file(job, "dir/file")
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def ask(job, verb, **arguments):
    found = b""
    for type_, payload in FUNCTIONS[verb](job, check_arguments(VERBS[verb], arguments)):
        found += payload if type_ == frames.DATA else json.dumps(payload).encode("ascii")
    return found


# Most tries are of the door that all verbs go through; the verbs themselves have their turns.
READERS = [opened] * 12 + [
    lambda job: ask(job, "cat", file="dir/file"),
    lambda job: ask(job, "head", file="d?r/f*"),
    lambda job: ask(job, "tail", file="**/file"),
    lambda job: ask(job, "ls", path="dir"),
]


def outcome(reader, job):
    try:
        content = reader(job)
    except (OSError, VerbFailure):
        return "refused"
    return "secret" if b"secret" in content else "refused" if content == b"refused" else "public"


def swaps(counter):
    return struct.unpack("Q", os.pread(counter, 8, 0))[0]


def main(directory, part, tries, swapper):
    inside, outside = os.path.join(directory, "inside"), os.path.join(directory, "outside")
    for place, word in ((os.path.join(inside, "dir"), "public"), (outside, "secret")):
        os.makedirs(place)
        for name in ("file", word):
            with open(os.path.join(place, name), "w") as file:
                file.write(word)
    trap = os.path.join(inside, "trap")
    os.symlink(os.path.join(outside, part[4:]), trap)
    with open(os.path.join(directory, "count"), "wb") as file:
        file.write(bytes(8))
    counter = os.open(file.name, os.O_RDONLY)
    root = os.open(inside, 0o10000000 | os.O_DIRECTORY)
    job = Job("race", os.getpid(), 0, None, root, os.path.realpath(inside), None, None, 0, "exec")
    process = subprocess.Popen(swapper + [os.path.join(inside, part), trap, file.name])
    try:
        while not swaps(counter):
            time.sleep(0.001)
        control = {"public": 0, "secret": 0, "refused": 0}
        while not control["secret"] and sum(control.values()) < CONTROL:
            control[outcome(naive, job)] += 1
        before, began = len(os.listdir("/proc/self/fd")), swaps(counter)
        found, done = {"public": 0, "secret": 0, "refused": 0}, 0
        while done < tries or swaps(counter) - began < tries:
            found[outcome(READERS[done % len(READERS)], job)] += 1
            done += 1
        after, ended = len(os.listdir("/proc/self/fd")), swaps(counter)
    finally:
        process.kill()
        process.wait()
    with contextlib.suppress(OSError):
        os.close(counter)
    print(json.dumps({"control": control, "found": found, "swaps": ended - began, "descriptors": [before, after]}))


main(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5:])
