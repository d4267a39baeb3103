"""References: which one of some jobs a person means.

Of jobs that share their id the one that has not ended is meant; any other
choice is the person's.
"""

from __future__ import annotations

from jobmon_server.jobs import Job
from jobmon_server.refusals import RefusedError, no_such_job
from jobmon_wire.jobs import ENDED

CANDIDATES = 20  # jobs named in the answer to an ambiguous reference
MEANT = 1000  # jobs that a prefix finds; of more nobody reads a list, and to count them takes time


def the_one(found: list[Job]) -> Job:
    """The job that is meant by what has found these.

    Raises:
        RefusedError: ``no-such-job``, or ``ambiguous-job`` with candidates.
    """
    if not found:
        raise no_such_job()
    if len(found) == 1:
        return found[0]
    running = [job for job in found if job.state != ENDED]
    if len(running) == 1 and len({job.id for job in found}) == 1:
        return running[0]
    candidates = [
        {"id": job.id, "uuid": job.uuid, "state": job.state}
        for job in sorted(found, key=lambda job: (job.id, job.registered))
    ]
    count = f"{MEANT} jobs or more" if len(found) >= MEANT else f"{len(found)} jobs"
    raise RefusedError("ambiguous-job", f"{count} are meant by that", candidates=candidates[:CANDIDATES])
