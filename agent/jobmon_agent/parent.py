"""What a worker tells the idle process that forked it."""

import marshal
import os
import socket

from jobmon_wire import datagrams
from jobmon_wire.records import UDP, Beats

try:
    # hashlib would load all that libcrypto has, 2 ms of CPU, for one digest.
    from _sha256 import sha256  # type: ignore[import-not-found]
except ImportError:
    try:
        from _sha2 import sha256  # type: ignore[import-not-found]  # as Python 3.12 and newer call it
    except ImportError:
        from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple


class Parent:
    """The idle process, as its worker knows it.

    Args:
        descriptor: of a socket that keeps messages whole.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell_session(self, beats: Beats, certificate: bytes, peer: "socket.socket", callback: str) -> None:
        """Hand over a session by datagram, with its keys and not its secret.

        Args:
            certificate: of this agent, DER.
            peer: the connection it was told on: datagrams go to the same address.
            callback: how the site wants its agents to be reached.
        """
        up, down = datagrams.derive_keys(beats.secret, beats.session, sha256(certificate).digest())
        address: "Tuple[Any, ...]" = peer.getpeername()
        said = {
            "family": int(peer.family),
            "address": (address[0], beats.port) + tuple(address[2:]),
            "session": beats.session,
            "up": up,
            "down": down,
            "interval": beats.interval,
            "counter": beats.counter,
            "pending": beats.pending,
            "keeps_channel": callback != UDP,
        }
        os.write(self._descriptor, marshal.dumps(said))

    def tell_progress(self, state: "Tuple[Any, ...]") -> None:
        """Hand over how far the job's progress was read, for the next worker."""
        os.write(self._descriptor, marshal.dumps({"progress": state}))

    def tell_renewed(self, renewed: "Dict[str, Any]") -> None:
        """Hand over the job's new certificate and where its file is, for the next worker."""
        os.write(self._descriptor, marshal.dumps({"renewed": renewed}))
