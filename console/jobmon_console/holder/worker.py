"""A child of the holder: becomes, as far as anybody can see, the command that was given to it.

It has the command's standard streams, environment and directory, and the
holder's modules, key and connection.  The terminal stays the command's: who
presses Ctrl-C there ends the command, and the child with it.
"""

import contextlib
import fcntl
import io
import os
import signal
import socket
import sys
import time
from typing import Any

from jobmon_console import holding, session, tls
from jobmon_console.cli import main as command_line
from jobmon_console.cli import reach, screen
from jobmon_console.errors import HeldLineError
from jobmon_console.holder.keeper import Held
from jobmon_console.tls import Link

PATIENCE = 10.0  # s for a request to come whole; on a busy machine it may take one
_STREAMS = 3
_LENGTH = 8  # bytes of hexadecimal digits
_FAILED = 1  # exit status of the child itself, when it has not answered


def serve(client: socket.socket, lent: socket.socket | None, held: Held) -> int:
    """Carry out the command of one client; the child's own exit status.

    Args:
        client: the connection from the command.
        lent: the holder's connection to the server, or None while it is in use.
        held: for which context, and with what.
    """
    client.settimeout(PATIENCE)
    try:
        client.sendall(holding.TAKEN)
        body, descriptors = _receive(client)
        cwd, encodings, words, environ = holding.read_request(body)
        output = _take_streams(client, descriptors, encodings)
        os.environ.clear()
        os.environ.update(environ)
        time.tzset()
        os.chdir(cwd)
    except (OSError, ValueError):
        return _FAILED
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _end_with(client)
    lender = session.lender = _Lender(held.link, lent)
    tls.unlocked[held.context] = held.link
    reach.only = held.context
    try:
        status = _carry_out(words, lender, output)
    except reach.ElsewhereError:
        client.sendall(holding.ELSEWHERE)
        return 0
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    lender.end()  # before the command ends: the next one may come at once
    client.sendall(holding.STATUS + b"%d\n" % status)
    return 0


def _carry_out(words: list[str], lender: "_Lender", output: "_Output") -> int:
    try:
        return command_line.main(words, passing=(HeldLineError,))
    except HeldLineError as error:
        lender.is_over = True
        if output.is_used:
            screen.note(str(error))
            return error.exit_status
        screen.note("the connection that was held open broke off; asking again over a new one")
    return command_line.main(words)


class _Lender:
    """Lends the holder's connection to one session at a time."""

    def __init__(self, link: Link, lent: socket.socket | None) -> None:
        self._link = link
        self._lent = lent
        self.is_over = False

    def borrow(self, link: Link) -> socket.socket | None:
        """The connection, if it is that server's and nobody has it."""
        if link is not self._link or self.is_over:
            return None
        lent, self._lent = self._lent, None
        return lent

    def give_back(self, connection: socket.socket, is_clean: bool) -> None:
        """Keep it for the next session; one with an answer under way is of no use."""
        if is_clean:
            self._lent = connection
        else:
            connection.close()

    def end(self) -> None:
        """Let the holder have it back."""
        if self._lent is not None:
            self._lent.close()
            self._lent = None


class _Output(io.FileIO):
    """Standard output, which tells the command before its first byte."""

    def __init__(self, client: socket.socket) -> None:
        super().__init__(1, "wb", closefd=False)
        self._client = client
        self._has_begun = False
        self.is_used = False  # something was printed, and may wait in a buffer

    def write(self, data: Any) -> int:
        """Write, as the base does."""
        self.is_used = True
        if not self._has_begun:
            self._has_begun = True
            self._client.sendall(holding.BEGUN)
        return super().write(data) or 0


class _Text(io.TextIOWrapper):
    """Text for standard output."""

    def __init__(self, output: _Output, encoding: str) -> None:
        super().__init__(io.BufferedWriter(output), encoding=encoding, line_buffering=os.isatty(1))
        self._output = output

    def write(self, text: str) -> int:
        """Write, as the base does."""
        self._output.is_used = True
        return super().write(text)


def _receive(client: socket.socket) -> tuple[bytes, list[int]]:
    data, descriptors, _, _ = socket.recv_fds(client, 65536, _STREAMS)
    if len(descriptors) != _STREAMS or len(data) < _LENGTH:
        raise ValueError("no request")
    length = int(data[:_LENGTH], 16)
    if length > holding.LARGEST_REQUEST:
        raise ValueError("a request that is too long")
    parts, missing = [data[_LENGTH:]], length - (len(data) - _LENGTH)
    while missing > 0:
        part = client.recv(min(missing, 65536))
        if not part:
            raise ValueError("a request that breaks off")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts), descriptors


def _take_streams(client: socket.socket, descriptors: list[int], encodings: list[str]) -> _Output:
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0, encoding=encodings[0], errors="surrogateescape", closefd=False)  # noqa: SIM115
    output = _Output(client)
    sys.stdout = _Text(output, encodings[1])
    sys.stderr = open(2, "w", encoding=encodings[2], errors="backslashreplace", closefd=False)  # noqa: SIM115
    return output


def _end_with(client: socket.socket) -> None:
    """End when the command does: it says nothing more, so the next that comes from it is its end."""
    descriptor = client.fileno()
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)  # SIGIO ends us
    client.setblocking(False)
    try:
        if client.recv(1) == b"":
            os._exit(_FAILED)  # it has gone before it was waited for
    except BlockingIOError:
        pass
