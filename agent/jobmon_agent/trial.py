"""What a self-test tries at the server: a short question over TLS, and whether datagrams pass.

Neither changes anything there, and neither belongs to a job that runs: the
process that asks waits for each answer, some seconds at most.
"""

import select
import socket
import time
from hashlib import sha256

from jobmon_agent import VERSION
from jobmon_agent.tls import client_context, connect, read_address
from jobmon_agent.vitals import Sample
from jobmon_wire import datagrams, http
from jobmon_wire.credential import Credential
from jobmon_wire.datagrams import ACK, BEAT, Ends
from jobmon_wire.records import Beats
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple

REFUSED = 401  # HTTP's status for a credential that is not taken

_ANSWER = 10.0  # s the server may take
_TRIES = (0.5, 1.0, 2.0)  # s that are waited for an answer to each beat; one in three may be lost on a bad day
_NOTHING = bytes(datagrams.CHALLENGE_BYTES)


class Reply(NamedTuple):
    """What the server has answered, and where it is."""

    status: int
    body: bytes
    address: "Tuple[Any, ...]"  # of the server; empty where it has gone without an answer


def ask(credential: Credential, descriptor: int, path: str) -> Reply:
    """Post an empty document.

    Args:
        descriptor: the open credential file.

    Raises:
        OSError, ValueError: sockets, TLS and HTTP fail in many ways.
    """
    address = read_address(credential.server)
    connection = connect(address, client_context(credential, descriptor), _wait)
    response, body, peer = http.Response(), b"", _peer(connection.socket)
    try:
        head = http.request_head(path, address.authority, "jobmond/" + VERSION, "application/json", 2)
        connection.unsent += head + b"{}"
        while not (response.is_complete or connection.is_at_end):
            if not _wait(connection.fileno(), connection.interest(), _ANSWER):
                raise OSError("no answer within %d s" % _ANSWER)
            body += response.feed(connection.move())
    except ConnectionError:  # TLS 1.3 refuses a certificate behind the handshake; a reset may overtake its alert
        pass
    finally:
        connection.close()
    return Reply(response.status or REFUSED, body, peer)


def echo(told: Beats, certificate: bytes, server: Reply) -> "Optional[float]":
    """Seconds that a datagram took there and back; None if none of three came back.

    Args:
        told: the session that the server has opened for this.
        certificate: of the credential, DER.
    """
    up, down = datagrams.derive_keys(told.secret, told.session, sha256(certificate).digest())
    ends = Ends(told.session, up, down)
    body = datagrams.write_beat(0, _NOTHING, datagrams.write_vitals(Sample()))
    family = socket.AF_INET6 if len(server.address) == 4 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as beats:
        for patience in _TRIES:
            begun = time.monotonic()
            try:
                beats.connect((server.address[0], told.port) + tuple(server.address[2:]))
                beats.send(ends.seal(BEAT, body))
            except OSError:  # no way there
                pass
            if _is_answered(beats, ends, begun + patience):
                return time.monotonic() - begun
    return None


def _is_answered(beats: socket.socket, ends: Ends, until: float) -> bool:
    while _wait(beats.fileno(), select.POLLIN, max(0.0, until - time.monotonic())):
        try:
            if ends.open(beats.recv(datagrams.LONGEST + 1), (ACK,)) is not None:
                return True
        except OSError:  # a gateway says no, which may be about an earlier one
            time.sleep(max(0.0, min(0.05, until - time.monotonic())))
    return False


def _peer(connection: socket.socket) -> "Tuple[Any, ...]":
    try:
        return tuple(connection.getpeername())
    except OSError:  # it has refused the certificate by now
        return ()


def _wait(descriptor: int, mask: int, timeout: float) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, mask)
    return bool(waiting.poll(int(timeout * 1000)))
