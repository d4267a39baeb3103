"""The jobs under one heading: in order, filtered, tasks of an array folded to a line.

A group is arranged anew when one of its jobs came, went, or changed in what
matters; of 500 nodes the others stay as they are.  Nothing here draws.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import compress
from operator import itemgetter

from jobmon_console.rows import PLACES, Row
from jobmon_console.sieve import Sieve
from jobmon_console.tui.listing import ARRAY, Entry, Line
from jobmon_console.tui.order import in_order
from jobmon_wire.jobs import RUNNING

LEAST_ARRAY = 3  # tasks of a job array under one heading that are folded to one line

FRESH, CHANGED, NARROWED, STALE = range(4)  # nothing is to be chosen; of some members; of what was shown; of all

_STATE, _BATCH = PLACES["state"], PLACES["batch"]
_NAMES = ("id", "name", "owner")
_names_of, _owners_of = (itemgetter(*(PLACES[each] for each in names)) for names in (_NAMES, ("owner", "owner_name")))


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
        freshness: STALE, NARROWED, CHANGED or FRESH: how much of what is shown has to be chosen anew.
    """

    __slots__ = (
        *("_changed", "_common", "_fresh", "_is_unsorted", "_large", "_leaving", "_names", "_owners", "_tasks"),
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
        self._changed: set[Entry] = set()  # whatever was shown, they have to be looked at
        self._common = dict(zip(("cluster", "node"), place, strict=False))
        self._names: str | None = None  # a line for each member, in their order: what ``Sieve.word`` may stand in
        self._owners: str | None = None  # theirs, each once
        self._large: set[str] = set()  # arrays with as many members as have a line
        self._fresh: list[Entry] = []
        self._leaving: set[Entry] = set()
        self._tasks: Counter[str] = Counter()  # members by their array
        self._is_unsorted = False

    def put(self, entry: Entry) -> None:
        """A job comes."""
        entry.place = self.place
        self.rename()
        self._fresh.append(entry)
        self._tasks[entry.array] += 1
        if entry.array and self._tasks[entry.array] >= LEAST_ARRAY:
            self._large.add(entry.array)
        self.freshness = STALE

    def drop(self, entry: Entry) -> None:
        """A job goes; not one that came just now."""
        entry.place = None
        self.rename()
        self._leaving.add(entry)
        self._tasks[entry.array] -= 1
        if self._tasks[entry.array] < LEAST_ARRAY:
            self._large.discard(entry.array)
        if not self._tasks[entry.array]:
            del self._tasks[entry.array]
        self.freshness = STALE

    def shuffle(self) -> None:
        """What the jobs are sorted by is another for one of them."""
        self._is_unsorted, self.freshness = True, STALE

    def touch(self, entry: Entry) -> None:
        """A member is another; it may match now, or not any more."""
        self._changed.add(entry)
        self.freshness = max(self.freshness, CHANGED)

    def rename(self) -> None:
        """A name or an owner of a member is another."""
        self._names = self._owners = None

    def arrange(self, is_reversed: bool) -> None:
        """Put the members in order."""
        if self._leaving:
            self.members = [entry for entry in self.members if entry not in self._leaving]
        if self._fresh or self._is_unsorted:
            self.members = in_order(self.members + self._fresh, is_reversed)
            self._names = None
        self._fresh, self._is_unsorted = [], False
        self._leaving = set()

    def sift(self, sieves: Mapping[str, Sieve]) -> None:
        """Choose what is shown.

        Args:
            sieves: by the name that "me" stands for; none: everything is shown.
        """
        freshness, changed = self.freshness, self._changed
        self.freshness, self._changed = FRESH, set()
        if not sieves:
            self.shown = self.members
            return
        if freshness > CHANGED:
            self.shown = self._chosen(self.members if freshness == STALE else self.shown, sieves)
        if changed and freshness < STALE:
            self._take_over(changed, sieves)
        if len(self.shown) < len(self.members):
            self.running = [entry.row.cells[_STATE] for entry in self.shown].count(RUNNING)

    def _take_over(self, changed: set[Entry], sieves: Mapping[str, Sieve]) -> None:
        """Show those of the changed members that match now, and no others of them."""
        shown = set(self.shown)
        wanted = shown - changed | set(self._chosen(list(changed), sieves))
        if wanted != shown:
            self.shown = [entry for entry in self.members if entry in wanted]

    def has_match(self, sieves: Mapping[str, Sieve]) -> bool:
        """Whether a member would be shown."""
        return bool(self._chosen(self.members, sieves))

    def _chosen(self, members: list[Entry], sieves: Mapping[str, Sieve]) -> list[Entry]:
        if len(sieves) > 1:
            return chosen(members, sieves)
        (sieve,) = sieves.values()
        outlook = sieve.outlook(self._common, self.words)
        if outlook is not None:
            return members if outlook else []
        if sieve.word is not None and members is self.members and len(self.place) > 1:
            return list(compress(members, [sieve.word in names for names in self.words("").split("\n")]))
        return list(compress(members, sieve.among(self._common)([entry.row.cells for entry in members])))

    def words(self, field: str) -> str:
        """What members are called by: their owners alone, or a line for each; see ``Sieve.outlook``."""
        if field == "owner":
            if self._owners is None:
                owners = {_owners_of(entry.row.cells) for entry in self.members}
                self._owners = "\n".join(str(name) for both in owners for name in both).lower()
            return self._owners
        if self._names is None:
            self._names = "\n".join([_line(*_names_of(entry.row.cells)) for entry in self.members]).lower()
        return self._names

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


def chosen(entries: list[Entry], sieves: Mapping[str, Sieve]) -> list[Entry]:
    """Those of the entries that are meant by the sieve of the one who sees them."""
    cells = [entry.row.cells for entry in entries]
    verdicts = {me: sieve.judge(cells) for me, sieve in sieves.items()}
    return [entry for at, entry in enumerate(entries) if verdicts[entry.feed.me][at]]


def names_of(row: Row) -> tuple[object, ...]:
    """By what a person calls a job or its owner."""
    return (*_names_of(row.cells), *_owners_of(row.cells))


def _line(*names: object) -> str:
    line = "\t".join(["" if name is None else str(name) for name in names])
    return line.replace("\n", " ") if "\n" in line else line


def array_of(row: Row) -> str:
    """The id of the job array a job is a task of; empty if it is none."""
    labels = row.cells[_BATCH]
    if type(labels) is not tuple or "array" not in labels[0]:
        return ""
    array = labels[1 + labels[0].index("array")]
    return array.rpartition("_")[0] if isinstance(array, str) else ""
