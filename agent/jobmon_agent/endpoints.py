"""What a process's descriptor leads to: a file, the other end of a pipe, a peer in the network, a lock's holder.

All of it is read from links and tables in /proc.  Nothing is opened but those,
and no file is looked at itself: one on a dead file server would hang us too.
"""

import os
import socket
import stat
import struct
import sys

from jobmon_agent.proc import text
from jobmon_wire import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, List, Optional, Set, Tuple

_WATCHED = 8  # descriptors named of those an epoll waits for
_HOLDERS = 8  # processes named that hold a pipe's other end
_DESCRIPTORS = 20000  # looked at for the other ends of pipes, in all processes together
_TABLE_BYTES = 4 * limits.MIB  # bytes of a table of sockets: 25,000 connections
_LOCKS_BYTES = 256 * limits.KIB  # bytes of /proc/locks
_TCP_STATES = (
    "",
    "established",
    "syn-sent",
    "syn-received",
    "fin-wait-1",
    "fin-wait-2",
    "time-wait",
    "closed",
    "close-wait",
    "last-ack",
    "listening",
    "closing",
)
_LOCKING = ("flock", "fcntl")


class Endpoints:
    """Descriptors of the processes of one job.

    Args:
        pids: its processes, among which other ends are searched.
    """

    def __init__(self, pids: "Iterable[int]") -> None:
        self._pids = list(pids)
        self._pipes: "Optional[Dict[str, List[Tuple[int, int]]]]" = None  # link: who has it, with which rights
        self._sockets: "Dict[Tuple[int, str], Dict[str, str]]" = {}  # inode: peer, by net namespace's process
        self._locks: "Optional[Dict[int, int]]" = None  # who waits: who holds

    def facts(self, pid: int, descriptor: int, call: str, place: str) -> "Dict[str, Any]":
        """What is known of a descriptor that a thread waits for.

        Args:
            call: the system call it is in.
            place: in the kernel, as wchan names it.

        Returns:
            ``file``; where it is known ``held_by`` (pids), ``peer``, ``watches``.

        Raises:
            PermissionError: the kernel does not let the agent look.
        """
        link = _link(pid, descriptor)
        found: "Dict[str, Any]" = {"file": link}
        if link is None:
            return found
        if link.startswith("pipe:") or "pipe" in place:  # a FIFO has a path; where its reader sleeps tells it
            found["held_by"] = self._other_ends(pid, descriptor, link)
        elif link.startswith("socket:"):
            found["peer"] = self._peer(pid, link)
        elif link == "anon_inode:[eventpoll]":
            found["watches"] = list(_watched(pid, descriptor))
        if call in _LOCKING:
            found["held_by"] = self._lock_holder(pid)
        return found

    def _other_ends(self, pid: int, descriptor: int, link: str) -> "List[int]":
        """Who could read what this end writes, or write what it reads; the process itself may be among them."""
        if self._pipes is None:
            self._pipes = self._find_pipes()
        mine = _rights(pid, descriptor)
        other = stat.S_IRUSR | stat.S_IWUSR if mine == stat.S_IRUSR | stat.S_IWUSR else ~mine
        holders = {holder for holder, rights in self._pipes.get(link, ()) if rights & other}
        return sorted(holders)[:_HOLDERS]

    def _find_pipes(self) -> "Dict[str, List[Tuple[int, int]]]":
        found: "Dict[str, List[Tuple[int, int]]]" = {}
        looked = 0
        for pid in self._pids:
            for number in _descriptors(pid):
                looked += 1
                if looked > _DESCRIPTORS:
                    return found
                try:
                    link = _link(pid, number)
                    if link is not None and link.startswith(("pipe:", "/")):
                        found.setdefault(link, []).append((pid, _rights(pid, number)))
                except OSError:
                    continue
        return found

    def _peer(self, pid: int, link: str) -> "Optional[str]":
        inode = link[len("socket:[") : -1]
        for table, read in (("tcp", _tcp), ("tcp6", _tcp), ("udp", _tcp), ("unix", _unix)):
            key = (pid, table)
            if key not in self._sockets:
                self._sockets[key] = dict(read(_lines("/proc/%d/net/%s" % key, _TABLE_BYTES), table))
            if inode in self._sockets[key]:
                return self._sockets[key][inode]
        return None

    def _lock_holder(self, pid: int) -> "List[int]":
        if self._locks is None:
            self._locks = dict(_waiting_for_locks(_lines("/proc/locks", _LOCKS_BYTES)))
        return [self._locks[pid]] if pid in self._locks else []


def _link(pid: int, descriptor: int) -> "Optional[str]":
    """What the descriptor is, as the kernel writes it; None when it is closed."""
    try:
        return text(os.readlink(b"/proc/%d/fd/%d" % (pid, descriptor)))[: limits.TEXT]
    except PermissionError:
        raise
    except OSError:
        return None


def _rights(pid: int, descriptor: int) -> int:
    """What the descriptor may: the link's own mode tells, without touching the file."""
    return os.lstat("/proc/%d/fd/%d" % (pid, descriptor)).st_mode & (stat.S_IRUSR | stat.S_IWUSR)


def _descriptors(pid: int) -> "Iterator[int]":
    try:
        return (int(name) for name in os.listdir("/proc/%d/fd" % pid))
    except OSError:
        return iter(())


def _watched(pid: int, descriptor: int) -> "Iterator[str]":
    """The first descriptors that an epoll waits for, each ``5 pipe:[17]``."""
    numbers: "Set[int]" = set()
    for line in _lines("/proc/%d/fdinfo/%d" % (pid, descriptor), 64 * limits.KIB):
        words = line.split()
        if len(words) > 1 and words[0] == b"tfd:" and len(numbers) < _WATCHED:
            numbers.add(int(words[1]))
    for number in sorted(numbers):
        yield "%d %s" % (number, _link(pid, number) or "closed")


def _lines(path: str, longest: int) -> "List[bytes]":
    try:
        with open(path, "rb", 0) as file:
            parts = []
            while longest > 0:
                part = file.read(min(longest, 128 * limits.KIB))
                if not part:
                    break
                parts.append(part)
                longest -= len(part)
    except OSError:
        return []
    return b"".join(parts).splitlines()


def _tcp(lines: "List[bytes]", table: str) -> "Iterator[Tuple[str, str]]":
    protocol = table.rstrip("6")
    for line in lines[1:]:
        words = line.split()
        if len(words) > 9 and words[9] != b"0":
            here, there, state = _address(words[1]), _address(words[2]), int(words[3], 16)
            if protocol == "tcp" and state == _TCP_STATES.index("listening"):
                said = "tcp, listening at " + here
            else:
                said = "%s %s, peer %s" % (protocol, here, there)
                if protocol == "tcp" and 1 < state < len(_TCP_STATES):
                    said += ", " + _TCP_STATES[state]
            yield words[9].decode("ascii"), said


def _address(word: bytes) -> str:
    """``0100007F:1F90`` is 127.0.0.1:8080: 32-bit words in the node's order, the port in the network's."""
    digits, _, port = word.partition(b":")
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    packed = struct.pack("%s%dI" % ("<" if sys.byteorder == "little" else ">", len(words)), *words)
    if len(words) == 1:
        return "%s:%d" % (socket.inet_ntop(socket.AF_INET, packed), int(port, 16))
    return "[%s]:%d" % (socket.inet_ntop(socket.AF_INET6, packed), int(port, 16))


def _unix(lines: "List[bytes]", _: str) -> "Iterator[Tuple[str, str]]":
    for line in lines[1:]:
        words = line.split(None, 7)
        if len(words) > 6:
            path = text(words[7])[: limits.TEXT] if len(words) > 7 else ""
            yield words[6].decode("ascii"), "unix " + path if path else "unix socket without a name"


def _waiting_for_locks(lines: "List[bytes]") -> "Iterator[Tuple[int, int]]":
    """Whoever waits for a lock, with its holder; waiters stand below the lock, marked by an arrow."""
    holder = -1
    for line in lines:
        words = line.split()
        try:
            if len(words) > 5 and words[1] == b"->":
                yield int(words[5]), holder
            elif len(words) > 4:
                holder = int(words[4])
        except ValueError:
            continue
