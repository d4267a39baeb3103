"""Trials: whether datagrams pass between a node and this server, tried before any job depends on it.

A trial is a session that belongs to no job: it is opened over mutual TLS,
answers a few beats with as many acknowledgements, none longer than what it
answers, and is forgotten after some seconds.  Nothing of it is written down,
and nothing of what the beats say is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, Ends

LIFE = 30.0  # s; a self-test takes three
ANSWERS = 10  # beats of one trial that are answered
MOST = 256  # trials at a time, 1 KiB each; the oldest gives way
NOTHING = datagrams.write_ack(0, bytes(datagrams.CHALLENGE_BYTES), 0.0)


class _Trial(NamedTuple):
    ends: Ends
    until: float  # s


class Trials:
    """The trials that are under way.

    Args:
        clock: steady, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._trials: dict[bytes, _Trial] = {}  # by session, the oldest first

    def open(self, fingerprint: str) -> tuple[bytes, bytes]:
        """Begin one; its session and its secret.

        Args:
            fingerprint: of the certificate whose holder may speak in it.
        """
        session, secret = os.urandom(datagrams.SESSION_BYTES), os.urandom(datagrams.SECRET_BYTES)
        up, down = datagrams.derive_keys(secret, session, bytes.fromhex(fingerprint))
        if len(self._trials) >= MOST:
            del self._trials[next(iter(self._trials))]
        self._trials[session] = _Trial(Ends(session, down, up), self._clock() + LIFE)
        return session, secret

    def answer(self, datagram: bytes) -> bytes | None:
        """What is sent back to where a datagram came from; None: it is none of a trial."""
        head = datagrams.read_head(datagram, (BEAT,))
        trial = self._trials.get(head[1]) if head else None
        if trial is None or head is None:
            return None
        if self._clock() > trial.until or trial.ends.counter >= ANSWERS:
            del self._trials[head[1]]
            return None
        return trial.ends.seal(ACK, NOTHING) if trial.ends.open(datagram, (BEAT,)) else None
