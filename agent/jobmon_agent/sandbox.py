"""Paths inside a job's sandbox, whatever the job does to its directories meanwhile.

A path is never checked and then opened: between the two the job may exchange a
directory for a link.  It is walked by descriptors instead, one component after
the other, and links are followed here, not by the kernel.  The descriptor of
the last component is looked at first and opened for reading afterwards, through
/proc/self/fd, so that what was looked at is what is read and no pipe or device
is ever opened.  What is mounted below the sandbox is not entered, and not even
asked what it is: a file system may hang.
"""

import errno
import os
import re
import stat

from jobmon_agent.job import Job, VerbFailure
from jobmon_wire.credential import TITLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import FrozenSet, List, Optional

LINKS = 40  # as many as the kernel follows in one path
DEPTH = 256  # directories below each other; each holds a descriptor during the walk
LONGEST = 4096  # bytes of a path, the kernel's PATH_MAX; a listing repeats it in a frame
_O_PATH = 0o10000000  # os.O_PATH, where an old C library left it out
_WALK = getattr(os, "O_PATH", _O_PATH) | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FDINFO = 256  # bytes; position, flags and mount come first
_OCTAL = re.compile(rb"\\([0-7]{3})")
_SHOWN = 200  # characters of a path in a sentence

_CREDENTIAL = TITLE.encode("ascii")  # what every credential begins with, whatever its name

_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)

# What a file can be: as listings call it, and as a sentence does.
KINDS = {
    stat.S_IFREG: ("file", "a file"),
    stat.S_IFDIR: ("directory", "a directory"),
    stat.S_IFLNK: ("link", "a link"),
    stat.S_IFIFO: ("fifo", "a pipe"),
    stat.S_IFSOCK: ("socket", "a socket"),
    stat.S_IFCHR: ("device", "a device"),
    stat.S_IFBLK: ("block-device", "a device"),
}


def open_file(job: Job, path: str) -> int:
    """Open a regular file of the sandbox for reading; the caller closes it.

    Raises:
        VerbFailure: no-such-file, not-a-file, outside-sandbox or file-refused.
    """
    found = locate(job, path)
    try:
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode):
            raise VerbFailure("not-a-file", "%s is %s, no regular file" % (shown(path), _kind(status.st_mode)))
        return _refuse_credential(_reopen(found, _READ, path), path)
    finally:
        os.close(found)


def open_directory(job: Job, path: str) -> "Optional[int]":
    """Open a directory of the sandbox for reading; the caller closes it.  None: it is no directory.

    Raises:
        VerbFailure: as ``open_file``.
    """
    found = locate(job, path)
    try:
        if not stat.S_ISDIR(os.fstat(found).st_mode):
            return None
        return _reopen(found, _READ | os.O_DIRECTORY, path)
    finally:
        os.close(found)


def locate(job: Job, path: str, follow: bool = True) -> int:
    """A descriptor (O_PATH) of what a path names; the caller closes it.

    Args:
        job: whose sandbox.
        path: from the sandbox on, or absolute and inside it.
        follow: where the path ends at a link, what that leads to; else the link itself.

    Raises:
        VerbFailure: no-such-file, outside-sandbox or file-refused.
    """
    try:
        return _walk(job, _components(job, path), follow)
    except (ValueError, UnicodeError):  # NUL, or a surrogate that no byte gave
        raise VerbFailure("no-such-file", "%s is no name a file can have" % shown(path))
    except OSError as error:
        raise failure(error, path)
    except _OutsideError:
        raise VerbFailure("outside-sandbox", "%s is outside the job's directory" % shown(path))
    except _ElsewhereError:
        raise VerbFailure("outside-sandbox", "%s is on another file system than the job's directory" % shown(path))


def target(descriptor: int) -> "Optional[bytes]":
    """Where a link (O_PATH) leads; None: it is no link."""
    try:
        return os.readlink(b"", dir_fd=descriptor)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL):  # what the kernel says of anything else
            return None
        raise


def mounts_in(directory: int) -> "FrozenSet[bytes]":
    """Names in a directory that something else is mounted on: to be listed without asking it."""
    try:
        here = os.readlink(b"/proc/self/fd/%d" % directory)
        with open("/proc/self/mountinfo", "rb") as lines:
            # Blanks and backslashes of a path stand there as \040.
            points = [_OCTAL.sub(lambda code: bytes([int(code.group(1), 8)]), line.split(b" ")[4]) for line in lines]
    except OSError:
        return frozenset()
    return frozenset(name for above, _, name in (point.rpartition(b"/") for point in points) if above == here)


def failure(error: OSError, path: str) -> VerbFailure:
    """What the kernel said of a path, as an outcome."""
    if error.errno in _MISSING:
        return VerbFailure("no-such-file", "no such file: %s" % shown(path))
    return VerbFailure("file-refused", "cannot read %s: %s" % (shown(path), (error.strerror or "error").lower()))


def shown(path: str) -> str:
    """A path as a sentence may hold it."""
    return path if len(path) <= _SHOWN else path[:_SHOWN] + "..."


class _OutsideError(Exception):
    """The path leads out of the sandbox."""


class _ElsewhereError(Exception):
    """The path leads to where something else is mounted."""


def _components(job: Job, path: str) -> "List[bytes]":
    """The path's components from the sandbox on, last first: a stack of what is still to walk."""
    name = path.encode("utf-8", "surrogateescape")
    if len(name) > LONGEST:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    return _below(os.fsencode(job.sandbox_path), name)


def _below(root: bytes, path: bytes) -> "List[bytes]":
    if path.startswith(b"/"):
        inside = root.rstrip(b"/") + b"/"
        if path.rstrip(b"/") + b"/" != inside and not path.startswith(inside):
            raise _OutsideError
        path = path[len(inside) :]
    if b"\0" in path:
        raise ValueError("NUL in a path")
    return [part for part in reversed(path.split(b"/")) if part not in (b"", b".")]


class _Way:
    """The descriptors (O_PATH) from the sandbox down to where one is."""

    def __init__(self, job: Job) -> None:
        self._home = _mount(job.sandbox)
        self._passed = [os.dup(job.sandbox)]

    def down(self, part: bytes) -> int:
        """Go to a name of the directory where one is; a link is not followed."""
        found = os.open(part, _WALK, dir_fd=self._passed[-1])
        self._passed.append(found)
        if _mount(found) != self._home:
            raise _ElsewhereError
        if len(self._passed) > DEPTH:
            raise OSError(errno.EOVERFLOW, "more than %d directories deep" % DEPTH)
        return found

    def up(self) -> None:
        """Go back the way one came; never by the kernel's parent, which the job may exchange."""
        if len(self._passed) == 1:
            raise _OutsideError
        os.close(self._passed.pop())

    def restart(self) -> None:
        """Go back to the sandbox itself."""
        while len(self._passed) > 1:
            os.close(self._passed.pop())

    def take(self) -> int:
        """Where one is; the caller closes it."""
        return self._passed.pop()

    def close(self) -> None:
        """Let go of what was not taken."""
        for descriptor in self._passed:
            os.close(descriptor)


def _walk(job: Job, waiting: "List[bytes]", follow: bool) -> int:
    root = os.fsencode(job.sandbox_path)
    way = _Way(job)
    links = 0
    try:
        while waiting:
            part = waiting.pop()
            if part == b"..":
                way.up()
                continue
            found = way.down(part)
            leads = target(found) if waiting or follow else None
            if leads is None:
                continue
            links += 1
            if links > LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            way.up()
            waiting.extend(_below(root, leads))
            if leads.startswith(b"/"):
                way.restart()
        return way.take()
    finally:
        way.close()


def _reopen(found: int, flags: int, path: str) -> int:
    try:
        return os.open("/proc/self/fd/%d" % found, flags)
    except OSError as error:
        raise failure(error, path)


def _refuse_credential(descriptor: int, path: str) -> int:
    """The descriptor, unless the file is a credential: who may look into a job must not become its owner by that."""
    try:
        if os.pread(descriptor, len(_CREDENTIAL), 0) != _CREDENTIAL:
            return descriptor
    except OSError:  # a disk that fails: whoever reads on is told
        return descriptor
    os.close(descriptor)
    raise VerbFailure("file-refused", "%s is a credential; nobody reads those through JobMon" % shown(path))


def _mount(descriptor: int) -> bytes:
    """Which mount it is on.

    The kernel knows that without asking the file system; a bind mount has the
    device of what it shows, and a layered file system many devices.
    """
    mount = b""
    try:
        information = os.open("/proc/self/fdinfo/%d" % descriptor, os.O_RDONLY | os.O_CLOEXEC)
        mount = os.read(information, _FDINFO).partition(b"mnt_id:")[2].partition(b"\n")[0]
        os.close(information)
    except OSError:
        pass
    return mount or b"device %d" % os.fstat(descriptor).st_dev  # before Linux 3.15, or without /proc


def _kind(mode: int) -> str:
    return KINDS.get(stat.S_IFMT(mode), ("", "something else"))[1]
