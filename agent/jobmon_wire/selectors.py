"""Selectors: which jobs a person means.

::

    query := or        or := and ("or" and)*        and := not+   (juxtaposition is AND)
    not   := ["-" | "not"] atom      atom := "(" or ")" | field op value | word | "quoted"

One language for console, command line and API.  ``parse_selector`` gives a
tree, or the place of what is wrong; ``matching`` applies it to jobs.  There are
no regular expressions.
"""

import re
from typing import Any, List, NamedTuple, Optional, Tuple, Union

from jobmon_wire.jobs import HEALTHS, STATES
from jobmon_wire.moments import read_moment

LONGEST = 1024  # characters of a selector; a person types less, a script names ids in a list
DEEPEST = 32  # nested parentheses and negations

TEXT, SIZE, PERCENT, AGE, MOMENT = "text", "size", "percent", "time", "date"


class Field(NamedTuple):
    """One field a selector may name."""

    kind: str
    keys: Tuple[str, ...]  # of the public job record
    values: Tuple[str, ...] = ()  # where only these are possible


FIELDS = {
    "id": Field(TEXT, ("id", "uuid")),
    "name": Field(TEXT, ("name",)),
    "owner": Field(TEXT, ("owner", "owner_name")),
    "cluster": Field(TEXT, ("cluster",)),
    "node": Field(TEXT, ("node",)),
    "state": Field(TEXT, ("state",), STATES),
    "health": Field(TEXT, ("health",), HEALTHS),
    "exit": Field(TEXT, ("exit",)),
    "reason": Field(TEXT, ("reason",)),
    "cpu": Field(PERCENT, ("cpu_percent",)),
    "mem": Field(SIZE, ("rss_bytes",)),
    "gpu": Field(PERCENT, ("gpu_percent",)),
    "io": Field(SIZE, ("output_bytes",)),
    "age": Field(AGE, ("started",)),
    "started": Field(MOMENT, ("started",)),
    "ended": Field(MOMENT, ("ended",)),
    "silent": Field(AGE, ("last_seen",)),
    "array": Field(TEXT, ("batch.array",)),
    "batch": Field(TEXT, ("batch.*",)),
    "cmd": Field(TEXT, ("command",)),
    "callback": Field(TEXT, ("callback",)),
}
OPERATORS = (":", "!=", ">=", "<=", "=", ">", "<")
_SIZES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_TIMES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
NUMBER_TEXT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([KMGT]?)i?B?", re.IGNORECASE)
_TIME = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,3})?[smhdw])+")
_TIME_PART = re.compile(r"([0-9.]+)([smhdw])")
_TOKEN = re.compile(r'\s*(?:([()])|(-)(?=[^\s])|((?:"[^"]*"|[^\s()"])+))')


class SelectorError(ValueError):
    """The selector is wrong; the position and what was expected are attributes."""

    def __init__(self, position: int, expected: str) -> None:
        super().__init__("at character %d of the selector: %s" % (position + 1, expected))
        self.position = position  # characters from the start, from 0
        self.expected = expected


class Test(NamedTuple):
    """A field compared with a value, or, with field ``""``, a word to look for."""

    field: str
    operator: str
    value: str
    position: int


class Not(NamedTuple):
    """What its part does not match."""

    part: Any


class All(NamedTuple):
    """What every part matches; no part: everything."""

    parts: Tuple[Any, ...]


class Either(NamedTuple):
    """What at least one part matches."""

    parts: Tuple[Any, ...]


Node = Union[Test, Not, All, Either]


class _Token(NamedTuple):
    text: str
    position: int
    is_quoted: bool  # a quoted word is never "or", "not" or a parenthesis


def parse_selector(text: str) -> Node:
    """The tree of a selector; an empty one selects everything.

    Raises:
        SelectorError: unknown field, bad value, open parenthesis, too long.
    """
    if len(text) > LONGEST:
        raise SelectorError(LONGEST, "at most %d characters" % LONGEST)
    tokens = _tokens(text)
    if not tokens:
        return All(())
    parser = _Parser(tokens, len(text))
    tree = parser.alternatives(0)
    if parser.token is not None:
        raise SelectorError(parser.token.position, "no parenthesis is open here")
    return tree


class _Parser:
    """Recursive descent; every method leaves ``token`` at what it did not take."""

    def __init__(self, tokens: List[_Token], end: int) -> None:
        self._tokens = tokens
        self._next = 0
        self._end = end

    @property
    def token(self) -> Optional[_Token]:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _is(self, *texts: str) -> bool:
        token = self.token
        return token is not None and not token.is_quoted and token.text in texts

    def alternatives(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise SelectorError(self._position(), "at most %d nested parentheses" % DEEPEST)
        parts = [self._conjunction(depth)]
        while self._is("or"):
            self._next += 1
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _conjunction(self, depth: int) -> Node:
        parts: List[Node] = []
        while self.token is not None and not self._is(")", "or"):
            if self._is("and"):
                self._next += 1
                continue
            parts.append(self._negation(depth))
        if not parts:
            raise SelectorError(self._position(), "a field, a word or a parenthesis was expected")
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _negation(self, depth: int) -> Node:
        negated = False
        while self._is("-", "not"):
            negated = not negated
            self._next += 1
        part = self._atom(depth)
        return Not(part) if negated else part

    def _atom(self, depth: int) -> Node:
        token = self.token
        if token is None or self._is(")", "or", "and"):
            raise SelectorError(self._position(), "a field, a word or a parenthesis was expected")
        self._next += 1
        if token.text == "(" and not token.is_quoted:
            inner = self.alternatives(depth + 1)
            if not self._is(")"):
                raise SelectorError(token.position, "this parenthesis is not closed")
            self._next += 1
            return inner
        return _read_test(token)

    def _position(self) -> int:
        return self.token.position if self.token is not None else self._end


def _tokens(text: str) -> List[_Token]:
    tokens: List[_Token] = []
    position = 0
    while text[position:].strip():
        found = _TOKEN.match(text, position)
        if found is None:  # only a quote without its partner is no token
            raise SelectorError(text.index('"', position), "this quote is not closed")
        group = found.lastindex or 1
        raw = found.group(group)
        tokens.append(_Token(raw, found.start(group), raw.startswith('"')))
        position = found.end()
    return tokens


def _read_test(token: _Token) -> Test:
    raw = token.text
    if token.is_quoted and raw.endswith('"') and raw.count('"') == 2:
        return Test("", ":", raw[1:-1], token.position)
    split = (
        min((raw.index(mark), -len(mark), mark) for mark in OPERATORS if mark in raw) if _has_operator(raw) else None
    )
    if split is None:
        return Test("", ":", raw.replace('"', ""), token.position)
    at, _, operator = split
    field, value = raw[:at].lower(), raw[at + len(operator) :].replace('"', "")
    test = Test(field, operator, value, token.position + at + len(operator))
    if not field:
        raise SelectorError(token.position, "a field is expected before %s, and no space between" % operator)
    if field not in FIELDS and not (field.startswith("tag.") and len(field) > 4):
        raise SelectorError(
            token.position, "no field %r; fields are %s and tag.KEY" % (field, " ".join(sorted(FIELDS)))
        )
    if not value:
        raise SelectorError(test.position, "a value for %s was expected" % field)
    _check_value(test)
    return test


def _has_operator(raw: str) -> bool:
    head = raw.split('"', 1)[0]
    return any(mark in head for mark in OPERATORS)


def field_named(name: str) -> Field:
    """The field of a test; ``tag.KEY`` is one for every key."""
    return FIELDS[name] if name in FIELDS else Field(TEXT, ("tags." + name[4:],))


def _check_value(test: Test) -> None:
    field = field_named(test.field)
    if field.kind == TEXT:
        if test.operator in ("<", ">", "<=", ">=") and test.field != "exit":
            raise SelectorError(test.position - len(test.operator), "%s is text: use : = or !=" % test.field)
        for value in test.value.split(",") if field.values else ():
            if "*" not in value and not any(known.startswith(value.lower()) for known in field.values):
                raise SelectorError(test.position, "%s is one of %s" % (test.field, " ".join(field.values)))
        if test.field == "exit" and test.operator not in (":", "=", "!=") and not NUMBER_TEXT.fullmatch(test.value):
            raise SelectorError(test.position, "a number was expected")
        return
    read_values(field, test)


def read_values(field: Field, test: Test) -> List[Tuple[float, bool]]:
    """The numbers a test compares with, each with whether it is a moment (else an age or an amount).

    Raises:
        SelectorError: one of them is none.
    """
    values = test.value.split(",") if test.operator in (":", "=", "!=") else [test.value]
    return [read_value(field.kind, value, test.position) for value in values]


def read_value(kind: str, value: str, position: int) -> Tuple[float, bool]:
    """The number a value stands for, and whether it is a moment (not an age).

    Args:
        kind: of a field that is no text: SIZE in bytes, PERCENT, AGE in s, MOMENT in s since 1970, or an age.
        value: as a person writes it.
        position: of the value, for the error.

    Raises:
        SelectorError: it is none.
    """
    if kind == SIZE:
        found = _SIZE.fullmatch(value)
        if found:
            return float(found.group(1)) * _SIZES[found.group(2).upper()], False
        raise SelectorError(position, "a size such as 512M or 10G was expected")
    if kind in (AGE, MOMENT):
        if _TIME.fullmatch(value):
            return sum(float(count) * _TIMES[unit] for count, unit in _TIME_PART.findall(value)), False
        if kind == AGE:
            raise SelectorError(position, "a time such as 90s, 2h or 3d was expected")
        try:
            return read_moment(value), True
        except ValueError:
            raise SelectorError(position, "a time such as 2h or a date such as 2026-11-23 was expected")
    trimmed = value[:-1] if kind == PERCENT and value.endswith("%") else value
    if NUMBER_TEXT.fullmatch(trimmed):
        return float(trimmed), False
    raise SelectorError(position, "a number was expected")
