"""A job's record, packed: what a console holds of 100,000 jobs.

A record as JSON gives it takes 3 KB, a row less than one: its values stand in a
tuple, moments are numbers, and what many jobs have in common (owner, node, tags)
is held once.  A tuple of such values is also nothing that the garbage collector
has to look into again.  Nothing of a record is lost; ``record`` gives it back.
Nothing here knows of a network or a screen.
"""

from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

from jobmon_wire.jobs import FIELDS
from jobmon_wire.moments import read_moment, write_moment

Record = dict[str, Any]

SHARED = (
    *("owner", "owner_name", "cluster", "node", "name", "state", "health", "health_reason", "reason"),
    *("memory_limit", "process_state", "callback"),
)  # what many jobs have in common
MOMENTS = ("started", "ended", "registered", "last_seen", "output_at")
OBJECTS = ("exit", "batch", "tags")
COMMON = 50_000  # values held once; those that no job has any more are among them, so they are forgotten now and then
FEW = 2  # members of an object that other jobs are likely to have as well
LENGTH = 24  # characters of a moment: 2026-11-23T12:30:05.250Z
MINUTE = 17  # of it up to its seconds

_NAMES = tuple(field.name for field in FIELDS)
_SINGLE = tuple(name for name in _NAMES if name not in {*SHARED, *MOMENTS, *OBJECTS})
_ORDER = (*SHARED, *MOMENTS, *OBJECTS, *_SINGLE)
_REST = len(_ORDER)  # place of the fields that FIELDS does not name: a newer server's
_PLAIN = frozenset([int, float, bool, type(None)])
_SCALAR = frozenset([str, int, type(None)])
_shared_of, _moments_of, _objects_of, _single_of = (itemgetter(*names) for names in (SHARED, MOMENTS, OBJECTS, _SINGLE))

PLACES = {name: place for place, name in enumerate(_ORDER)}


class Row(Mapping[str, Any]):
    """A record that can be read, not changed; moments in it are s since 1970, where they are such.

    Attributes:
        cells: by ``PLACES``; an object within is a tuple of its names, which is a tuple, and its values.
    """

    __slots__ = ("cells",)

    def __init__(self, cells: tuple[Any, ...]) -> None:
        self.cells = cells

    def __getitem__(self, name: str) -> Any:
        """A field.

        Raises:
            KeyError: records have no such field.
        """
        place = PLACES.get(name)
        if place is None:
            return self._rest()[name]
        value = self.cells[place]
        return opened(value) if type(value) is tuple else value

    def get(self, name: str, default: Any = None) -> Any:
        """A field; the default where it is not known."""
        place = PLACES.get(name)
        if place is None:
            return self._rest().get(name, default)
        value = self.cells[place]
        return opened(value) if type(value) is tuple else default if value is None else value

    def __iter__(self) -> Iterator[str]:
        """The names of its fields."""
        yield from _NAMES
        yield from self._rest()

    def __len__(self) -> int:
        """How many fields it has."""
        return len(_ORDER) + len(self._rest())

    def __eq__(self, other: object) -> bool:
        """Whether another row says the same."""
        return self.cells == other.cells if isinstance(other, Row) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def record(self) -> Record:
        """The record as it came, moments as text."""
        whole = dict(self)
        for name in MOMENTS:
            if isinstance(whole[name], float):
                whole[name] = write_moment(whole[name]) or whole[name]  # from a server that is odd: no moment
        return whole

    def _rest(self) -> Record:
        return opened(self.cells[_REST])


class Packer:
    """Makes rows of records, and holds what they have in common."""

    def __init__(self) -> None:
        self._common: dict[Any, Any] = {}
        self._minutes: dict[str, float] = {}  # s since 1970

    def pack(self, record: Record) -> Row:
        """A record as a row."""
        if len(self._common) > COMMON:
            self._common.clear()
        try:
            shared, moments = _shared_of(record), _moments_of(record)
            objects, single = _objects_of(record), _single_of(record)
        except KeyError:  # an older server's: what it does not name is unknown
            return self.pack(dict.fromkeys(_ORDER) | record)
        if not _SCALAR.issuperset(map(type, shared)):
            shared = tuple(value if type(value) in _SCALAR else str(value) for value in shared)  # is looked up later
        share = self._common.setdefault
        rest = () if len(record) == _REST else self._closed({n: v for n, v in record.items() if n not in PLACES}, None)
        return Row(
            (
                *map(share, shared, shared),
                *[each and self._moment(each) for each in moments],
                *[self._closed(each, record["id"]) if type(each) is dict else each and str(each) for each in objects],
                *single,
                rest,
            )
        )

    def _closed(self, value: Record, id_: Any) -> tuple[Any, ...]:
        """An object as a tuple of its names and its values; the id stands in the batch system's labels again."""
        share = self._common.setdefault
        names = tuple(value)
        parts = [
            id_
            if part == id_
            else share(part, part)
            if type(part) is str
            else part
            if type(part) in _PLAIN
            else str(part)
            for part in value.values()
        ]
        closed = (share(names, names), *parts)
        return share(closed, closed) if len(parts) <= FEW and {str}.issuperset(map(type, parts)) else closed

    def _moment(self, text: Any) -> Any:
        """Seconds of what is a moment as the server writes it; anything else as it is."""
        if type(text) is not str or len(text) != LENGTH or text[19] != "." or text[23] != "Z":
            return text
        start = self._minutes.get(text[:MINUTE])
        try:
            if start is None:
                if len(self._minutes) > COMMON:
                    self._minutes.clear()
                start = self._minutes[text[:MINUTE]] = read_moment(text[: MINUTE - 1])
            return start + float(text[MINUTE:-1])
        except ValueError:
            return text


def opened(closed: tuple[Any, ...]) -> Record:
    """The object that a tuple of names and values was made of."""
    return dict(zip(closed[0], closed[1:], strict=True)) if closed else {}
