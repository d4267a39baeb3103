"""The server's end of sessions by datagram, for agents that a test starts."""

import os
import socket
import threading
import time
from hashlib import sha256
from typing import Any

from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, BYE, WAKE, Ends
from jobmon_wire.records import Beats


class Bell:
    """One agent's session, on a socket of its own; answers beats until it is told not to."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.answers = True
        self.again = 0.0  # s within which agents are told to register again, once
        self.beats: list[tuple[int, dict[str, Any]]] = []  # level seen and vitals
        self.byes: list[tuple[float, int, str]] = []  # moment, wait status, source
        self.pending = 0
        self.address: Any = None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.02)
        self.session, self._secret = os.urandom(8), os.urandom(32)
        self._ends: Ends | None = None
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def told(self, certificate: bytes) -> dict[str, Any]:
        """What a registration is answered."""
        if self._ends is None:
            up, down = datagrams.derive_keys(self._secret, self.session, sha256(certificate).digest())
            self._ends = Ends(self.session, down, up)
        port = self.socket.getsockname()[1]
        beats = Beats(port, self.session, self._secret, self.interval, self._ends.counter, self.pending)
        return beats.document()

    def forget(self) -> None:
        """Know the session no more, as a server that has lost its state; the next registration opens another."""
        self._ends, self.session, self._secret = None, os.urandom(8), os.urandom(32)

    def ring(self) -> None:
        """Send a wake-up."""
        assert self._ends is not None
        self.socket.sendto(self._ends.seal(WAKE, datagrams.write_wake(self.pending)), self.address)

    def close(self) -> None:
        """Be gone."""
        self._is_open = False
        self._thread.join()
        self.socket.close()

    def _serve(self) -> None:
        while self._is_open:
            try:
                data, address = self.socket.recvfrom(2048)
            except (TimeoutError, ConnectionError):
                continue
            opened = self._ends.open(data, (BEAT, BYE)) if self._ends else None
            if opened is None:
                continue
            self.address = address
            if opened[0] == BEAT:
                seen, _, vitals = datagrams.read_beat(opened[1])
                self.beats.append((seen, vitals))
            else:
                self.byes.append(datagrams.read_bye(opened[1])[1:])
            if self.answers:
                ack = datagrams.write_ack(self.pending, b"challeng", self.interval, self.again)
                self.socket.sendto(self._ends.seal(ACK, ack), address)


def flood(bell: Bell, rate: int, seconds: float) -> int:
    """Send bogus datagrams from the server's own address; how many went out."""
    noise = os.urandom(108)
    sent, start = 0, time.monotonic()
    while (now := time.monotonic()) < start + seconds:
        while sent < (now - start) * rate:
            bell.socket.sendto(noise, bell.address)
            sent += 1
        time.sleep(0.0005)
    return sent
