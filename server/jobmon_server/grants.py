"""Grants: what the ledger says of a job's certificate, once and for ever.

That it was issued, for which job, to whom and when never changes, so it is read
from the file once for all registrations of an agent.  Whether it was revoked
since is the door's to know, at each request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jobmon_pki.ledger import Issued, Ledger
from jobmon_pki.names import Name, common_name, owner_of
from jobmon_server.peer import Peer
from jobmon_server.refusals import RefusedError

KNOWN = 2048  # grants that are not read anew, 500 bytes each; to read one takes a tenth of a registration


class Grant(NamedTuple):
    """A certificate that was issued for a job."""

    job_id: str
    owner: Name
    fingerprint: str
    issued: float  # s since 1970, as all moments here
    not_after: float
    renewal: float  # from when on it is to be renewed; 0: never


class Grants:
    """The grants of all jobs.

    Args:
        ledger: has every certificate of the site.
        moment: when to renew the last of a job's certificates, given all of them, see ``Renewals``.
    """

    def __init__(self, ledger: Ledger, moment: Callable[[Sequence[Issued], Issued], float]) -> None:
        self._ledger = ledger
        self._moment = moment
        self._known: dict[str, Grant] = {}  # by fingerprint

    def of(self, peer: Peer) -> Grant:
        """What the peer's certificate grants.

        Raises:
            RefusedError: this site did not issue it for that job.
        """
        grant = self._known.get(peer.fingerprint)
        if grant is None:
            grant = self._read(peer)
            if len(self._known) >= KNOWN:
                del self._known[next(iter(self._known))]
            self._known[peer.fingerprint] = grant
        return grant

    def _read(self, peer: Peer) -> Grant:
        certificates = self._ledger.find_job(peer.uuid)
        issued = next((each for each in certificates if each.serial == peer.serial), None)
        if issued is None or issued.name != peer.name:
            raise RefusedError("credential-refused", "this server has not issued that certificate; get one from it")
        # Texts that are the same are the peer's own, which are in memory anyway.
        is_same = issued.identity.fingerprint == peer.fingerprint
        return Grant(
            job_id=common_name(peer.name),
            owner=owner_of(peer.name),
            fingerprint=peer.fingerprint if is_same else issued.identity.fingerprint,
            issued=issued.issued_at,
            not_after=issued.identity.not_after,
            renewal=self._moment(certificates, issued),
        )
