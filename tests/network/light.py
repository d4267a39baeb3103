"""Light agents: an agent's session by datagram without its job, many of them in one event loop.

The session is kept by ``jobmon_agent.beats`` itself, over a real socket, and is
handed to it as a worker hands it.  What a worker would do when it is rung is
left to whoever holds the agent.
"""

import asyncio
import marshal
import os
import socket
import time
from collections.abc import Callable
from typing import Any

from jobmon_agent.beats import Beats
from jobmon_agent.parent import Parent
from jobmon_wire.records import AUTO, Vitals
from jobmon_wire.records import Beats as Told

_NOTHING = Vitals(1.7e9, 1.0, 2**20, 1, 0, None)


class _Health:
    """What an agent says of a job that is none."""

    def glance(self) -> Vitals:
        """Always the same."""
        return _NOTHING


class LightAgent:
    """One agent.

    Args:
        certificate: DER, or whatever has the fingerprint that the server knows.
        host: where the server is.
        rung: is called each time that something shows that requests wait at the server.
    """

    def __init__(self, certificate: bytes, host: str, rung: Callable[["LightAgent"], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._certificate = certificate
        self._host = host
        self._rung = rung
        self._beats = Beats(_Health())  # type: ignore[arg-type]
        self._heard = -1  # the descriptor that is listened to
        self._next: asyncio.TimerHandle | None = None
        self.beats = 0  # that it has sent

    def begin(self, told: Told) -> None:
        """Take a session, or go on with the same one: where the calling thread stands its socket will stand."""
        self._beats.begin(_said(told, self._certificate, self._host))
        if self._heard < 0:
            descriptor = self._beats.descriptor(time.monotonic())
            assert descriptor is not None
            self._heard = descriptor
            self._loop.add_reader(descriptor, self._hear)
        self._plan()

    def close(self) -> None:
        """Be gone, without a word."""
        if self._next is not None:
            self._next.cancel()
        if self._heard >= 0:
            self._loop.remove_reader(self._heard)
        self._beats._close()

    def _hear(self) -> None:
        self._beats.hear(time.monotonic())
        if self._beats.is_rung:
            self._rung(self)
        self._plan()

    def _beat(self) -> None:
        self.beats += 1
        self._beats.beat(time.monotonic())
        self._plan()

    def _plan(self) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = self._loop.call_at(self._beats.next, self._beat)


class _Peer:
    """The server's end of a connection on which a worker has registered."""

    family = socket.AF_INET

    def __init__(self, host: str) -> None:
        self._host = host

    def getpeername(self) -> tuple[str, int]:
        """Where it is."""
        return self._host, 0


def _said(told: Told, certificate: bytes, host: str) -> Any:
    """A session as a worker tells it to the idle process."""
    reader, writer = os.pipe()
    try:
        Parent(writer).tell_session(told, certificate, _Peer(host), AUTO)  # type: ignore[arg-type]
        return marshal.loads(os.read(reader, 65536))
    finally:
        os.close(reader)
        os.close(writer)
