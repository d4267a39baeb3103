"""TLS of the two ports: what a peer must show before the first byte of HTTP.

Each port trusts one certificate authority, as the only anchor: the agents'
port the Job CA, the users' port the People CA.  So TLS itself decides which
kind of peer may enter where.  What OpenSSL lets pass and we do not (no EKU, a
CA used as a leaf, revoked, expired since) is refused by ``doors``.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, NamedTuple

from jobmon_server.errors import ServerError

# Failures of a client that means well, besides a certificate that is not good here.
_TOLD = ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "UNSUPPORTED_PROTOCOL")
_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


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


def tls_extension(tls: PeerTLS) -> dict[object, object]:
    """The connection in the form of ASGI's TLS extension, ``scope["extensions"]["tls"]``.

    The chain is the leaf alone: its issuer is this port's one anchor.
    """
    chain = [ssl.DER_cert_to_PEM_cert(tls.certificate)] if tls.certificate else []
    return {
        "server_cert": None,
        "client_cert_chain": chain,
        "client_cert_name": None,  # names are compared as tuples, never as text: see Peer.name
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(tls.version),
        "cipher_suite": None,
    }


class _TellingObject(ssl.SSLObject):
    """A server's end that lets a refused client hear why.

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
    context.sslobject_class = _TellingObject
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
