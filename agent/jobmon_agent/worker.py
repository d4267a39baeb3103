"""The worker: the agent's process that has TLS, forked from the idle one.

It ends when nobody asks any more and the server can ring, when the job's end is
reported, or with its parent; when it crashes its parent starts another.
"""

import gc
import os

from jobmon_agent import kernel
from jobmon_agent.job import Job
from jobmon_agent.parent import Parent
from jobmon_agent.parting import GAVE_UP
from jobmon_agent.session import Session
from jobmon_agent.watch import OrphanedError, Watch
from jobmon_wire.credential import LARGEST, CredentialError, parse_credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

_CRASHED = 1


def run(facts: "Dict[str, Any]", parent: int) -> int:
    """Be the worker; the exit status to end with.

    Args:
        facts: what the herald told: descriptors, numbers and names.
        parent: socket on which the idle process is told things; readable when it has ended.
    """
    _collect_from_now_on()
    kernel.keep_memory_private()
    descriptors = facts["descriptors"]
    job = Job(
        uuid=facts["uuid"],
        pid=facts["pid"],
        starttime=facts["starttime"],
        pidfd=descriptors.get("pidfd"),
        sandbox=descriptors["sandbox"],
        sandbox_path=facts["sandbox_path"],
        stdout=descriptors.get("stdout"),
        stderr=descriptors.get("stderr"),
        group=facts["group"],
        mode=facts["mode"],
        status=facts["status"],
        trap=descriptors.get("trap"),
    )
    try:
        # The file that was checked at the start; its name may mean another by now, or nothing.
        content = os.pread(descriptors["credential"], LARGEST, 0).decode("ascii", "replace")
        credential = parse_credential(content, "the credential")
        if facts["renewed"]:
            credential = credential._replace(certificate=facts["renewed"]["certificate"])
        watch = Watch(job, parent, facts["status"], facts.get("ended"), facts.get("told"))
        return Session(job, watch, credential, descriptors["credential"], facts, Parent(parent)).run()
    except CredentialError:  # written over since
        return GAVE_UP
    except OrphanedError:
        return _CRASHED


def _collect_from_now_on() -> None:
    """Have garbage collected again, but of what comes: what is loaded stays, and is not to be copied by each look."""
    if hasattr(gc, "freeze"):  # from Python 3.7 on
        gc.freeze()  # novm
    gc.enable()
