"""The verbs `ls`, `head` and `cat`: files of the sandbox and the job's output."""

import heapq
import os
import stat
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from jobmon_agent import sandbox
from jobmon_agent.job import Job
from jobmon_agent.proc import text
from jobmon_agent.processes import Users
from jobmon_agent.rows import records
from jobmon_agent.source import open_source
from jobmon_wire import frames, limits

Answer = Iterator[Tuple[int, Union[bytes, Dict[str, Any]]]]


def ls(job: Job, arguments: Dict[str, Any]) -> Answer:
    """Yield the entries of a directory as RECORDs, or the one entry that a file is."""
    path = arguments["path"]
    directory = sandbox.open_directory(job, path)
    if directory is None:
        yield from records("entries", [_file_entry(job, path)], path=path)
        return
    try:
        names, more = _names(directory, path)
        yield from records("entries", _entries(directory, names), path=path)
    finally:
        os.close(directory)
    if more:
        yield frames.NOTE, {"kind": "more", "entries": more}


def head(job: Job, arguments: Dict[str, Any]) -> Answer:
    """Yield the first lines, or bytes, as DATA."""
    with open_source(job, arguments["file"]) as source:
        if arguments["bytes"] is not None:
            for data in source.blocks(0, arguments["bytes"]):
                yield frames.DATA, data
            return
        lines = arguments["lines"]
        for data in source.blocks(0, limits.INTEGER) if lines else ():
            end = _end_of_lines(data, lines)
            yield frames.DATA, data[:end]
            lines -= data.count(b"\n", 0, end)
            if not lines:
                return


def cat(job: Job, arguments: Dict[str, Any]) -> Answer:
    """Yield a whole file as DATA: all there was when it began and was read to its end."""
    with open_source(job, arguments["file"]) as source:
        start = 0
        # A second round for what was written meanwhile, no third: a job may write for ever.
        for _ in range(2):
            for data in source.blocks(start, source.size()):
                yield frames.DATA, data
                start += len(data)


def _end_of_lines(data: bytes, lines: int) -> int:
    """Where in the data so many lines end; its length where it holds fewer."""
    if data.count(b"\n") < lines:
        return len(data)
    end = 0
    for _ in range(lines):
        end = data.index(b"\n", end) + 1
    return end


def _names(directory: int, path: str) -> Tuple[List[bytes], int]:
    """The first names in order and how many more there are, in memory for the first alone."""
    more = [0]

    def count() -> Iterator[bytes]:
        # os.scandir of a descriptor is new in Python 3.7; the link in /proc is this very directory.
        with os.scandir(b"/proc/self/fd/%d" % directory) as entries:
            for entry in entries:
                more[0] += 1
                yield entry.name

    try:
        names = heapq.nsmallest(limits.LIST_ENTRIES, count())
    except OSError as error:
        raise sandbox.failure(error, path)
    return names, more[0] - len(names)


def _entries(directory: int, names: List[bytes]) -> Iterator[Dict[str, Any]]:
    users = Users()
    for name in names:
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            target = os.readlink(name, dir_fd=directory) if stat.S_ISLNK(status.st_mode) else None
        except OSError:  # it has gone, or changed, since it was listed
            continue
        yield _entry(name, status, users, target)


def _file_entry(job: Job, path: str) -> Dict[str, Any]:
    found = sandbox.locate(job, path)
    try:
        name = path.rstrip("/").rpartition("/")[2].encode("utf-8", "surrogateescape")
        return _entry(name, os.fstat(found), Users(), None)
    finally:
        os.close(found)


def _entry(name: bytes, status: os.stat_result, users: Users, target: Optional[bytes]) -> Dict[str, Any]:
    return {
        "name": text(name),
        "kind": sandbox.KINDS.get(stat.S_IFMT(status.st_mode), ("device", ""))[0],
        "size": min(status.st_size, limits.INTEGER),
        "modified": status.st_mtime,
        "mode": stat.S_IMODE(status.st_mode),
        "owner": users.name(status.st_uid),
        "target": None if target is None else text(target),
    }
