"""A certificate is good for the job and the person it was issued for, which the ledger is asked for once."""

import contextlib
import ssl
from collections.abc import Callable, Iterator

import pytest

from jobmon_pki.ledger import Ledger
from jobmon_pki.profiles import JOB, Identity, read_identity
from jobmon_pki.site import Site
from jobmon_server import grants
from jobmon_server.grants import Grants
from jobmon_server.peer import Peer, peer_of
from jobmon_server.refusals import RefusedError
from tests.server.running import job_credential

SOURCE = "192.0.2.1:1024"
MOMENT = 5000.0  # s since 1970; of the renewal of whatever is asked for


@pytest.fixture
def ledger(site: Site) -> Iterator[Ledger]:
    """The site's ledger."""
    with contextlib.closing(Ledger(site.ledger_path)) as ledger:
        yield ledger


@pytest.fixture
def known(ledger: Ledger) -> Grants:
    """Grants of which none is known yet."""
    return Grants(ledger, lambda certificates, issued: MOMENT)


@pytest.fixture
def issue(site: Site) -> Callable[[str], Identity]:
    """Issues a certificate for a job of alice's."""

    def issue(job_id: str) -> Identity:
        der = ssl.PEM_cert_to_DER_cert(job_credential(site, "alice", job_id).certificate)
        return read_identity(der, frozenset([JOB]))

    return issue


def _peer(identity: Identity) -> Peer:
    return peer_of(identity, SOURCE)


def test_a_grant_tells_whose_the_job_is_and_how_long_the_certificate_lasts(
    known: Grants, issue: Callable[[str], Identity]
) -> None:
    identity = issue("4711")

    grant = known.of(_peer(identity))

    assert (grant.job_id, grant.owner, grant.renewal) == ("4711", identity.name[:-1], MOMENT)
    assert (grant.fingerprint, grant.not_after) == (identity.fingerprint, identity.not_after)


def test_the_ledger_is_asked_once_for_each_certificate(
    known: Grants, ledger: Ledger, issue: Callable[[str], Identity]
) -> None:
    peer = _peer(issue("4712"))
    first = known.of(peer)
    ledger.close()

    assert known.of(peer) == first


def test_a_certificate_that_the_ledger_lacks_is_refused_and_looked_for_again(
    known: Grants, ledger: Ledger, site: Site, issue: Callable[[str], Identity]
) -> None:
    strange = issue("4713")._replace(serial="ab" * 16, fingerprint="cd" * 32)
    with pytest.raises(RefusedError) as refused:
        known.of(_peer(strange))
    ledger.record(strange, "4713", site.cluster, 1000.0, "a test")

    assert (refused.value.code, known.of(_peer(strange)).issued) == ("credential-refused", 1000.0)


@pytest.mark.parametrize("other", ["owner", "job"])
def test_a_serial_number_of_somebody_elses_or_of_another_job_grants_nothing(
    known: Grants, issue: Callable[[str], Identity], other: str
) -> None:
    identity, another = issue("4714"), issue("4715")
    mallory = (*identity.name[:-2], (identity.name[-2][0], "mallory"), identity.name[-1])
    forged = identity._replace(name=mallory) if other == "owner" else identity._replace(uuid=another.uuid)

    with pytest.raises(RefusedError):
        known.of(_peer(forged))


def test_so_many_grants_are_known_and_the_first_is_forgotten_first(
    known: Grants, ledger: Ledger, issue: Callable[[str], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "KNOWN", 2)
    peers = [_peer(issue(f"48{number}")) for number in range(3)]
    for peer in peers:
        known.of(peer)
    ledger.close()

    assert [known.of(peer).job_id for peer in peers[1:]] == ["481", "482"]
    with pytest.raises(Exception, match="closed"):
        known.of(peers[0])
