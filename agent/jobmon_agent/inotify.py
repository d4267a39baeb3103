"""Inotify: being told by the kernel that a file has changed, without asking again and again.

The standard library has no name for it.  A user has 128 instances and shares
them with all else of hers on the node, so there may be none left; remote file
systems tell of local changes only.  Whoever uses this looks by himself, too.
"""

import ctypes
import os
import struct

from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

MODIFY = 0x2  # written to, or truncated
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
OVERFLOW = 0x4000  # events were lost
IGNORED = 0x8000  # a watch has ended
ONLY_DIRECTORY = 0x1000000
ONE_SHOT = 0x80000000  # told once, then forgotten

_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC  # inotify's own are the same numbers
_EVENT = struct.Struct("=iIII")  # watch, mask, cookie, length of the name
_READ = 64 * 1024  # bytes; 4,096 events without a name
_LONGEST = _EVENT.size + 256  # bytes of an event with the longest name and its NUL
_READS = 16  # at once; as much as the kernel keeps, whoever goes on making events


class Event(NamedTuple):
    """One thing that happened."""

    watch: int  # -1: to the queue itself
    mask: int
    name: bytes  # of the entry of a watched directory, else empty


class Inotify:
    """One queue of events; ``close`` it.

    Raises:
        OSError: there is none to be had.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(None, use_errno=True)
            self.descriptor = int(self._library.inotify_init1(_FLAGS))
        except AttributeError:  # a C library without it
            raise OSError("no inotify")
        if self.descriptor < 0:
            raise _error()

    def close(self) -> None:
        """Forget all watches."""
        os.close(self.descriptor)

    def watch(self, descriptor: int, mask: int) -> int:
        """Watch what is open at a descriptor; the number of the watch, the same for the same file.

        Raises:
            OSError: it cannot be watched.
        """
        # By descriptor: a path could mean something else by now.
        path = b"/proc/self/fd/%d" % descriptor
        number = int(self._library.inotify_add_watch(self.descriptor, path, ctypes.c_uint32(mask)))
        if number < 0:
            raise _error()
        return number

    def forget(self, watch: int) -> None:
        """End a watch, if it has not ended by itself."""
        self._library.inotify_rm_watch(self.descriptor, watch)

    def read(self) -> "List[Event]":
        """The events that wait; never waits for one."""
        found: "List[Event]" = []
        for _ in range(_READS):
            try:
                data = os.read(self.descriptor, _READ)
            except BlockingIOError:
                break
            found += _events(data)
            if len(data) < _READ - _LONGEST:  # the next one would have had room
                break
        return found


def open_inotify() -> "Optional[Inotify]":
    """A queue, or None where there is none to be had."""
    try:
        return Inotify()
    except OSError:
        return None


def _events(data: bytes) -> "List[Event]":
    found, at = [], 0
    while at < len(data):
        watch, mask, _, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        found.append(Event(watch, mask, data[at : at + length].rstrip(b"\0")))
        at += length
    return found


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
