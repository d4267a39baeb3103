"""Whoever has no genuine, valid credential for a port gets nothing from it, and whoever loses his is out within 5 s.

The real server as a process; certificates as an attacker has or makes them.
Where TLS already refuses there is no answer at all; where the certificate is
one that OpenSSL lets pass, the answer is 401.  Every test has its control: the
genuine credential passes in the same way.
"""

import contextlib
import datetime
import http.client
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from jobmon_pki import profiles
from jobmon_pki.authority import Authority, create_intermediate, create_root, pem
from jobmon_pki.keys import key_pem, new_key
from jobmon_pki.ledger import Ledger
from jobmon_pki.names import COMMON_NAME, Name, to_x509
from jobmon_pki.profiles import ADMIN, JOB, OWNER
from jobmon_pki.site import Site
from jobmon_wire.credential import Credential
from jobmon_wire.documents import write_document
from jobmon_wire.records import Registration
from tests.server.running import (
    PATIENCE,
    RunningServer,
    UnansweredError,
    call,
    client_context,
    job_credential,
    new_site,
    person_credential,
    start_server,
    wait_for,
)

PROMISE = 5.0  # s from a revocation to its effect
DAY = 86400.0  # s
UUID = "00000000-0000-4000-8000-000000000001"


class Forger:
    """Makes certificates that ought to be refused, from a site's own authorities."""

    def __init__(self, site: Site, desk: Path) -> None:
        self.site = site
        self.key = new_key()
        self.alice = site.person_name("alice")
        self.desk = desk

    def context(self, certificate: str, key: ec.EllipticCurvePrivateKey | None = None) -> ssl.SSLContext:
        """What a client with this chain and key connects with."""
        credential = Credential("x", OWNER, "", "", "", "", certificate, key_pem(key or self.key), "")
        context = ssl.create_default_context(cadata=self.site.server_ca_pem())
        path = self.desk / f"forged{len(list(self.desk.iterdir()))}.pem"
        path.write_text(credential.certificate + credential.key)
        context.load_cert_chain(path)
        return context

    def person(self, signer: Authority, now: float, name: Name | None = None) -> str:
        """A person's certificate, in form, by any authority and at any moment."""
        return pem(signer.issue_person(name or self.alice, self.key.public_key(), self.site.domain, (), DAY, now))

    def job(self, signer: Authority, owner: Name, job: str = "4711") -> str:
        """A job's certificate, in form, by any authority."""
        public = self.key.public_key()
        return pem(signer.issue_job(owner, job, UUID, public, DAY, time.time(), self.site.domain))

    def leaf(self, signer: Authority, name: Name, *extensions: tuple[x509.ExtensionType, bool]) -> str:
        """A certificate of any shape."""
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(to_x509(name))
            .issuer_name(signer.certificate.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return pem(builder.sign(signer.key, hashes.SHA256()))

    def genuine_extensions(self) -> dict[str, tuple[x509.ExtensionType, bool]]:
        """Those of a good owner's certificate, to leave out or change one of."""
        uri = profiles.owner_uri(self.site.domain, self.alice)
        return {
            "constraints": (x509.BasicConstraints(False, None), True),
            "usage": (profiles.SIGNING, True),
            "purpose": (x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            "name": (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False),
        }

    def changed(self, **changes: tuple[x509.ExtensionType, bool] | None) -> ssl.SSLContext:
        """An owner's certificate by the People CA itself, with an extension left out or changed."""
        extensions = {**self.genuine_extensions(), **changes}
        present = [extension for extension in extensions.values() if extension is not None]
        return self.context(self.leaf(self.site.people_authority(), self.alice, *present))


@pytest.fixture
def forger(site: Site, desk: Path) -> Forger:
    """Somebody who has the site's directory, for the tests' purpose."""
    return Forger(site, desk)


def _knock(port: int, context: ssl.SSLContext) -> str:
    """What a visitor meets: ``closed`` by TLS, ``refused`` with 401, or ``in``."""
    try:
        answer = call(port, context)
    except UnansweredError:
        return "closed"
    if answer.code == "credential-refused":
        assert answer.status == 401
        assert answer.headers["connection"] == "close"
        return "refused"
    assert answer.code in ("", "no-such-route")  # whoami is there on the users' port alone
    return "in"


def test_the_genuine_are_let_in(server: RunningServer, site: Site, desk: Path) -> None:
    ca = site.server_ca_pem()

    assert _knock(server.users, client_context(person_credential(site, "alice"), ca, desk)) == "in"
    assert _knock(server.users, client_context(person_credential(site, "root", "caf"), ca, desk)) == "in"
    assert _knock(server.agents, client_context(job_credential(site, "alice", "4711"), ca, desk)) == "in"


def test_the_forger_could_get_in_with_nothing_changed(server: RunningServer, forger: Forger) -> None:
    """The control of every forgery below."""
    site = forger.site

    assert _knock(server.users, forger.changed()) == "in"
    assert _knock(server.users, forger.context(forger.person(site.people_authority(), time.time()))) == "in"
    assert _knock(server.agents, forger.context(forger.job(site.job_authority(), forger.alice))) == "in"


def test_without_a_certificate_both_ports_are_closed(server: RunningServer, site: Site, desk: Path) -> None:
    nobody = client_context(None, site.server_ca_pem(), desk)

    assert [_knock(port, nobody) for port in (server.users, server.agents)] == ["closed", "closed"]


def test_a_person_is_turned_away_at_the_agents_port_and_a_job_at_the_users(
    server: RunningServer, site: Site, desk: Path
) -> None:
    ca = site.server_ca_pem()

    assert _knock(server.agents, client_context(person_credential(site, "alice"), ca, desk)) == "closed"
    assert _knock(server.agents, client_context(person_credential(site, "root", "caf"), ca, desk)) == "closed"
    assert _knock(server.users, client_context(job_credential(site, "alice", "4711"), ca, desk)) == "closed"


def _self_signed(forger: Forger) -> str:
    signer = Authority(create_root(forger.alice, time.time()).certificate, forger.key)
    return forger.leaf(signer, forger.alice, *forger.genuine_extensions().values())


def _other_authority(forger: Forger) -> str:
    """Every name the same, only the keys are not the site's."""
    genuine = forger.site.people_authority().certificate
    base = forger.site.base
    root = create_root((*base, (COMMON_NAME, "JobMon client root")), time.time())
    people = create_intermediate(root, _name_of(genuine), base, time.time())
    return forger.person(people, time.time()) + pem(people.certificate) + pem(root.certificate)


def _name_of(certificate: x509.Certificate) -> Name:
    return tuple((item.oid.dotted_string, str(item.value)) for item in certificate.subject)


def _sub_authority(forger: Forger) -> str:
    """A leaf signed with an owner's own key, her genuine certificate sent along as its issuer."""
    alice = person_credential(forger.site, "alice")
    key = load_pem_private_key(alice.key.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signer = Authority(x509.load_pem_x509_certificate(alice.certificate.encode()), key)
    return forger.person(signer, time.time() - 1, forger.site.person_name("bob")) + alice.certificate


def _from_the_job_authority(forger: Forger) -> str:
    return forger.person(forger.site.job_authority(), time.time())


def _expired(forger: Forger) -> str:
    return forger.person(forger.site.people_authority(), time.time() - 2 * DAY)


def _early(forger: Forger) -> str:
    return forger.person(forger.site.people_authority(), time.time() + DAY)


@pytest.mark.parametrize(
    "forge", [_self_signed, _other_authority, _sub_authority, _from_the_job_authority, _expired, _early]
)
def test_a_chain_that_is_not_the_sites_or_not_of_this_day_is_closed_out(
    server: RunningServer, forger: Forger, forge: Callable[[Forger], str]
) -> None:
    assert _knock(server.users, forger.context(forge(forger))) == "closed"


class Shape(NamedTuple):
    """One change to an owner's certificate, as a People CA gone wrong could issue it."""

    what: str
    changes: dict[str, tuple[x509.ExtensionType, bool] | None]


def _uris(*uris: str) -> tuple[x509.ExtensionType, bool]:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris]), False


def _purposes(*purposes: x509.ObjectIdentifier) -> tuple[x509.ExtensionType, bool]:
    return x509.ExtendedKeyUsage(list(purposes)), False


_EKU = x509.ExtendedKeyUsageOID
SHAPES = [
    Shape("no purpose", {"purpose": None}),
    Shape("two purposes", {"purpose": _purposes(_EKU.CLIENT_AUTH, _EKU.SERVER_AUTH)}),
    Shape("a server's purpose", {"purpose": _purposes(_EKU.SERVER_AUTH)}),
    Shape("any purpose", {"purpose": _purposes(_EKU.ANY_EXTENDED_KEY_USAGE)}),
    Shape("an authority", {"constraints": (x509.BasicConstraints(True, 0), True)}),
    Shape("no constraints", {"constraints": None}),
    Shape("no usage", {"usage": None}),
    Shape("no URI", {"name": None}),
    Shape("a job's URI", {"name": _uris(f"jobmon://localhost/job/{UUID}")}),
    Shape("another's URI", {"name": _uris("jobmon://localhost/owner/" + "0" * 64)}),
    Shape("a stranger's URI", {"name": _uris("https://localhost/")}),
    Shape("two URIs", {"name": _uris("jobmon://localhost/owner/" + "0" * 64, "https://localhost/")}),
    Shape("a DNS name", {"name": (x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)}),
    Shape("an unknown critical extension", {"odd": (x509.UnrecognizedExtension(_EKU.TIME_STAMPING, b"\5\0"), True)}),
]


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.what for shape in SHAPES])
def test_a_certificate_of_another_shape_does_nothing(server: RunningServer, forger: Forger, shape: Shape) -> None:
    assert _knock(server.users, forger.changed(**shape.changes)) in ("closed", "refused")


def test_some_shapes_pass_openssl_and_are_refused_by_us(server: RunningServer, forger: Forger) -> None:
    """Without our own check these would be in: the control of the test above."""
    assert _knock(server.users, forger.changed(purpose=None)) == "refused"
    assert _knock(server.users, forger.changed(name=None)) == "refused"


def test_a_jobs_certificate_has_its_owners_name_and_one_more(server: RunningServer, forger: Forger) -> None:
    extensions = forger.genuine_extensions()
    uri = profiles.job_uri(forger.site.domain, UUID)
    extensions["name"] = _uris(uri)
    job = (*forger.alice, (COMMON_NAME, "4711"))
    nested = (*job, (COMMON_NAME, "4712"))
    signer = forger.site.job_authority()

    assert _knock(server.agents, forger.context(forger.leaf(signer, job, *extensions.values()))) == "in"
    assert _knock(server.agents, forger.context(forger.leaf(signer, nested, *extensions.values()))) == "refused"
    assert _knock(server.agents, forger.context(forger.leaf(signer, forger.alice, *extensions.values()))) == "refused"


def test_tls_1_2_is_not_spoken(server: RunningServer, site: Site, desk: Path) -> None:
    old = client_context(person_credential(site, "alice"), site.server_ca_pem(), desk)
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    assert _knock(server.users, old) == "closed"


def test_plain_http_gets_no_answer(server: RunningServer) -> None:
    for port in (server.users, server.agents):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\n\r\n")
            heard = b""
            while data := sock.recv(4096):
                heard += data

        assert b"HTTP" not in heard


def test_strangers_noise_leaves_the_server_well_and_its_journal_empty(
    server: RunningServer, site: Site, desk: Path
) -> None:
    context = client_context(person_credential(site, "alice"), site.server_ca_pem(), desk)
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    genuine = hello.read()
    chance = random.Random(7)
    before = len(server.errors)
    for _ in range(500):
        noise = bytearray(genuine)
        for _ in range(chance.randint(1, 8)):
            noise[chance.randrange(len(noise))] = chance.randrange(256)
        with socket.create_connection(("127.0.0.1", server.users), PATIENCE) as sock:
            sock.sendall(noise[: chance.randint(1, len(noise))])

    assert _knock(server.users, context) == "in"
    assert "raceback" not in server.errors[before:]
    assert '"error"' not in server.errors[before:]


def test_a_silent_connection_is_dropped_before_it_costs_much(server: RunningServer) -> None:
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.users), PATIENCE) as sock:
        heard = sock.recv(4096)

    assert heard == b""
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize(
    ("credential", "reason"),
    [("job", "UNKNOWN_CA"), ("none", "CERTIFICATE_REQUIRED"), ("old", "PROTOCOL_VERSION"), ("expired", "EXPIRED")],
)
def test_one_who_is_closed_out_hears_why(server: RunningServer, forger: Forger, credential: str, reason: str) -> None:
    ca, desk = forger.site.server_ca_pem(), forger.desk
    context = {
        "job": lambda: client_context(job_credential(forger.site, "alice", "1"), ca, desk),
        "none": lambda: client_context(None, ca, desk),
        "old": lambda: client_context(person_credential(forger.site, "alice"), ca, desk),
        "expired": lambda: forger.context(_expired(forger)),
    }[credential]()
    if credential == "old":
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(UnansweredError, match=reason):
        call(server.users, context)


def test_a_session_cannot_be_resumed(server: RunningServer, site: Site, desk: Path) -> None:
    context = client_context(person_credential(site, "alice"), site.server_ca_pem(), desk)
    sessions: list[ssl.SSLSession | None] = [None]
    reused = []
    for _ in range(2):
        sock = socket.create_connection(("127.0.0.1", server.users), PATIENCE)
        with context.wrap_socket(sock, server_hostname="localhost", session=sessions[-1]) as end:
            end.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while end.recv(4096):
                pass
            sessions.append(end.session)
            reused.append(end.session_reused)

    assert reused == [False, False]


class Stream:
    """A response without end, read in a thread until the server ends it."""

    def __init__(self, port: int, context: ssl.SSLContext, path: str) -> None:
        context.check_hostname = False
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE * 2, context=context)
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        self.status = response.status
        self.ended = 0.0  # loop's time at which the stream ended
        self._thread = threading.Thread(target=self._read, args=(response,))
        self._thread.start()

    def _read(self, response: http.client.HTTPResponse) -> None:
        try:
            while response.read1(4096):
                pass
        except (OSError, http.client.HTTPException):
            pass  # cut, as it should be
        self.ended = time.monotonic()
        response.close()

    def close(self) -> None:
        """Wait for the end."""
        self._thread.join(PATIENCE)
        self._connection.close()


def test_a_revoked_person_is_out_within_five_seconds_also_of_a_stream_that_is_open(
    server: RunningServer, site: Site, desk: Path
) -> None:
    alice = client_context(person_credential(site, "alice"), site.server_ca_pem(), desk)
    with Ledger(site.ledger_path) as ledger:
        serial = ledger.rows(OWNER)[-1].serial
    bob = client_context(person_credential(site, "bob"), site.server_ca_pem(), desk)
    hers, his = (Stream(server.users, context, "/v1/jobs/watch") for context in (alice, bob))
    assert (hers.status, his.status, hers.ended) == (200, 200, 0.0)

    with Ledger(site.ledger_path) as ledger:
        ledger.revoke(serial, "stolen", time.time())
    begun = time.monotonic()
    wait_for(lambda: hers.ended)

    assert hers.ended - begun < PROMISE
    assert _knock(server.users, alice) == "refused"
    assert (his.ended, _knock(server.users, bob)) == (0.0, "in")
    with Ledger(site.ledger_path) as ledger:
        ledger.revoke(ledger.rows(OWNER)[-1].serial, "the test is over", time.time())
    hers.close()
    his.close()


SAID = Registration(
    epoch=1,
    agent="0",
    python="3.11",
    mode="wrap",
    pid=1,
    started=1.0,
    command="true",
    name="",
    cwd="/",
    user="",
    node="wn1",
    cpus=1,
    memory=1,
    kernel="",
    batch={},
    tags={},
    stdout="none",
    stderr="none",
)


class AgentChannel:
    """An agent's connection: registered, its channel open."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._sock = context.wrap_socket(
            socket.create_connection(("127.0.0.1", port), PATIENCE), server_hostname="localhost"
        )
        body = write_document(SAID.document())
        self._say(b"POST /v1/register HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        self.registered = self._hear(b"}")
        self._say(b"POST /v1/channel HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.opened = self._hear(b"\r\n\r\n")

    def _say(self, data: bytes) -> None:
        self._sock.sendall(data)

    def _hear(self, end: bytes) -> bytes:
        heard = b""
        while end not in heard and (data := self._sock.recv(4096)):
            heard += data
        return heard

    def seconds_to_the_end(self) -> float:
        """How long the server keeps the channel open."""
        begun = time.monotonic()
        try:
            while self._sock.recv(4096):
                pass
        except OSError:
            pass
        self._sock.close()
        return time.monotonic() - begun


def test_a_revoked_jobs_channel_ends_within_five_seconds(server: RunningServer, site: Site, desk: Path) -> None:
    channel = AgentChannel(
        server.agents, client_context(job_credential(site, "alice", "9"), site.server_ca_pem(), desk)
    )
    assert channel.registered.startswith(b"HTTP/1.1 200")
    assert channel.opened.startswith(b"HTTP/1.1 200")

    with Ledger(site.ledger_path) as ledger:
        ledger.revoke(ledger.rows(JOB)[-1].serial, "stolen", time.time())

    assert channel.seconds_to_the_end() < PROMISE


def test_a_revoked_owners_jobs_are_out_too(server: RunningServer, site: Site, desk: Path) -> None:
    ca = site.server_ca_pem()
    person = client_context(person_credential(site, "mallory"), ca, desk)
    job = client_context(job_credential(site, "mallory", "1"), ca, desk)
    before = _knock(server.users, person), _knock(server.agents, job)

    with Ledger(site.ledger_path) as ledger:
        ledger.revoke_owner(site.person_name("mallory"), "left", time.time())
    wait_for(lambda: _knock(server.users, person) == "refused", PROMISE)
    wait_for(lambda: _knock(server.agents, job) == "refused", PROMISE)

    assert before == ("in", "in")


def test_a_stream_ends_with_the_certificate(server: RunningServer, forger: Forger) -> None:
    name = forger.alice
    life = 3.0
    signer = forger.site.people_authority()
    certificate = signer.issue_person(
        name, forger.key.public_key(), forger.site.domain, (), DAY, time.time() - DAY + life
    )
    stream = Stream(server.users, forger.context(pem(certificate)), "/v1/jobs/watch")
    assert stream.status == 200

    begun = time.monotonic()
    wait_for(lambda: stream.ended)
    stream.close()

    assert stream.ended - begun < life + PROMISE


def test_a_site_trusts_no_other_sites_people(site: Site, desk: Path, tmp_path: Path) -> None:
    other = new_site(tmp_path / "other")
    visitor = person_credential(other, "alice")

    with start_server(other.config_path) as server:
        assert _knock(server.users, client_context(visitor, other.server_ca_pem(), desk)) == "in"
        assert _knock(server.users, client_context(person_credential(site, "alice"), other.server_ca_pem(), desk)) == (
            "closed"
        )


def test_a_role_stands_in_the_certificate_and_nowhere_else(server: RunningServer, site: Site, desk: Path) -> None:
    alice = client_context(person_credential(site, "alice"), site.server_ca_pem(), desk)
    root = client_context(person_credential(site, "root", "caf"), site.server_ca_pem(), desk)
    claims = {"X-Role": ADMIN, "X-SSL-Client-S-DN": "CN=root", "X-SSL-Client-Verify": "SUCCESS", "Forwarded": "for=::1"}

    plain, claimed = (call(server.users, alice, headers=headers) for headers in ({}, claims))

    assert plain.body.split(b'"now"')[0] == claimed.body.split(b'"now"')[0]
    assert b'"role":"owner"' in claimed.body
    assert b'"role":"admin"' in call(server.users, root).body
    assert JOB.encode() not in claimed.body.split(b'"now"')[0].replace(b"jobmon", b"")
