"""Private keys, and the requests by which somebody proves to hold one.

Keys made here are on P-256: the cheapest handshake for the server.  Of a
request only the public key is ever used; whatever else it asks for, a subject,
extensions, a CA flag, is not even looked at.  Files are not touched here.
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from jobmon_pki.errors import PkiError

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey

REQUEST_LENGTH = 16 * 1024  # characters; a request of an RSA-4096 key is 1.7 KiB
RSA_BITS = 2048, 4096  # fewest and most; longer keys cost the server 10 ms a handshake and more
_CURVES = ("secp256r1", "secp384r1")
_ACCEPTED = "P-256, P-384, Ed25519 and RSA from 2048 to 4096 bits are"


class RequestError(PkiError, ValueError):
    """The certificate request, or the key in it, is refused."""


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh private key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """The key as PKCS#8, not encrypted: its file's mode is what guards it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


def read_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """The private key that ``key_pem`` wrote.

    Raises:
        RequestError: not such a key.
    """
    try:
        key = serialization.load_pem_private_key(pem.encode("ascii", "replace"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RequestError("the private key cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise RequestError("the private key is not on an elliptic curve, as JobMon's own are")
    return key


def request_pem(key: ec.EllipticCurvePrivateKey, common_name: str) -> str:
    """A PKCS#10 request signed by the key; the name in it is for people only."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


def read_request(pem: str) -> PublicKey:
    """The public key of a request whose signature shows that the sender holds the private one.

    Raises:
        RequestError: not a request, not signed by its own key, or a kind of key that is not accepted.
    """
    if len(pem) > REQUEST_LENGTH:
        raise RequestError(f"a certificate request of {len(pem)} characters is not accepted; at most {REQUEST_LENGTH}")
    try:
        request = x509.load_pem_x509_csr(pem.encode("ascii", "replace"))
        key = check_public_key(request.public_key())
        is_signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError("the certificate request cannot be read; send PKCS#10 as PEM") from error
    if not is_signed:
        raise RequestError("the certificate request is not signed by its own key")
    return key


def check_public_key(key: object) -> PublicKey:
    """The same key, if it is of a kind that JobMon certifies.

    Raises:
        RequestError: it is not.
    """
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, rsa.RSAPublicKey) and RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
        return key
    raise RequestError(f"that kind of key is not accepted; {_ACCEPTED}")
