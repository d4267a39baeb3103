"""The lines of the table as they stand: headings, and under each its jobs and arrays.

A listing never changes; the next arrangement makes another.  A line is made
when it is looked at, for of 100,000 a screen shows forty.  Nothing here draws.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from jobmon_console.rows import Row
from jobmon_console.tui.feed import Feed

JOB, ARRAY, CLUSTER, NODE = "job", "array", "cluster", "node"
_JOB_KEY = "job "  # before the uuid


class Entry:
    """A job and the context through which it is seen.

    Attributes:
        row: the newest record.
        order: what it is sorted by; None: unknown.
        place: of the group it stands in; None: in none yet.
        array: id of the job array it is a task of, or empty.
    """

    __slots__ = ("array", "feed", "order", "place", "row")

    def __init__(self, feed: Feed, row: Row) -> None:
        self.feed = feed
        self.row = row
        self.order: object = None
        self.place: tuple[str, ...] | None = None
        self.array = ""


class Line(NamedTuple):
    """One line of the table."""

    kind: str
    # Never used for another line: "job <uuid>", "array <heading> <id>", "cluster <name>", "node <cluster> <name>".
    key: str
    entry: Entry | None = None
    name: str = ""  # of a heading
    jobs: int = 0  # under a heading
    running: int = 0
    is_folded: bool = False
    is_ghost: bool = False  # left the list; shown until the cursor leaves it

    @property
    def uuid(self) -> str:
        """Of the job; empty for a heading."""
        return self.key[len(_JOB_KEY) :] if self.kind == JOB else ""


class Block(NamedTuple):
    """Lines under one heading, or a heading alone."""

    heading: Line | None
    place: tuple[str, ...] | None  # of its group; None: it shows no jobs
    body: list[Entry | Line]  # jobs, and the lines of arrays


class Listing:
    """Lines by their number, and numbers by the keys of lines.

    Args:
        blocks: in order.
        entry_of: the job with a uuid, also one that left a moment ago.
    """

    def __init__(self, blocks: list[Block], entry_of: Callable[[str], Entry | None]) -> None:
        self._blocks = blocks
        self._entry_of = entry_of
        self._starts: list[int] = []
        self._known: dict[str, int] = {}  # numbers of lines by key: headings, and whatever was asked for
        self._places: dict[tuple[str, ...], int] = {}  # numbers of blocks
        self._ghost: Line | None = None
        self._ghost_at = -1
        at = 0
        for number, block in enumerate(blocks):
            self._starts.append(at)
            if block.heading is not None:
                self._known[block.heading.key] = at
                at += 1
            if block.place is not None:
                self._places[block.place] = number
                at += len(block.body)
        self._length = at

    def keep(self, before: "Listing", at: int) -> None:
        """Let a job that left stand behind what stood before it.

        Args:
            before: an earlier listing.
            at: the number of the job's line in that.
        """
        places = (self.find(before[number].key) for number in reversed(range(at)))
        self._ghost_at = next((place for place in places if place >= 0), -1) + 1
        self._ghost = before[at]._replace(is_ghost=True)

    def __len__(self) -> int:
        return self._length + (self._ghost is not None)

    def __getitem__(self, number: int) -> Line:
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(number)
        if self._ghost is not None and number >= self._ghost_at:
            if number == self._ghost_at:
                return self._ghost
            number -= 1
        at = bisect_right(self._starts, number) - 1
        block, offset = self._blocks[at], number - self._starts[at]
        if block.heading is not None:
            if not offset:
                return block.heading
            offset -= 1
        return _line(block.body[offset])

    def __iter__(self) -> Iterator[Line]:
        return (self[number] for number in range(len(self)))

    def __contains__(self, key: str) -> bool:
        """Whether a line has that key."""
        return self.find(key) >= 0

    def find(self, key: str) -> int:
        """The number of the line with that key; -1: there is none."""
        if self._ghost is not None and key == self._ghost.key:
            return self._ghost_at
        at = self._known.get(key)
        if at is None:
            at = self._known[key] = self._look_for(key)
        return at + (self._ghost is not None and at >= self._ghost_at)

    def _look_for(self, key: str) -> int:
        """Where it stands, without the ghost."""
        if key.startswith(_JOB_KEY):
            entry = self._entry_of(key[len(_JOB_KEY) :])
            number = None if entry is None or entry.place is None else self._places.get(entry.place)
            if entry is not None and number is not None and entry in self._blocks[number].body:
                return self._first(number) + self._blocks[number].body.index(entry)
        elif key.startswith(ARRAY):
            for number in self._places.values():
                for at, each in enumerate(self._blocks[number].body):
                    if isinstance(each, Line) and each.key == key:
                        return self._first(number) + at
        return -1

    def _first(self, number: int) -> int:
        """The line of a block's first job."""
        return self._starts[number] + (self._blocks[number].heading is not None)


def _line(item: Entry | Line) -> Line:
    return item if isinstance(item, Line) else Line(JOB, job_key(item), item)


def job_key(entry: Entry) -> str:
    """The key of a job's line."""
    return _JOB_KEY + str(entry.row["uuid"])


def heading_key(place: tuple[str, ...]) -> str:
    """The key of the heading of a cluster and node, or of a cluster; empty without grouping."""
    if len(place) > 1:
        return f"node {place[0]} {place[1]}"
    return f"cluster {place[0]}" if place else ""
