"""Arrivals: how a connection comes in, from the kernel's queue to the end of its TLS handshake.

The kernel keeps those to itself on which nothing comes at first.  The others
wait until it is their turn, and at most one handshake is begun in each turn of
the loop, so that three thousand agents at once hold up nobody who is in.  Who
has to go when there are too many is decided by ``crowds``.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from jobmon_server.connections import PeerProtocol
from jobmon_server.crowds import Arrival, Crowd, Crowds, Limits, Stage
from jobmon_server.sources import Sources

# s that the kernel keeps a connection on which nothing comes to itself.  An agent's first byte comes within
# milliseconds, so what does come here in silence is seldom an agent, however many start at once.
KEPT_BY_KERNEL = 1
ACCEPTED_AT_ONCE = 32  # connections accepted before others have their turn; each takes 30 us
REST = 0.5  # s without accepting when there are no descriptors left
ESTABLISHED = b"\1"  # the first byte of TCP_INFO for a connection both ends of which are there
_OUT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = logging.getLogger("jobmon.server")


class Arrivals:
    """The arrivals of one port.

    Args:
        sock: listens; closed by ``close``.
        context: of the handshakes.
        connect: makes the protocol of a connection with an address, which says whether its peer was admitted.
        sources: remember how it went.
        limits: for those that are not in.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        connect: Callable[[tuple[str, int]], PeerProtocol],
        sources: Sources,
        limits: Limits,
    ) -> None:
        self._sock = sock
        self._context = context
        self._connect = connect
        self._sources = sources
        self._limits = limits
        self._crowds = Crowds(limits)
        self._loop = asyncio.get_running_loop()
        self._is_starting = False  # a handshake will be begun in the loop's next turn
        self._is_told = False  # that there are no descriptors left

    def open(self) -> None:
        """Accept from now on."""
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, KEPT_BY_KERNEL)
        self._listen()

    def close(self) -> None:
        """Accept nobody any more, and let go of whoever is not in."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
        for arrival in self._crowds.everybody():
            self._drop(arrival)

    def _listen(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, address = self._sock.accept()
            except BlockingIOError:
                self._is_told = False
                return
            except OSError as error:
                if error.errno in _OUT_OF:
                    self._rest(error)
                    return
                continue  # it has left while it waited
            sock.setblocking(False)
            self._take(sock, address[:2])

    def _rest(self, error: OSError) -> None:
        """Leave connections where they are, in the kernel, until others have ended."""
        if not self._is_told:
            _log.error("no connection can be accepted for the moment", extra={"facts": {"cause": error}})
        self._is_told = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.call_later(REST, self._listen)

    def _take(self, sock: socket.socket, client: tuple[str, int]) -> None:
        source = self._sources.source(client[0])
        if self._sources.is_refused(source):
            sock.close()
            return
        crowd = self._crowds.get(source) or Crowd(source, is_unlimited=self._sources.is_unlimited(source))
        arrival = Arrival(sock, crowd, client)
        if _has_spoken(sock):
            self._wait_for_turn(arrival)
        else:
            self._wait_for_word(arrival)

    def _wait_for_word(self, arrival: Arrival) -> None:
        self._crowds.put(arrival, Stage.SILENT)
        self._loop.add_reader(arrival.sock.fileno(), self._speak, arrival)
        arrival.timer = self._loop.call_later(self._limits.silent, self._fail, arrival)
        self._make_room(arrival)

    def _speak(self, arrival: Arrival) -> None:
        self._leave(arrival)
        if _is_there(arrival.sock):
            self._wait_for_turn(arrival)
        else:
            arrival.sock.close()  # as they do who look whether a port is open

    def _wait_for_turn(self, arrival: Arrival) -> None:
        self._crowds.put(arrival, Stage.READY)
        surplus = self._crowds.surplus()
        if surplus is not None:
            self._drop(surplus)
        self._go_on()

    def _go_on(self) -> None:
        """Begin a handshake in the next turn of the loop, so that there is at most one in each."""
        if not self._is_starting:
            self._is_starting = True
            self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._is_starting = False
        arrival = self._crowds.next()
        if arrival is None:
            return
        self._go_on()
        self._leave(arrival)
        # Either may have changed while it waited.
        if not _is_there(arrival.sock) or self._sources.is_refused(arrival.crowd.source):
            arrival.sock.close()
            return
        self._crowds.put(arrival, Stage.SHAKING)
        arrival.timer = self._loop.call_later(self._limits.late, self._be_late, arrival)
        arrival.task = self._loop.create_task(self._shake_hands(arrival))
        self._make_room(arrival)

    def _be_late(self, arrival: Arrival) -> None:
        self._crowds.put(arrival, Stage.LATE)
        self._make_room(arrival)
        self._go_on()

    async def _shake_hands(self, arrival: Arrival) -> None:
        protocol = self._connect(arrival.client)
        arrival.has_transport = True
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol,
                arrival.sock,
                ssl=self._context,
                ssl_handshake_timeout=self._limits.handshake,
                ssl_shutdown_timeout=self._limits.goodbye,
            )
        except OSError:
            pass  # the peer's affair; TLS has told it where that can be
        finally:
            self._leave(arrival)
            self._go_on()
        if protocol.is_admitted:
            self._sources.succeeded(arrival.crowd.source)
        else:
            self._blame(arrival.crowd.source)

    # Leaving

    def _make_room(self, newcomer: Arrival) -> None:
        victim = self._crowds.victim(newcomer)
        if victim is not None:
            self._fail(victim)

    def _fail(self, arrival: Arrival) -> None:
        """Let go of one that has kept us waiting, and remember where it came from."""
        self._blame(arrival.crowd.source)
        self._drop(arrival)

    def _blame(self, source: str) -> None:
        if self._sources.failed(source):
            _log.warning(
                "handshakes with one address fail; it is refused for a while", extra={"facts": {"source": source}}
            )

    def _drop(self, arrival: Arrival) -> None:
        self._leave(arrival)
        if arrival.task is not None:
            arrival.task.cancel()  # which closes the connection, if it has begun
        if not arrival.has_transport:
            arrival.sock.close()

    def _leave(self, arrival: Arrival) -> None:
        """Take the arrival away from where it stands; its socket stays open."""
        if arrival.stage is Stage.SILENT:
            self._loop.remove_reader(arrival.sock.fileno())
        if arrival.timer is not None:
            arrival.timer.cancel()
            arrival.timer = None
        self._crowds.remove(arrival)


def _has_spoken(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:  # also: nothing has come yet
        return False


def _is_there(sock: socket.socket) -> bool:
    """The peer has not hung up."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == ESTABLISHED
    except OSError:
        return False
