"""Whether the server would start: what ``--check`` looks at, in the order of starting.

Each look gives a line of what was found; the first thing that would stop the
server is raised.  Nothing is changed and nothing is served.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from jobmon_pki.ledger import Ledger
from jobmon_pki.site import Site
from jobmon_server.configuration import read_configuration
from jobmon_server.ports import bind
from jobmon_server.store import StoreError
from jobmon_server.tls import TLSError, TLSFiles, server_context
from jobmon_wire.moments import write_moment

SOON = 14 * 86400.0  # s; a certificate that ends within is worth a word


def inspect(path: Path, now: float) -> Iterator[str]:
    """Look at everything that starting needs.

    Raises:
        ServerError, PkiError: the server would not start; the sentence says why.
    """
    configuration = read_configuration(path)
    yield f"configuration  {path} is well formed"
    site = Site.open(configuration.site)
    yield f"site           {site.directory}, cluster {site.cluster}"
    for anchor in (site.people_ca, site.job_ca):
        server_context(TLSFiles(site.server_certificate, site.server_key, anchor))
    for certificate in (site.server_certificate, site.server_ca, site.people_ca, site.job_ca):
        yield f"certificate    {_dates(certificate, now)}"
    with Ledger(site.ledger_path) as ledger:
        yield f"ledger         {site.ledger_path}, {len(ledger.revoked())} certificates revoked"
    yield f"store          {_store(site.store_path)}"
    for address in filter(None, (configuration.users, configuration.agents, configuration.metrics)):
        bind(address).close()
        yield f"port           {address} is free"


def _dates(path: Path, now: float) -> str:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    begin, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    until = str(write_moment(end))[:10]
    if now >= end:
        raise TLSError(f"{path} expired on {until}; renew it with: jobmon pki renew")
    if now < begin:
        raise TLSError(f"{path} is valid only from {str(write_moment(begin))[:10]} on; set this machine's clock")
    soon = "; renew it soon" if end - now < SOON else ""
    return f"{path.name} is valid until {until}{soon}"


def _store(path: Path) -> str:
    if not path.exists():
        return f"{path} will be made"
    try:
        # Read only: the server may be running.
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as connection:
            verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        connection.close()
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}; restore it from a backup, or move it away") from error
    if verdict != "ok":
        raise StoreError(f"{path} is damaged: {verdict}; restore it from a backup, or move it away")
    return f"{path} is sound"
