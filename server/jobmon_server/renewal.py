"""Renewal of jobs' credentials: when it is due, and the new certificate that an agent asks for.

The agent has no say in it but the moment: key, name, job and the end of it all
follow from the ledger.  It is written down before it is done.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from jobmon_pki.errors import PkiError
from jobmon_pki.ledger import Issued, Ledger, LedgerError
from jobmon_pki.profiles import fingerprint
from jobmon_pki.renewal import deadline, due, renew
from jobmon_pki.site import IssuedJob, Site
from jobmon_server.audit import Audit
from jobmon_server.events import ISSUED, Events
from jobmon_server.jobs import Job
from jobmon_server.peer import Peer
from jobmon_server.refusals import RefusedError
from jobmon_server.rows import Event
from jobmon_server.store import StoreFullError
from jobmon_wire import documents
from jobmon_wire.jobs import ENDED
from jobmon_wire.moments import write_moment
from jobmon_wire.records import KEPT_IN_FILE, KEPT_IN_MEMORY

# Of a certificate's life, over which the renewals of jobs spread whose credentials were made at once.
STAGGER = 1 / 12
# Where an agent says that it keeps the new certificate, as it is told in the job's log.
PLACES = {
    KEPT_IN_FILE: "the agent writes it into its file",
    KEPT_IN_MEMORY: "the agent keeps it in memory, as it cannot replace the file",
}


class Renewals:
    """The renewing of job credentials."""

    def __init__(self, site: Site, ledger: Ledger, audit: Audit, events: Events, clock: Callable[[], float]) -> None:
        self._site = site
        self._ledger = ledger
        self._audit = audit
        self._events = events
        self._clock = clock
        self._authority_end = site.job_authority_end()

    def moment(self, certificates: Sequence[Issued], current: Issued) -> float:
        """When a job's agent is to renew its certificate, s since 1970; 0: never.

        Args:
            certificates: all of the job, the first one first.
        """
        earliest = due(current, deadline(certificates, self._authority_end))
        if earliest is None:
            return 0.0
        identity = current.identity
        share = int(identity.uuid[:8], 16) / 2**32  # a random number, the same each time
        return earliest + share * STAGGER * (identity.not_after - current.issued_at)

    async def renew(self, peer: Peer, job: Job, said: dict[str, Any]) -> dict[str, Any]:
        """A new certificate in the place of the peer's.

        Raises:
            DocumentError, RefusedError: it asks for what cannot be.
            StoreFullError: it cannot be written down.
        """
        if job.state == ENDED:
            raise RefusedError("job-ended", "the job has ended; its credential is renewed no more")
        der, kept = _read_certificate(documents.text(said, "certificate")), documents.text(said, "kept")
        if fingerprint(der) != peer.fingerprint:
            raise RefusedError("bad-request", "certificate: the one that this connection has shown was expected")
        if kept not in PLACES:
            raise RefusedError("bad-request", f"kept: one of {', '.join(PLACES)} was expected")
        row = await self._audit.begin(peer, "renew", job, {"serial": peer.serial})
        try:
            issued = await asyncio.to_thread(self._sign, der)
        except PkiError as error:
            # Caused by the file: the ledger cannot be written; else it refuses what is asked.
            if isinstance(error, LedgerError) and error.__cause__ is not None:
                self._audit.finish(row, "store-full")
                raise StoreFullError(f"the certificate cannot be recorded: {error}") from error
            self._audit.finish(row, "credential-refused")
            raise RefusedError("not-permitted", str(error)) from error
        text = f"renewed until {write_moment(issued.not_after)}; {PLACES[kept]}"
        await self._events.record(Event(job.uuid, self._clock(), ISSUED, text))
        self._audit.finish(row, "done")
        return {"certificate": issued.certificate_pem, "not_after": write_moment(issued.not_after)}

    def _sign(self, der: bytes) -> IssuedJob:
        return renew(self._site, self._ledger, der, self._clock(), self._authority_end)


def _read_certificate(pem: str) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(pem)
    except ValueError as error:
        raise RefusedError("bad-request", "certificate: PEM was expected") from error
