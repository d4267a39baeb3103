"""The lines of the job table: jobs of every context, filtered, sorted, under headings.

A job is known by its uuid; two contexts that see the same job show it once.
The board keeps what the screen must not lose when the list changes: folds,
marks, and the job under the cursor, which stays as a ghost until the cursor
leaves it.  Nothing here draws.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, NamedTuple

from jobmon_console.jobs import COUNTED, Predicate, Record, compile_filter, total
from jobmon_console.selectors import Clause, clauses, values_of
from jobmon_console.tui.feed import Feed
from jobmon_console.tui.order import DEFAULT, SORTS, natural, sort
from jobmon_wire.jobs import ENDED, RUNNING

JOB, ARRAY, CLUSTER, NODE = "job", "array", "cluster", "node"
GROUPINGS = (("cluster", "node"), ("cluster",), ())
LEAST_ARRAY = 3  # tasks of a job array under one heading that are folded to one line
HOLD = 3.0  # s after a move in which a live column does not reorder the list under the cursor
LARGE = 2000  # jobs; arranging fewer takes less than a frame, more wait for PACE
SAMPLE = 20_000  # jobs whose values are offered as completions; all of 100,000 would take longer than a frame
PACE = 1.0  # s between two arrangements of a large list


class Entry(NamedTuple):
    """A job and the context through which it is seen."""

    feed: Feed
    row: Record


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
        return self.key[4:] if self.kind == JOB else ""


class Board:
    """The lines of the table.

    Args:
        feeds: one per context; of two that see a job the first shows it.
        now: the clock that ages are measured against, s since 1970.
    """

    def __init__(self, feeds: Iterable[Feed], now: Callable[[], float]) -> None:
        self.feeds = list(feeds)
        self.entries: dict[str, Entry] = {}
        self.lines: list[Line] = []
        self.index: dict[str, int] = {}  # of a line by its key
        self.marks: dict[str, None] = {}  # uuids, in the order they were marked
        self.folded: set[str] = set()  # headings
        self.opened: set[str] = set()  # arrays
        self.arrays: dict[str, list[Entry]] = {}  # tasks of the arrays that have a line
        self.grouping: tuple[str, ...] = GROUPINGS[0]
        self.sort, self.is_reversed = DEFAULT, False
        self.filter = ""  # the last good one
        self.matching = 0
        self.groups: list[Line] = []  # headings of all jobs, whatever the filter
        self.clauses: list[Clause] = []  # of a filter that nothing matches: what each part does by itself
        self.is_dirty = True
        self._now = now
        self._predicates: dict[str, Predicate] = {}  # by the name that "me" stands for
        self._arranged = float("-inf")  # s

    def update(self, feed: Feed, dirty: set[str]) -> None:
        """Take over what changed in one context's mirror."""
        for uuid in dirty:
            row, known = feed.mirror.rows.get(uuid), self.entries.get(uuid)
            if row is None and known is not None and known.feed is feed:
                self._let_go(uuid)
            elif row is not None and (known is None or self._comes_first(feed, known.feed)):
                self.entries[uuid] = Entry(feed, row)
        self.is_dirty = self.is_dirty or bool(dirty)

    def set_filter(self, text: str) -> None:
        """Narrow the list; on an error the last good filter stays.

        Raises:
            SelectorError: it names position and expectation.
        """
        self._predicates = {feed.me: compile_filter(text, feed.me, self._now) for feed in self.feeds}
        self.filter = text
        self.is_dirty = True

    def set_sort(self, column: str) -> None:
        """Sort by a column; by the same one again: the other way round."""
        self.is_reversed = not self.is_reversed if column == self.sort else False
        self.sort = column
        self.is_dirty = True

    def is_due(self, now: float, moved: float) -> bool:
        """The list should be arranged: something changed, and nobody's finger is on it."""
        if self.is_held(now, moved):
            return False
        if not self.is_dirty and not (self.filter and now - self._arranged >= PACE):  # ages in filters grow
            return False
        return len(self.entries) < LARGE or now - self._arranged >= PACE

    def is_held(self, now: float, moved: float) -> bool:
        """Its order waits until the cursor has been still for a while."""
        return SORTS[self.sort].is_live and now - moved < HOLD

    def arrange(self, now: float, hold: str = "") -> None:
        """Make the lines anew; the line with the key ``hold`` stays even if its job left."""
        before, at = self.lines, self.index.get(hold, -1)
        matching = self.in_order()
        self.matching = len(matching)
        self.clauses = [] if matching or not self.filter else self._clauses()
        self.groups = list(self._headings(self.entries.values()))
        self._open_array_of(hold)
        self.lines = self._group(matching)
        self._reindex()
        if at >= 0 and hold not in self.index and before[at].kind == JOB:
            self._keep(before, at)
        self.marks = {uuid: None for uuid in self.marks if self._is_markable(uuid)}
        self.is_dirty, self._arranged = False, now

    def toggle_fold(self, key: str) -> str:
        """Fold or unfold a heading or an array, or what a job stands under; give the key of that."""
        at = self.index.get(key)
        if at is None:
            return ""
        line = self.lines[at]
        if line.kind == JOB and line.entry is not None:
            array = self._array_key(line.entry)
            key = array if array in self.arrays else heading_key(line.entry.row, self.grouping[-1:])
        if key in self.arrays:
            self.opened ^= {key}
        elif key:
            self.folded ^= {key}
        self.is_dirty = self.is_dirty or bool(key)
        return key

    def select(self) -> list[Entry]:
        """The jobs that match the filter."""
        return [entry for entry in self.entries.values() if self._matches(entry)]

    def in_order(self) -> list[Entry]:
        """The jobs that match the filter, as they are sorted."""
        return sort(self.select(), self.sort, self.is_reversed)

    def unfold(self, entry: Entry) -> None:
        """Open the headings a job stands under."""
        self.folded -= {heading_key(entry.row, ("node",)), heading_key(entry.row, ("cluster",))}
        self.opened.add(self._array_key(entry))
        self.is_dirty = True

    def counts(self) -> Counter[str]:
        """How many jobs are in which state."""
        return Counter(str(entry.row.get("state") or "") for entry in self.entries.values())

    def values(self, field: str) -> Counter[str]:
        """The values that jobs have of a selector's field, with their numbers."""
        if field in COUNTED:
            return total([feed.mirror for feed in self.feeds], field)
        return values_of(field, (entry.row for entry in islice(self.entries.values(), SAMPLE)))

    def current(self, key: str) -> Line | None:
        """The line with this key, with the newest row."""
        at = self.index.get(key)
        if at is None:
            return None
        line = self.lines[at]
        entry = self.entries.get(line.uuid) if line.kind == JOB else None
        return line if entry is None else line._replace(entry=entry)

    def _clauses(self) -> list[Clause]:
        me = next((feed.me for feed in self.feeds if feed.me), "")
        return clauses(self.filter, me, self._now, (entry.row for entry in self.entries.values()))

    def _matches(self, entry: Entry) -> bool:
        if not self.filter:
            return True
        predicate = self._predicates.get(entry.feed.me)
        if predicate is None:  # the context said who "me" is after the filter was set
            predicate = self._predicates[entry.feed.me] = compile_filter(self.filter, entry.feed.me, self._now)
        return predicate(entry.row)

    def _comes_first(self, feed: Feed, other: Feed) -> bool:
        return feed is other or self.feeds.index(feed) < self.feeds.index(other)

    def _let_go(self, uuid: str) -> None:
        del self.entries[uuid]
        for feed in self.feeds:
            if uuid in feed.mirror.rows:
                self.entries[uuid] = Entry(feed, feed.mirror.rows[uuid])
                return

    def _is_markable(self, uuid: str) -> bool:
        entry = self.entries.get(uuid)
        return entry is not None and entry.row.get("state") != ENDED

    def _group(self, entries: list[Entry]) -> list[Line]:
        self.arrays = {}
        if not self.grouping:
            return list(self._lines(entries))
        members: dict[str, list[Entry]] = {}
        for entry in entries:
            members.setdefault(heading_key(entry.row, self.grouping[-1:]), []).append(entry)
        lines: list[Line] = []
        for heading in self._headings(entries):
            lines.append(heading)
            if not heading.is_folded:
                lines.extend(self._lines(members.get(heading.key, [])))
        return lines

    def _lines(self, entries: list[Entry]) -> Iterable[Line]:
        """The jobs under one heading; an array's tasks stand together, where its first one does."""
        tasks: dict[str, list[Entry]] = {}
        for entry in entries:
            if array_of(entry.row):
                tasks.setdefault(self._array_key(entry), []).append(entry)
        self.arrays |= {key: found for key, found in tasks.items() if len(found) >= LEAST_ARRAY}
        for entry in entries:
            key = self._array_key(entry) if array_of(entry.row) else ""
            if key not in self.arrays:
                yield _job_line(entry)
            elif tasks[key][0] is entry:
                found, is_folded = tasks[key], key not in self.opened
                running = sum(each.row.get("state") == RUNNING for each in found)
                yield Line(ARRAY, key, None, array_of(entry.row), len(found), running, is_folded)
                if not is_folded:
                    yield from map(_job_line, found)

    def _array_key(self, entry: Entry) -> str:
        return f"array {heading_key(entry.row, self.grouping[-1:])} {array_of(entry.row)}"

    def _open_array_of(self, hold: str) -> None:
        """The line under the cursor must not go into an array that became large enough to be folded."""
        entry = self.entries.get(hold[4:]) if hold.startswith("job ") else None
        if entry is not None and array_of(entry.row):
            self.opened.add(self._array_key(entry))

    def _headings(self, entries: Iterable[Entry]) -> Iterable[Line]:
        totals: dict[str, list[int]] = {}
        nodes: dict[str, dict[str, str]] = {}  # cluster: node's key: node
        for entry in entries:
            cluster, node = str(entry.row.get("cluster") or ""), str(entry.row.get("node") or "")
            key = heading_key(entry.row, ("node",))
            nodes.setdefault(cluster, {})[key] = node
            for counted in (totals.setdefault("cluster " + cluster, [0, 0]), totals.setdefault(key, [0, 0])):
                counted[0] += 1
                counted[1] += entry.row.get("state") == RUNNING
        for cluster in sorted(nodes):
            yield self._heading(CLUSTER, "cluster " + cluster, cluster, totals)
            if "cluster " + cluster not in self.folded and "node" in self.grouping:
                for key, node in sorted(nodes[cluster].items(), key=lambda pair: natural(pair[1])):
                    yield self._heading(NODE, key, node, totals)

    def _heading(self, kind: str, key: str, name: str, totals: dict[str, list[int]]) -> Line:
        jobs, running = totals[key]
        return Line(kind, key, None, name, jobs, running, key in self.folded)

    def _keep(self, before: list[Line], at: int) -> None:
        ghost = before[at]._replace(is_ghost=True)
        for line in reversed(before[:at]):
            if line.key in self.index:
                self.lines.insert(self.index[line.key] + 1, ghost)
                break
        else:
            self.lines.insert(0, ghost)
        self._reindex()

    def _reindex(self) -> None:
        self.index = {line.key: at for at, line in enumerate(self.lines)}


def heading_key(row: dict[str, Any], grouping: tuple[str, ...]) -> str:
    """The key of the heading a job stands under; empty without grouping."""
    cluster = str(row.get("cluster") or "")
    if grouping == ("node",):
        return f"node {cluster} {row.get('node') or ''}"
    return "cluster " + cluster if grouping else ""


def array_of(row: dict[str, Any]) -> str:
    """The id of the job array a job is a task of; empty if it is none."""
    batch = row.get("batch")
    array = batch.get("array") if isinstance(batch, dict) else None
    return array.rpartition("_")[0] if isinstance(array, str) else ""


def _job_line(entry: Entry) -> Line:
    return Line(JOB, "job " + str(entry.row["uuid"]), entry)
