"""A peer: who is at the other end of a connection, as its certificate says.

Routes and policy know a request's sender only as a ``Peer``.  It is built by
``doors`` from the certificate that TLS has verified, never from a header, and
stands in ``scope["state"]["peer"]``.  Nothing here knows of TLS or HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from jobmon_pki.names import Name, common_name, display, owner_of
from jobmon_pki.profiles import JOB, Identity

KNOWN = 2048  # names that are not written anew when they come again, 300 bytes each


@dataclass(frozen=True, slots=True)
class Peer:
    """The verified sender of a request."""

    role: str  # profiles.OWNER, ADMIN or JOB
    name: Name  # the certificate's subject; authority is equality with this, never a string's likeness
    owner: str  # common name of the person; of a job, its owner's
    holder: str  # the name as people read it
    fingerprint: str  # SHA-256 of the certificate, hexadecimal
    serial: str  # of the certificate, lower hexadecimal
    not_after: float  # s since 1970
    uuid: str  # the job's; empty for a person
    clusters: tuple[str, ...]  # that an administrator looks after
    source: str  # ip:port, for the audit


def peer_of(identity: Identity, source: str) -> Peer:
    """The peer that an identity makes at an address."""
    owner, holder = _names(identity.role, identity.name)
    return Peer(
        role=identity.role,
        name=identity.name,
        owner=owner,
        holder=holder,
        fingerprint=identity.fingerprint,
        serial=identity.serial,
        not_after=identity.not_after,
        uuid=identity.uuid,
        clusters=identity.clusters,
        source=source,
    )


@lru_cache(KNOWN)
def _names(role: str, name: Name) -> tuple[str, str]:
    """Common name of the person, and the whole name as people read it."""
    return common_name(owner_of(name) if role == JOB else name), display(name)
