"""The holder's connection to the server, and who uses it: one command at a time, over a socket pair.

What a command says goes to the server and the answer comes back, byte for byte;
the answers are read along, so that it is known when the connection is free
again and whether the server still takes the credential.  Nothing here waits
but ``open``.
"""

import selectors
import socket
import ssl

from jobmon_console import __version__
from jobmon_console.tls import Link, connect
from jobmon_wire import http

_READ = 64 * 1024  # bytes at once, above a TLS record's 16 KiB; and the most that waits for either side
_ROUNDS = 16  # reads in a row; a flood for one command must not keep the next one out
_REFUSED = 401  # the status of an answer to a credential that is none any more


class LineEndedError(Exception):
    """The connection is gone, or the credential is: nothing is left to hold."""


class Line:
    """One connection.

    Args:
        link: the server; its key is unlocked.
        selector: where its sockets are waited for; ``key.data`` is what to call.
    """

    def __init__(self, link: Link, selector: selectors.BaseSelector) -> None:
        self._link = link
        self._selector = selector
        self._tls: ssl.SSLSocket | None = None
        self._worker: socket.socket | None = None
        self._response: http.Response | None = None  # of the request under way
        self._is_asking = False  # a question of the holder's own
        self._up, self._down = bytearray(), bytearray()  # what waits for the server, and for the command

    @property
    def is_free(self) -> bool:
        """Nobody uses it."""
        return self._tls is not None and self._worker is None and self._response is None

    @property
    def is_open(self) -> bool:
        """There is a connection."""
        return self._tls is not None

    def open(self) -> None:
        """Connect; waits, ten seconds at most.

        Raises:
            JobMonError: it cannot be had.
        """
        self._tls = connect(self._link)
        self._tls.setblocking(False)
        self._watch()

    def ask(self) -> None:
        """Ask who we are: keeps the connection open, and tells when the credential is none any more."""
        host = f"[{self._link.host}]" if ":" in self._link.host else self._link.host
        head = f"GET /v1/whoami HTTP/1.1\r\nHost: {host}:{self._link.port}\r\nUser-Agent: jobmon/{__version__}\r\n\r\n"
        self._response, self._is_asking = http.Response(), True
        self._up += head.encode("ascii")
        self._move()

    def lend(self) -> socket.socket | None:
        """One end of a pair for a command, whose other end is the server; None while it is in use."""
        self._hear_worker()  # the command before may have gone just now
        if not self.is_free:
            return None
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._worker = ours
        self._watch()
        return theirs

    def abandon(self) -> None:
        """Close this process's copies; the sockets are another one's, and so is what waits for them."""
        for sock in (self._tls, self._worker):
            if sock is not None:
                sock.close()

    def _let_go(self) -> None:
        if self._worker is not None:
            self._forget(self._worker)
            self._worker = None
        self._response = None
        self._up.clear()
        self._down.clear()

    def _forget(self, sock: socket.socket) -> None:
        if sock in self._selector.get_map():
            self._selector.unregister(sock)
        sock.close()

    def _move(self) -> None:
        """Carry on whatever can be carried on.

        Raises:
            LineEndedError: the connection ended, or the server refuses the credential.
        """
        try:
            self._hear_server()
        except http.HttpError:
            raise LineEndedError from None
        except OSError:
            self._give()
            raise LineEndedError from None
        self._hear_worker()
        self._give()
        self._send()
        self._watch()

    def _hear_server(self) -> None:
        for _ in range(_ROUNDS):
            if self._tls is None or self._down:
                return
            try:
                data = self._tls.recv(_READ)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data or self._response is None:  # the end, or a word that nobody asked for
                raise ConnectionResetError
            self._response.feed(data)
            if not self._is_asking:
                self._down += data
            if self._response.is_complete:
                self._answered(self._response)
            self._give()

    def _answered(self, response: http.Response) -> None:
        if (self._is_asking and response.status != 200) or response.status == _REFUSED:
            raise ConnectionResetError
        will_close = response.headers.get("connection", "").lower() == "close"
        self._response, self._is_asking = None, False
        if will_close:
            self._end_connection()

    def _end_connection(self) -> None:
        """The server has said that it closes it; the holder opens another when it has time."""
        if self._tls is not None:
            self._forget(self._tls)
            self._tls = None

    def _hear_worker(self) -> None:
        while self._worker is not None and len(self._up) < _READ:
            try:
                data = self._worker.recv(_READ)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._left()
                return
            if self._response is None:
                self._response = http.Response()
            self._up += data

    def _left(self) -> None:
        """The command is done; what is under way still is nobody's."""
        if self._response is not None or self._up:
            self._end_connection()
        self._let_go()

    def _give(self) -> None:
        while self._worker is not None and self._down:
            try:
                sent = self._worker.send(self._down)
            except BlockingIOError:
                return
            except OSError:
                self._left()
                return
            del self._down[:sent]

    def _send(self) -> None:
        while self._tls is not None and self._up:
            try:
                sent = self._tls.send(self._up[: 16 * 1024])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError:
                raise LineEndedError from None
            del self._up[:sent]

    def _watch(self) -> None:
        """Wait for what can go on."""
        if self._tls is not None:
            self._wait(self._tls, not self._down, bool(self._up))
        if self._worker is not None:
            self._wait(self._worker, len(self._up) < _READ, bool(self._down))

    def _wait(self, sock: socket.socket, reads: bool, writes: bool) -> None:
        events = reads * selectors.EVENT_READ | writes * selectors.EVENT_WRITE
        if sock in self._selector.get_map():
            if events:
                self._selector.modify(sock, events, self._move)
            else:
                self._selector.unregister(sock)
        elif events:
            self._selector.register(sock, events, self._move)
