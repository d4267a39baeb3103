"""The verb `tail`: the end of a file, and what is written to it until the job ends.

A follower knows a file by its inode and by the last bytes it sent.  A smaller
size, or other bytes where those were, mean that the file was truncated, also
when it has grown past the old place since; another inode at the path means
that it was rotated.  Both are told, and reading goes on from the start.
"""

import os
import time
from typing import Any, Dict, Optional, Tuple

from jobmon_agent import sandbox
from jobmon_agent.files import Answer
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.source import BLOCK, Source, open_source
from jobmon_wire import frames, limits

POLL = 0.1  # s between two looks; a person takes 0.1 s for at once
FINGERPRINT = 64  # bytes before the position that are compared; a line of a log, time stamp and all


def tail(job: Job, arguments: Dict[str, Any]) -> Answer:
    """Yield the last lines, or bytes, as DATA; with ``follow`` what comes after them, until the job is over."""
    source = _opened(job, arguments)
    if source is None:
        yield frames.NOTE, {"kind": "waiting"}
        source = _await_source(job, arguments["file"])
        if source is None:
            yield frames.NOTE, {"kind": "ended"}
            return
        start = 0
    else:
        start = end = source.size()
        try:
            start, skipped = _start(source, end, arguments)
        except VerbFailure:
            source.close()
            raise
        if skipped:
            yield frames.NOTE, {"kind": "skipped", "bytes": skipped}
    follower = Follower(job, arguments["file"], source, start)
    try:
        if arguments["follow"]:
            yield from follower.follow()
        else:
            # What is there now; a second round for what was written meanwhile, as `cat` does.
            for _ in range(2):
                for data in source.blocks(start, source.size()):
                    yield frames.DATA, data
                    start += len(data)
    finally:
        follower.close()


class Follower:
    """One file being followed."""

    def __init__(self, job: Job, name: str, source: Source, position: int) -> None:
        self._job = job
        self._name = name
        self._source = source
        self._position = position  # bytes from the start: all before has been sent, or was not asked for
        self._before = source.read(max(0, position - FINGERPRINT), min(position, FINGERPRINT))
        self._seen: Optional[Tuple[int, int, int]] = None

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def follow(self) -> Answer:
        """Yield DATA and NOTEs until the job is over and all it wrote has been yielded."""
        is_over = False
        while not is_over:
            yield from self._drain()
            yield from self._turn_to_new()
            is_over = _pause(self._job)
        # Another process of the job may still be writing its last line.
        yield from self._drain()
        yield from self._turn_to_new()
        _rest()
        yield from self._drain()
        yield from self._turn_to_new()
        yield frames.NOTE, {"kind": "ended"}

    def _drain(self) -> Answer:
        """What is new in the open file, up to its size now: a job may write for ever."""
        end = self._source.size()
        while self._has_changed():
            before = len(self._before)
            # Old and new bytes in one read: no truncation can come between the look and the data.
            found = self._source.read(self._position - before)
            if self._source.size() < self._position or found[:before] != self._before:
                self._position, self._before, self._seen = 0, b"", None
                yield frames.NOTE, {"kind": "truncated"}
                continue
            data = found[before:]
            if data:
                self._position += len(data)
                self._before = found[-FINGERPRINT:]
                yield frames.DATA, data
            if not data or self._position >= end:
                return

    def _has_changed(self) -> bool:
        """Whether a read is worth it: there is more, or what was read may have been rewritten."""
        status = os.fstat(self._source.descriptor)
        seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        is_as_before = seen == self._seen and status.st_size == self._position
        self._seen = seen
        return not is_as_before

    def _turn_to_new(self) -> Answer:
        """Go over to the file that is at the path now, if that is another one."""
        new = self._new_source()
        if new is None:
            return
        try:
            # Who writes may not know yet that the old file was renamed: give it one look more.
            _rest()
            yield from self._drain()
            yield frames.NOTE, {"kind": "rotated"}
        except BaseException:
            new.close()
            raise
        self._source.close()
        self._source, self._position, self._before, self._seen = new, 0, b"", None
        yield from self._drain()

    def _new_source(self) -> Optional[Source]:
        if self._source.is_stream:
            return None
        try:
            found = sandbox.locate(self._job, self._name)
        except VerbFailure:  # unlinked, or unreadable now: the open file is still worth reading
            return None
        try:
            if os.path.samestat(os.fstat(found), os.fstat(self._source.descriptor)):
                return None
        finally:
            os.close(found)
        try:
            new = open_source(self._job, self._name)
        except VerbFailure:
            return None
        if os.path.samestat(os.fstat(new.descriptor), os.fstat(self._source.descriptor)):
            new.close()
            return None
        return new


def _opened(job: Job, arguments: Dict[str, Any]) -> Optional[Source]:
    """The source, or None when it is not there yet and may be waited for."""
    try:
        return open_source(job, arguments["file"])
    except VerbFailure as failure:
        if arguments["follow"] and failure.code == "no-such-file":
            return None
        raise


def _await_source(job: Job, name: str) -> Optional[Source]:
    """The file as soon as it is there; None when the job ended without it."""
    while True:
        is_over = _pause(job)
        try:
            return open_source(job, name)
        except VerbFailure as failure:
            if failure.code != "no-such-file":
                raise
        if is_over:
            return None


def _start(source: Source, end: int, arguments: Dict[str, Any]) -> Tuple[int, int]:
    """Where the answer starts, and how many bytes before it were not searched for lines."""
    if arguments["bytes"] is not None:
        return max(0, end - arguments["bytes"]), 0
    return _start_of_lines(source, end, arguments["lines"])


def _start_of_lines(source: Source, end: int, lines: int) -> Tuple[int, int]:
    """The start of the last lines before ``end``, searched backwards block by block."""
    if not lines:
        return end, 0
    lowest = max(0, end - limits.TAIL_BYTES)
    wanted = lines
    at = end
    while at > lowest:
        start = max(lowest, at - BLOCK)
        data = source.read(start, at - start)
        stop = len(data)
        if at == end and data.endswith(b"\n"):
            stop -= 1  # it ends the last line and starts none
        found = data.count(b"\n", 0, stop)
        if found >= wanted:
            for _ in range(wanted):
                stop = data.rindex(b"\n", 0, stop)
            return start + stop + 1, 0
        wanted -= found
        at = start
    return lowest, lowest


def _pause(job: Job) -> bool:
    """Wait for the next look; whether the job is over.  The one place where a follower waits."""
    return job.wait_over(POLL)


def _rest() -> None:
    """Wait one look's time whatever the job does: once it is over, `_pause` returns at once."""
    time.sleep(POLL)
