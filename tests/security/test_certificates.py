"""A zoo of certificates: only the genuine ones log in, and it is known which wall stops each other one.

Two walls: TLS, set up as the server sets it up (one intermediate as the only
anchor, strict), and the profile.  Each certificate has its verdict at either.
Those that TLS lets pass are the control: without the profile they would be in.
"""

import datetime
import ipaddress
import ssl
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from jobmon_pki import keys, names, profiles
from jobmon_pki.authority import Authority, der, key_id, pem
from jobmon_pki.names import COMMON_NAME, Name
from jobmon_pki.profiles import JOB, PEOPLE, ProfileError, read_identity
from jobmon_pki.site import Site
from jobmon_wire.credential import Credential

NOW = float(int(time.time()))
DAY = datetime.timedelta(days=1)
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
USERS, AGENTS = "users", "agents"


@dataclass(frozen=True)
class Leaf:
    """A certificate to be made: a genuine one but for what is said otherwise."""

    port: str
    subject: x509.Name
    alternatives: list[x509.GeneralName] | None
    is_ca: bool | None = False
    usage: x509.KeyUsage | None = profiles.SIGNING
    purposes: list[x509.ObjectIdentifier] | None = field(default_factory=lambda: [ExtendedKeyUsageOID.CLIENT_AUTH])
    start: datetime.timedelta = -datetime.timedelta(minutes=10)
    life: datetime.timedelta = DAY
    others: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    key: Any = None
    signer: str = ""  # "", "self", "owner", "other port" or "other site"
    claimed_issuer: bool = False  # names the key of the real authority as its issuer's


class Zoo:
    """A site, a second one, and what is needed to make any certificate under them."""

    def __init__(self, directory: Path) -> None:
        base = names.parse("/DC=org/DC=example/O=Example")
        urls = "https://localhost:8443", "https://localhost:8444"
        self.site, self.other = (
            Site.create(directory / name, ["localhost", "127.0.0.1"], "caf", base, *urls, NOW) for name in ("a", "b")
        )
        self.owner = self.site.person_name("alice")
        self.credential = self.site.issue_person("alice", (), None, NOW)

    def genuine(self, port: str) -> Leaf:
        """What the site itself would issue."""
        if port == USERS:
            uri = profiles.owner_uri(self.site.domain, self.owner)
            return Leaf(port, names.to_x509(self.owner), [x509.UniformResourceIdentifier(uri)])
        uri = profiles.job_uri(self.site.domain, UUID)
        return Leaf(port, names.to_x509(self.owner + ((COMMON_NAME, "job1"),)), [x509.UniformResourceIdentifier(uri)])

    def authority(self, port: str, site: Site | None = None) -> Authority:
        """What signs for a port."""
        chosen = site or self.site
        return chosen.people_authority() if port == USERS else chosen.job_authority()

    def make(self, leaf: Leaf) -> Credential:
        """The certificate, with its chain where it needs one, and its key."""
        key = leaf.key or keys.new_key()
        chain, signer = "", self.authority(leaf.port)
        if leaf.signer == "owner":
            chain = self.credential.certificate
            signer = Authority(x509.load_pem_x509_certificate(chain.encode()), keys.read_key(self.credential.key))
        elif leaf.signer == "other port":
            signer = self.authority(AGENTS if leaf.port == USERS else USERS)
        elif leaf.signer == "other site":
            signer = self.authority(leaf.port, self.other)
        issuer_name = leaf.subject if leaf.signer == "self" else signer.certificate.subject
        issuer_key = key if leaf.signer == "self" else signer.key
        named = self.authority(leaf.port).certificate if leaf.claimed_issuer else signer.certificate
        identifier = key_id(named)
        start = datetime.datetime.fromtimestamp(NOW, datetime.UTC) + leaf.start
        builder = (
            x509.CertificateBuilder(issuer_name, leaf.subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + leaf.life)
            .add_extension(x509.AuthorityKeyIdentifier(identifier, None, None), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        for extension, critical in self._extensions(leaf):
            builder = builder.add_extension(extension, critical=critical)
        certificate = builder.sign(issuer_key, hashes.SHA256())
        return self.credential._replace(certificate=pem(certificate) + chain, key=_key_pem(key))

    def _extensions(self, leaf: Leaf) -> Iterator[tuple[x509.ExtensionType, bool]]:
        if leaf.is_ca is not None:
            yield x509.BasicConstraints(ca=leaf.is_ca, path_length=None), True
        if leaf.usage is not None:
            yield leaf.usage, True
        if leaf.purposes is not None:
            yield x509.ExtendedKeyUsage(leaf.purposes), False
        if leaf.alternatives is not None:
            yield x509.SubjectAlternativeName(leaf.alternatives), not list(leaf.subject)
        yield from leaf.others

    def profile_verdict(self, port: str, certificate: str) -> str:
        """What the profile says: ``pass``, or why not."""
        first = x509.load_pem_x509_certificate(certificate.encode())
        anchor = key_id(self.authority(port).certificate)
        try:
            read_identity(der(first), PEOPLE if port == USERS else frozenset([JOB]), anchor)
        except ProfileError as error:
            return str(error)
        return "pass"

    def tls_verdict(self, port: str, credential: Credential, directory: Path) -> str:
        """What TLS says: ``pass``, or why not."""
        return handshake(self.site, port, credential, directory)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """One zoo for all: nothing in it changes."""
    return Zoo(tmp_path_factory.mktemp("zoo"))


def handshake(site: Site, port: str, credential: Credential, directory: Path) -> str:
    """A whole TLS 1.3 handshake in memory, the server as strict as the real one."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = ssl.TLSVersion.TLSv1_3
    server.num_tickets = 0
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    server.load_cert_chain(site.server_certificate, site.server_key)
    server.load_verify_locations(site.people_ca if port == USERS else site.job_ca)
    client = ssl.create_default_context(cadata=site.server_ca_pem())
    file = directory / "client.pem"
    file.write_text(credential.certificate + credential.key)
    try:
        client.load_cert_chain(file)
        _shake(server, client)
    except ssl.SSLError as error:
        return error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error.reason)
    return "pass"


def _shake(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
    ]
    for _ in range(4):  # a handshake of TLS 1.3 takes two turns of each
        for end in reversed(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ends[0].version() == "TLSv1.3"
    assert ends[0].getpeercert(binary_form=True)


def _key_pem(key: Any) -> str:
    parts = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return str(key.private_bytes(*parts).decode())


def _named(zoo: Zoo, *more: tuple[str, str]) -> x509.Name:
    return names.to_x509(zoo.owner + tuple(more))


def _odd(zoo: Zoo, value: str, kind: _ASN1Type = _ASN1Type.UTF8String) -> x509.Name:
    """Alice's name with another last CN, which ``to_x509`` would not write."""
    return x509.Name([*names.to_x509(zoo.owner[:-1]), x509.NameAttribute(NameOID.COMMON_NAME, value, kind)])


def _uri(*texts: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(text) for text in texts]


def _owner_uri(zoo: Zoo, name: Name) -> list[x509.GeneralName]:
    return _uri(profiles.owner_uri(zoo.site.domain, name))


def _multi_valued(zoo: Zoo) -> x509.Name:
    last = [x509.NameAttribute(NameOID.COMMON_NAME, "alice"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x")]
    return x509.Name([*names.to_x509(zoo.owner[:-1]).rdns, x509.RelativeDistinguishedName(last)])


Change = Callable[[Zoo, Leaf], Leaf]
SIGNING_CA = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
ADMIN = profiles.admin_extension(("caf",))
PASS = "pass"

# (what it is, the port it is shown at, how it differs, part of TLS's verdict, part of the profile's)
GENUINE: list[tuple[str, str, Change]] = [
    ("an owner", USERS, lambda zoo, leaf: leaf),
    ("an owner for seven days", USERS, lambda zoo, leaf: replace(leaf, life=7 * DAY)),
    ("an administrator", USERS, lambda zoo, leaf: replace(leaf, others=((ADMIN, False),))),
    ("an owner with an RSA key", USERS, lambda zoo, leaf: replace(leaf, key=rsa.generate_private_key(65537, 2048))),
    ("a job", AGENTS, lambda zoo, leaf: leaf),
    ("a job for thirty days", AGENTS, lambda zoo, leaf: replace(leaf, life=30 * DAY)),
]
ZOO: list[tuple[str, str, Change, str, str]] = [
    # Who signed it
    ("signed by itself", USERS, lambda zoo, leaf: replace(leaf, signer="self"), "unable to get", "itself"),
    (
        "signed by the CA of another site",
        USERS,
        lambda zoo, leaf: replace(leaf, signer="other site"),
        "unable to get",
        "another authority",
    ),
    (
        "signed by another site's CA in the name of ours",
        USERS,
        lambda zoo, leaf: replace(leaf, signer="other site", claimed_issuer=True),
        "signature failure",
        PASS,
    ),
    (
        "signed with an owner's key",
        USERS,
        lambda zoo, leaf: replace(leaf, signer="owner", subject=_named(zoo, (COMMON_NAME, "job1"))),
        "invalid CA certificate",
        "another authority",
    ),
    (
        "a job signed with an owner's key in the name of the Job CA",
        AGENTS,
        lambda zoo, leaf: replace(leaf, signer="owner", claimed_issuer=True),
        "unable to get",
        PASS,
    ),
    ("an owner at the agents' port", AGENTS, lambda zoo, leaf: replace(zoo.genuine(USERS)), "unable", "role owner"),
    ("a job at the users' port", USERS, lambda zoo, leaf: replace(zoo.genuine(AGENTS)), "unable", "role job"),
    (
        "a job signed by the People CA, at the users' port",
        USERS,
        lambda zoo, leaf: replace(zoo.genuine(AGENTS), port=USERS),
        PASS,
        "role job",
    ),
    (
        "an owner signed by the Job CA, at the agents' port",
        AGENTS,
        lambda zoo, leaf: replace(zoo.genuine(USERS), port=AGENTS),
        PASS,
        "role owner",
    ),
    # When
    ("expired", USERS, lambda zoo, leaf: replace(leaf, start=-2 * DAY), "expired", PASS),
    ("not yet valid", USERS, lambda zoo, leaf: replace(leaf, start=DAY), "not yet valid", PASS),
    ("an owner for ten years", USERS, lambda zoo, leaf: replace(leaf, life=3650 * DAY), PASS, "life"),
    ("an owner for eight days", USERS, lambda zoo, leaf: replace(leaf, life=8 * DAY), PASS, "life"),
    ("a job for a year", AGENTS, lambda zoo, leaf: replace(leaf, life=365 * DAY), PASS, "life"),
    # What for
    ("without extended key usage", USERS, lambda zoo, leaf: replace(leaf, purposes=None), PASS, "no extension"),
    (
        "for servers",
        USERS,
        lambda zoo, leaf: replace(leaf, purposes=[ExtendedKeyUsageOID.SERVER_AUTH]),
        "unsuitable",
        "extended key usage",
    ),
    (
        "for servers and clients",
        USERS,
        lambda zoo, leaf: replace(leaf, purposes=[ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
        PASS,
        "extended key usage",
    ),
    (
        "for any purpose",
        USERS,
        lambda zoo, leaf: replace(leaf, purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),
        "unsuitable",
        "extended key usage",
    ),
    (
        "an authority of its own",
        USERS,
        lambda zoo, leaf: replace(leaf, is_ca=True, usage=SIGNING_CA),
        PASS,
        "may not issue",
    ),
    (
        "an authority by basic constraints alone",
        USERS,
        lambda zoo, leaf: replace(leaf, is_ca=True),
        PASS,
        "may not issue",
    ),
    ("without basic constraints", USERS, lambda zoo, leaf: replace(leaf, is_ca=None), PASS, "basic constraints"),
    ("without key usage", USERS, lambda zoo, leaf: replace(leaf, usage=None), PASS, "key usage"),
    (
        "that may sign certificates",
        USERS,
        lambda zoo, leaf: replace(leaf, usage=SIGNING_CA),
        "keyCertSign",
        "key usage",
    ),
    (
        "with a critical extension nobody knows",
        USERS,
        lambda zoo, leaf: replace(leaf, others=((UNKNOWN, True),)),
        "unhandled critical",
        "critical",
    ),
    (
        "with a critical list of clusters",
        USERS,
        lambda zoo, leaf: replace(leaf, others=((ADMIN, True),)),
        "unhandled critical",
        "critical",
    ),
    (
        "an administrator of a cluster that cannot be",
        USERS,
        lambda zoo, leaf: replace(
            leaf, others=((x509.UnrecognizedExtension(profiles.ADMIN_EXTENSION, b"\x0c\x01*"), False),)
        ),
        PASS,
        "name of a cluster",
    ),
    (
        "an administrator of nothing",
        USERS,
        lambda zoo, leaf: replace(
            leaf, others=((x509.UnrecognizedExtension(profiles.ADMIN_EXTENSION, b"\x0c\x00"), False),)
        ),
        PASS,
        "name of a cluster",
    ),
    (
        "an administrator by bytes that are no list",
        USERS,
        lambda zoo, leaf: replace(
            leaf, others=((x509.UnrecognizedExtension(profiles.ADMIN_EXTENSION, b"\x0c\x81\x03caf"), False),)
        ),
        PASS,
        "cannot be read",
    ),
    (
        "a job that is administrator",
        AGENTS,
        lambda zoo, leaf: replace(leaf, others=((ADMIN, False),)),
        PASS,
        "names an administrator",
    ),
    # Whose
    (
        "with an empty subject",
        USERS,
        lambda zoo, leaf: replace(leaf, subject=x509.Name([])),
        PASS,
        "critical extension",
    ),
    (
        "an owner whose name is a job's",
        USERS,
        lambda zoo, leaf: replace(
            leaf,
            subject=_named(zoo, (COMMON_NAME, "job1")),
            alternatives=_owner_uri(zoo, zoo.owner + ((COMMON_NAME, "job1"),)),
        ),
        PASS,
        "not the name",
    ),
    (
        "an owner without a CN",
        USERS,
        lambda zoo, leaf: replace(
            leaf, subject=names.to_x509(zoo.owner[:-1]), alternatives=_owner_uri(zoo, zoo.owner[:-1])
        ),
        PASS,
        "not the name",
    ),
    (
        "a job with two CNs",
        AGENTS,
        lambda zoo, leaf: replace(leaf, subject=_named(zoo, (COMMON_NAME, "job1"), (COMMON_NAME, "job2"))),
        PASS,
        "not the name",
    ),
    ("a job with its owner's name", AGENTS, lambda zoo, leaf: replace(leaf, subject=_named(zoo)), PASS, "not the name"),
    (
        "a job whose id is none",
        AGENTS,
        lambda zoo, leaf: replace(leaf, subject=_named(zoo, (COMMON_NAME, "no job"))),
        PASS,
        "no job id",
    ),
    (
        "with two attributes in one RDN",
        USERS,
        lambda zoo, leaf: replace(leaf, subject=_multi_valued(zoo)),
        PASS,
        "more than one attribute",
    ),
    (
        "with a name as BMPString",
        USERS,
        lambda zoo, leaf: replace(leaf, subject=_odd(zoo, "alice", _ASN1Type.BMPString)),
        PASS,
        "not encoded",
    ),
    (
        "with a name as PrintableString",
        USERS,
        lambda zoo, leaf: replace(leaf, subject=_odd(zoo, "alice", _ASN1Type.PrintableString)),
        PASS,
        "not encoded",
    ),
    (
        "with a NUL in the name",
        USERS,
        lambda zoo, leaf: replace(leaf, subject=_odd(zoo, "alice\0x")),
        "invalid name",
        "be seen",
    ),
    ("with an escape in the name", USERS, lambda zoo, leaf: replace(leaf, subject=_odd(zoo, "\x1b]0;x")), PASS, "seen"),
    ("with a zero-width space", USERS, lambda zoo, leaf: replace(leaf, subject=_odd(zoo, "al\u200bice")), PASS, "seen"),
    ("with two spaces in a row", USERS, lambda zoo, leaf: replace(leaf, subject=_odd(zoo, "al  ice")), PASS, "two in"),
    ("with a name in NFD", USERS, lambda zoo, leaf: replace(leaf, subject=_odd(zoo, "e\u0301lan")), PASS, "NFC"),
    (
        "with alice's URI and Alice's name",
        USERS,
        lambda zoo, leaf: replace(leaf, subject=_odd(zoo, "Alice")),
        PASS,
        "another name",
    ),
    (
        "with a name outside the site",
        USERS,
        lambda zoo, leaf: replace(
            leaf,
            subject=names.to_x509(names.parse("/DC=com/O=Evil/OU=People/CN=alice")),
            alternatives=_owner_uri(zoo, names.parse("/DC=com/O=Evil/OU=People/CN=alice")),
        ),
        "permitted subtree violation",
        PASS,
    ),
    # The alternative name
    ("without alternative names", USERS, lambda zoo, leaf: replace(leaf, alternatives=None), PASS, "alternative name"),
    ("with a DNS name", USERS, lambda zoo, leaf: replace(leaf, alternatives=[x509.DNSName("a.org")]), PASS, "server"),
    (
        "with an address",
        USERS,
        lambda zoo, leaf: replace(leaf, alternatives=[x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
        PASS,
        "role server",
    ),
    (
        "with a mail address",
        USERS,
        lambda zoo, leaf: replace(leaf, alternatives=[x509.RFC822Name("a@example.org")]),
        PASS,
        "exactly one URI",
    ),
    (
        "with two URIs",
        USERS,
        lambda zoo, leaf: replace(leaf, alternatives=[*(leaf.alternatives or []), *_uri("jobmon://a.org/job/" + UUID)]),
        PASS,
        "exactly one URI",
    ),
    (
        "with a URI and a DNS name",
        AGENTS,
        lambda zoo, leaf: replace(leaf, alternatives=[*(leaf.alternatives or []), x509.DNSName("a.org")]),
        PASS,
        "exactly one URI",
    ),
    (
        "with another scheme",
        AGENTS,
        lambda zoo, leaf: replace(leaf, alternatives=_uri("https://x/job/" + UUID)),
        PASS,
        "URI",
    ),
    (
        "with another role",
        AGENTS,
        lambda zoo, leaf: replace(leaf, alternatives=_uri("jobmon://x/root/" + UUID)),
        PASS,
        "URI",
    ),
    (
        "with more behind the URI",
        AGENTS,
        lambda zoo, leaf: replace(leaf, alternatives=_uri(f"jobmon://a.org/job/{UUID}\n")),
        PASS,
        "URI",
    ),
    (
        "with a UUID in capitals",
        AGENTS,
        lambda zoo, leaf: replace(leaf, alternatives=_uri("jobmon://a.org/job/" + UUID.upper())),
        PASS,
        "URI",
    ),
    (
        "with a UUID without dashes",
        AGENTS,
        lambda zoo, leaf: replace(leaf, alternatives=_uri("jobmon://a.org/job/" + UUID.replace("-", "") + "----")),
        PASS,
        "names no job",
    ),
    # The key
    (
        "with a short RSA key",
        USERS,
        lambda zoo, leaf: replace(leaf, key=rsa.generate_private_key(65537, 1024)),
        "EE_KEY_TOO_SMALL",
        "kind of key",
    ),
]


@pytest.mark.parametrize(("what", "port", "change"), GENUINE, ids=[row[0] for row in GENUINE])
def test_a_genuine_certificate_passes_both_walls(
    zoo: Zoo, tmp_path: Path, what: str, port: str, change: Change
) -> None:
    credential = zoo.make(change(zoo, zoo.genuine(port)))

    assert zoo.tls_verdict(port, credential, tmp_path) == PASS
    assert zoo.profile_verdict(port, credential.certificate) == PASS


@pytest.mark.parametrize(("what", "port", "change", "tls", "profile"), ZOO, ids=[row[0] for row in ZOO])
def test_every_other_certificate_is_stopped_by_the_wall_that_is_known_to(
    zoo: Zoo, tmp_path: Path, what: str, port: str, change: Change, tls: str, profile: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # cryptography warns of names that nobody may issue
        credential = zoo.make(change(zoo, zoo.genuine(port)))

        verdicts = zoo.tls_verdict(port, credential, tmp_path), zoo.profile_verdict(port, credential.certificate)

    assert verdicts != (PASS, PASS)
    assert _agrees(verdicts[0], tls), verdicts
    assert _agrees(verdicts[1], profile), verdicts


def _agrees(verdict: str, expected: str) -> bool:
    return verdict == PASS if expected == PASS else verdict != PASS and expected in verdict


def test_what_the_site_issues_itself_logs_in_at_its_own_port_alone(zoo: Zoo, tmp_path: Path) -> None:
    job = zoo.site.issue_job_credentials("alice", ["job1"], None, NOW)[0]
    admin = zoo.site.issue_person("root", ("caf",), None, NOW)

    for credential, port, other in ((zoo.credential, USERS, AGENTS), (admin, USERS, AGENTS), (job, AGENTS, USERS)):
        assert zoo.tls_verdict(port, credential, tmp_path) == PASS
        assert zoo.profile_verdict(port, credential.certificate) == PASS
        assert "unable" in zoo.tls_verdict(other, credential, tmp_path)
        assert "role" in zoo.profile_verdict(other, credential.certificate)


def test_agents_trust_no_server_made_with_any_other_key_of_the_site(zoo: Zoo) -> None:
    for port in (USERS, AGENTS):
        leaf = replace(
            zoo.genuine(port),
            purposes=[ExtendedKeyUsageOID.SERVER_AUTH],
            alternatives=[x509.DNSName("localhost")],
        )
        fake = zoo.make(leaf)
        client = ssl.create_default_context(cadata=zoo.site.server_ca_pem())
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        file = zoo.site.directory / "fake.pem"
        chain = zoo.authority(port).certificate, x509.load_pem_x509_certificate(zoo.site.client_ca.read_bytes())
        file.write_text(fake.key + fake.certificate + "".join(pem(one) for one in chain))
        server.load_cert_chain(file)

        with pytest.raises(ssl.SSLCertVerificationError):
            _shake(server, client)


def test_bytes_that_are_no_certificate_are_refused() -> None:
    for noise in (b"", b"\x30\x00", b"x" * 1000):
        with pytest.raises(ProfileError, match="cannot be read"):
            read_identity(noise, profiles.ROLES)


def test_a_certificate_with_any_byte_changed_is_refused_or_says_the_same(zoo: Zoo) -> None:
    """TLS has checked the signature by then; here only crashes are looked for."""
    genuine = der(x509.load_pem_x509_certificate(zoo.credential.certificate.encode()))
    anchor = key_id(zoo.authority(USERS).certificate)
    outcomes = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for position in range(len(genuine)):
            for flip in (0x01, 0x80):
                changed = bytearray(genuine)
                changed[position] ^= flip
                try:
                    read_identity(bytes(changed), PEOPLE, anchor)
                    outcomes.add("read")
                except ProfileError:
                    outcomes.add("refused")

    assert outcomes == {"read", "refused"}  # a changed serial or signature is for TLS to find
