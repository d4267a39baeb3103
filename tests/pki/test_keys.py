"""A request proves that its sender has the key, and gives nothing but the public key."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from jobmon_pki import keys
from jobmon_pki.keys import RequestError

SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "job1")])


def _request(key: object, digest: hashes.HashAlgorithm | None = None) -> str:
    if digest is None and not isinstance(key, ed25519.Ed25519PrivateKey):
        digest = hashes.SHA256()
    made = x509.CertificateSigningRequestBuilder().subject_name(SUBJECT).sign(key, digest)  # type: ignore[arg-type]
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_a_request_gives_its_public_key() -> None:
    key = keys.new_key()

    assert keys.read_request(keys.request_pem(key, "job1")) == key.public_key()


def test_a_key_is_read_back_from_its_pem() -> None:
    key = keys.new_key()

    assert keys.read_key(keys.key_pem(key)).public_key() == key.public_key()


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "Ed25519", "RSA-2048"],
)
def test_a_good_kind_of_key_is_accepted(key: object) -> None:
    assert keys.read_request(_request(key))


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 1024),
        dsa.generate_private_key(2048),
    ],
    ids=["P-521", "secp256k1", "RSA-1024", "DSA"],
)
def test_any_other_kind_of_key_is_refused(key: object) -> None:
    with pytest.raises(RequestError, match="kind of key"):
        keys.read_request(_request(key))


def test_a_request_for_a_key_of_somebody_else_is_refused() -> None:
    mine, hers = keys.new_key(), keys.new_key()
    public = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    der = x509.load_pem_x509_csr(keys.request_pem(mine, "job1").encode()).public_bytes(serialization.Encoding.DER)
    forged = der.replace(mine.public_key().public_bytes(*public), hers.public_key().public_bytes(*public))
    pem = x509.load_der_x509_csr(forged).public_bytes(serialization.Encoding.PEM).decode()

    with pytest.raises(RequestError, match="not signed by its own key"):
        keys.read_request(pem)


@pytest.mark.parametrize("text", ["", "x", "\ud800", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", "a" * 20000])
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        keys.read_request(text)


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        keys.read_key(text)
