"""Selections: the jobs a peer means by a selector, found from indexes.

A selector's conditions that must all hold are taken apart.  Those on owner and
cluster are decided once for a realm, those on node or state once for each of
their values; the smallest group that is left is looked through.  Whatever the
indexes say, a job is found only in a realm that policy lets the peer see.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from jobmon_server.indexes import Groups
from jobmon_server.jobs import Job
from jobmon_server.peer import Peer
from jobmon_server.realms import Realm
from jobmon_server.refusals import RefusedError
from jobmon_server.registry import Registry
from jobmon_wire.matching import compile_selector
from jobmon_wire.selectors import AGE, MOMENT, All, Node, Not, SelectorError, Test, field_named, parse_selector

Wanted = Callable[[Any], bool]  # a predicate over whatever has ``get`` with fields of the public record

REALM, NODE, STATE, REST = frozenset(["owner", "cluster"]), frozenset(["node"]), frozenset(["state"]), frozenset([""])


class Selection:
    """What one peer means by one selector.

    Attributes:
        peer: who asks.
        is_whole: every job that the peer may see.
        depends_on_time: a job may come or go without any change.

    Raises:
        RefusedError: ``bad-selector`` with position and what was expected.
    """

    def __init__(self, selector: str, peer: Peer, clock: Callable[[], float] = time.time) -> None:
        self.peer = peer
        tree = _parse(selector)
        conditions = tree.parts if isinstance(tree, All) else (tree,)
        self.is_whole = not conditions
        self.depends_on_time = any(_is_of_time(field) for field in _fields(tree))
        self._parts: dict[frozenset[str], list[Node]] = {REALM: [], NODE: [], STATE: [], REST: []}
        for condition in conditions:
            self._parts[_group(condition)].append(condition)
        self._clock = clock
        self.wants: Wanted = self._compile(conditions)

    def realms(self, registry: Registry) -> list[Realm]:
        """The realms that the peer may see and whose jobs can be wanted."""
        parts = self._parts[REALM]
        realms = registry.realms(self.peer)
        if not parts:
            return realms
        wanted = self._compile(parts)
        return [realm for realm in realms if wanted(realm)]

    def candidates(self, registry: Registry) -> tuple[list[Job], Wanted | None]:
        """Visible jobs that may be wanted, and what decides on each; None: all are."""
        realms = self.realms(registry)
        groups: list[tuple[frozenset[str], Groups[Any], Iterable[Any]]] = [(REALM, registry.by_realm, realms)]
        for field, index in ((NODE, registry.by_node), (STATE, registry.by_state)):
            if self._parts[field]:
                groups.append((field, index, self._values(index, field)))
        # Of two that are as large, the one whose condition need not be looked at again.
        chosen, index, values = min(groups[::-1], key=lambda group: sum(map(group[1].count, group[2])))
        found = [job for value in values for job in registry.jobs(index.of(value))]
        if chosen != REALM:
            seen = set(realms)
            found = [job for job in found if job.realm in seen]
        rest = [part for field, parts in self._parts.items() if field not in (REALM, chosen) for part in parts]
        return found, self._compile(rest) if rest else None

    def _compile(self, parts: Iterable[Node]) -> Wanted:
        return compile_selector(All(tuple(parts)), self.peer.holder, self._clock)

    def _values(self, index: Groups[str], group: frozenset[str]) -> list[str]:
        wanted, (field,) = self._compile(self._parts[group]), group
        return [value for value in index if wanted({field: value})]


def _parse(selector: str) -> Node:
    try:
        return parse_selector(selector)
    except SelectorError as error:
        raise RefusedError("bad-selector", str(error), position=error.position, expected=error.expected) from error


def _fields(tree: Node) -> frozenset[str]:
    """The fields a selector names; ``""`` for a word, which may stand in several."""
    if isinstance(tree, Test):
        return frozenset([tree.field])
    parts = (tree.part,) if isinstance(tree, Not) else tree.parts
    return frozenset[str]().union(*map(_fields, parts))


def _group(condition: Node) -> frozenset[str]:
    fields = _fields(condition)
    return next((group for group in (REALM, NODE, STATE) if fields <= group), REST)


def _is_of_time(field: str) -> bool:
    return bool(field) and field_named(field).kind in (AGE, MOMENT)
