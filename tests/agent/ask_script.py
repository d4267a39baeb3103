"""Verbs on a job that runs already, in whichever Python runs this: 3.6 and up.

    python -I -S ask_script.py AGENT_DIRECTORY QUESTIONS

QUESTIONS is a list of job (an object ``pid``, ``uuid``, ``sandbox``), verb and
arguments.  Prints one line of JSON: for each question its answer, records
merged, bytes as ``data``, a failure as ``code`` and ``message``.
"""

import json
import os
import sys

sys.path.insert(0, sys.argv[1])

from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.pidfd import open_pidfd
from jobmon_agent.pidstat import start_time
from jobmon_agent.verbs import VERBS as KNOWN
from jobmon_wire import frames
from jobmon_wire.verbs import VERBS, check_arguments

FUNCTIONS = dict(KNOWN)  # imported before anything is measured or watched


def the_job(pid, uuid, sandbox):
    root = os.open(sandbox, 0o10000000 | os.O_DIRECTORY)
    return Job(uuid, pid, start_time(pid), open_pidfd(pid), root, sandbox, None, None, os.getpgrp(), "exec")


def ask(job, verb, arguments):
    answer = {}
    try:
        for type_, payload in FUNCTIONS[verb](job, check_arguments(VERBS[verb], arguments)):
            if type_ == frames.DATA:
                answer["data"] = answer.get("data", "") + payload.decode("latin-1")
                continue
            frames.write_object(type_, frames.CHANNEL, payload)
            for key, value in payload.items():
                answer[key] = answer[key] + value if isinstance(value, list) and key in answer else value
    except VerbFailure as failure:
        answer.update(code=failure.code, message=failure.message)
    return answer


os.setpgid(0, 0)
print(json.dumps([ask(the_job(**job), verb, arguments) for job, verb, arguments in json.loads(sys.argv[2])]))
