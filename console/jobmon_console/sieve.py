"""Filters over 100,000 rows, quick enough to be evaluated at every letter.

What a selector means is ``jobmon_wire.matching``'s to say; here it is asked as
seldom as can be.  Of a field that many jobs have in common each value is judged
once; words and numbers are compared in place.  What has no quicker way is asked
of each row.  Rows are judged many at a time: a call for each of them would cost
more than what it asks.  Nothing here knows of a screen.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
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
Judge = Callable[[Sequence[Cells]], list[bool]]  # of each row whether it is meant
Words = Callable[[str], str]  # of a field: values that some jobs have, in lower case; of no field: all their names
Outlook = Callable[[Mapping[str, str], Words], bool | None]  # see ``Sieve.outlook``

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
_BREAKS = frozenset("\n\t")  # stand between words
_IN_WORDS = frozenset(["", "name", "owner"])  # fields whose values are among the words of an outlook


class Sieve:
    """A selector over rows.

    Args:
        tree: from ``parse_selector``.
        me: the distinguished name that ``me`` stands for.
        now: the clock that ages are measured against, s since 1970.

    Attributes:
        tree: as it was given.
        judge: gives for the cells of each of some rows whether their job is meant.
        outlook: of jobs that have something in common: all are meant, none is, or (None) each has to be looked at.
            It takes the fields of which they have the same value, and the words of all of them: for "owner" short
            and whole names of owners, for "name" and for no field at least names, ids and owners.
        word: that must be among the names of a job, in lower case; None: the selector is more than a plain word.
        depends_on_time: a job may come or go without any change of it.
    """

    def __init__(self, tree: Node, me: str, now: Callable[[], float]) -> None:
        self.tree = tree
        self._me = me
        self._clock = now
        self._now = now()
        self.depends_on_time = False
        self._judged: dict[tuple[str, Test], _Verdicts] = {}
        self.judge = self._compile(tree)
        self._judge_named = self._named(tree) if isinstance(tree, Test) and not tree.field else self.judge
        self.outlook = _outlook(tree)
        is_word = isinstance(tree, Test) and not tree.field and _is_plain(tree.value)
        self.word = tree.value.lower() if isinstance(tree, Test) and is_word else None

    def among(self, common: Mapping[str, str]) -> Judge:
        """``judge``, of jobs with that in common of which ``outlook`` cannot say: it need not look at that again."""
        return self._judge_named if "node" in common and "cluster" in common else self.judge

    def narrows(self, other: "Sieve") -> bool:
        """Whatever this one means the other means as well; false where that is not plain."""
        news, olds = _parts(self.tree), _parts(other.tree)
        return self._me == other._me and all(any(_implies(new, old) for new in news) for old in olds)

    def begin(self) -> None:
        """Ages are those of this moment from now on."""
        self._now = self._clock()

    def _compile(self, tree: Node) -> Judge:
        if isinstance(tree, Not):
            inner = self._compile(tree.part)
            return lambda rows: [not verdict for verdict in inner(rows)]
        if isinstance(tree, (All, Either)):
            return _joined([self._compile(part) for part in tree.parts], isinstance(tree, Either))
        return self._test(tree) if tree.field else self._word(tree)

    def _test(self, test: Test) -> Judge:
        field = field_named(test.field)
        matches = compile_selector(test, self._me, lambda: self._now)
        if field.kind != TEXT:
            self.depends_on_time = self.depends_on_time or field.kind in (AGE, MOMENT)
            return self._number(test, PLACES.get(field.keys[0]), matches)
        if test.field == "owner" and test.value == "me":
            return _looked_up("owner_name", matches)
        keys = [key.partition(".")[0] for key in field.keys]
        if set(keys) <= _FEW:
            return _joined([_looked_up(key, matches) for key in keys], test.operator != "!=")
        if test.operator == ":" and not set(test.value) & _WILD and set(keys).isdisjoint(OBJECTS):
            return _contained([PLACES[key] for key in keys], test.value.lower().split(","))
        return _one_by_one(matches)

    def _number(self, test: Test, place: int | None, matches: Callable[[Any], bool]) -> Judge:
        field = field_named(test.field)
        wanted = read_values(field, test)
        order = _ORDERS.get(test.operator)
        if place is None or order is None or len(wanted) > 1:
            return _one_by_one(matches)
        (number, is_moment), is_age = wanted[0], field.kind in (AGE, MOMENT)
        is_past = is_age and not is_moment

        def compared(rows: Sequence[Cells]) -> list[bool]:
            now = self._now
            return [
                order(now - value if is_past else value, number)
                if type(value := cells[place]) is float or type(value) is int
                else value is not None and matches(Row(cells))
                for cells in rows
            ]

        return compared

    def _word(self, test: Test) -> Judge:
        (node, of_node), (cluster, of_cluster) = self._verdicts("node", test), self._verdicts("cluster", test)

        def placed(rows: Sequence[Cells]) -> list[bool]:
            return [of_node[cells[node]] or of_cluster[cells[cluster]] for cells in rows]

        return _joined([placed, self._named(test)], True)

    def _named(self, test: Test) -> Judge:
        """Whether the word is in what belongs to the job itself: its id, its name, its owner."""
        matches = compile_selector(test, self._me, self._clock)
        (name, of_name), (owner, of_owner) = self._verdicts("name", test), self._verdicts("owner", test)
        if set(test.value) & _WILD:
            return lambda rows: [
                of_name[cells[name]] or of_owner[cells[owner]] or matches({"id": cells[_ID]}) for cells in rows
            ]
        word = test.value.lower()
        return lambda rows: [
            of_name[cells[name]] or of_owner[cells[owner]] or word in str(cells[_ID]).lower() for cells in rows
        ]

    def _verdicts(self, key: str, test: Test) -> tuple[int, "_Verdicts"]:
        """The place of a field, and the verdicts on its values."""
        if (key, test) not in self._judged:
            self._judged[key, test] = _Verdicts(key, compile_selector(test, self._me, self._clock))
        return PLACES[key], self._judged[key, test]


class _Verdicts(dict[Any, bool]):
    """Of each value of a field whether the test holds for it, found out once."""

    def __init__(self, key: str, matches: Callable[[Mapping[str, Any]], bool]) -> None:
        super().__init__()
        self._key = key
        self._matches = matches

    def __missing__(self, value: Any) -> bool:
        if len(self) > COMMON:
            self.clear()
        self[value] = verdict = self._matches({self._key: opened(value) if type(value) is tuple else value})
        return verdict


def _looked_up(key: str, matches: Callable[[Mapping[str, Any]], bool]) -> Judge:
    place, verdicts = PLACES[key], _Verdicts(key, matches)
    return lambda rows: [verdicts[cells[place]] for cells in rows]


def _contained(places: list[int], words: list[str]) -> Judge:
    if len(places) == len(words) == 1:
        (place,), (word,) = places, words
        return lambda rows: [word in str(cells[place] or "").lower() for cells in rows]
    return lambda rows: [
        any(word in str(cells[place] or "").lower() for place in places for word in words) for cells in rows
    ]


def _one_by_one(matches: Callable[[Mapping[str, Any]], bool]) -> Judge:
    return lambda rows: [matches(Row(cells)) for cells in rows]


def _joined(parts: list[Judge], is_either: bool) -> Judge:
    """All parts must hold, or one: each is asked of those rows that the parts before it have not decided."""
    first, *others = parts

    def judged(rows: Sequence[Cells]) -> list[bool]:
        verdicts = first(rows)
        for part in others:
            undecided = [cells for cells, verdict in zip(rows, verdicts, strict=True) if verdict != is_either]
            if undecided:
                found = iter(part(undecided))
                verdicts = [next(found) if verdict != is_either else verdict for verdict in verdicts]
        return verdicts

    return judged if others else first


def _outlook(tree: Node) -> Outlook:
    if isinstance(tree, Not):
        inner = _outlook(tree.part)
        return lambda common, words: None if (found := inner(common, words)) is None else not found
    if isinstance(tree, (All, Either)):
        parts, decided = [_outlook(part) for part in tree.parts], isinstance(tree, Either)

        def joined(common: Mapping[str, str], words: Words) -> bool | None:
            found = {part(common, words) for part in parts}
            # One part that holds decides; of All, one that does not.
            return decided if decided in found else None if None in found else not decided

        return joined
    return _outlook_of(tree)


def _outlook_of(test: Test) -> Outlook:
    matches = compile_selector(test, "", float)
    is_in_words = test.operator == ":" and test.field in _IN_WORDS and _is_plain(test.value) and test.value != "me"
    texts = test.value.lower().split(",") if test.field else [test.value.lower()]

    def seen(common: Mapping[str, str], words: Words) -> bool | None:
        if test.field in common:
            return matches(common)
        if not is_in_words:
            return None
        if not test.field and any(texts[0] in value.lower() for value in common.values()):
            return True
        # The value of a field that stands neither in the words nor in what they have in common may be elsewhere.
        is_known = test.field != "" or ("node" in common and "cluster" in common)
        return False if is_known and not any(text in words(test.field) for text in texts) else None

    return seen


def _is_plain(text: str) -> bool:
    """It is looked for as it stands."""
    return not set(text) & (_WILD | _BREAKS)


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
