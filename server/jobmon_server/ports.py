"""Ports: the two sockets the server listens on, each with its TLS, its door and its connections.

A port is bound first, so that a port in use is told before anything else is
done, and opened when the application behind it is ready.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time

from starlette.types import ASGIApp

from jobmon_server.arrivals import Arrivals
from jobmon_server.configuration import Address
from jobmon_server.connections import Connections
from jobmon_server.crowds import Limits
from jobmon_server.doors import Door, PeerMiddleware
from jobmon_server.errors import ServerError
from jobmon_server.sources import Sources
from jobmon_server.tls import ReloadableContext, TLSFiles

BACKLOG = 4096  # connections that wait for accept(); as many agents may come back at once


class PortError(ServerError):
    """The port cannot be listened on; the text says why and what to do."""


def bind(address: Address) -> socket.socket:
    """A socket bound to the address and listening, so that a port in use is told at once.

    Raises:
        PortError: it is in use, reserved, or no address of this machine.
    """
    # The protocol is named: asyncio sets TCP_NODELAY only where it sees that it is TCP.
    sock = _bound(address, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Two sockets may bind with SO_REUSEADDR as long as none listens: ask for the port now.
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _refused(address, error) from error
    return sock


def bind_datagrams(address: Address) -> socket.socket:
    """A socket for datagrams, bound to the address.

    Raises:
        PortError: as ``bind``.
    """
    return _bound(address, socket.SOCK_DGRAM, socket.IPPROTO_UDP)


def _bound(address: Address, kind: socket.SocketKind, protocol: int) -> socket.socket:
    try:
        family, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=kind, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise PortError(f"{address} is no address: {error.strerror}; correct it in server.toml") from error
    sock = socket.socket(family, kind, protocol)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
    except OSError as error:
        sock.close()
        raise _refused(address, error) from error
    sock.setblocking(False)
    return sock


def _refused(address: Address, error: OSError) -> PortError:
    # The event loop's wording repeats the address; the errno's does not.
    reason = os.strerror(error.errno) if error.errno else str(error)
    return PortError(f"cannot listen on {address}: {reason}; stop what listens there, or change server.toml")


class Port:
    """One listening port.

    Args:
        sock: bound.
        files: of its TLS.
        door: decides who may enter.
        sources: what is known of where connections come from; both ports of a server share it.
        limits: for those who have come and are not in.

    Raises:
        TLSError: the files cannot be used.
    """

    def __init__(
        self,
        sock: socket.socket,
        files: TLSFiles,
        door: Door,
        sources: Sources | None = None,
        limits: Limits = Limits(),  # noqa: B008
    ) -> None:
        self.door = door
        self.number = int(sock.getsockname()[1])  # the port's
        self._context = ReloadableContext.load(files)
        self._sock = sock
        self._sources = sources or Sources((), time.monotonic)
        self._limits = limits
        self._arrivals: Arrivals | None = None
        self._connections: Connections | None = None

    async def open(self, app: ASGIApp) -> None:
        """Accept connections from now on."""
        connections = self._connections = Connections(PeerMiddleware(app, self.door), self.door)
        self._sock.listen(BACKLOG)
        self._arrivals = Arrivals(self._sock, self._context, connections.open, self._sources, self._limits)
        self._arrivals.open()

    def reload(self) -> None:
        """Use the certificate that is in the files now, for new connections.

        Raises:
            TLSError: the files cannot be used; the old certificate stays.
        """
        self._context.reload()

    def sweep(self, *, is_thorough: bool = False) -> int:
        """End the connections that must not go on, see ``Connections.sweep``; give their number."""
        if self._connections is None:
            return 0
        return self._connections.sweep(asyncio.get_running_loop().time(), is_thorough=is_thorough)

    def refuse_new(self) -> None:
        """Accept no more connections, and no more requests on those that are open."""
        self.door.is_draining = True
        if self._arrivals is not None:
            self._arrivals.close()

    async def close(self, grace: float) -> None:
        """End all connections, those with an answer under way after at most ``grace`` seconds."""
        self.refuse_new()
        if self._connections is not None:
            self._connections.finish()
            await self._connections.close(grace)
        self._sock.close()
