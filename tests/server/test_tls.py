"""TLS alone decides which kind of certificate may enter a port, and forgets nothing of it for later connections."""

import contextlib
import shutil
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobmon_pki.site import Site
from jobmon_server.tls import ReloadableContext, TLSError, TLSFiles, peer_tls, server_context, tls_extension
from tests.server.running import client_context, job_credential, person_credential

RECORD = 16384  # bytes; the most content in one record of TLS


def _files(site: Site) -> TLSFiles:
    return TLSFiles(site.server_certificate, site.server_key, site.job_ca)


class Handshake:
    """A server's and a client's end, joined in memory as event loops join them."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server.wrap_bio(up, down, server_side=True)
        self.client = client.wrap_bio(down, up, server_hostname="localhost", session=session)

    def finish(self) -> None:
        """Shake hands, and let the client read once: in TLS 1.3 it learns only then that it was refused."""
        for step in (self.client.do_handshake, self.server.do_handshake) * 3:
            with contextlib.suppress(ssl.SSLWantReadError):
                step()
        self.server.write(b"y")
        assert self.client.read(1) == b"y"


@pytest.fixture
def job(site: Site, desk: Path) -> ssl.SSLContext:
    """What a job's agent connects with."""
    return client_context(job_credential(site, "alice", "4711"), site.server_ca_pem(), desk)


@pytest.fixture
def alice(site: Site, desk: Path) -> ssl.SSLContext:
    """What alice connects with."""
    return client_context(person_credential(site, "alice"), site.server_ca_pem(), desk)


def test_a_read_gives_a_record_at_most_however_much_was_asked_for(site: Site, job: ssl.SSLContext) -> None:
    ends = Handshake(server_context(_files(site)), job)
    ends.finish()
    for _ in range(2):
        ends.client.write(bytes(RECORD))

    assert [len(ends.server.read(16 * RECORD)) for _ in range(2)] == [RECORD, RECORD]


def test_the_peers_certificate_is_there_as_it_was_sent(site: Site, job: ssl.SSLContext) -> None:
    ends = Handshake(server_context(_files(site)), job)
    ends.finish()

    leaf = ends.server.getpeercert(True)
    assert ssl.DER_cert_to_PEM_cert(leaf) in list(tls_extension(peer_tls(ends.server))["client_cert_chain"])  # type: ignore[call-overload]


def test_a_job_enters_the_agents_port_and_an_owner_the_users(
    site: Site, job: ssl.SSLContext, alice: ssl.SSLContext
) -> None:
    Handshake(server_context(_files(site)), job).finish()
    Handshake(server_context(_files(site)._replace(anchor=site.people_ca)), alice).finish()


def test_neither_enters_the_others_port(site: Site, job: ssl.SSLContext, alice: ssl.SSLContext) -> None:
    with pytest.raises(ssl.SSLError):
        Handshake(server_context(_files(site)), alice).finish()
    with pytest.raises(ssl.SSLError):
        Handshake(server_context(_files(site)._replace(anchor=site.people_ca)), job).finish()


def test_without_a_certificate_nobody_enters(site: Site, desk: Path) -> None:
    with pytest.raises(ssl.SSLError):
        Handshake(server_context(_files(site)), client_context(None, site.server_ca_pem(), desk)).finish()


def test_an_older_tls_is_not_spoken(site: Site, job: ssl.SSLContext) -> None:
    job.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(ssl.SSLError):
        Handshake(server_context(_files(site)), job).finish()


def test_no_session_is_given_that_could_be_resumed(site: Site, job: ssl.SSLContext) -> None:
    context = server_context(_files(site))
    first = Handshake(context, job)
    first.finish()
    session = first.client.session

    second = Handshake(context, job, session)
    second.finish()

    assert session is None or not session.has_ticket
    assert not second.server.session_reused


def test_with_tickets_a_session_would_be_resumed(site: Site, job: ssl.SSLContext) -> None:
    """The control of the test above: the same steps resume where tickets are given."""
    context = server_context(_files(site))
    context.num_tickets = 2
    first = Handshake(context, job)
    first.finish()

    second = Handshake(context, job, first.client.session)
    second.finish()

    assert second.server.session_reused


def test_the_systems_authorities_are_not_trusted(site: Site) -> None:
    context = server_context(_files(site))

    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.verify_flags & ssl.VERIFY_X509_STRICT


def test_a_reload_changes_the_certificate_for_new_connections(site: Site, job: ssl.SSLContext) -> None:
    context = ReloadableContext.load(_files(site))
    before = Handshake(context, job)
    before.finish()
    site.renew_server(time.time())
    unchanged = Handshake(context, job)
    unchanged.finish()
    context.reload()
    after = Handshake(context, job)
    after.finish()

    certificates = [each.client.getpeercert(True) for each in (before, unchanged, after)]
    assert certificates[0] == certificates[1] != certificates[2]


def test_after_a_reload_that_failed_the_old_certificate_serves_on(
    site: Site, job: ssl.SSLContext, tmp_path: Path
) -> None:
    copy = tmp_path / "server.pem"
    shutil.copy(site.server_certificate, copy)
    context = ReloadableContext.load(_files(site)._replace(certificate=copy))
    copy.write_text("nonsense")

    with pytest.raises(TLSError):
        context.reload()
    Handshake(context, job).finish()


def _missing(path: Path) -> None:
    path.unlink()


def _garbled(path: Path) -> None:
    path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize("harm", [_missing, _garbled])
@pytest.mark.parametrize("file", ["certificate", "key", "anchor"])
def test_a_file_that_cannot_be_used_is_named(
    site: Site, tmp_path: Path, file: str, harm: Callable[[Path], None]
) -> None:
    copies = {name: Path(shutil.copy(path, tmp_path)) for name, path in _files(site)._asdict().items()}
    harm(copies[file])

    with pytest.raises(TLSError) as caught:
        server_context(TLSFiles(**copies))

    assert str(copies[file]) in str(caught.value)
    assert "; " in str(caught.value)


def test_the_key_of_another_certificate_is_told(site: Site) -> None:
    with pytest.raises(TLSError, match="no certificate with its key"):
        server_context(_files(site)._replace(key=site.job_ca_key))


def test_a_bundle_of_authorities_is_no_anchor(site: Site, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(site.job_ca.read_text() + site.people_ca.read_text())

    with pytest.raises(TLSError, match="exactly one"):
        server_context(_files(site)._replace(anchor=both))
