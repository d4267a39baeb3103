"""Renewal: how a job's credential is kept valid for as long as the job may run.

A job gets a new certificate for the key it has, at two thirds of the old one's
life, until 30 days after the first one was issued and no longer.  What the job
is and whose follows from the ledger; nothing new can be asked for.
"""

from collections.abc import Sequence

from cryptography import x509

from jobmon_pki import authority, profiles
from jobmon_pki.errors import PkiError
from jobmon_pki.keys import check_public_key
from jobmon_pki.ledger import Issued, Ledger
from jobmon_pki.names import display, owner_of
from jobmon_pki.site import IssuedJob, Site

SHARE = 2 / 3  # of a certificate's life, after which it is renewed
LEAST = 1.0  # s by which a renewal must make the life longer: certificates tell whole seconds


class RenewalError(PkiError):
    """The certificate is not renewed; one sentence."""


def deadline(certificates: Sequence[Issued], authority_end: float) -> float:
    """The moment beyond which no certificate of a job goes.

    Args:
        certificates: all of the job, the first one first, as ``Ledger.find_job`` gives them.
        authority_end: when the authority itself ends.
    """
    return min(certificates[0].issued_at + profiles.PROFILES[profiles.JOB].longest, authority_end)


def due(current: Issued, until: float) -> float | None:
    """The moment from which on a certificate may be renewed; None: it lives as long as the job may."""
    if current.identity.not_after + LEAST >= until:
        return None
    return current.issued_at + SHARE * _life(current)


def renew(site: Site, ledger: Ledger, der: bytes, now: float, authority_end: float) -> IssuedJob:
    """A new certificate for the holder of an old one, recorded: same key, name and job.

    Args:
        der: the old certificate; that its holder has shown it over TLS was seen to before.
        authority_end: when the authority itself ends.

    Raises:
        RenewalError: it is not due yet, or the job's deadline is reached.
        PkiError: it was not issued here, its key was revoked, or the ledger cannot be written.
    """
    old = ledger.find_fingerprint(profiles.fingerprint(der))
    if old is None or old.identity.role != profiles.JOB:
        raise RenewalError("no job has that certificate from here")
    until = deadline(ledger.find_job(old.identity.uuid), authority_end)
    moment = due(old, until)
    if moment is None:
        raise RenewalError("the credential lives as long as a job's may")
    if now < moment:
        raise RenewalError("the credential is not to be renewed yet")
    public_key = check_public_key(x509.load_der_x509_certificate(der).public_key())
    lifetime = min(_life(old), until - now)
    owner, signer = owner_of(old.name), site.job_authority()
    certificate = signer.issue_job(owner, old.job_id, old.identity.uuid, public_key, lifetime, now, site.domain)
    identity = profiles.read_identity(authority.der(certificate), frozenset([profiles.JOB]))
    ledger.record(identity, old.job_id, site.cluster, now, display(old.name))
    return IssuedJob(old.job_id, identity.uuid, display(identity.name), authority.pem(certificate), identity.not_after)


def _life(issued: Issued) -> float:
    return issued.identity.not_after - issued.issued_at
