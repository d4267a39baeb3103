"""Filters over 100,000 rows, quick enough to be evaluated at every letter.

What a selector means is ``jobmon_wire.matching``'s to say; here it is asked as
seldom as can be.  Of a field that many jobs have in common each value is judged
once; words and numbers are compared in place.  What has no quicker way is asked
of each row.  Nothing here knows of a screen.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from jobmon_console.rows import COMMON, OBJECTS, PLACES, SHARED, Row, opened
from jobmon_wire.matching import compile_selector
from jobmon_wire.selectors import (
    AGE,
    MOMENT,
    TEXT,
    All,
    Either,
    Node,
    Not,
    Test,
    field_named,
    read_values,
)

Cells = tuple[Any, ...]
Wanted = Callable[[Cells], bool]

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    ":": operator.eq,
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_ID = PLACES["id"]
_FEW = frozenset([*SHARED, "exit", "tags"])  # fields of which there are few values
_WILD = frozenset("*?")
_IN_WORDS = frozenset(["", "name", "owner"])  # fields whose values are among the words of an outlook


class Sieve:
    """A selector over rows.

    Args:
        tree: from ``parse_selector``.
        me: the distinguished name that ``me`` stands for.
        now: the clock that ages are measured against, s since 1970.

    Attributes:
        tree: as it was given.
        wants: whether a row's cells are of a job it means.
        depends_on_time: a job may come or go without any change of it.
    """

    def __init__(self, tree: Node, me: str, now: Callable[[], float]) -> None:
        self.tree = tree
        self._me = me
        self._clock = now
        self._now = now()
        self.depends_on_time = False
        self._judged: dict[tuple[str, Test], _Verdicts] = {}
        self.wants = self._compile(tree)
        self._wants_named = self._named(tree) if isinstance(tree, Test) and not tree.field else self.wants

    def outlook(self, common: Mapping[str, str], words: Callable[[], str]) -> bool | None:
        """Of jobs that have something in common: all are meant, none is, or (None) each has to be looked at.

        Args:
            common: fields of which they have the same value.
            words: gives ids, names, owners and those' whole names, of all of them, in lower case.
        """
        return _outlook(self.tree, common, words)

    def among(self, common: Mapping[str, str]) -> Wanted:
        """``wants``, of jobs with that in common of which ``outlook`` cannot say: it need not look at that again."""
        return self._wants_named if "node" in common and "cluster" in common else self.wants

    def narrows(self, other: "Sieve") -> bool:
        """Whatever this one means the other means as well; false where that is not plain."""
        news, olds = _parts(self.tree), _parts(other.tree)
        return self._me == other._me and all(any(_implies(new, old) for new in news) for old in olds)

    def begin(self) -> None:
        """Ages are those of this moment from now on."""
        self._now = self._clock()

    def _compile(self, tree: Node) -> Wanted:
        if isinstance(tree, Not):
            inner = self._compile(tree.part)
            return lambda cells: not inner(cells)
        if isinstance(tree, (All, Either)):
            parts = [self._compile(part) for part in tree.parts]
            return _every(parts) if isinstance(tree, All) else _any(parts)
        return self._test(tree) if tree.field else self._word(tree)

    def _test(self, test: Test) -> Wanted:
        field = field_named(test.field)
        judge = compile_selector(test, self._me, lambda: self._now)
        if field.kind != TEXT:
            self.depends_on_time = self.depends_on_time or field.kind in (AGE, MOMENT)
            return self._number(test, PLACES.get(field.keys[0]), judge)
        if test.field == "owner" and test.value == "me":
            return _looked_up("owner_name", judge)
        keys = [key.partition(".")[0] for key in field.keys]
        if set(keys) <= _FEW:
            parts = [_looked_up(key, judge) for key in keys]
            return _every(parts) if test.operator == "!=" else _any(parts)
        if test.operator == ":" and not set(test.value) & _WILD and set(keys).isdisjoint(OBJECTS):
            return _contained([PLACES[key] for key in keys], test.value.lower().split(","))
        return lambda cells: judge(Row(cells))

    def _number(self, test: Test, place: int | None, judge: Callable[[Any], bool]) -> Wanted:
        field = field_named(test.field)
        wanted = read_values(field, test)
        order = _ORDERS.get(test.operator)
        if place is None or order is None or len(wanted) > 1:
            return lambda cells: judge(Row(cells))
        (number, is_moment), is_age = wanted[0], field.kind in (AGE, MOMENT)

        def compared(cells: Cells) -> bool:
            value = cells[place]
            if type(value) is float or type(value) is int:
                return order(self._now - value if is_age and not is_moment else value, number)
            return value is not None and judge(Row(cells))

        return compared

    def _word(self, test: Test) -> Wanted:
        named, (node, of_node), (cluster, of_cluster) = (
            self._named(test),
            self._verdicts("node", test),
            self._verdicts("cluster", test),
        )
        return lambda cells: of_node[cells[node]] or of_cluster[cells[cluster]] or named(cells)

    def _named(self, test: Test) -> Wanted:
        """Whether the word is in what belongs to the job itself: its id, its name, its owner."""
        judge = compile_selector(test, self._me, self._clock)
        (name, of_name), (owner, of_owner) = self._verdicts("name", test), self._verdicts("owner", test)
        if set(test.value) & _WILD:
            return lambda cells: of_name[cells[name]] or of_owner[cells[owner]] or judge({"id": cells[_ID]})
        word = test.value.lower()
        return lambda cells: of_name[cells[name]] or of_owner[cells[owner]] or word in str(cells[_ID]).lower()

    def _verdicts(self, key: str, test: Test) -> tuple[int, "_Verdicts"]:
        """The place of a field, and the verdicts on its values."""
        if (key, test) not in self._judged:
            self._judged[key, test] = _Verdicts(key, compile_selector(test, self._me, self._clock))
        return PLACES[key], self._judged[key, test]


class _Verdicts(dict[Any, bool]):
    """Of each value of a field whether the test holds for it, found out once."""

    def __init__(self, key: str, judge: Callable[[Mapping[str, Any]], bool]) -> None:
        super().__init__()
        self._key = key
        self._judge = judge

    def __missing__(self, value: Any) -> bool:
        if len(self) > COMMON:
            self.clear()
        self[value] = verdict = self._judge({self._key: opened(value) if type(value) is tuple else value})
        return verdict


def _looked_up(key: str, judge: Callable[[Mapping[str, Any]], bool]) -> Wanted:
    place, verdicts = PLACES[key], _Verdicts(key, judge)
    return lambda cells: verdicts[cells[place]]


def _contained(places: list[int], words: list[str]) -> Wanted:
    if len(places) == len(words) == 1:
        (place,), (word,) = places, words
        return lambda cells: word in str(cells[place] or "").lower()
    return lambda cells: any(word in str(cells[place] or "").lower() for place in places for word in words)


def _every(parts: list[Wanted]) -> Wanted:
    if len(parts) == 1:
        return parts[0]

    def held(cells: Cells) -> bool:
        for part in parts:  # noqa: SIM110 - a generator for each row would cost more than what it asks
            if not part(cells):
                return False
        return True

    return held


def _any(parts: list[Wanted]) -> Wanted:
    if len(parts) == 1:
        return parts[0]

    def found(cells: Cells) -> bool:
        for part in parts:  # noqa: SIM110 - as above
            if part(cells):
                return True
        return False

    return found


def _outlook(tree: Node, common: Mapping[str, str], words: Callable[[], str]) -> bool | None:
    if isinstance(tree, Not):
        inner = _outlook(tree.part, common, words)
        return None if inner is None else not inner
    if isinstance(tree, (All, Either)):
        found = {_outlook(part, common, words) for part in tree.parts}
        decided = isinstance(tree, Either)  # one part that holds decides; of All, one that does not
        return decided if decided in found else None if None in found else not decided
    return _outlook_of(tree, common, words)


def _outlook_of(test: Test, common: Mapping[str, str], words: Callable[[], str]) -> bool | None:
    if test.field in common:
        return compile_selector(test, "", float)(common)
    if test.operator != ":" or test.field not in _IN_WORDS or set(test.value) & _WILD or test.value == "me":
        return None
    texts = test.value.lower().split(",") if test.field else [test.value.lower()]
    if not test.field and any(texts[0] in value.lower() for value in common.values()):
        return True
    # The value of a field that stands neither in the words nor in what they have in common may be in another place.
    is_known = test.field != "" or set(common) >= {"node", "cluster"}
    return False if is_known and not any(text in words() for text in texts) else None


def _parts(tree: Node) -> tuple[Node, ...]:
    return tree.parts if isinstance(tree, All) else (tree,)


def _implies(new: Node, old: Node) -> bool:
    """What holds the longer text holds the shorter one."""
    if not isinstance(new, Test) or not isinstance(old, Test):
        return False
    if new[:3] == old[:3]:
        return True
    is_text = not new.field or (field_named(new.field).kind == TEXT and not field_named(new.field).values)
    is_plain = is_text and new.field != "exit" and not set(new.value + old.value) & {*_WILD, ","}
    is_plain = is_plain and (new.field != "owner" or "me" not in (new.value, old.value))
    return is_plain and new[:2] == old[:2] == (old.field, ":") and old.value.lower() in new.value.lower()
