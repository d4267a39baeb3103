"""Policy: which peer may do what to which job.

The one place where authority is decided.  An owner reaches the jobs whose
owner's name, stored when the job's credential was issued, equals the peer's;
an administrator also those of the clusters the certificate lists.  Names are
compared as tuples, whole: a prefix or a likeness means nothing.  Whatever is
not granted here is refused; a job reaches nothing on the users' port.
"""

from __future__ import annotations

from jobmon_pki.names import Name
from jobmon_pki.profiles import ADMIN, OWNER
from jobmon_server.peer import Peer
from jobmon_wire.verbs import PERMISSIONS

# What each way of reaching a job grants.  Both are whole today; a site that
# narrows its administrators narrows this line.
OWNERS_PERMISSIONS = frozenset(PERMISSIONS)
ADMINISTRATORS_PERMISSIONS = frozenset(PERMISSIONS)


def permissions(peer: Peer, job_owner: Name, job_cluster: str) -> frozenset[str]:
    """Everything the peer may do to a job; empty means that it must not learn that the job exists."""
    granted: frozenset[str] = frozenset()
    if peer.role in (OWNER, ADMIN) and job_owner and peer.name == job_owner:
        granted |= OWNERS_PERMISSIONS
    if peer.role == ADMIN and job_cluster and job_cluster in peer.clusters:
        granted |= ADMINISTRATORS_PERMISSIONS
    return granted


def sees(peer: Peer, job_owner: Name, job_cluster: str) -> bool:
    """The job exists for this peer."""
    return bool(permissions(peer, job_owner, job_cluster))


def permits(peer: Peer, permission: str, job_owner: Name, job_cluster: str) -> bool:
    """The peer may use a verb of this permission on the job."""
    return permission in permissions(peer, job_owner, job_cluster)
