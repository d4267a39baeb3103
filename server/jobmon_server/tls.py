"""TLS of the two ports: what a peer must show before the first byte of HTTP.

Each port trusts one certificate authority, as the only anchor: the agents'
port the Job CA, the users' port the People CA.  So TLS itself decides which
kind of peer may enter where.  What OpenSSL lets pass and we do not (no EKU, a
CA used as a leaf, revoked, expired since) is refused by ``doors``.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jobmon_server.errors import ServerError
from jobmon_wire.limits import KIB

# Failures of a client that means well, besides a certificate that is not good here.
_TOLD = ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "UNSUPPORTED_PROTOCOL")
_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
_RECORD = 16 * KIB  # bytes of content in one record of TLS, and so in one read


class TLSError(ServerError):
    """The port cannot offer TLS; the text says which file is at fault and what to do."""


class TLSFiles(NamedTuple):
    """The files of one port."""

    certificate: Path  # the server's chain, PEM
    key: Path
    anchor: Path  # the one authority whose certificates may enter, PEM


class PeerTLS(NamedTuple):
    """What TLS knows of a connection's peer."""

    certificate: bytes | None  # DER of the leaf, verified; None: none was shown
    version: str
    is_resumed: bool  # a resumed session skips verification of the chain


def peer_tls(ssl_object: ssl.SSLObject) -> PeerTLS:
    """What TLS knows of the peer, once the handshake is done."""
    # Resumption cannot be told on an object without the attribute: that counts as resumed, and is refused.
    resumed = getattr(ssl_object, "session_reused", True)
    return PeerTLS(ssl_object.getpeercert(True), ssl_object.version() or "", resumed is not False)


class _Chain:
    """Certificates as PEM, written when somebody reads them: no route of ours does."""

    __slots__ = ("_leaf",)

    def __init__(self, leaf: bytes | None) -> None:
        self._leaf = leaf

    def __iter__(self) -> Iterator[str]:
        if self._leaf is not None:
            yield ssl.DER_cert_to_PEM_cert(self._leaf)


def tls_extension(tls: PeerTLS) -> dict[object, object]:
    """The connection in the form of ASGI's TLS extension, ``scope["extensions"]["tls"]``.

    The chain is the leaf alone: its issuer is this port's one anchor.
    """
    return {
        "server_cert": None,
        "client_cert_chain": _Chain(tls.certificate),
        "client_cert_name": None,  # names are compared as tuples, never as text: see Peer.name
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(tls.version),
        "cipher_suite": None,
    }


class _ServersEnd(ssl.SSLObject):
    """A server's end that lets a refused client hear why, and does nothing in vain.

    Event loops drop a connection whose handshake fails, together with the alert
    that OpenSSL has written for the peer.  Here the failure first looks like a
    wait for more, upon which they send what is written; the next thing to come
    from the peer, its leaving or the time for handshakes then ends it.
    """

    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """As ``ssl.SSLObject``, one call later when it fails."""
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if not isinstance(error, ssl.SSLCertVerificationError) and error.reason not in _TOLD:
                raise
            self._failure = error
            raise ssl.SSLWantReadError from error

    def read(self, len: int = _RECORD, buffer: Any = None) -> Any:  # noqa: A002 - as ssl.SSLObject has it
        """As ``ssl.SSLObject``; event loops ask for 256 KiB, which are allocated before each read."""
        return super().read(min(len, _RECORD), buffer)

    def getpeercert(self, binary_form: bool = False) -> Any:
        """As ``ssl.SSLObject``; the form that event loops ask for of themselves is read by nobody, and left out."""
        return super().getpeercert(True) if binary_form else {}


class ReloadableContext(ssl.SSLContext):
    """A server's context whose certificate and anchor can be exchanged between two handshakes.

    Event loops call ``wrap_bio`` once per connection and nothing else, so each
    new connection takes whatever context is current; open ones keep theirs.
    A context cannot forget an authority, hence a fresh one at each reload.
    """

    _files: TLSFiles
    _current: ssl.SSLContext

    @classmethod
    def load(cls, files: TLSFiles) -> ReloadableContext:
        """Read the files.

        Raises:
            TLSError: one of them cannot be used.
        """
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context._files = files
        context._current = server_context(files)
        return context

    def reload(self) -> None:
        """Read the files again; after an error the old ones stay.

        Raises:
            TLSError: one of them cannot be used.
        """
        self._current = server_context(self._files)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """As ``ssl.SSLContext``, by the current files."""
        return self._current.wrap_bio(*args, **kwargs)


def server_context(files: TLSFiles) -> ssl.SSLContext:
    """The context of one port: TLS 1.3, a client certificate required, no tickets.

    Raises:
        TLSError: one of the files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # trusts nothing yet; the system's authorities are never loaded
    context.sslobject_class = _ServersEnd
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # a resumed session outlives expiry and revocation
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    _load_anchor(context, files.anchor)
    _load_chain(context, files)
    return context


def _load_chain(context: ssl.SSLContext, files: TLSFiles) -> None:
    try:
        # An encrypted key must not make a daemon ask for a passphrase on the terminal.
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
    except ssl.SSLError as error:
        raise TLSError(
            f"{files.certificate} and {files.key} are no certificate with its key ({_reason(error)}); "
            "restore them, or renew the server's certificate with: jobmon pki renew"
        ) from error
    except OSError as error:
        raise TLSError(
            f"cannot read {files.certificate} and {files.key}: {error.strerror}; "
            "run the server as the user that owns its site"
        ) from error


def _load_anchor(context: ssl.SSLContext, anchor: Path) -> None:
    try:
        context.load_verify_locations(cafile=anchor)
    except ssl.SSLError as error:
        raise TLSError(f"{anchor} is no certificate ({_reason(error)}); restore it from a backup") from error
    except OSError as error:
        raise TLSError(f"cannot read {anchor}: {error.strerror}; restore it, or make a site: --init") from error
    if len(context.get_ca_certs()) != 1:
        raise TLSError(f"{anchor} must hold exactly one authority; restore it from a backup")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "unreadable").lower().replace("_", " ")
