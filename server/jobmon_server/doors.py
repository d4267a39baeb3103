"""Doors: each port admits one kind of certificate, and looks at it again at every request.

TLS has verified the chain before a visitor stands here; what OpenSSL lets pass
and we do not is refused now: no certificate at all, a resumed session, another
role or profile, not yet or no longer valid, revoked.  What is missing or
unknown is refused; so is all that is not plain HTTP.  A door knows who comes
in, not what for: that is ``policy``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple, Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from jobmon_pki.profiles import Identity, ProfileError, read_identity
from jobmon_server.peer import Peer, peer_of
from jobmon_server.refusals import RefusedError
from jobmon_server.tls import PeerTLS

VISITOR = "visitor"  # key in scope["state"], put there by connections.PeerProtocol alone
PEER = "peer"  # key in scope["state"], put there by PeerMiddleware alone

LONGEST_TARGET = 2048  # bytes of path and query; a selector is the longest thing in it
WEBSOCKET_POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1
KNOWN = 2048  # certificates that are not read anew when they come again, 2 KiB each; to read one takes 150 us


class Denials(Protocol):
    """What is revoked."""

    def reason(self, identity: Identity) -> str | None:
        """Why the certificate is refused; None if it is not."""


class Visitor(NamedTuple):
    """Who stands at the other end of one connection, found out once, when it opened."""

    identity: Identity | None
    refusal: str  # why there is no identity
    peer: Peer | None = None  # what the identity makes at the connection's address


class Door:
    """One port: the roles it admits, and from whom."""

    def __init__(
        self,
        roles: Iterable[str],
        denials: Denials,
        *,
        issuer_key_id: bytes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.roles = frozenset(roles)
        self.is_draining = False
        self.met = 0  # visitors: connections whose handshake was done
        self._denials = denials
        # What a certificate says never changes; what is refused is not remembered.
        self._read = lru_cache(KNOWN)(lambda der: read_identity(der, self.roles, issuer_key_id))
        self.clock = clock  # s since 1970

    def meet(self, tls: PeerTLS | None, client: tuple[str, int] | None) -> Visitor:
        """Read a new connection's certificate; never raises, the visitor is told at its first request.

        Args:
            client: the other end's address and port.
        """
        self.met += 1
        if tls is None or tls.certificate is None:
            return Visitor(None, "no client certificate was shown; use a JobMon credential")
        if tls.is_resumed or tls.version != "TLSv1.3":
            return Visitor(None, "the TLS session was resumed or is too old; open a new one with TLS 1.3")
        try:
            identity = self._read(tls.certificate)
        except ProfileError as error:
            return Visitor(None, f"this certificate is not for this port: {error}")
        host, port = client or ("", 0)
        return Visitor(identity, "", peer_of(identity, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))

    def check(self, visitor: Visitor | None) -> Peer:
        """Who the visitor is, if the certificate is good at this moment.

        Raises:
            RefusedError: it is not, or there is none.
        """
        if visitor is None or visitor.identity is None or visitor.peer is None:
            sentence = visitor.refusal if visitor else "the connection has no identity"
            raise RefusedError("credential-refused", sentence)
        identity, now = visitor.identity, self.clock()
        if now >= identity.not_after:
            raise RefusedError("credential-refused", "the certificate has expired; get a new one")
        if now < identity.not_before:
            raise RefusedError("credential-refused", "the certificate is not valid yet; compare the clocks")
        if identity.role not in self.roles:
            raise RefusedError("credential-refused", "this certificate is for another port")
        reason = self._denials.reason(identity)
        if reason is not None:
            raise RefusedError("credential-refused", reason)
        return visitor.peer

    def is_open_to(self, visitor: Visitor | None) -> bool:
        """The visitor's connection may stay."""
        try:
            self.check(visitor)
        except RefusedError:
            return False
        return True


class PeerMiddleware:
    """Between the port and the routes: lets requests of good peers in and says who each is."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket":
            # Another protocol class serves these, without the certificate.
            await send({"type": "websocket.close", "code": WEBSOCKET_POLICY_VIOLATION})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope["state"][PEER] = self._admit(scope)
        except RefusedError as error:
            await refuse(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> Peer:
        peer = self._door.check(scope.setdefault("state", {}).get(VISITOR))
        if self._door.is_draining:
            raise RefusedError("draining", "the server is going down; try again in a minute")
        check_request(scope)
        return peer


def check_request(scope: Scope) -> None:
    """Refuse what two readers of HTTP could read differently, and what is encoded.

    Raises:
        RefusedError: the request is one of those.
    """
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_TARGET:
        raise RefusedError("bad-request", f"the address is longer than {LONGEST_TARGET} bytes")
    headers = [(name, value.strip().lower()) for name, value in scope["headers"]]
    names = [name for name, _ in headers]
    is_other = scope.get("http_version", "1.1") != "1.1"  # on chunks in 1.0 readers differ
    if is_other or b"upgrade" in names or scope["method"] == "CONNECT":
        raise RefusedError("bad-request", "only HTTP/1.1 is spoken here, without upgrades")
    if b"content-encoding" in names:
        raise RefusedError("not-plain", "the body is encoded; send it as it is")
    # Two readers that take different ones of these for the body's length can be made to see different requests.
    lengths = names.count(b"content-length") + names.count(b"transfer-encoding")
    if lengths > 1 or any(name == b"transfer-encoding" and value != b"chunked" for name, value in headers):
        raise RefusedError("bad-request", "the request's length is told in two ways, or in an unknown one")


def refuse(error: RefusedError) -> Response:
    """The response that says no and ends the connection."""
    response = error.response()
    response.headers["connection"] = "close"
    return response
