"""The first thing of ``jobmon``: give the command to the connection holder, or carry it out here.

Through a holder a command costs little more than the start of an interpreter.
So nothing is imported at the top that Python has not loaded by itself.
"""

import os
import sys

from jobmon_console import holding

TYPE_CHECKING = False  # importing typing would cost 10 ms
if TYPE_CHECKING:
    from _socket import socket

PATIENCE = 3.0  # s for a holder to take the command up; one that was stopped must not stop us
_MOST_WORDS = 64  # bytes of all that is ever said to us


def main() -> int:
    """Run the command line; the exit status."""
    words = sys.argv[1:]
    path = holding.socket_path(words, os.environ) if holding.is_held(words, os.environ) else ""
    if path:
        status = _through_holder(path, words)
        if status is not None:
            os._exit(status)  # nothing was begun here that would have to be ended: 2 ms
    from jobmon_console.cli.main import main as carry_out

    status = carry_out(words)
    if path and status == 0:
        from jobmon_console.holder.start import start

        start(path, words)
    return status


def _through_holder(path: str, words: "list[str]") -> "int | None":
    """The exit status that a holder's child came to; None where the command is to be carried out here."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(streams) or not holding.is_private(os.path.dirname(path)):
        return None
    # socket itself would cost 6 ms, for its enumerations.
    import _socket

    client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        client.settimeout(PATIENCE)
        client.connect(path)
        # Not before it is taken up: a holder that was stopped would keep our standard output open for good.
        if _peer(client) != os.geteuid() or _read(client) != holding.TAKEN:
            return None
        client.settimeout(None)
        said = holding.request(words, os.environ, [stream.encoding for stream in streams])
        descriptors = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
        sent = client.sendmsg([said], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
        if sent < len(said):  # else all may be over by now, and to send nothing to who is gone is an error, too
            client.sendall(said[sent:])
        return _hear(client)
    except KeyboardInterrupt:
        return 130
    except OSError:  # nobody there any more, or a directory that is gone
        return None
    finally:
        client.close()


def _peer(client: "socket") -> int:
    """The user whose process listens there."""
    import _socket

    credentials = client.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder)  # struct ucred: process, user, group


def _hear(client: "socket") -> "int | None":
    """What came of it."""
    heard = b""
    while len(heard) < _MOST_WORDS and (said := _read(client)):
        heard += said
        if holding.ELSEWHERE in heard:
            return None
        _, status, number = heard.partition(holding.STATUS)
        if status and number.endswith(b"\n"):
            return int(number)
    if holding.BEGUN in heard:
        sys.stderr.write("jobmon: the connection holder was lost in the middle of the answer; ask again\n")
        return 5
    sys.stderr.write("jobmon: the connection holder was lost before it answered; going on without it\n")
    return None


def _read(client: "socket") -> bytes:
    """What is said next; nothing when whoever spoke is gone, or does not take us up."""
    try:
        return client.recv(_MOST_WORDS)
    except OSError:
        return b""
