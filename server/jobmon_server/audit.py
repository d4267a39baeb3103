"""The audit trail: who asked for what, of which job, whether it was allowed, and how it ended.

A row is on the disk before the action begins; where it cannot be written there
is no action.  Owners read all rows about their jobs, whoever acted;
administrators those of their clusters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from jobmon_pki.names import display
from jobmon_server.events import REQUEST, Events
from jobmon_server.jobs import Job
from jobmon_server.lines import document
from jobmon_server.peer import Peer
from jobmon_server.rows import Action, Event, Outcome, Row
from jobmon_server.store import Store, StoreFullError
from jobmon_wire.limits import LABEL
from jobmon_wire.moments import write_moment

ALLOWED, DENIED = "allowed", "denied"
LIMIT = 1000  # rows, where the caller names no number
MOST = 100_000  # rows of one answer


class Audit:
    """The trail."""

    def __init__(self, store: Store, events: Events, cluster: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._events = events
        self._cluster = cluster
        self._clock = clock

    async def begin(self, peer: Peer, verb: str, job: Job | None, arguments: dict[str, Any], request: str = "") -> int:
        """Write down an action that is allowed, before it begins; gives the row's number.

        Raises:
            StoreFullError: it is not written, so it must not begin.
        """
        rows: list[Row] = [self._action(peer, verb, job, arguments, request, "", ALLOWED)]
        if job is not None:
            rows.append(Event(job.uuid, self._clock(), REQUEST, f"{verb} by {peer.holder}"))
        return (await self._events.record(*rows))[0]

    def deny(self, peer: Peer, verb: str, job: Job | None, arguments: dict[str, Any], reference: str) -> None:
        """Write down an action that is refused; soon, since nothing happens that it must precede."""
        self._store.defer(self._action(peer, verb, job, arguments, "", reference, DENIED))

    def finish(self, number: int, outcome: str) -> None:
        """Write down how an action ended; soon, since it has."""
        self._store.defer(Outcome(number, self._clock(), outcome))

    async def rows(self, peer: Peer, job: Job | None, limit: int) -> Iterator[list[dict[str, Any]]]:
        """The newest rows that the peer may read, oldest first, in slices."""
        with suppress(StoreFullError):  # what cannot be written cannot be shown, but all else can
            await self._store.flush()
        marks = ", ".join("?" * len(peer.clusters))
        where, values = f"(owner = ? OR cluster IN ({marks}))", [peer.holder, *peer.clusters]
        if job is not None:
            where, values = f"{where} AND uuid = ?", [*values, job.uuid]
        slices = self._store.actions(where, values, min(limit, MOST))
        return ([_record(row) for row in rows] for rows in slices)

    def _action(
        self,
        peer: Peer,
        verb: str,
        job: Job | None,
        arguments: dict[str, Any],
        request: str,
        reference: str,
        decision: str,
    ) -> Action:
        return Action(
            at=self._clock(),
            who=peer.holder,
            role=peer.role,
            fingerprint=peer.fingerprint,
            verb=verb,
            uuid=job.uuid if job else "",
            id=job.id if job else reference[:LABEL],
            # What touches no job of anybody's is the caller's own affair.
            owner=display(job.owner_rdns) if job else peer.holder,
            cluster=job.cluster if job else self._cluster,
            arguments=document(arguments),
            request=request,
            source=peer.source,
            decision=decision,
        )


def _record(row: tuple[Any, ...]) -> dict[str, Any]:
    seq, at, who, role, verb, uuid, id_, arguments, request, source, decision, outcome = row
    return {
        "seq": seq,
        "at": write_moment(at),
        "who": who,
        "role": role,
        "verb": verb,
        "job": uuid,
        "id": id_,
        "arguments": json.loads(arguments),
        "request": request,
        "source": source,
        "decision": decision,
        "outcome": outcome,
    }
