"""What the store keeps, row by row: each knows how it is written.

Rows are values; they hold no connection and read no clock.  The columns they
name stand in the schema in ``store``.
"""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple, Protocol

from jobmon_server.facts import NEVER_HEARD, Reach, write_facts
from jobmon_server.jobs import Job
from jobmon_server.lines import document
from jobmon_wire.records import EndReport, Registration

UNKNOWN = "unknown"  # the outcome of an action during which the server died


class Row(Protocol):
    """Something the store keeps."""

    def put(self, connection: sqlite3.Connection) -> int:
        """Write it; give its number."""


class Event(NamedTuple):
    """Something that happened to a job."""

    uuid: str
    at: float  # s since 1970
    kind: str
    text: str

    def put(self, connection: sqlite3.Connection) -> int:
        """Write it; give its number."""
        return _insert(connection, "INSERT INTO events (uuid, at, kind, text) VALUES (?, ?, ?, ?)", self)


class Action(NamedTuple):
    """Something that a person asked for, allowed or not."""

    at: float
    who: str
    role: str
    fingerprint: str
    verb: str
    uuid: str  # of the job; empty where it touches none
    id: str
    owner: str  # of the job, by whole name
    cluster: str
    arguments: bytes  # JSON
    request: str  # hexadecimal
    source: str
    decision: str  # allowed or denied

    def put(self, connection: sqlite3.Connection) -> int:
        """Write it; give its number."""
        marks = ", ".join("?" * len(self))
        # The names are this class's own, nothing from outside.
        return _insert(connection, f"INSERT INTO audit ({', '.join(self._fields)}) VALUES ({marks})", self)  # noqa: S608


class Outcome(NamedTuple):
    """How an action ended; the first one stands."""

    audit: int
    at: float
    outcome: str

    def put(self, connection: sqlite3.Connection) -> int:
        """Write it; give its number."""
        return _insert(connection, "INSERT OR IGNORE INTO outcomes (audit, at, outcome) VALUES (?, ?, ?)", self)


class Conclusion(NamedTuple):
    """The end of every action that has none, at the start of a server: ``UNKNOWN``."""

    at: float

    def put(self, connection: sqlite3.Connection) -> int:
        """Write it beside each."""
        connection.execute(
            "INSERT INTO outcomes (audit, at, outcome) SELECT seq, ?, ? FROM audit"
            " WHERE decision = 'allowed' AND seq NOT IN (SELECT audit FROM outcomes)",
            (self.at, UNKNOWN),
        )
        return 0


class Snapshot:
    """A job's latest facts, taken now; with them what it said of itself or how it ended."""

    def __init__(
        self,
        job: Job,
        said: Registration | None = None,
        report: EndReport | None = None,
        reach: Reach = NEVER_HEARD,  # as of a session that begins, or ends
    ) -> None:
        self.uuid = job.uuid
        self.facts = write_facts(job, reach)
        self.registration = None if said is None else document(said.document())
        self.report = report

    def put(self, connection: sqlite3.Connection) -> int:
        """Write it over the earlier one."""
        connection.execute(
            "INSERT INTO jobs (uuid, facts) VALUES (?, ?) ON CONFLICT (uuid) DO UPDATE SET facts = excluded.facts",
            (self.uuid, self.facts),
        )
        if self.registration is not None:
            # A registration opens a run: the last words of an earlier one go.
            connection.execute(
                "UPDATE jobs SET registration = ?, report = NULL, stdout = NULL, stderr = NULL, stdout_bytes = NULL,"
                " stderr_bytes = NULL WHERE uuid = ?",
                (self.registration, self.uuid),
            )
        if self.report is not None:
            self._put_report(connection, self.report)
        return 0

    def _put_report(self, connection: sqlite3.Connection, report: EndReport) -> None:
        said = report.document()
        del said["stdout"], said["stderr"]
        connection.execute(
            "UPDATE jobs SET report = ?, stdout = ?, stderr = ?, stdout_bytes = ?, stderr_bytes = ? WHERE uuid = ?",
            (document(said), report.stdout, report.stderr, report.stdout_bytes, report.stderr_bytes, self.uuid),
        )


class Removal(NamedTuple):
    """A job and its events, to be forgotten."""

    uuid: str

    def put(self, connection: sqlite3.Connection) -> int:
        """Take it away."""
        connection.execute("DELETE FROM events WHERE uuid = ?", self)
        connection.execute("DELETE FROM jobs WHERE uuid = ?", self)
        return 0


class Orphans(NamedTuple):
    """Events older than a moment whose job is not kept."""

    before: float

    def put(self, connection: sqlite3.Connection) -> int:
        """Take them away."""
        connection.execute("DELETE FROM events WHERE at < ? AND uuid NOT IN (SELECT uuid FROM jobs)", self)
        return 0


def _insert(connection: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> int:
    return connection.execute(statement, tuple(values)).lastrowid or 0
