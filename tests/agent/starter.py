"""A starter such as HTCondor's: runs one command as its job, and treats it as the starter does.

It writes the advertisements, sets the environment, gives the job a session of
its own, sends every signal to the job's process alone, and tells how that
process ended, from what wait() says.  Lines on stdin name the signals to send;
lines on stdout are JSON.

usage: starter.py SCRATCH COMMAND...
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

JOB = """\
MyType = "Job"
ClusterId = 1234
ProcId = 7
GlobalJobId = "schedd.example.org#1234.7#1700000000"
Owner = "alice"
JobBatchName = "fit"
NumShadowStarts = 2
Out = "out"
Err = "err"
"""
MACHINE = """\
MyType = "Machine"
Name = "slot1_2@wn042.example.org"
Machine = "wn042.example.org"
Cpus = 4
Memory = 8192
"""


def main(scratch: Path, command: list[str]) -> None:
    """Run the job to its end."""
    (scratch / ".job.ad").write_text(JOB)
    (scratch / ".machine.ad").write_text(MACHINE)
    environment = os.environ | {
        "BATCH_SYSTEM": "HTCondor",
        "_CONDOR_JOB_AD": str(scratch / ".job.ad"),
        "_CONDOR_MACHINE_AD": str(scratch / ".machine.ad"),
        "_CONDOR_SCRATCH_DIR": str(scratch),
        "_CONDOR_JOB_IWD": str(scratch),
        "_CONDOR_SLOT": "slot1_2",
        f"_CONDOR_ANCESTOR_{os.getpid()}": f"{os.getpid()}:1700000000:1",
    }
    with (scratch / "out").open("wb") as out, (scratch / "err").open("wb") as err:
        job = subprocess.Popen(
            command,
            cwd=scratch,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    threading.Thread(target=send, args=(job,), daemon=True).start()
    tell(job_pid=job.pid)
    _, status = os.waitpid(job.pid, 0)
    tell(signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None, code=os.waitstatus_to_exitcode(status))


def send(job: "subprocess.Popen[bytes]") -> None:
    """Send what stdin names to the job's process, and to no other."""
    for line in sys.stdin:
        os.kill(job.pid, getattr(signal, "SIG" + line.strip()))


def tell(**facts: object) -> None:
    """One line."""
    print(json.dumps(facts), flush=True)


main(Path(sys.argv[1]), sys.argv[2:])
