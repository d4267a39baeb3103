"""Policy: which peer may do what to which job.

The one place where authority is decided.  An owner reaches the jobs whose
owner's name, stored when the job's credential was issued, equals the peer's;
an administrator also those of the clusters the certificate lists.  Names are
compared as tuples, whole: a prefix or a likeness means nothing.  To run programs
beside a job (EXEC) takes the site's word besides.  Whatever is not granted here
is refused; a job reaches nothing on the users' port.
"""

from __future__ import annotations

from jobmon_pki.names import Name
from jobmon_pki.profiles import ADMIN, OWNER
from jobmon_server.configuration import SHELLS_ALL, SHELLS_OFF, SHELLS_OWNER
from jobmon_server.peer import Peer
from jobmon_wire.verbs import EXEC, PERMISSIONS

# What each way of reaching a job grants.  Both are whole but for EXEC; a site that
# narrows its administrators narrows this line.
OWNERS_PERMISSIONS = frozenset(PERMISSIONS) - {EXEC}
ADMINISTRATORS_PERMISSIONS = frozenset(PERMISSIONS) - {EXEC}


def permissions(peer: Peer, job_owner: Name, job_cluster: str, shells: str = SHELLS_OFF) -> frozenset[str]:
    """Everything the peer may do to a job; empty means that it must not learn that the job exists.

    Args:
        peer: who asks.
        job_owner: the job's owner, as stored when its credential was issued.
        job_cluster: of the job.
        shells: the site's word on who may open one.
    """
    granted: frozenset[str] = frozenset()
    if peer.role in (OWNER, ADMIN) and job_owner and peer.name == job_owner:
        granted |= OWNERS_PERMISSIONS
        granted |= {EXEC} if shells in (SHELLS_OWNER, SHELLS_ALL) else frozenset()
    if peer.role == ADMIN and job_cluster and job_cluster in peer.clusters:
        granted |= ADMINISTRATORS_PERMISSIONS
        granted |= {EXEC} if shells == SHELLS_ALL else frozenset()
    return granted


def sees(peer: Peer, job_owner: Name, job_cluster: str) -> bool:
    """The job exists for this peer."""
    return bool(permissions(peer, job_owner, job_cluster))


def permits(peer: Peer, permission: str, job_owner: Name, job_cluster: str, shells: str = SHELLS_OFF) -> bool:
    """The peer may use a verb of this permission on the job."""
    return permission in permissions(peer, job_owner, job_cluster, shells)


def denial(permission: str, shells: str) -> str:
    """Why a permission is not granted, to somebody who sees the job."""
    if permission != EXEC:
        return f"you may see this job, but not use {permission!r} on it"
    if shells == SHELLS_OFF:
        return "this site has no shells; its operator may switch them on"
    return "at this site a shell is for the job's owner alone; ask the owner"
