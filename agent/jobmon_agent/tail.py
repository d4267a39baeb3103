"""The verb `tail`: the end of a file, and what is written to it until the job ends."""

from jobmon_agent.follower import Follower
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.place import Place
from jobmon_agent.source import BLOCK, Source, open_source
from jobmon_wire import limits
from jobmon_wire.cursor import Cursor, CursorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple

    from jobmon_agent.place import Answer


def tail(job: Job, arguments: "Dict[str, Any]") -> "Answer":
    """Yield the last lines, or bytes, as DATA; with ``follow`` what comes after them, until the job is over."""
    if arguments["follow"]:
        yield from _follow(job, arguments)
        return
    with open_source(job, arguments["file"]) as source:
        place, unsearched = _end(source, arguments)
        if unsearched:
            yield place.note("overlong", bytes=unsearched)
        # What is there now; a second round for what was written meanwhile, as `cat` does.
        for _ in range(2):
            yield from place.drain()


def _follow(job: Job, arguments: "Dict[str, Any]") -> "Answer":
    follower = Follower(job, arguments["file"], bool(arguments["latest"]))
    try:
        if arguments["resume"] is not None:
            yield from follower.resume(_cursor(arguments["resume"]))
        else:
            yield from _begin(job, arguments, follower)
        yield from follower.follow()
    finally:
        follower.close()


def _begin(job: Job, arguments: "Dict[str, Any]", follower: Follower) -> "Answer":
    """Begin at the end of the file, or with nothing where it is not there yet."""
    try:
        source = open_source(job, arguments["file"])
    except VerbFailure as failure:
        if failure.code == "no-such-file":
            return
        raise
    try:
        place, unsearched = _end(source, arguments)
    except BaseException:
        source.close()
        raise
    follower.begin(place)
    if unsearched:
        yield place.note("overlong", bytes=unsearched)


def _cursor(text: str) -> Cursor:
    try:
        return Cursor.read(text)
    except CursorError as error:
        raise VerbFailure("bad-request", "resume: %s" % error)


def _end(source: Source, arguments: "Dict[str, Any]") -> "Tuple[Place, int]":
    """Where the answer starts, and how many bytes before it were not searched for lines."""
    end = source.size()
    if arguments["bytes"] is not None:
        return Place(source, max(0, end - arguments["bytes"])), 0
    start, unsearched = _start_of_lines(source, end, arguments["lines"])
    return Place(source, start), unsearched


def _start_of_lines(source: Source, end: int, lines: int) -> "Tuple[int, int]":
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
