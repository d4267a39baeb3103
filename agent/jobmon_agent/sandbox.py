"""Paths inside a job's sandbox, whatever the job does to its directories meanwhile.

A path is never checked and then opened: between the two the job may exchange a
directory for a link.  It is walked by descriptors instead, one component after
the other, and links are followed here, not by the kernel.  The descriptor of
the last component is looked at first and opened for reading afterwards, through
/proc/self/fd, so that what was looked at is what is read and no pipe or device
is ever opened.
"""

import errno
import os
import stat
from typing import List, Optional

from jobmon_agent.job import Job, VerbFailure
from jobmon_wire.credential import TITLE

LINKS = 40  # as many as the kernel follows in one path
DEPTH = 256  # directories below each other; each holds a descriptor during the walk
_O_PATH = 0o10000000  # os.O_PATH, where an old C library left it out
_WALK = getattr(os, "O_PATH", _O_PATH) | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
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


def open_directory(job: Job, path: str) -> Optional[int]:
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


def locate(job: Job, path: str) -> int:
    """A descriptor (O_PATH) of what a path names, links followed; the caller closes it.

    Raises:
        VerbFailure: no-such-file, outside-sandbox or file-refused.
    """
    try:
        found = _walk(job, _components(job, path))
    except (ValueError, UnicodeError):  # NUL, or a surrogate that no byte gave
        raise VerbFailure("no-such-file", "%s is no name a file can have" % shown(path))
    except OSError as error:
        raise failure(error, path)
    except _OutsideError:
        raise VerbFailure("outside-sandbox", "%s is outside the job's directory" % shown(path))
    if _is_elsewhere(job, found):
        os.close(found)
        raise VerbFailure("outside-sandbox", "%s is on another file system than the job's directory" % shown(path))
    return found


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


def _components(job: Job, path: str) -> List[bytes]:
    """The path's components from the sandbox on, last first: a stack of what is still to walk."""
    return _below(os.fsencode(job.sandbox_path), path.encode("utf-8", "surrogateescape"))


def _below(root: bytes, path: bytes) -> List[bytes]:
    if path.startswith(b"/"):
        inside = root.rstrip(b"/") + b"/"
        if path.rstrip(b"/") + b"/" != inside and not path.startswith(inside):
            raise _OutsideError
        path = path[len(inside) :]
    if b"\0" in path:
        raise ValueError("NUL in a path")
    return [part for part in reversed(path.split(b"/")) if part not in (b"", b".")]


def _walk(job: Job, waiting: List[bytes]) -> int:
    """Walk the components; ``..`` goes back the way one came, never by the kernel's parent."""
    root = os.fsencode(job.sandbox_path)
    way = [os.dup(job.sandbox)]
    links = 0
    try:
        while waiting:
            part = waiting.pop()
            if part == b"..":
                if len(way) == 1:
                    raise _OutsideError
                os.close(way.pop())
                continue
            found = os.open(part, _WALK, dir_fd=way[-1])
            way.append(found)
            if stat.S_ISLNK(os.fstat(found).st_mode):
                links += 1
                target = os.readlink(b"", dir_fd=found)
                os.close(way.pop())
                if links > LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                waiting.extend(_below(root, target))
                if target.startswith(b"/"):
                    while len(way) > 1:
                        os.close(way.pop())
            if len(way) > DEPTH:
                raise OSError(errno.EOVERFLOW, "more than %d directories deep" % DEPTH)
        return way.pop()
    finally:
        for descriptor in way:
            os.close(descriptor)


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


def _is_elsewhere(job: Job, found: int) -> bool:
    """Whether something else is mounted there.

    Layered file systems and subvolumes give files device numbers of their own;
    then the number of the mount decides.
    """
    if os.fstat(found).st_dev == os.fstat(job.sandbox).st_dev:
        return False
    mount = _mount(found)
    return not mount or mount != _mount(job.sandbox)


def _mount(descriptor: int) -> bytes:
    try:
        with open("/proc/self/fdinfo/%d" % descriptor, "rb") as lines:
            return next((line for line in lines if line.startswith(b"mnt_id:")), b"")
    except OSError:
        return b""


def _kind(mode: int) -> str:
    return KINDS.get(stat.S_IFMT(mode), ("device", "a device"))[1]
