"""A job's certificate is renewed for the same key, name and job, at two thirds of its life and until its deadline."""

import ssl
from pathlib import Path

import pytest

from jobmon_pki import profiles
from jobmon_pki.errors import PkiError
from jobmon_pki.ledger import Ledger, LedgerError
from jobmon_pki.profiles import DAY, JOB, Identity, fingerprint, read_identity
from jobmon_pki.renewal import RenewalError, deadline, due, renew
from jobmon_pki.site import Site

LIFE = 60.0  # s


class Job:
    """A job's first certificate, and the ledger it is in."""

    def __init__(self, site: Site, ledger: Ledger, now: float, life: float = LIFE) -> None:
        self.site = site
        self.ledger = ledger
        [credential] = site.issue_job_credentials("alice", ["4711"], life, now, ledger=ledger)
        self.der = ssl.PEM_cert_to_DER_cert(credential.certificate)

    def renew(self, at: float) -> Identity:
        """Renew it; who the new one speaks for."""
        made = renew(self.site, self.ledger, self.der, at, self.site.job_authority_end())
        self.der = ssl.PEM_cert_to_DER_cert(made.certificate_pem)
        return read_identity(self.der, frozenset([JOB]), self.site.job_key_id())


@pytest.fixture
def ledger(site: Site) -> Ledger:
    """The site's ledger, open."""
    with Ledger(site.ledger_path) as ledger:
        yield ledger


def test_a_renewed_certificate_is_the_old_one_with_a_later_end(site: Site, ledger: Ledger, now: float) -> None:
    job = Job(site, ledger, now)
    old = read_identity(job.der, frozenset([JOB]))

    new = job.renew(now + 40)

    assert (new.name, new.uuid, new.spki) == (old.name, old.uuid, old.spki)
    assert (old.not_after, new.not_after) == (now + LIFE, now + 40 + LIFE)
    assert [issued.identity for issued in ledger.find_job(old.uuid)] == [old, new]
    assert ledger.find(new.serial).issued_by.endswith("/CN=alice/CN=4711")


def test_it_is_due_at_two_thirds_of_its_life_and_not_before(site: Site, ledger: Ledger, now: float) -> None:
    job = Job(site, ledger, now)
    [issued] = ledger.find_job(read_identity(job.der, frozenset([JOB])).uuid)

    assert due(issued, now + DAY) == pytest.approx(now + 40)
    with pytest.raises(RenewalError, match="not to be renewed yet"):
        job.renew(now + 39)
    assert len(ledger.find_job(issued.identity.uuid)) == 1
    job.renew(now + 40)


def test_no_certificate_of_a_job_goes_beyond_thirty_days_after_the_first(
    site: Site, ledger: Ledger, now: float
) -> None:
    job, at, ends = Job(site, ledger, now, 7 * DAY), now, []
    for _ in range(20):
        at += 6 * DAY
        try:
            ends.append(job.renew(at).not_after)
        except RenewalError:
            break

    assert ends == [now + days * DAY for days in (13, 19, 25, 30)]
    [first, *_, last] = ledger.find_job(read_identity(job.der, frozenset([JOB])).uuid)
    assert deadline([first], site.job_authority_end()) == now + 30 * DAY
    assert due(last, now + 30 * DAY) is None


def test_nor_beyond_the_end_of_its_authority(site: Site, ledger: Ledger, now: float) -> None:
    end = site.job_authority_end()
    job = Job(site, ledger, end - 50, 40)

    assert job.renew(end - 20).not_after == end
    with pytest.raises(RenewalError, match="as long as a job's may"):
        job.renew(end - 5)


def test_a_revoked_certificate_is_not_renewed(site: Site, ledger: Ledger, now: float) -> None:
    job = Job(site, ledger, now)
    ledger.revoke(read_identity(job.der, frozenset([JOB])).serial, "stolen", now)

    with pytest.raises(LedgerError, match="was revoked"):
        job.renew(now + 45)


def test_nor_one_of_a_person_or_of_another_site(site: Site, ledger: Ledger, now: float, tmp_path: Path) -> None:
    person = ssl.PEM_cert_to_DER_cert(site.issue_person("alice", (), None, now, ledger=ledger).certificate)
    with Ledger(tmp_path / "other.sqlite") as other:
        [stranger] = site.issue_job_credentials("alice", ["4711"], LIFE, now, ledger=other)

    for der in (person, ssl.PEM_cert_to_DER_cert(stranger.certificate)):
        with pytest.raises(PkiError, match="no job has that certificate"):
            renew(site, ledger, der, now + 45, site.job_authority_end())


def test_the_ledger_tells_fingerprints_by_serial_number(site: Site, ledger: Ledger, now: float) -> None:
    job = Job(site, ledger, now)
    identity = read_identity(job.der, profiles.ROLES)
    site.issue_person("alice", (), None, now, ledger=ledger)

    assert ledger.fingerprints(JOB) == {identity.serial: fingerprint(job.der)}
