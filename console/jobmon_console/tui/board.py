"""The lines of the job table: jobs of every context, filtered, sorted, under headings.

A job is known by its uuid; two contexts that see the same job show it once.
The board keeps what the screen must not lose when the list changes: folds,
marks, and the job under the cursor, which stays as a ghost until the cursor
leaves it.  Nothing here draws.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter

from jobmon_console.jobs import COUNTED, total
from jobmon_console.rows import PLACES, Row
from jobmon_console.selectors import clauses, values_in
from jobmon_console.sieve import Sieve
from jobmon_console.tui.census import Census, place_of
from jobmon_console.tui.feed import Feed
from jobmon_console.tui.groups import FRESH, NARROWED, STALE, Group, array_of, chosen, names_of
from jobmon_console.tui.listing import CLUSTER, JOB, NODE, Block, Entry, Line, Listing, heading_key
from jobmon_console.tui.order import DEFAULT, SORTS, in_order, natural, order_of
from jobmon_console.tui.reasons import Reasons
from jobmon_wire.jobs import ENDED
from jobmon_wire.selectors import SelectorError, parse_selector

GROUPINGS: tuple[tuple[str, ...], ...] = (("cluster", "node"), ("cluster",), ())
HOLD = 3.0  # s after a move in which a live column does not reorder the list under the cursor
LARGE = 2000  # jobs; arranging fewer takes less than a frame, more wait for PACE
SAMPLE = 20_000  # jobs whose values are offered as completions; all of 100,000 would take longer than a frame
NAMES = 4096  # nodes whose place in the order is remembered
PACE = 1.0  # s between two arrangements of a large list
_PLACED_BY = {  # what is looked at of two rows: only where it is another the lines may be
    order.id: itemgetter(*(PLACES[name] for name in ("state", "cluster", "node", "batch", "id", order.field)))
    for order in SORTS.values()
}
LOADING = 3.0  # s between two while most of it is still to come: each takes the longer, and nothing of it stays


class Board:
    """The lines of the table.

    Args:
        feeds: one per context; of two that see a job the first shows it.
        now: the clock that ages are measured against, s since 1970.
    """

    def __init__(self, feeds: Iterable[Feed], now: Callable[[], float]) -> None:
        self.feeds = list(feeds)
        self.entries: dict[str, Entry] = {}
        self.census = Census()
        self.lines = Listing([], self._entry_of)
        self.marks: dict[str, None] = {}  # uuids, in the order they were marked
        self.folded: set[str] = set()  # headings
        self.opened: set[str] = set()  # arrays
        self.arrays: dict[str, list[Entry]] = {}  # tasks of the arrays that have a line
        self.grouping: tuple[str, ...] = GROUPINGS[0]
        self.sort, self.is_reversed = DEFAULT, False
        self.filter = ""  # the last good one
        self.matching = 0
        self.groups: list[Line] = []  # headings of all jobs, whatever the filter
        self.reasons = Reasons()  # of a filter that nothing matches
        self.is_dirty = True
        self._now = now
        self._sieves: dict[str, Sieve] = {}  # by the name that "me" stands for; none without a filter
        self._arranged = float("-inf")  # s
        self._arranged_by: tuple[tuple[str, ...], str, bool] | None = None  # grouping, column, direction
        self._folded_by: set[str] = set()  # arrays that were open then
        self._groups: dict[tuple[str, ...], Group] = {}  # by cluster and node, by cluster, or one
        self._pending: dict[str, None] = {}  # uuids that came, changed or went since
        self._left: dict[str, Entry] = {}  # those that went

    def update(self, feed: Feed, dirty: set[str]) -> None:
        """Take over what changed in one context's mirror."""
        for uuid in dirty:
            row, known = feed.mirror.rows.get(uuid), self.entries.get(uuid)
            if row is None:
                if known is not None and known.feed is feed:
                    self._let_go(uuid, known)
            elif known is None:
                self._admit(uuid, feed, row)
            elif known.feed is feed or self._comes_first(feed, known.feed):
                self._turn(uuid, known, feed, row)
        self.is_dirty = self.is_dirty or bool(self._pending)

    def set_filter(self, text: str) -> None:
        """Narrow the list; on an error the last good filter stays.

        Raises:
            SelectorError: it names position and expectation.
        """
        tree, before = parse_selector(text), self._sieves
        self.filter = text
        self._sieves = {feed.me: Sieve(tree, feed.me, self._now) for feed in self.feeds} if text.strip() else {}
        is_narrower = bool(before) and all(
            me in before and sieve.narrows(before[me]) for me, sieve in self._sieves.items()
        )
        self._renew(NARROWED if is_narrower and self._sieves else STALE)

    def gather_names(self) -> None:
        """Have at hand what a word is looked for in: a first letter need not wait for it."""
        for group in self._groups.values():
            group.words("")

    def is_matched(self, text: str) -> bool:
        """Whether a job matches a filter; also if the text is none, as an error is told elsewhere."""
        try:
            tree = parse_selector(text)
        except SelectorError:
            return True
        sieves = {feed.me: Sieve(tree, feed.me, self._now) for feed in self.feeds}
        return any(group.has_match(sieves) for group in self._groups.values())

    def set_sort(self, column: str) -> None:
        """Sort by a column; by the same one again: the other way round."""
        self.is_reversed = not self.is_reversed if column == self.sort else False
        self.sort = column
        self.is_dirty = True

    def is_due(self, now: float, moved: float) -> bool:
        """The list should be arranged: something changed, and nobody's finger is on it."""
        if self.is_held(now, moved):
            return False
        if not self.is_dirty and not (self._ages and now - self._arranged >= PACE):
            return False
        pace = LOADING if any(feed.is_loading for feed in self.feeds) else PACE
        return len(self.entries) < LARGE or now - self._arranged >= pace

    def is_held(self, now: float, moved: float) -> bool:
        """Its order waits until the cursor has been still for a while."""
        return SORTS[self.sort].is_live and now - moved < HOLD

    def arrange(self, now: float, hold: str = "") -> None:
        """Make the lines anew; the line with the key ``hold`` stays even if its job left."""
        before, at = self.lines, self.lines.find(hold)
        self._prepare()
        self._place_all()
        self._open_array_of(hold)
        self._sift()
        self.matching = sum(len(group.shown) for group in self._groups.values())
        self.reasons.ask("" if self.matching else self.filter)
        if self.reasons.are_wanted and len(self.entries) < LARGE:
            self.explain()
        self.groups = list(self._headings())
        self.lines = Listing(list(self._blocks()), self._entry_of)
        if at >= 0 and hold not in self.lines and before[at].kind == JOB:
            self.lines.keep(before, at)
        self._left = {}
        self.marks = {uuid: None for uuid in self.marks if self._is_markable(uuid)}
        self.is_dirty, self._arranged = False, now

    def explain(self) -> None:
        """Find out why the filter matches nothing."""
        me = next((feed.me for feed in self.feeds if feed.me), "")
        rows = (entry.row for entry in self.entries.values())
        self.reasons.give(clauses(self.filter, me, self._now, rows))

    def toggle_fold(self, key: str) -> str:
        """Fold or unfold a heading or an array, or what a job stands under; give the key of that."""
        at = self.lines.find(key)
        if at < 0:
            return ""
        line = self.lines[at]
        if line.kind == JOB and line.entry is not None:
            array = self._array_key(line.entry)
            key = array if array in self.arrays else heading_key(place_of(line.entry.row)[: len(self.grouping)])
        if key in self.arrays:
            self.opened ^= {key}
        elif key:
            self.folded ^= {key}
        self.is_dirty = self.is_dirty or bool(key)
        return key

    def select(self) -> list[Entry]:
        """The jobs that match the filter."""
        entries = list(self.entries.values())
        return chosen(entries, self._sieves) if self._sieves else entries

    def in_order(self) -> list[Entry]:
        """The jobs that match the filter, as they are sorted."""
        found = self.select()
        for entry in found:
            entry.order = order_of(entry.row, self.sort)
        return in_order(found, self.is_reversed)

    def unfold(self, entry: Entry) -> None:
        """Open the headings a job stands under."""
        cluster, node = place_of(entry.row)
        self.folded -= {heading_key((cluster, node)), heading_key((cluster,))}
        self.opened.add(self._array_key(entry))
        self.is_dirty = True

    def counts(self) -> Counter[str]:
        """How many jobs are in which state."""
        return self.census.states

    def values(self, field: str) -> Counter[str]:
        """The values that jobs have of a selector's field, with their numbers."""
        if field in COUNTED:
            return total([feed.mirror for feed in self.feeds], field)
        rows = [entry.row for entry in islice(self.entries.values(), SAMPLE)]
        return values_in(field, rows, {feed.me for feed in self.feeds})

    def current(self, key: str) -> Line | None:
        """The line with this key, with the newest row."""
        at = self.lines.find(key)
        if at < 0:
            return None
        line = self.lines[at]
        entry = self.entries.get(line.uuid) if line.kind == JOB else None
        return line if entry is None else line._replace(entry=entry)

    # Jobs that come, change and go

    def _admit(self, uuid: str, feed: Feed, row: Row) -> None:
        entry = self._left.pop(uuid, None)
        if entry is None:
            entry = Entry(feed, row)
        else:  # it went a moment ago, and stands in its group still
            self._replace(entry, feed, row)
        self.entries[uuid] = entry
        self._pending[uuid] = None
        self.census.turn(None, row)

    def _turn(self, uuid: str, entry: Entry, feed: Feed, row: Row) -> None:
        self.census.turn(entry.row, row)
        # By another order, which somebody has just chosen, all are placed anew, unless that is taken back.
        placed_by = _PLACED_BY[self._arranged_by[1] if self._arranged_by else self.sort]
        if self._sieves or placed_by(entry.row.cells) != placed_by(row.cells):
            self._pending[uuid] = None
        self._replace(entry, feed, row)

    def _replace(self, entry: Entry, feed: Feed, row: Row) -> None:
        if entry.place is not None and names_of(entry.row) != names_of(row):
            self._groups[entry.place].rename()
        entry.feed, entry.row = feed, row

    def _let_go(self, uuid: str, entry: Entry) -> None:
        for feed in self.feeds:
            if uuid in feed.mirror.rows:
                self._turn(uuid, entry, feed, feed.mirror.rows[uuid])
                return
        del self.entries[uuid]
        self._left[uuid] = entry
        self._pending[uuid] = None
        self.census.turn(entry.row, None)

    def _comes_first(self, feed: Feed, other: Feed) -> bool:
        return feed is other or self.feeds.index(feed) < self.feeds.index(other)

    def _entry_of(self, uuid: str) -> Entry | None:
        return self.entries.get(uuid) or self._left.get(uuid)

    def _is_markable(self, uuid: str) -> bool:
        entry = self.entries.get(uuid)
        return entry is not None and entry.row.get("state") != ENDED

    # Arranging

    def _prepare(self) -> None:
        """Begin anew where the list is to be grouped or sorted in another way."""
        wanted = (self.grouping, self.sort, self.is_reversed)
        if wanted == self._arranged_by:
            return
        self._arranged_by = wanted
        self._groups = {}
        for entry in self.entries.values():
            entry.place = None
        self._pending = dict.fromkeys(self.entries)

    def _place_all(self) -> None:
        """Put every job that came or changed where it belongs."""
        pending, self._pending = self._pending, {}
        for uuid in pending:
            entry = self.entries.get(uuid)
            if entry is not None:
                self._place(entry)
            elif uuid in self._left and (left := self._left[uuid]).place is not None:
                self._groups[left.place].drop(left)
        for group in [group for group in self._groups.values() if group.freshness == STALE]:
            group.arrange(self.is_reversed)
            if not group.members:
                del self._groups[group.place]

    def _place(self, entry: Entry) -> None:
        place, array = place_of(entry.row)[: len(self.grouping)], array_of(entry.row)
        order = order_of(entry.row, self.sort)
        if entry.place != place or entry.array != array:
            if entry.place is not None:
                self._groups[entry.place].drop(entry)
            entry.order, entry.array = order, array
            self._group(place).put(entry)
            return
        group = self._groups[place]
        if order != entry.order:
            entry.order = order
            group.shuffle()
        if self._sieves:
            group.touch(entry)

    def _group(self, place: tuple[str, ...]) -> Group:
        group = self._groups.get(place)
        if group is None:
            group = self._groups[place] = Group(place, heading_key(place))
        return group

    @property
    def _ages(self) -> bool:
        """What matches changes with time alone."""
        return any(sieve.depends_on_time for sieve in self._sieves.values())

    def _sift(self) -> None:
        if self._sieves and not {feed.me for feed in self.feeds} <= set(self._sieves):
            self.set_filter(self.filter)  # a context has said who "me" is
        if self._ages:
            self._renew(STALE)
        for sieve in self._sieves.values():
            sieve.begin()
        turned, self._folded_by = self.opened ^ self._folded_by, set(self.opened)
        self.arrays = {}
        for group in self._groups.values():
            if group.freshness != FRESH:
                group.sift(self._sieves)
                group.fold(self.opened)
            elif not turned.isdisjoint(group.arrays):
                group.fold(self.opened)
            self.arrays |= group.arrays

    def _renew(self, freshness: int) -> None:
        for group in self._groups.values():
            group.freshness = max(group.freshness, freshness)
        self.is_dirty = True

    def _array_key(self, entry: Entry) -> str:
        place = place_of(entry.row)[: len(self.grouping)]
        return f"array {heading_key(place)} {array_of(entry.row)}"

    def _open_array_of(self, hold: str) -> None:
        """The line under the cursor must not go into an array that became large enough to be folded."""
        entry = self.entries.get(hold[4:]) if hold.startswith("job ") else None
        if entry is not None and array_of(entry.row):
            self.opened.add(self._array_key(entry))

    # Lines

    def _blocks(self) -> Iterator[Block]:
        """What is shown, under its headings."""
        if not self.grouping:
            yield from (Block(None, group.place, group.body) for group in self._groups.values())
            return
        shown = sorted((group for group in self._groups.values() if group.shown), key=_by_name)
        for cluster, groups in groupby(shown, key=_cluster):
            parts = list(groups)
            jobs, running = sum(len(part.shown) for part in parts), sum(map(self._running, parts))
            heading = self._heading(CLUSTER, (cluster,), jobs, running)
            if self.grouping == ("cluster",):
                yield Block(heading, None if heading.is_folded else (cluster,), parts[0].body)
                continue
            yield Block(heading, None, [])
            for part in () if heading.is_folded else parts:
                node = self._heading(NODE, part.place, len(part.shown), self._running(part))
                yield Block(node, None if node.is_folded else part.place, part.body)

    def _running(self, group: Group) -> int:
        if len(group.shown) < len(group.members):
            return group.running
        if len(group.place) > 1:
            return self.census.nodes[group.place[0], group.place[1]].running
        return sum(tally.running for (cluster, _), tally in self.census.nodes.items() if (cluster,) == group.place)

    def _headings(self) -> Iterator[Line]:
        """Clusters and nodes of all jobs."""
        for cluster, keys in groupby(sorted(self.census.nodes, key=_name_key), key=lambda key: key[0]):
            nodes = [(key, self.census.nodes[key]) for key in keys]
            jobs, running = sum(tally.jobs for _, tally in nodes), sum(tally.running for _, tally in nodes)
            heading = self._heading(CLUSTER, (cluster,), jobs, running)
            yield heading
            if not heading.is_folded and "node" in self.grouping:
                for key, tally in nodes:
                    yield self._heading(NODE, key, tally.jobs, tally.running)

    def _heading(self, kind: str, place: tuple[str, ...], jobs: int, running: int) -> Line:
        key = heading_key(place)
        return Line(kind, key, None, place[-1], jobs, running, key in self.folded)


@lru_cache(maxsize=NAMES)
def _name_key(place: tuple[str, ...]) -> tuple[str, ...]:
    return (place[0], *map(natural, place[1:]))


def _by_name(group: Group) -> tuple[str, ...]:
    return _name_key(group.place)


def _cluster(group: Group) -> str:
    return group.place[0]
