"""What outlives the server: jobs, their events, the audit trail.

One SQLite file.  ``append`` has its rows on the disk when it returns; ``defer``
takes rows whose loss in a crash would hurt nobody, and writes them with the next
batch.  Callers await ``append`` and never see the connection, so that many
appends may share one commit later.  Nothing here knows who may read what.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from jobmon_pki.database import DatabaseError, open_database
from jobmon_server.errors import ServerError
from jobmon_server.facts import Kept, read_facts
from jobmon_server.rows import Conclusion, Orphans, Removal, Row

VERSION = 1
GATHER = 0.05  # s in which rows are gathered to be written at once: a write that is certain takes 2 ms of the disk
DEFERRED = 10_000  # rows waiting; a server that cannot write forgets progress lines rather than grow
SLICE = 500  # rows read at once: under 5 ms, so that nothing else waits long

SCHEMA = """
CREATE TABLE jobs (
    uuid TEXT PRIMARY KEY,
    facts BLOB NOT NULL,
    registration BLOB,
    report BLOB,
    stdout BLOB,
    stderr BLOB,
    stdout_bytes INTEGER,
    stderr_bytes INTEGER
) STRICT;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_job ON events (uuid, seq);
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    role TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    verb TEXT NOT NULL,
    uuid TEXT NOT NULL,
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    cluster TEXT NOT NULL,
    arguments BLOB NOT NULL,
    request TEXT NOT NULL,
    source TEXT NOT NULL,
    decision TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_owner ON audit (owner, seq);
CREATE INDEX audit_by_cluster ON audit (cluster, seq);
CREATE INDEX audit_by_job ON audit (uuid, seq);
CREATE TABLE outcomes (
    audit INTEGER PRIMARY KEY REFERENCES audit (seq),
    at REAL NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
"""

_ACTIONS = (
    "SELECT seq, audit.at, who, role, verb, uuid, id, arguments, request, source, decision, outcome"
    " FROM audit LEFT JOIN outcomes ON outcomes.audit = audit.seq"
)


class StoreError(ServerError):
    """The store cannot be opened; one sentence for the operator."""


class StoreFullError(Exception):
    """The store took nothing: what was to be recorded must not happen."""


class Stream(NamedTuple):
    """The last words of a job on one stream."""

    data: bytes
    total: int | None  # bytes of the whole output; None where it could not be read


class Store:
    """The file; made by ``open_store``, closed by its owner."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._deferred: list[Row] = []
        self._settling: asyncio.Future[None] | None = None  # the writing that is about to be

    async def append(self, *rows: Row) -> list[int]:
        """Write all rows or none; they are on the disk when it returns.

        Raises:
            StoreFullError: nothing was written.
        """
        waiting, self._deferred = self._deferred, []
        try:
            return self._write([*waiting, *rows])[len(waiting) :]
        except StoreFullError:
            self._deferred = waiting
            raise

    def defer(self, row: Row) -> None:
        """Write the row soon."""
        if len(self._deferred) < DEFERRED:
            self._deferred.append(row)

    async def flush(self) -> None:
        """Write what was deferred; where that fails it stays deferred."""
        if self._deferred:
            await self.append()

    async def settle(self) -> None:
        """Return when what is deferred now has been written, together with what others settle in the same moment.

        A disk that is full holds nobody up: the rows stay deferred.
        """
        if self._settling is None:
            self._settling = asyncio.ensure_future(self._gather())
        await asyncio.shield(self._settling)  # one who goes leaves the others their rows

    async def _gather(self) -> None:
        await asyncio.sleep(GATHER)
        self._settling = None
        with suppress(StoreFullError):
            await self.flush()

    def __len__(self) -> int:
        """Rows that are deferred."""
        return len(self._deferred)

    async def probe(self) -> None:
        """Write what stands there already.

        Raises:
            StoreFullError: nothing can be written.
        """
        try:
            # A write like any other: SQLite does not look whether the number is another.
            self._connection.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.Error as error:
            raise StoreFullError(f"the server cannot write its store: {error}") from error

    def load(self) -> Iterator[Kept]:
        """Every job that is kept."""
        for (facts,) in self._connection.execute("SELECT facts FROM jobs"):
            yield read_facts(facts)
        self._connection.execute("PRAGMA shrink_memory")  # 2 MB of pages that nobody asks for again

    async def details(self, uuid: str) -> tuple[Any, Any]:
        """What the job said of itself and how it ended, as documents or None."""
        with suppress(StoreFullError):  # what cannot be written cannot be shown, but all else can
            await self.flush()
        row = self._connection.execute("SELECT registration, report FROM jobs WHERE uuid = ?", (uuid,)).fetchone()
        registration, report = row or (None, None)
        return registration and json.loads(registration), report and json.loads(report)

    def last_words(self, uuid: str, stream: str) -> Stream | None:
        """What is kept of ``stdout`` or ``stderr``; None without an end report."""
        row = self._connection.execute(
            "SELECT stdout, stdout_bytes, stderr, stderr_bytes FROM jobs WHERE uuid = ? AND report IS NOT NULL", (uuid,)
        ).fetchone()
        if row is None:
            return None
        return Stream(row[0], row[1]) if stream == "stdout" else Stream(row[2], row[3])

    def events(self, uuid: str, after: int) -> list[tuple[int, float, str, str]]:
        """The next events of a job: number, moment, kind, text."""
        return self._connection.execute(
            "SELECT seq, at, kind, text FROM events WHERE uuid = ? AND seq > ? ORDER BY seq LIMIT ?",
            (uuid, after, SLICE),
        ).fetchall()

    def actions(self, where: str, values: Iterable[Any], limit: int) -> Iterator[list[tuple[Any, ...]]]:
        """The newest actions, oldest first, in slices; ``where`` is a condition over the audit's columns."""
        numbers = [
            number
            for (number,) in self._connection.execute(
                f"SELECT seq FROM audit WHERE {where} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - from audit.py, no input
                (*values, limit),
            )
        ][::-1]
        for start in range(0, len(numbers), SLICE):
            part = numbers[start : start + SLICE]
            marks = ", ".join("?" * len(part))
            yield self._connection.execute(f"{_ACTIONS} WHERE seq IN ({marks}) ORDER BY seq", part).fetchall()

    def conclude(self, at: float) -> None:
        """End the actions that a run which died has left without an end: nobody knows what became of them.

        A store that takes nothing stays as it is, and can be read.
        """
        with suppress(StoreFullError):
            self._write([Conclusion(at)])

    async def forget(self, uuids: list[str], before: float) -> None:
        """Forget jobs, and old events of jobs that never began; the audit stays.

        Raises:
            StoreFullError: all are still there.
        """
        await self.append(*(Removal(uuid) for uuid in uuids), Orphans(before))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _write(self, rows: list[Row]) -> list[int]:
        if not rows:
            return []
        connection = self._connection
        try:
            if not connection.in_transaction:
                connection.execute("BEGIN IMMEDIATE")
            numbers = [row.put(connection) for row in rows]
            connection.commit()
        except sqlite3.Error as error:
            _roll_back(connection)
            raise StoreFullError(f"the server cannot write its store: {error}") from error
        return numbers


def open_store(path: Path) -> Store:
    """Open the store, or make it.

    Raises:
        StoreError: it is damaged, of another version or cannot be reached.
    """
    try:
        return Store(open_database(path, SCHEMA, VERSION))
    except DatabaseError as error:
        raise StoreError(f"the store cannot be opened: {error}") from error


def _roll_back(connection: sqlite3.Connection) -> None:
    # SQLite itself rolls back on some errors; a second time would raise.
    if connection.in_transaction:
        connection.rollback()
