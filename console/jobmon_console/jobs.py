"""The mirror of a server's job list: rows, counts, and what changed.

Fed with the lines of ``GET /v1/jobs/watch``; each line gives the uuids it
touched, so that a screen repaints those alone.  When a new snapshot begins the
rows stay until it is complete, then those it did not hold leave.  ``Position``
knows from where a new watch may go on without one.  Nothing here knows of a
network or a screen.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jobmon_console.replies import Record as Record
from jobmon_console.rows import PLACES, Packer, Row
from jobmon_wire.matching import compile_selector
from jobmon_wire.selectors import parse_selector

Predicate = Callable[[Mapping[str, Any]], bool]

_UUID = PLACES["uuid"]
COUNTED = ("state", "cluster", "node", "health")


class Position:
    """How much of a watch has come: where a new one may go on."""

    def __init__(self) -> None:
        self._epoch = ""
        self._number: int | None = None

    def __str__(self) -> str:
        """As ``calls.watch`` takes it; empty before the first snapshot was complete."""
        return f"{self._epoch}:{self._number}" if self._epoch and self._number is not None else ""

    def take(self, line: Record) -> None:
        """A line has come."""
        if line.get("kind") == "sync":
            self._epoch, self._number = str(line.get("epoch") or ""), None
        if isinstance(number := line.get("seq"), int):
            self._number = number


class Mirror:
    """The jobs of one context.

    Attributes:
        context: its name.
        rows: public job records by uuid, packed.
        counts: for each field of ``COUNTED`` how many jobs have which value.
        announced: the same of the snapshot under way, as the server says it before the rows have come.
        expected: rows of that snapshot.
        is_live: the snapshot is complete; changes come as they happen.
        server_now: moment (RFC 3339) of the server's last sign of life, or None.
    """

    def __init__(self, context: str) -> None:
        self.context = context
        self.rows: dict[str, Row] = {}
        self._packer = Packer()
        self.counts: dict[str, Counter[str]] = {field: Counter() for field in COUNTED}
        self._counters = [(PLACES[field], self.counts[field]) for field in COUNTED]
        self.announced: dict[str, Counter[str]] = {}
        self.expected = 0
        self.is_live = False
        self.server_now: Any = None
        self._unconfirmed: set[str] = set()  # rows that the snapshot under way has not named yet

    def __len__(self) -> int:
        return len(self.rows)

    def apply(self, line: Record) -> set[str]:
        """Take one line of the watch; give the uuids of rows that changed, came or went."""
        kind = line.get("kind")
        if kind == "sync":
            self._begin(line)
        if kind == "jobs":
            return {uuid for record in line.get("jobs") or () if (uuid := self._put(record))}
        if kind == "gone":
            return {uuid for uuid in line.get("uuids") or () if self._drop(uuid)}
        if kind == "live":
            gone = {uuid for uuid in tuple(self._unconfirmed) if self._drop(uuid)}
            self.is_live = True
            return gone
        if kind == "alive":
            self.server_now = line.get("now")
        return set()

    def pack(self, line: Record) -> Record:
        """A line with its records packed, for those who have it wait: a record takes three times as much."""
        if line.get("kind") == "jobs":
            return line | {"jobs": [self._packer.pack(each) for each in line.get("jobs") or () if type(each) is dict]}
        return line

    def select(self, predicate: Predicate | None = None) -> list[Row]:
        """The rows a compiled selector matches, in the order they came."""
        return list(self.rows.values()) if predicate is None else [row for row in self.rows.values() if predicate(row)]

    def _begin(self, line: Record) -> None:
        """A snapshot begins: what it does not name is gone."""
        self.is_live = False
        self._unconfirmed = set(self.rows)
        total, counts = line.get("total"), line.get("counts")
        self.expected = total if isinstance(total, int) else 0
        self.announced = {}
        for field in COUNTED:
            values = counts.get(field) if isinstance(counts, dict) else None
            if isinstance(values, dict):
                self.announced[field] = Counter({str(value): n for value, n in values.items() if isinstance(n, int)})

    def _put(self, record: Record | Row) -> str:
        row = record if isinstance(record, Row) else self._packer.pack(record)
        uuid = row.cells[_UUID]
        if not isinstance(uuid, str) or not uuid:
            return ""
        self._unconfirmed.discard(uuid)
        old = self.rows.get(uuid)
        if old is not None and old.cells == row.cells:
            return ""
        self.rows[uuid] = row
        self._count(old, row)
        return uuid

    def _drop(self, uuid: str) -> bool:
        self._unconfirmed.discard(uuid)
        row = self.rows.pop(uuid, None)
        if row is None:
            return False
        self._count(row, None)
        return True

    def _count(self, old: Row | None, new: Row | None) -> None:
        """Count a row that came, went or became another; mostly nothing that is counted has changed."""
        for place, counter in self._counters:
            left = None if old is None else str(old.cells[place] or "")
            come = None if new is None else str(new.cells[place] or "")
            if left == come:
                continue
            if come is not None:
                counter[come] += 1
            if left is not None:
                counter[left] -= 1
                if not counter[left]:
                    del counter[left]


def compile_filter(text: str, me: str, now: Callable[[], float]) -> Predicate:
    """A predicate for ``Mirror.select`` from a selector's text.

    Raises:
        SelectorError: the text is no selector; it names position and expectation.
    """
    return compile_selector(parse_selector(text), me, now)


def total(mirrors: Iterable[Mirror], field: str) -> Counter[str]:
    """The counts of a field over several contexts."""
    counts: Counter[str] = Counter()
    for mirror in mirrors:
        counts.update(mirror.counts[field])
    return counts
