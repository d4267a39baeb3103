"""The jobs under one heading: in order, filtered, tasks of an array folded to a line.

A group is arranged anew when one of its jobs came, went, or changed in what
matters; of 500 nodes the others stay as they are.  Nothing here draws.
"""

from collections import Counter
from collections.abc import Mapping
from operator import itemgetter

from jobmon_console.rows import PLACES, Row
from jobmon_console.sieve import Sieve
from jobmon_console.tui.listing import ARRAY, Entry, Line
from jobmon_console.tui.order import in_order
from jobmon_wire.jobs import RUNNING

LEAST_ARRAY = 3  # tasks of a job array under one heading that are folded to one line

FRESH, NARROWED, STALE = range(3)  # nothing is to be chosen; from what was shown; from all members

_STATE, _BATCH = PLACES["state"], PLACES["batch"]
_names_of = itemgetter(*(PLACES[name] for name in ("id", "name", "owner", "owner_name")))


class Group:
    """The jobs under one heading.

    Args:
        place: names of cluster and node, of the cluster, or none: what its jobs have in common.
        key: of its heading.

    Attributes:
        members: jobs in order.  This list and the next two are never changed, only replaced: a listing has them.
        shown: those of them that match the filter.
        body: the lines for those.
        arrays: tasks of the arrays that have a line, by its key.
        running: of those shown, where they are not all of them.
        freshness: STALE, NARROWED or FRESH: how much of what is shown has to be chosen anew.
    """

    __slots__ = (
        *("_common", "_fresh", "_is_unsorted", "_large", "_leaving", "_tasks", "_words"),
        *("arrays", "body", "freshness", "key", "members", "place", "running", "shown"),
    )

    def __init__(self, place: tuple[str, ...], key: str) -> None:
        self.place, self.key = place, key
        self.members: list[Entry] = []
        self.shown: list[Entry] = []
        self.body: list[Entry | Line] = []
        self.arrays: dict[str, list[Entry]] = {}
        self.running = 0
        self.freshness = STALE
        self._common = dict(zip(("cluster", "node"), place, strict=False))
        self._words: str | None = None  # for ``Sieve.outlook``
        self._large: set[str] = set()  # arrays with as many members as have a line
        self._fresh: list[Entry] = []
        self._leaving: set[Entry] = set()
        self._tasks: Counter[str] = Counter()  # members by their array
        self._is_unsorted = False

    def put(self, entry: Entry) -> None:
        """A job comes."""
        entry.place, self._words = self.place, None
        self._fresh.append(entry)
        self._tasks[entry.array] += 1
        if entry.array and self._tasks[entry.array] >= LEAST_ARRAY:
            self._large.add(entry.array)
        self.touch()

    def drop(self, entry: Entry) -> None:
        """A job goes; not one that came just now."""
        entry.place = self._words = None
        self._leaving.add(entry)
        self._tasks[entry.array] -= 1
        if self._tasks[entry.array] < LEAST_ARRAY:
            self._large.discard(entry.array)
        if not self._tasks[entry.array]:
            del self._tasks[entry.array]
        self.touch()

    def shuffle(self) -> None:
        """What the jobs are sorted by is another for one of them."""
        self._is_unsorted, self.freshness = True, STALE

    def touch(self) -> None:
        """A member is another; it may match now, or not any more."""
        self.freshness = STALE

    def rename(self) -> None:
        """A name or an owner of a member is another."""
        self._words = None

    def arrange(self, is_reversed: bool) -> None:
        """Put the members in order."""
        if self._leaving:
            self.members = [entry for entry in self.members if entry not in self._leaving]
        if self._fresh or self._is_unsorted:
            self.members = in_order(self.members + self._fresh, is_reversed)
        self._fresh, self._is_unsorted = [], False
        self._leaving = set()

    def sift(self, sieves: Mapping[str, Sieve]) -> None:
        """Choose what is shown.

        Args:
            sieves: by the name that "me" stands for; none: everything is shown.
        """
        members = self.shown if self.freshness == NARROWED else self.members
        self.freshness = FRESH
        if not sieves:
            self.shown = self.members
            return
        self.shown = members = self._chosen(members, sieves)
        if len(members) < len(self.members):
            self.running = sum(entry.row.cells[_STATE] == RUNNING for entry in members)

    def has_match(self, sieves: Mapping[str, Sieve]) -> bool:
        """Whether a member would be shown."""
        return bool(self._chosen(self.members, sieves))

    def _chosen(self, members: list[Entry], sieves: Mapping[str, Sieve]) -> list[Entry]:
        if len(sieves) > 1:
            return [entry for entry in members if sieves[entry.feed.me].wants(entry.row.cells)]
        (sieve,) = sieves.values()
        outlook, wants = sieve.outlook(self._common, self._all_words), sieve.among(self._common)
        if outlook is None:
            return [entry for entry in members if wants(entry.row.cells)]
        return members if outlook else []

    def _all_words(self) -> str:
        if self._words is None:
            words = dict.fromkeys(str(word) for entry in self.members for word in names_of(entry.row))
            self._words = "\n".join(words).lower()
        return self._words

    def fold(self, opened: set[str]) -> None:
        """Make the lines; an array's tasks stand together, where its first one does."""
        self.arrays = {}
        if not self._large:
            self.body = self.shown  # type: ignore[assignment]  # lists of entries alone
            return
        tasks: dict[str, list[Entry]] = {}
        for entry in self.shown:
            if entry.array in self._large:
                tasks.setdefault(entry.array, []).append(entry)
        folded = {array: found for array, found in tasks.items() if len(found) >= LEAST_ARRAY}
        self.body = []
        for entry in self.shown:
            found = folded.get(entry.array)
            if found is None:
                self.body.append(entry)
            elif found[0] is entry:
                self._add_array(entry.array, found, opened)

    def array_key(self, array: str) -> str:
        """The key of an array's line."""
        return f"array {self.key} {array}"

    def _add_array(self, array: str, tasks: list[Entry], opened: set[str]) -> None:
        key = self.array_key(array)
        running = sum(task.row.cells[_STATE] == RUNNING for task in tasks)
        self.arrays[key] = tasks
        self.body.append(Line(ARRAY, key, None, array, len(tasks), running, key not in opened))
        if key in opened:
            self.body += tasks


def names_of(row: Row) -> tuple[object, ...]:
    """By what a person calls a job or its owner."""
    names: tuple[object, ...] = _names_of(row.cells)
    return names


def array_of(row: Row) -> str:
    """The id of the job array a job is a task of; empty if it is none."""
    labels = row.cells[_BATCH]
    if type(labels) is not tuple or "array" not in labels[0]:
        return ""
    array = labels[1 + labels[0].index("array")]
    return array.rpartition("_")[0] if isinstance(array, str) else ""
