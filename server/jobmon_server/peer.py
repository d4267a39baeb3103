"""A peer: who is at the other end of a connection, as its certificate says.

Routes and policy know a request's sender only as a ``Peer``.  It is built by
``doors`` from the certificate that TLS has verified, never from a header, and
stands in ``scope["state"]["peer"]``.  Nothing here knows of TLS or HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobmon_pki.names import Name, common_name, display, owner_of
from jobmon_pki.profiles import JOB, Identity


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
    person = owner_of(identity.name) if identity.role == JOB else identity.name
    return Peer(
        role=identity.role,
        name=identity.name,
        owner=common_name(person),
        holder=display(identity.name),
        fingerprint=identity.fingerprint,
        serial=identity.serial,
        not_after=identity.not_after,
        uuid=identity.uuid,
        clusters=identity.clusters,
        source=source,
    )
