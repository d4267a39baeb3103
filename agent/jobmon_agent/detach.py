"""How a process of the agent's own stops being part of the job it was forked from.

It gets a process group of its own but stays in the session, where session
trackers still find it; it is deaf to what batch systems send to everything
they find; it holds nothing open that the job or the job's readers know.
"""

import _socket
import os
import select

from jobmon_agent import descriptors
from jobmon_wire.datagrams import BEAT, SECRET_BYTES, SESSION_BYTES, Series

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import List
else:
    import _signal  # signal itself would cost 3 ms for its enumerations

# Ignored: batch systems send some of them to everything they find, and the agent must report the end.
_IGNORED = (
    _signal.SIGHUP,
    _signal.SIGINT,
    _signal.SIGQUIT,
    _signal.SIGTERM,
    _signal.SIGUSR1,
    _signal.SIGUSR2,
    _signal.SIGXCPU,
    _signal.SIGALRM,
    _signal.SIGVTALRM,
    _signal.SIGTSTP,
    _signal.SIGTTIN,
    _signal.SIGTTOU,
    _signal.SIGPIPE,
)
_PRIVATE = 0o077  # umask
_NOWHERE = 2**30  # a descriptor that no limit allows


def rehearse() -> None:
    """Call what the agent will call, to no effect, in the process from which it is forked.

    The dynamic linker looks a function up when it is first called, and maps 0.7 MB of the libraries' tables
    for it; the agent inherits what was found and not what was mapped.
    """
    _signal.pthread_sigmask(_signal.SIG_BLOCK, [])
    os.umask(os.umask(_PRIVATE))
    try:
        os.stat("/", dir_fd=0, follow_symlinks=False)  # as the file for progress lines is looked at
        os.setpgid(0, os.getpgrp())
        os.pread(0, 0, 0)
    except OSError:  # a standard input that is closed, or has no positions
        pass
    int("10")  # takes a logarithm at the first decimal number
    try:
        _rehearse_beats()
    except OSError:  # no descriptor left, or no such socket: the agent is a little larger then
        pass


def _rehearse_beats() -> None:
    """All that the agent calls until it beats; what is sent goes from one end of a pair to the other."""
    os.closerange(_NOWHERE, _NOWHERE + 1)
    here, there = (_socket.socket(fileno=end) for end in descriptors.pair())
    waiting = select.poll()
    waiting.register(here.fileno(), select.POLLIN)
    waiting.poll(0)
    for receive in (here.recv, here.recvmsg):
        there.send(Series(bytes(SESSION_BYTES), bytes(SECRET_BYTES), BEAT).tag.digest())
        receive(1)
    os.set_inheritable(here.fileno(), False)
    here.close()
    there.close()
    own = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    own.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, own.getsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF))
    own.connect(("127.0.0.1", 9))
    own.close()
    try:
        os.waitpid(os.getpid(), os.WNOHANG)
    except ChildProcessError:  # nobody is one's own child
        pass
    os.chdir(".")  # last: it fails where the directory is gone


def detach(group: int, kept: "List[int]") -> None:
    """Let go of all that is the job's.

    Args:
        group: process group to join; 0 for one of its own.
        kept: descriptors above 2 that stay open.
    """
    try:
        os.setpgid(0, group)
    except OSError:  # the group has ended
        os.setpgid(0, 0)
    for number in _IGNORED:
        _signal.signal(number, _signal.SIG_IGN)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
    os.umask(_PRIVATE)
    descriptors.keep_only(kept)
    os.chdir("/")
