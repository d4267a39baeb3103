"""The verb `ls`: what lies in the job's sandbox; nothing but directories is opened for it."""

import errno
import heapq
import itertools
import os
import stat

from jobmon_agent import patterns, sandbox
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.proc import text
from jobmon_agent.processes import Users
from jobmon_agent.rows import records
from jobmon_wire import frames, limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional

    from jobmon_agent.files import Answer

_BLOCK = 512  # bytes, the unit of st_blocks on every file system
# What an entry tells; of one that may not be asked, its name and kind alone.
_FIELDS = ("size", "allocated", "modified", "mode", "links", "owner", "group", "target")


def ls(job: Job, arguments: "Dict[str, Any]") -> "Answer":
    """Yield entries as RECORDs: of a directory those it holds, of anything else its own."""
    found = patterns.expand(job, arguments["path"])
    listing = _Listing(job, found.pattern is not None, arguments["hidden"])
    if arguments["directory"]:
        yield from listing.themselves(found.paths)
    elif found.pattern is None:
        yield from listing.inside(found.paths[0])
    else:
        directories: "List[str]" = []
        yield from listing.themselves(found.paths, directories)
        for path in directories:
            yield from listing.inside(path)
    if listing.more:
        yield frames.NOTE, {"kind": "more", "entries": listing.more}
    yield from found.conclude(listing.failures)


class _Listing:
    """One answer, over several paths where a pattern was given."""

    def __init__(self, job: Job, is_pattern: bool, hidden: bool) -> None:
        self.more = 0  # entries that were counted and not sent
        self.failures: "List[VerbFailure]" = []
        self._job = job
        self._is_pattern = is_pattern
        self._hidden = hidden
        self._room = limits.LIST_ENTRIES
        self._users, self._groups = Users(), _Groups()

    def themselves(self, paths: "List[str]", directories: "Optional[List[str]]" = None) -> "Answer":
        """The entries of the paths; directories are put into a list, where one is given, instead."""
        rows = self._rows(paths, directories)
        for first in rows:
            yield from records("entries", itertools.chain([first], rows), path=None)

    def inside(self, path: str) -> "Answer":
        """The entries of a directory; of anything else its own."""
        try:
            directory = sandbox.open_directory(self._job, path)
            if directory is None:
                yield from self.themselves([path])
                return
            try:
                names = self._names(directory, path)
                yield from records("entries", self._entries(directory, names), path=path)
            finally:
                os.close(directory)
        except VerbFailure as failure:
            self._fail(failure)

    def _rows(self, paths: "List[str]", directories: "Optional[List[str]]") -> "Iterator[Dict[str, Any]]":
        for path in paths:
            try:
                found = sandbox.locate(self._job, path, follow=False)
            except VerbFailure as failure:
                self._fail(failure)
                continue
            try:
                status = os.fstat(found)
                if directories is not None and stat.S_ISDIR(status.st_mode):
                    directories.append(path)
                elif self._room > 0:
                    self._room -= 1
                    yield self._entry(path, status, sandbox.target(found))
                else:
                    self.more += 1
            finally:
                os.close(found)

    def _fail(self, failure: VerbFailure) -> None:
        if not self._is_pattern:
            raise failure
        if failure.code != "no-such-file":  # it has gone since it was found
            self.failures.append(failure)

    def _names(self, directory: int, path: str) -> "List[bytes]":
        """The first names in order, in memory for them alone; the others are counted."""
        seen = [0]

        def count() -> "Iterator[bytes]":
            # os.scandir of a descriptor is new in Python 3.7; the link in /proc is this very directory.
            with os.scandir(b"/proc/self/fd/%d" % directory) as entries:
                for entry in entries:
                    if self._hidden or not entry.name.startswith(b"."):
                        seen[0] += 1
                        yield entry.name

        try:
            names = heapq.nsmallest(self._room, count())
        except OSError as error:
            raise sandbox.failure(error, path)
        self._room -= len(names)
        self.more += seen[0] - len(names)
        return names

    def _entries(self, directory: int, names: "List[bytes]") -> "Iterator[Dict[str, Any]]":
        mounts = sandbox.mounts_in(directory)
        for name in names:
            if name in mounts:
                yield _unknown(name, "mount")
                continue
            try:
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                target = os.readlink(name, dir_fd=directory) if stat.S_ISLNK(status.st_mode) else None
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EINVAL):  # it has gone, or changed, since it was listed
                    yield _unknown(name, "unknown")
                continue
            yield self._entry(text(name), status, target)

    def _entry(self, name: str, status: os.stat_result, target: "Optional[bytes]") -> "Dict[str, Any]":
        return {
            "name": name,
            "kind": sandbox.KINDS.get(stat.S_IFMT(status.st_mode), ("unknown", ""))[0],
            "size": min(status.st_size, limits.INTEGER),
            "allocated": min(status.st_blocks * _BLOCK, limits.INTEGER),
            "modified": status.st_mtime,
            "mode": stat.S_IMODE(status.st_mode),
            "links": min(status.st_nlink, limits.INTEGER),
            "owner": self._users.name(status.st_uid),
            "group": self._groups.name(status.st_gid),
            "target": None if target is None else text(target),
        }


class _Groups:
    """Names of groups; each is looked up once, as a directory service may be slow."""

    def __init__(self) -> None:
        self._names: "Dict[int, str]" = {}

    def name(self, gid: int) -> str:
        """The name of a group id, or the number where it has none."""
        if gid not in self._names:
            try:
                import grp  # costs nothing to the processes that never ask

                self._names[gid] = grp.getgrgid(gid).gr_name
            except (ImportError, KeyError, OSError):
                self._names[gid] = str(gid)
        return self._names[gid]


def _unknown(name: bytes, kind: str) -> "Dict[str, Any]":
    return dict(dict.fromkeys(_FIELDS), name=text(name), kind=kind)
