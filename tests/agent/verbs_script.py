"""Every verb on one real job, in whichever Python runs this: 3.6 and up.

    python -I -S verbs_script.py AGENT_DIRECTORY SANDBOX

Prints one line of JSON for the test to judge.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, sys.argv[1])

from jobmon_agent import batch, node, vitals
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.pidfd import open_pidfd
from jobmon_agent.pidstat import start_time
from jobmon_agent.verbs import VERBS as KNOWN
from jobmon_wire import frames
from jobmon_wire.verbs import VERBS, check_arguments

FUNCTIONS = dict(KNOWN)  # imported before anything is measured or watched

SCRIPT = "(setsid sh -c 'echo $$ > daemon.pid; exec sleep 300' &) ; echo eins; echo zwei; sleep 300 & : > ready; wait"
UUID = "3f0b6c1e-verbs-%d" % os.getpid()


def start(sandbox):
    with open(os.path.join(sandbox, "out.log"), "wb") as out:
        process = subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT],
            cwd=sandbox,
            env=dict(os.environ, JOBMON_JOB_ID=UUID),
            stdin=subprocess.DEVNULL,
            stdout=out,
            start_new_session=True,
        )
    end = time.monotonic() + 10
    while not (os.path.exists(sandbox + "/ready") and os.path.exists(sandbox + "/daemon.pid")):
        assert time.monotonic() < end
        time.sleep(0.01)
    root = os.open(sandbox, 0o10000000 | os.O_DIRECTORY)
    stdout = os.open(os.path.join(sandbox, "out.log"), os.O_RDONLY)
    pid = process.pid
    return process, Job(
        UUID, pid, start_time(pid), open_pidfd(pid), root, os.path.realpath(sandbox), stdout, None, os.getpgrp(), "exec"
    )


def ask(job, verb, **arguments):
    data, objects = b"", []
    for type_, payload in FUNCTIONS[verb](job, check_arguments(VERBS[verb], arguments)):
        if type_ == frames.DATA:
            data += payload
        else:
            frames.write_object(type_, frames.CHANNEL, payload)
            objects.append(payload)
    return objects or data.decode("latin-1")


def fails(job, verb, **arguments):
    try:
        ask(job, verb, **arguments)
    except VerbFailure as failure:
        return failure.code


def main(sandbox):
    os.environ["SLURM_JOB_ID"] = "17"
    odd = os.fsencode(sandbox) + b"/\xff \xc3\xa9"
    with open(odd, "wb") as file:
        file.write(b"odd\n")
    os.symlink(os.path.join(os.path.realpath(sandbox), "out.log"), os.path.join(sandbox, "inside"))
    os.symlink("/etc/passwd", os.path.join(sandbox, "outside"))
    process, job = start(sandbox)
    try:
        first, state = vitals.sample(job, None)
        second, _ = vitals.sample(job, state)
        found = {
            "ps": ask(job, "ps")[0]["processes"],
            "top": ask(job, "top", count=1)[0],
            "ls": [entry["name"] for entry in ask(job, "ls")[0]["entries"]],
            "odd": ask(job, "cat", file="\udcff \u00e9"),
            "cat": ask(job, "cat", file="inside"),
            "head": ask(job, "head", lines=1),
            "tail": ask(job, "tail", lines=1),
            "outside": fails(job, "cat", file="outside"),
            "stderr": fails(job, "cat", file="stderr"),
            "node": ask(job, "node")[0]["batch"],
            "facts": node.facts(),
            "batch": batch.facts(dict(os.environ), "/"),
            "processes": [first.processes, second.processes],
            "kill": ask(job, "kill", signal="TERM")[0],
        }
        found["status"] = process.wait()
        found["after"] = ask(job, "ps")[0]["processes"]
        data, ended = b"", []
        for type_, payload in FUNCTIONS["tail"](job, check_arguments(VERBS["tail"], {"follow": True})):
            data, ended = (data + payload, ended) if type_ == frames.DATA else (data, ended + [payload["kind"]])
        found["followed"] = [data.decode("latin-1"), ended]
        found["pid"] = job.pid
        with open(os.path.join(sandbox, "daemon.pid")) as file:
            found["daemon"] = int(file.read())
    finally:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    print(json.dumps(found))


main(sys.argv[2])
