"""An authority: a certificate, its key, and what it issues with them.

Two roots that trust nothing of each other: the server root signs the server's
certificate and nothing else; the client root signs the People CA and the Job
CA, which sign people's and jobs' certificates.  Extended key usage on both
keeps either from making a server; name constraints hold them to the site's
base.  No file is touched here, and nothing is recorded.
"""

import datetime
import ipaddress
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from jobmon_pki import keys, profiles
from jobmon_pki.errors import PkiError
from jobmon_pki.names import COMMON_NAME, Name, display, to_x509

HOSTS = 64  # names one server's certificate may carry
HOST_NAME = re.compile(
    "(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)

_SERIAL_BITS = 128  # random, so that nobody can foresee what will be signed


class AuthorityError(PkiError):
    """The authority will not issue that."""


class Authority(NamedTuple):
    """What signs: a certificate and the key in it."""

    certificate: x509.Certificate
    key: keys.PrivateKey

    @property
    def not_after(self) -> float:
        """The moment after which nothing that it issued is valid."""
        return self.certificate.not_valid_after_utc.timestamp()

    def issue_server(
        self, hosts: Sequence[str], name: Name, public_key: keys.PublicKey, now: float, lifetime: float | None = None
    ) -> x509.Certificate:
        """A server's certificate for the hosts, names or addresses."""
        if not 0 < len(hosts) <= HOSTS:
            raise AuthorityError(f"a server has 1 to {HOSTS} host names, not {len(hosts)}; name them with --host")
        alternatives = x509.SubjectAlternativeName([host_name(host) for host in hosts])
        return self._issue(profiles.SERVER, name, alternatives, public_key, now, lifetime)

    def issue_person(
        self,
        name: Name,
        public_key: keys.PublicKey,
        domain: str,
        clusters: tuple[str, ...],
        lifetime: float | None,
        now: float,
    ) -> x509.Certificate:
        """An owner's certificate, or an administrator's when clusters are named."""
        alternatives = x509.SubjectAlternativeName(
            [x509.UniformResourceIdentifier(profiles.owner_uri(domain, name))],
        )
        if not clusters:
            return self._issue(profiles.OWNER, name, alternatives, public_key, now, lifetime)
        extension = profiles.admin_extension(clusters)
        return self._issue(profiles.ADMIN, name, alternatives, public_key, now, lifetime, extension)

    def issue_job(
        self,
        owner: Name,
        job_id: str,
        uuid: str,
        public_key: keys.PublicKey,
        lifetime: float | None,
        now: float,
        domain: str,
    ) -> x509.Certificate:
        """A job's certificate: its owner's name and one CN more."""
        if not profiles.JOB_ID.fullmatch(job_id):
            raise AuthorityError(
                f"{job_id[:70]!r} cannot be a job id; use 1 to 64 letters, digits and ._:@-, a letter or digit first"
            )
        alternatives = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(profiles.job_uri(domain, uuid))])
        name = owner + ((COMMON_NAME, job_id),)
        return self._issue(profiles.JOB, name, alternatives, public_key, now, lifetime)

    def _issue(
        self,
        role: str,
        name: Name,
        alternatives: x509.SubjectAlternativeName,
        public_key: keys.PublicKey,
        now: float,
        lifetime: float | None,
        *others: x509.ExtensionType,
    ) -> x509.Certificate:
        profile = profiles.PROFILES[role]
        end = self._end(role, now, profile.life if lifetime is None else lifetime)
        builder = _builder(name, self.certificate.subject, public_key, now - profile.backdate, end)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(profiles.SIGNING, critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([profile.purpose]), critical=False)
        builder = builder.add_extension(alternatives, critical=False)
        for extension in others:
            builder = builder.add_extension(extension, critical=False)
        certificate = _signed(builder, self.certificate, self.key)
        # What is issued must be what will be accepted: better no certificate than one that is turned away later.
        profiles.read_identity(der(certificate), frozenset([role]), key_id(self.certificate))
        return certificate

    def _end(self, role: str, now: float, lifetime: float) -> float:
        longest = profiles.PROFILES[role].longest
        if not 0 < lifetime <= longest:
            raise AuthorityError(
                f"a lifetime of {duration_text(lifetime)} is not given; "
                f"a certificate for the role {role} lives at most {duration_text(longest)}"
            )
        if now >= self.not_after:
            raise AuthorityError(f"the authority {display_of(self.certificate)} has expired; make a new site")
        return min(now + lifetime, self.not_after)


def create_root(name: Name, now: float) -> Authority:
    """A root that signs itself."""
    key = keys.new_key()
    builder = _builder(name, to_x509(name), key.public_key(), now - profiles.HOUR, now + profiles.ROOT_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
    builder = builder.add_extension(_SIGNING_CERTIFICATES, critical=True)
    return Authority(_signed(builder, None, key), key)


def create_intermediate(root: Authority, name: Name, base: Name, now: float) -> Authority:
    """An authority for clients' certificates under the root, whose names begin with the base."""
    key = keys.new_key()
    end = min(now + profiles.INTERMEDIATE_LIFE, root.not_after)
    builder = _builder(name, root.certificate.subject, key.public_key(), now - profiles.HOUR, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_SIGNING_CERTIFICATES, critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    # A second wall only: OpenSSL compares these ignoring case, and an empty subject passes.
    constraints = x509.NameConstraints([x509.DirectoryName(to_x509(base))], None)
    builder = builder.add_extension(constraints, critical=True)
    return Authority(_signed(builder, root.certificate, root.key), key)


def host_name(host: str) -> x509.GeneralName:
    """A host as a certificate names it.

    Raises:
        AuthorityError: neither a name nor an address.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if HOST_NAME.fullmatch(host):
            return x509.DNSName(host)
    raise AuthorityError(f"{host[:260]!r} is neither a host name nor an address; give one without a port")


def host_texts(certificate: x509.Certificate) -> list[str]:
    """The hosts that a server's certificate names."""
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names: list[str] = list(alternatives.get_values_for_type(x509.DNSName))
    return names + [str(address) for address in alternatives.get_values_for_type(x509.IPAddress)]


def key_id(certificate: x509.Certificate) -> bytes:
    """The subject key identifier of an authority, as ``read_identity`` wants it."""
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def der(certificate: x509.Certificate) -> bytes:
    """The certificate as TLS sends it."""
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(certificate: x509.Certificate) -> str:
    """The certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def display_of(certificate: x509.Certificate) -> str:
    """The subject of any certificate, safe to print."""
    return display(
        tuple((part.oid.dotted_string, str(part.value)) for rdn in certificate.subject.rdns for part in rdn),
    )


def duration_text(seconds: float) -> str:
    """``36 h`` or ``7 d``, for sentences."""
    for unit, size in (("d", profiles.DAY), ("h", profiles.HOUR), ("min", 60.0)):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


_SIGNING_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _builder(
    name: Name, issuer: x509.Name, public_key: keys.PublicKey, start: float, end: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(to_x509(name))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(secrets.randbits(_SERIAL_BITS) or 1)
        .not_valid_before(_moment(start))
        .not_valid_after(_moment(end))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _signed(
    builder: x509.CertificateBuilder, issuer: x509.Certificate | None, key: keys.PrivateKey
) -> x509.Certificate:
    if issuer is None:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    else:
        identifier = x509.AuthorityKeyIdentifier(key_id(issuer), None, None)
    return builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
