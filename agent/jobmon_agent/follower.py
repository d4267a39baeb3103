"""Following a file by its name, until the job is over.

What the name means may change: places wait in a row, first the one that is
read, last the one in the file that has the name now.  The first is left once
the next has something in it, since who writes may not know yet that his file
was renamed.  Files that came and went unread are counted and told.
"""

import os
import time
from collections import deque

from jobmon_agent import rotation, sandbox
from jobmon_agent.exits import read_exit
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.lookout import Lookout
from jobmon_agent.place import Place
from jobmon_agent.source import open_source
from jobmon_wire import frames
from jobmon_wire.cursor import NOWHERE, Cursor
from jobmon_wire.verbs import STREAMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Deque, Dict, List, Optional, Tuple

    from jobmon_agent.place import Answer

LINGER = 0.02  # s a renamed file is read on once the next one is written to: a job may have many writers
DRAIN = 0.2  # s after the job's end in which another process of it may still write a last line
_ROW = 8  # files in the row at most, each a descriptor
_ROUNDS = 4  # looks at a name that changes while it is looked at


class Follower:
    """One follow.

    Args:
        job: the job.
        name: the FILE argument.
        is_latest: of a backlog, only the end is wanted.
    """

    def __init__(self, job: Job, name: str, is_latest: bool) -> None:
        self._job = job
        self._name = name
        self._is_latest = is_latest
        self._row: "Deque[Place]" = deque()
        self._lookout: "Optional[Lookout]" = None
        self._is_unlinked = False  # and that was told
        # Since it was known last which file has the name: files that came to it as far as was told, and as was seen.
        self._told = self._taken = 0

    def close(self) -> None:
        """Let go of the files."""
        if self._lookout is not None:
            self._lookout.close()
        for place in self._row:
            place.close()

    def begin(self, place: Place) -> None:
        """Follow from a place; closing it is this one's from now on."""
        self._row.append(place)

    def resume(self, cursor: Cursor) -> "Answer":
        """Follow from where a reader was."""
        current = None
        try:
            current = _opened(self._job, self._name)
        except VerbFailure as failure:
            if failure.code != "no-such-file":
                raise
        identity = (cursor.device, cursor.inode)
        if cursor.inode and (current is None or current.identity != identity) and self._name not in STREAMS:
            self._begin_renamed(identity)
        if current is not None:
            self._join(current)
            self._taken = 0  # nothing has been told yet
        if not cursor.inode:  # there was no file then: all of what came is new
            return
        if not self._row:
            yield frames.NOTE, _nowhere("gap", files=None)
        elif self._row[0].identity != identity:
            yield self._row[0].note("gap", files=None)
        elif not self._row[0].resume(cursor):
            yield self._row[0].note("truncated")

    def follow(self) -> "Answer":
        """Yield DATA and NOTEs until the job is over and all it wrote has been yielded."""
        self._lookout = lookout = Lookout(self._job, None if self._is_stream() else self._name)
        lookout.arm(self._descriptors())  # before the first word: the reader may take its time
        yield self._row[0].note("at") if self._row else (frames.NOTE, _nowhere("waiting"))
        is_over = False
        while not is_over:
            found = 0
            for type_, payload in self._new(lookout):
                found += len(payload) if type_ == frames.DATA else 0
                yield type_, payload
            is_over = lookout.wait(found)
        yield from self._look(lookout)
        # Another process of the job may still be writing its last line.
        end = time.monotonic() + DRAIN
        exit = read_exit(self._job, self._job.status)
        time.sleep(max(0.0, end - time.monotonic()))
        yield from self._look(lookout)
        if self._told > self._taken and self._row:
            yield self._row[0].note("gap", files=self._told - self._taken)
        yield frames.NOTE, {"kind": "ended", "exit": dict(exit._asdict())}

    def _is_stream(self) -> bool:
        return bool(self._row) and self._row[0].source.is_stream

    def _descriptors(self) -> "List[int]":
        return [place.source.descriptor for place in self._row]

    def _new(self, lookout: Lookout) -> "Answer":
        """Yield what is new, and have the lookout tell of what comes after it."""
        if not self._is_stream():
            lookout.arm(self._descriptors())
            yield from self._look(lookout)
            return
        # A stream has no name to be looked at first: its reader need not wait until it is watched again.
        place = self._row[0]
        yield from place.drain(self._is_latest)
        lookout.arm(self._descriptors())
        if place.source.size() != place.position:  # what was written between the two is told by no event
            lookout.note()

    def _look(self, lookout: Lookout) -> "Answer":
        """Yield everything that is new."""
        was_waiting = not self._row
        if not was_waiting:
            yield from self._row[0].drain(self._is_latest)
        # Before the name: a file that is renamed over it takes it in the moment in which the old one loses its last.
        has_no_name = self._has_no_name()
        if not self._is_stream() and self._look_at_name(lookout):
            # What was written to a new file before it was watched is seen below.
            lookout.arm(self._descriptors())
        if was_waiting and self._row:
            yield from self._enter("at")
        elif self._row:
            yield from self._tell_gap()
        yield from self._tell_unlinked(has_no_name)
        while len(self._row) > 1 and (len(self._row) > 2 or self._row[1].source.size()):
            yield from self._turn()

    def _look_at_name(self, lookout: Lookout) -> bool:
        """Put into the row what came to the name; whether something did."""
        before = len(self._row)
        has_name = False
        for _ in range(_ROUNDS):
            has_name = self._take()
            # What was told may be newer than what was taken: look again until nothing came meanwhile.
            told = lookout.arrivals()
            self._told += told
            if not told:
                break
        if has_name and self._row:
            # The last that was told has the name, be it a new one or one that had it before.
            self._miss(before, max(0, self._told - max(self._taken, 1)), lookout.has_lost and bool(self._taken))
            self._told = self._taken = 0
            lookout.has_lost = False
        return len(self._row) > before

    def _miss(self, before: int, missed: int, is_unsure: bool) -> None:
        """Files came and went unread, somewhere among those that are in the row since it had ``before``."""
        new = list(self._row)[before:] or [self._row[0]]
        new[0].missed += missed
        for place in new:
            place.is_unsure |= is_unsure or (missed > 0 and place is not new[0])

    def _has_no_name(self) -> bool:
        """The one file that is read has lost every name."""
        if len(self._row) != 1 or self._row[0].source.is_stream:
            return False
        return not os.fstat(self._row[0].source.descriptor).st_nlink

    def _tell_unlinked(self, has_no_name: bool) -> "Answer":
        was_unlinked = self._is_unlinked
        self._is_unlinked = has_no_name and len(self._row) == 1  # and nothing has taken the name since
        if self._is_unlinked and not was_unlinked:
            yield self._row[0].note("unlinked")

    def _turn(self) -> "Answer":
        """Go over to the next file."""
        linger()
        yield from self._row[0].drain(self._is_latest)
        self._row.popleft().close()
        if self._lookout is not None:
            self._lookout.disarm()
        yield from self._enter("rotated")

    def _enter(self, kind: str) -> "Answer":
        """Begin to read the first file."""
        yield from self._tell_gap()
        yield self._row[0].note(kind)
        yield from self._row[0].drain(self._is_latest)

    def _tell_gap(self) -> "Answer":
        place = self._row[0]
        if place.missed or place.is_unsure:
            yield place.note("gap", files=None if place.is_unsure else place.missed)
            place.missed, place.is_unsure = 0, False

    def _take(self) -> bool:
        """Put what has the name now into the row, if it is not there yet; whether anything has the name."""
        try:
            # Looked at before it is opened: most looks find what they found before.
            if not self._row or self._row[-1].identity != _identity(self._job, self._name):
                self._join(_opened(self._job, self._name))
            return True
        except VerbFailure as failure:  # it has gone, or may not be read
            return failure.code != "no-such-file"

    def _join(self, new: Place) -> None:
        """Put a file into the row, and before it those that came between the last one and it."""
        if self._row and self._row[-1].identity == new.identity:
            new.close()
            return
        before, missed, is_unsure = len(self._row), 0, False
        if self._row:
            between, missed, is_unsure = self._between(self._row[-1], new)
            self._row.extend(between)
            self._taken += len(between) + missed
        self._row.append(new)
        self._taken += 1
        # Where arrivals are told, they are counted; else whatever lies there may have had the name.
        self._miss(before, missed, is_unsure and not (self._lookout and self._lookout.is_told))

    def _between(self, last: Place, new: Place) -> "Tuple[List[Place], int, bool]":
        """The files that had the name between two, how many more cannot be read, and whether there may be others."""
        among = [part for part in rotation.parts(self._job, self._name) if part.identity != new.identity]
        old = rotation.find(among, last.identity)
        modified = os.fstat(last.source.descriptor).st_mtime_ns
        parts, missed, others = rotation.after(among, old, modified)
        found: "List[Place]" = []
        for part in parts:
            place = self._reopened(part) if len(self._row) + len(found) < _ROW else None
            if place is not None and last.position and place.resume(last.cursor()):
                # It may be a copy of what was read: no line is sent twice on a guess.
                place.close()
                place = None
            if place is None:
                missed += 1
            else:
                found.append(place)
        return found, missed, others > 0

    def _begin_renamed(self, identity: "Tuple[int, int]") -> None:
        """Begin with a file that had the name, if it is still there."""
        old = rotation.find(rotation.parts(self._job, self._name), identity)
        place = None if old is None else self._reopened(old)
        if place is not None:
            self._row.append(place)

    def _reopened(self, part: rotation.Part) -> "Optional[Place]":
        """The part, if its name still means it."""
        try:
            place = _opened(self._job, part.path)
        except VerbFailure:
            return None
        if place.identity == part.identity:
            return place
        place.close()
        return None


def linger() -> None:
    """Wait for writers that are in the middle of a line."""
    time.sleep(LINGER)


def _nowhere(kind: str, **facts: "Any") -> "Dict[str, Any]":
    """A NOTE while there is no file."""
    return dict(facts, kind=kind, cursor=NOWHERE.text())


def _opened(job: Job, name: str) -> Place:
    """What has the name now, at its start.

    Raises:
        VerbFailure: as ``open_source``.
    """
    source = open_source(job, name)
    try:
        return Place(source)
    except BaseException:
        source.close()
        raise


def _identity(job: Job, name: str) -> "Tuple[int, int]":
    """Device and inode of what has the name now.

    Raises:
        VerbFailure: as ``sandbox.locate``.
    """
    found = sandbox.locate(job, name)
    try:
        status = os.fstat(found)
        return status.st_dev, status.st_ino
    finally:
        os.close(found)
