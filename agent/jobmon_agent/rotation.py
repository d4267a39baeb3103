"""Rotation: where a file went that was renamed, and which files came after it.

A log that is rotated leaves its older parts beside it, under names that begin
as its own does.  The inode finds a part again; the parts that were made after
it are those of a like name that were written to later.  Where the order of two
cannot be told they are not guessed at: the caller says that there is a gap.
"""

import os
import re
import stat

from jobmon_agent import sandbox
from jobmon_agent.job import Job, VerbFailure
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

MOST = 1000  # files looked at; a log has few parts
_DIGITS = re.compile(rb"[0-9]+")
_NUMBERED = re.compile(rb"[-._T:0-9]*[0-9]")  # what rotation adds to a name: a number or a date


class Part(NamedTuple):
    """A regular file beside the followed one, of a name that begins as its."""

    path: str
    ending: bytes  # what the name has more
    identity: "Tuple[int, int]"  # device and inode
    modified: int  # ns since 1970


def parts(job: Job, name: str) -> "List[Part]":
    """The files beside ``name`` that may have had that name."""
    parent, slash, leaf = name.rpartition("/")
    prefix = leaf.encode("utf-8", "surrogateescape")
    try:
        directory = sandbox.open_directory(job, parent or slash or ".")
    except VerbFailure:
        return []
    if directory is None:
        return []
    try:
        return _parts(directory, parent + slash, prefix)
    except OSError:  # a disk that fails: they are not found
        return []
    finally:
        os.close(directory)


def find(among: "List[Part]", identity: "Tuple[int, int]") -> "Optional[Part]":
    """The part that is this very file."""
    return next((part for part in among if part.identity == identity), None)


class After(NamedTuple):
    """What came after a file."""

    sure: "List[Part]"  # oldest first
    doubtful: int  # parts whose turn cannot be told
    others: int  # files that may be parts, or be something else


def after(among: "List[Part]", old: "Optional[Part]", modified: int) -> After:
    """What came after a file.

    Args:
        among: all parts.
        old: the file, where it is among them still.
        modified: when it was written to last, ns since 1970.
    """
    like = None if old is None else _DIGITS.sub(b"0", old.ending)
    newer = [part for part in among if part != old and part.modified >= modified]
    found = sorted((part for part in newer if _is_like(part.ending, like)), key=lambda part: part.modified)
    # The kernel's clock ticks: what was written in the same tick is not in order.
    times = [modified] + [part.modified for part in found] + [-1]
    sure = [part for at, part in enumerate(found) if times[at] < part.modified != times[at + 2]]
    return After(sure, len(found) - len(sure), len(newer) - len(found))


def _is_like(ending: bytes, like: "Optional[bytes]") -> bool:
    return bool(_NUMBERED.fullmatch(ending)) if like is None else _DIGITS.sub(b"0", ending) == like


def _parts(directory: int, folder: str, prefix: bytes) -> "List[Part]":
    found: "List[Part]" = []
    # os.scandir of a descriptor is new in Python 3.7; the link in /proc is this very directory.
    with os.scandir(b"/proc/self/fd/%d" % directory) as entries:
        for entry in entries:
            if not entry.name.startswith(prefix) or entry.name == prefix or len(found) == MOST:
                continue
            try:
                status = os.stat(entry.name, dir_fd=directory, follow_symlinks=False)
            except OSError:  # it has gone since
                continue
            if stat.S_ISREG(status.st_mode):
                path = folder + entry.name.decode("utf-8", "surrogateescape")
                ending = entry.name[len(prefix) :]
                found.append(Part(path, ending, (status.st_dev, status.st_ino), status.st_mtime_ns))
    return found
