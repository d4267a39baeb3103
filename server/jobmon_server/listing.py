"""Listings: which of the jobs a peer may see, in which order, how many.

Selectors come from ``jobmon_wire``; here they meet the public records of the
registry.  Nothing here knows of HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from jobmon_server.peer import Peer
from jobmon_server.refusals import RefusedError
from jobmon_server.registry import Registry
from jobmon_wire.jobs import FIELDS, exit_text
from jobmon_wire.matching import Predicate, compile_selector
from jobmon_wire.selectors import SelectorError, parse_selector

NEWEST_FIRST = "-started"
_UNORDERED = ("batch", "tags")  # objects: there is no order among them
_FIELDS = {field.name for field in FIELDS}

Record = dict[str, Any]


def predicate(selector: str, peer: Peer, clock: Callable[[], float] = time.time) -> Predicate:
    """The test of a selector, as the peer means it.

    Raises:
        RefusedError: ``bad-selector`` with position and what was expected.
    """
    try:
        return compile_selector(parse_selector(selector), peer.holder, clock)
    except SelectorError as error:
        raise RefusedError("bad-selector", str(error), position=error.position, expected=error.expected) from error


def select(registry: Registry, peer: Peer, wanted: Predicate) -> list[Record]:
    """The public records of the peer's jobs that are wanted, in no order."""
    records = (registry.record(job) for job in registry.visible(peer))
    return [record for record in records if wanted(record)]


def order(records: list[Record], sort: str) -> list[Record]:
    """The records by a field, descending with ``-``; those without a value come last.

    Raises:
        RefusedError: no such field, or one without an order.
    """
    field = sort.removeprefix("-")
    if field not in _FIELDS or field in _UNORDERED:
        raise RefusedError("bad-request", f"sort by one of {', '.join(sorted(_FIELDS.difference(_UNORDERED)))}")
    known = [record for record in records if record[field] is not None]
    # The uuid makes the order the same every time.
    known.sort(key=lambda record: (_rank(record[field]), record["uuid"]), reverse=sort.startswith("-"))
    return known + [record for record in records if record[field] is None]


def _rank(value: Any) -> Any:
    if isinstance(value, dict):
        return exit_text(value)
    return value.lower() if isinstance(value, str) else value
