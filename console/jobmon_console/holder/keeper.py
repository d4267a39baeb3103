"""The holder itself: takes commands, has children carry them out, and knows when to end.

It ends when nobody has asked it for ``IDLE``; when a file that the credential
or the choice of the context comes from changes; when the server ends the
connection, as it does after a revocation or an expiry, and does not take a new
one; when another holder has taken its place; and on ``jobmon logout``.
"""

import contextlib
import os
import selectors
import signal
import socket
import struct
import time
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple

from jobmon_console.contexts import Context
from jobmon_console.holder.line import Line, LineEndedError
from jobmon_console.tls import Link

IDLE = 600.0  # s without a command: about as long as a person looks at something else
LOOK = 1.0  # s between two looks at the files
ASK = 45.0  # s between two questions of our own; a server ends a connection that says nothing for 60
PROOF = 10.0  # s for the server's first answer
BACKLOG = 64  # commands that wait to be accepted
CHILDREN = 16  # commands at once; what is above carries itself out
_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group

Identity = tuple[int, ...] | None
Handler = Callable[[int, FrameType | None], None] | signal.Handlers


class Held(NamedTuple):
    """What a holder holds."""

    context: Context  # with absolute paths
    link: Link  # its key is unlocked
    files: dict[str, Identity]  # as they were before they were read


Serve = Callable[[socket.socket, socket.socket | None, Held], int]  # in the child; its exit status


class Keeper:
    """One holder.

    Args:
        path: of the socket.
        held: what it holds.
        serve: carries one command out.
    """

    def __init__(self, path: str, held: Held, serve: Serve) -> None:
        self._path = path
        self._held = held
        self._serve = serve
        self._selector = selectors.DefaultSelector()
        self._line = Line(held.link, self._selector)
        self._children: set[int] = set()
        self._used = self._asked = time.monotonic()

    def run(self) -> None:
        """Hold, until it is over.

        Raises:
            JobMonError: the server cannot be reached or refuses.
            OSError: the socket cannot be made.
        """
        with contextlib.suppress(LineEndedError):
            self._prove()
            self._listener = listen(self._path)
            self._place = place_of(self._path)
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
            try:
                while self._may_stay():
                    for key, _ in self._selector.select(LOOK):
                        key.data()
            finally:
                if place_of(self._path) == self._place:
                    os.unlink(self._path)

    def _prove(self) -> None:
        """Connect, and wait until the server has said who we are: nobody is served by a credential that is none."""
        self._line.open()
        self._line.ask()
        end = time.monotonic() + PROOF
        while self._line.is_open and not self._line.is_free:
            if time.monotonic() > end:
                raise LineEndedError
            for key, _ in self._selector.select(LOOK):
                key.data()

    def _may_stay(self) -> bool:
        self._reap()
        now = time.monotonic()
        if self._children:
            self._used = now
        if now - self._used > IDLE or not self._is_fresh() or place_of(self._path) != self._place:
            return False
        if not self._line.is_open:
            self._line.open()
        if self._line.is_free and now - self._asked > ASK:
            self._asked = now
            self._line.ask()
        return True

    def _is_fresh(self) -> bool:
        """Nothing has changed of what the credential was read from."""
        return all(identity(path) == then for path, then in self._held.files.items())

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        with client:
            _, user, _ = _CREDENTIALS.unpack(
                client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
            # A command that is closed on carries itself out; so does one whose credential is another by now.
            if user != os.geteuid() or len(self._children) >= CHILDREN or not self._is_fresh():
                return
            self._used = time.monotonic()
            self._have_served(client)

    def _have_served(self, client: socket.socket) -> None:
        lent = self._line.lend()
        child = os.fork()
        if child:
            self._children.add(child)
            if lent is not None:
                lent.close()
            return
        status = os.EX_SOFTWARE
        try:
            end_by(signal.SIG_DFL)
            self._selector.close()
            self._listener.close()
            self._line.abandon()
            status = self._serve(client, lent, self._held)
        finally:
            os._exit(status)  # nothing of the holder's own is to be run at its end

    def _reap(self) -> None:
        for child in tuple(self._children):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(child, os.WNOHANG)[0] == 0:
                    continue
            self._children.discard(child)


def listen(path: str) -> socket.socket:
    """A socket at the path, which is there from the moment on at which it is listened to.

    Raises:
        OSError: it cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    draft = f"{path}.{os.getpid()}"
    before = os.umask(0o177)
    try:
        listener.bind(draft)
    finally:
        os.umask(before)
    listener.listen(BACKLOG)
    os.rename(draft, path)  # a stale one is replaced
    return listener


def identity(path: str) -> Identity:
    """What tells a file from every other, and from what it was before; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode


def place_of(path: str) -> Identity:
    """What tells one socket at a path from another; a socket's other facts may change."""
    found = identity(path)
    return found and found[:2]


def end_in_order(_number: int, _frame: FrameType | None) -> None:
    """A signal's handler: end as by the holder's own decision, with the socket removed."""
    raise LineEndedError


def end_by(handler: Handler) -> None:
    """What the signals do that end a process."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, handler)
