"""Credentials for jobs, issued to the owner who asks for them.

Of a request only the public key is taken; the name is the caller's own and one
common name more.  Nobody gets credentials under somebody else's name.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple

from jobmon_pki.errors import PkiError
from jobmon_pki.keys import PublicKey, RequestError, read_request
from jobmon_pki.ledger import Ledger, LedgerError
from jobmon_pki.profiles import JOB_ID
from jobmon_pki.site import IssuedJob, Site
from jobmon_server.audit import Audit
from jobmon_server.events import ISSUED, Events
from jobmon_server.peer import Peer
from jobmon_server.refusals import RefusedError
from jobmon_server.rows import Event
from jobmon_server.store import StoreFullError
from jobmon_wire import documents, limits
from jobmon_wire.moments import write_moment

NAMED = 20  # ids that the audit row lists; the ledger has them all


class Wanted(NamedTuple):
    """One credential that is asked for."""

    id: str
    key: PublicKey


class Credentials:
    """The issuing of job credentials."""

    def __init__(self, site: Site, ledger: Ledger, audit: Audit, events: Events, clock: Callable[[], float]) -> None:
        self._site = site
        self._ledger = ledger
        self._audit = audit
        self._events = events
        self._clock = clock

    async def issue(self, peer: Peer, asked: dict[str, Any]) -> dict[str, Any]:
        """Issue what a document asks for.

        Raises:
            DocumentError, RefusedError: it asks for what cannot be.
            StoreFullError: it cannot be written down.
        """
        lifetime = documents.optional_number(asked, "lifetime")
        # A signature to check for each: off the loop, which has others to serve.
        wanted = await asyncio.to_thread(_read_jobs, asked)
        ids = [job.id for job in wanted]
        arguments = {"number": len(ids), "ids": ids[:NAMED], "lifetime": lifetime}
        row = await self._audit.begin(peer, "credentials", None, arguments)
        try:
            issued = await asyncio.to_thread(self._sign, peer, wanted, lifetime)
        except PkiError as error:
            # Caused by the file: the ledger cannot be written; else it refuses what is asked.
            if isinstance(error, LedgerError) and isinstance(error.__cause__, sqlite3.Error):
                self._audit.finish(row, "store-full")
                raise StoreFullError(f"the certificates cannot be recorded: {error}") from error
            self._audit.finish(row, "bad-request")
            raise RefusedError("bad-request", str(error)) from error
        now = self._clock()
        await self._events.record(*(Event(job.uuid, now, ISSUED, f"to {peer.holder}") for job in issued))
        self._audit.finish(row, "done")
        return {
            "agents": self._site.agents_url,
            "server_ca": self._site.server_ca_pem(),
            "jobs": [self._document(job) for job in issued],
        }

    def _sign(self, peer: Peer, wanted: list[Wanted], lifetime: float | None) -> list[IssuedJob]:
        return self._site.issue_jobs(
            peer.name, [(job.id, job.key) for job in wanted], lifetime, self._clock(), peer.holder, self._ledger
        )

    def _document(self, job: IssuedJob) -> dict[str, Any]:
        return {
            "id": job.job_id,
            "uuid": job.uuid,
            "holder": job.holder,
            "cluster": self._site.cluster,
            "certificate": job.certificate_pem,
            "not_after": write_moment(job.not_after),
        }


def _read_jobs(asked: dict[str, Any]) -> list[Wanted]:
    jobs = asked.get("jobs")
    if not isinstance(jobs, list) or not 0 < len(jobs) <= limits.CREDENTIALS_AT_ONCE:
        raise RefusedError("bad-request", f"jobs: a list of 1 to {limits.CREDENTIALS_AT_ONCE} was expected")
    return [_read_job(job) for job in jobs]


def _read_job(job: Any) -> Wanted:
    if not isinstance(job, dict):
        raise RefusedError("bad-request", "jobs: objects of id and request were expected")
    job_id = documents.text(job, "id", longest=limits.LABEL)
    if not JOB_ID.fullmatch(job_id):
        raise RefusedError("bad-request", "id: letters, digits and ._:@- were expected, a letter or digit first")
    try:
        return Wanted(job_id, read_request(documents.text(job, "request", longest=limits.DOCUMENT_BYTES)))
    except RequestError as error:
        raise RefusedError("bad-request", f"request: {error}") from error
