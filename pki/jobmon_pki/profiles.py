"""What a certificate must say to mean something: the profiles, and the reading of one.

``read_identity`` makes the checks that need nothing but the certificate, after
TLS has verified its chain; OpenSSL alone lets pass leaves without a purpose,
with CA:TRUE, or with an empty subject.  Whether the moment is right and whether
it was revoked is asked elsewhere, at every request.
"""

import datetime
import hashlib
import re
import uuid
from typing import NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from jobmon_pki import keys
from jobmon_pki.errors import PkiError
from jobmon_pki.names import COMMON_NAME, DistinguishedNameError, Name, display, from_x509, owner_of

OWNER = "owner"
ADMIN = "admin"
JOB = "job"
SERVER = "server"
PEOPLE = frozenset([OWNER, ADMIN])
ROLES = frozenset([OWNER, ADMIN, JOB, SERVER])

HOUR = 3600.0  # s
DAY = 24 * HOUR
YEAR = 365 * DAY

ROOT_LIFE = 10 * YEAR
INTERMEDIATE_LIFE = 2 * YEAR

JOB_ID = re.compile("[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}")
CLUSTER = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DOMAIN = re.compile("(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
CLUSTERS = 64  # clusters one administrator's certificate may name

# The clusters an administrator has: not critical, or OpenSSL refuses the certificate.
# The arc 2.25 is free for anyone who draws a UUID.
ADMIN_EXTENSION = x509.ObjectIdentifier("2.25.88670151406579708768622128750444241492")

_URI = re.compile("jobmon://([a-z0-9.-]{1,253})/(owner|job)/([0-9a-f-]{36,64})")
_EXTENSIONS: dict[type[x509.ExtensionType], str] = {
    x509.SubjectAlternativeName: "subject alternative name",
    x509.BasicConstraints: "basic constraints",
    x509.KeyUsage: "key usage",
    x509.ExtendedKeyUsage: "extended key usage",
    x509.AuthorityKeyIdentifier: "authority key identifier",
}
_DIGESTS = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
# What cryptography says of a certificate that is not well formed.
_UNREADABLE = (ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType)
_UTF8_STRING = 12  # DER tag


class ProfileError(PkiError, ValueError):
    """The certificate fits no profile that is accepted here."""


class Profile(NamedTuple):
    """What all certificates of one role have in common."""

    purpose: x509.ObjectIdentifier  # the one extended key usage
    life: float  # s, when nobody says otherwise
    longest: float  # s
    backdate: float  # s before the moment of issue at which it begins to be valid


_CLIENT, _SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
PROFILES = {
    # Clients are judged by the server's clock: ten minutes cover a second server's.
    OWNER: Profile(_CLIENT, DAY, 7 * DAY, 600.0),
    ADMIN: Profile(_CLIENT, 12 * HOUR, 7 * DAY, 600.0),
    JOB: Profile(_CLIENT, 7 * DAY, 30 * DAY, 600.0),
    # Worker nodes judge the server by their own clock, which may be a day off.
    SERVER: Profile(_SERVER, 90 * DAY, 90 * DAY, 48 * HOUR),
}


class Identity(NamedTuple):
    """Who a certificate speaks for."""

    role: str
    name: Name
    serial: str  # 32 or more lower hex digits
    fingerprint: str  # SHA-256 of the DER, hex
    not_before: float
    not_after: float
    uuid: str  # of the job, else empty
    clusters: tuple[str, ...]  # an administrator's
    spki: str  # SHA-256 of the public key's DER, hex


def read_identity(der: bytes, roles: frozenset[str], issuer_key_id: bytes | None = None) -> Identity:
    """Who the certificate speaks for, if it fits the profile of one of the roles.

    Args:
        der: the leaf, its chain already verified.
        roles: those that are accepted here.
        issuer_key_id: the subject key identifier of the only authority accepted.

    Raises:
        ProfileError: it fits none; the sentence says what is wrong.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        role, job, clusters = _role(certificate)
        if role not in roles:
            raise ProfileError(f"the certificate is for the role {role}, which is not accepted here")
        _check_usage(certificate, PROFILES[role].purpose)
        _check_issuer(certificate, issuer_key_id)
        _check_life(certificate, PROFILES[role])
        spki = key_digest(keys.check_public_key(certificate.public_key()))
        name = from_x509(certificate.subject)
    except (ProfileError, DistinguishedNameError, keys.RequestError) as error:
        raise ProfileError(str(error)) from error
    except _UNREADABLE as error:
        raise ProfileError("the certificate cannot be read") from error
    except UnsupportedAlgorithm as error:
        raise ProfileError("the certificate uses a kind of key or signature that is not accepted") from error
    _check_subject(role, name, certificate)
    return Identity(
        role=role,
        name=name,
        serial=serial_text(certificate.serial_number),
        fingerprint=fingerprint(der),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        uuid=job,
        clusters=clusters,
        spki=spki,
    )


def serial_text(number: int) -> str:
    """A serial number as JobMon writes it everywhere."""
    return f"{number:032x}"


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate's DER, hex."""
    return hashlib.sha256(der).hexdigest()


def key_digest(key: keys.PublicKey) -> str:
    """SHA-256 of a public key's DER, hex."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def owner_uri(domain: str, name: Name) -> str:
    """What machines read in a person's certificate."""
    return f"jobmon://{domain}/owner/{hashlib.sha256(display(name).encode()).hexdigest()}"


def job_uri(domain: str, job: str) -> str:
    """What machines read in a job's certificate; ``job`` is its uuid."""
    return f"jobmon://{domain}/job/{job}"


def admin_extension(clusters: tuple[str, ...]) -> x509.UnrecognizedExtension:
    """The extension that makes its holder administrator of the clusters.

    Raises:
        ProfileError: none, too many, or a name that no cluster has.
    """
    if not 0 < len(clusters) <= CLUSTERS:
        raise ProfileError(f"an administrator has 1 to {CLUSTERS} clusters, not {len(clusters)}")
    for cluster in clusters:
        if not CLUSTER.fullmatch(cluster):
            raise ProfileError(f"{cluster!r} cannot be the name of a cluster; letters, digits and ._- can")
    return x509.UnrecognizedExtension(ADMIN_EXTENSION, _utf8_string(",".join(clusters)))


Extension = TypeVar("Extension", bound=x509.ExtensionType)


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> x509.Extension[Extension]:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound as error:
        raise ProfileError(f"the certificate has no extension {_EXTENSIONS[kind]}") from error


def _role(certificate: x509.Certificate) -> tuple[str, str, tuple[str, ...]]:
    """The role, the job's uuid, the administrator's clusters: from the SAN and the extension."""
    alternatives = list(_extension(certificate, x509.SubjectAlternativeName).value)
    clusters = _clusters(certificate)
    if alternatives and all(isinstance(name, x509.DNSName | x509.IPAddress) for name in alternatives):
        return _unless_admin(clusters, SERVER, "")
    if len(alternatives) != 1 or not isinstance(alternatives[0], x509.UniformResourceIdentifier):
        raise ProfileError("the certificate's alternative name is not exactly one URI")
    found = _URI.fullmatch(alternatives[0].value)
    if not found or not DOMAIN.fullmatch(found.group(1)):
        raise ProfileError("the URI in the certificate is not one of JobMon's")
    if found.group(2) == JOB:
        if not _is_uuid(found.group(3)):
            raise ProfileError("the URI in the certificate names no job")
        return _unless_admin(clusters, JOB, found.group(3))
    return (ADMIN if clusters else OWNER), "", clusters


def _unless_admin(clusters: tuple[str, ...], role: str, job: str) -> tuple[str, str, tuple[str, ...]]:
    if clusters:
        raise ProfileError(f"the certificate of a {role} names an administrator's clusters")
    return role, job, ()


def _clusters(certificate: x509.Certificate) -> tuple[str, ...]:
    for extension in certificate.extensions:
        if extension.oid == ADMIN_EXTENSION and isinstance(extension.value, x509.UnrecognizedExtension):
            clusters = tuple(_read_utf8_string(extension.value.value).split(","))
            admin_extension(clusters)
            return clusters
    return ()


def _check_usage(certificate: x509.Certificate, purpose: x509.ObjectIdentifier) -> None:
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    if constraints.value.ca or not constraints.critical:
        raise ProfileError("the certificate is not marked as one that may not issue others")
    if not usage.critical or usage.value != SIGNING:
        raise ProfileError("the certificate's key usage is not digital signature alone")
    if list(_extension(certificate, x509.ExtendedKeyUsage).value) != [purpose]:
        raise ProfileError("the certificate's extended key usage is not the one of its role alone")
    known = (x509.BasicConstraints.oid, x509.KeyUsage.oid)
    if any(extension.critical and extension.oid not in known for extension in certificate.extensions):
        raise ProfileError("the certificate has a critical extension that JobMon does not use")


SIGNING = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _check_issuer(certificate: x509.Certificate, issuer_key_id: bytes | None) -> None:
    named = _extension(certificate, x509.AuthorityKeyIdentifier).value.key_identifier
    if issuer_key_id is not None and named != issuer_key_id:
        raise ProfileError("the certificate was issued by another authority")
    if certificate.issuer == certificate.subject:
        raise ProfileError("the certificate names itself as its issuer")
    algorithm = certificate.signature_hash_algorithm  # None: Ed25519 has its own
    if algorithm is not None and not isinstance(algorithm, _DIGESTS):
        raise ProfileError("the certificate is signed with a digest that is not accepted")


def _check_life(certificate: x509.Certificate, profile: Profile) -> None:
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    longest = datetime.timedelta(seconds=profile.longest + profile.backdate)
    if not datetime.timedelta(0) < life <= longest:
        raise ProfileError(f"the certificate's life of {life} is longer than {longest}, or none")


def _check_subject(role: str, name: Name, certificate: x509.Certificate) -> None:
    """The shape of a name: how many CNs there are decides nothing, but it must agree with the role."""
    trailing = {OWNER: 1, ADMIN: 1, JOB: 2, SERVER: 1}[role]
    types = [oid for oid, _ in name]
    if types.count(COMMON_NAME) != trailing or types[-trailing:] != [COMMON_NAME] * trailing:
        raise ProfileError(f"{display(name)} is not the name of a certificate for the role {role}")
    if role == JOB and not (JOB_ID.fullmatch(name[-1][1]) and owner_of(name)):
        raise ProfileError(f"{display(name)} ends in no job id")
    if role in PEOPLE:
        uri = _extension(certificate, x509.SubjectAlternativeName).value.get_values_for_type(
            x509.UniformResourceIdentifier
        )[0]
        if uri.rpartition("/")[2] != hashlib.sha256(display(name).encode()).hexdigest():
            raise ProfileError("the URI in the certificate belongs to another name")


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _utf8_string(text: str) -> bytes:
    body = text.encode()
    if len(body) < 128:
        return bytes([_UTF8_STRING, len(body)]) + body
    return bytes([_UTF8_STRING, 0x82]) + len(body).to_bytes(2, "big") + body


def _read_utf8_string(der: bytes) -> str:
    for header in (2, 4):
        text = der[header:].decode("utf-8", "replace")
        if _utf8_string(text) == der:
            return text
    raise ProfileError("the certificate's list of clusters cannot be read")
