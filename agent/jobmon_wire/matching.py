"""Matching: whether a job is one a selector means.

``compile_selector`` turns the tree of a selector into a predicate over public
job records.  What is not known matches nothing but a negation.  Globs are
matched in time linear in the text for each star: a selector comes from a peer.
"""

from typing import Any, Callable, Dict, List

from jobmon_wire.jobs import exit_text
from jobmon_wire.moments import read_moment
from jobmon_wire.selectors import (
    AGE,
    MOMENT,
    NUMBER_TEXT,
    TEXT,
    All,
    Either,
    Field,
    Node,
    Not,
    Test,
    field_named,
    read_values,
)

Record = Any  # a public job record, see jobs.FIELDS; or what has ``get`` for its fields, moments in s since 1970
Predicate = Callable[[Record], bool]

WORD_KEYS = ("id", "name", "owner", "node", "cluster")  # what a bare word is looked for in
_ORDER: Dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


def compile_selector(tree: Node, me: str, now: Callable[[], float]) -> Predicate:
    """A predicate over public job records.

    Args:
        tree: from ``parse_selector``.
        me: the distinguished name that ``owner:me`` stands for.
        now: the clock that ages are measured against, s since 1970.
    """
    if isinstance(tree, Not):
        inner = compile_selector(tree.part, me, now)
        return lambda record: not inner(record)
    if isinstance(tree, (All, Either)):
        parts = [compile_selector(part, me, now) for part in tree.parts]
        if isinstance(tree, All):
            return lambda record: all(part(record) for part in parts)
        return lambda record: any(part(record) for part in parts)
    return _compile_test(tree, me, now)


def _compile_test(test: Test, me: str, now: Callable[[], float]) -> Predicate:
    if not test.field:
        wanted = _pattern(test.value.lower(), True)
        return lambda record: any(wanted(str(record.get(key) or "").lower()) for key in WORD_KEYS)
    field = field_named(test.field)
    if test.field == "owner" and test.value == "me":
        return lambda record: (record.get("owner_name") == me) == (test.operator != "!=")
    if test.field == "exit":
        return _compile_exit(test)
    if field.kind == TEXT:
        return _compile_text(field, test)
    return _compile_number(field, test, now)


def _compile_text(field: Field, test: Test) -> Predicate:
    contains = test.operator == ":" and not field.values
    patterns = [_pattern(value.lower(), contains) for value in _values(field, test)]
    keys = field.keys

    def found(record: Record) -> bool:
        texts = [text.lower() for key in keys for text in _texts(record, key)]
        return any(pattern(text) for pattern in patterns for text in texts)

    return (lambda record: not found(record)) if test.operator == "!=" else found


def _values(field: Field, test: Test) -> List[str]:
    values = test.value.split(",") if test.operator == ":" else [test.value]
    if field.values:  # "state:run" means running
        return [next((v for v in field.values if v.startswith(value.lower())), value) for value in values]
    return values


def _texts(record: Record, key: str) -> List[str]:
    group, dot, name = key.partition(".")
    value = record.get(group)
    if not dot:
        return [] if value is None else [str(value)]
    if not isinstance(value, dict):
        return []
    return [str(text) for key_, text in value.items() if name in ("*", key_)]


def _compile_exit(test: Test) -> Predicate:
    if NUMBER_TEXT.fullmatch(test.value) and test.operator not in (":",):
        wanted, order = float(test.value), _ORDER[test.operator]

        def matches(record: Record) -> bool:
            text = exit_text(record.get("exit"))
            if text in ("", "unknown"):
                return False
            # Death by a signal is no code, but it is not 0 either.
            return order(float(text), wanted) if text.isdigit() else test.operator == "!="

        return matches
    values = [value.upper() for value in test.value.split(",")]
    values = [value[3:] if value.startswith("SIG") else value for value in values]

    def named(record: Record) -> bool:
        text = exit_text(record.get("exit")).upper()
        return bool(text) and (text in values) == (test.operator != "!=")

    return named


def _compile_number(field: Field, test: Test, now: Callable[[], float]) -> Predicate:
    wanted = read_values(field, test)
    order = _ORDER["=" if test.operator == ":" else test.operator]
    key, is_time = field.keys[0], field.kind in (AGE, MOMENT)

    def matches(record: Record) -> bool:
        value = record.get(key)
        if value is None:
            return False
        for number, is_moment in wanted:
            found = value
            if is_time:
                found = read_moment(value) if isinstance(value, str) else value
                found = found if is_moment else now() - found
            if order(found, number) != (test.operator == "!="):
                return test.operator != "!="
        return test.operator == "!="

    return matches


def _pattern(pattern: str, contains: bool) -> Callable[[str], bool]:
    if "*" not in pattern and "?" not in pattern:
        return (lambda text: pattern in text) if contains else (lambda text: text == pattern)
    return lambda text: _glob(pattern, text)


def _glob(pattern: str, text: str) -> bool:
    """Match ``*`` and ``?`` over the whole text, in time linear in it for each star."""
    p = t = 0
    star, mark = -1, 0
    while t < len(text):
        if p < len(pattern) and pattern[p] == "*":
            star, mark, p = p, t, p + 1
        elif p < len(pattern) and pattern[p] in ("?", text[t]):
            p, t = p + 1, t + 1
        elif star >= 0:
            mark += 1
            p, t = star + 1, mark
        else:
            return False
    return all(character == "*" for character in pattern[p:])
