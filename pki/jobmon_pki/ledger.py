"""The ledger: every certificate that was issued, and every one that was revoked.

One SQLite file, read by the running server while the pki command writes to it.
A certificate is recorded before it is handed out, so what is not here was never
given to anybody.  To revoke a certificate revokes every other one of the same
key as well: whoever has one has them all.
"""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from jobmon_pki.database import DatabaseError, damage, open_database, transaction
from jobmon_pki.errors import PkiError
from jobmon_pki.names import Name, common_name, display, from_document, owner_of, to_document
from jobmon_pki.profiles import JOB, PEOPLE, Identity

VERSION = 1
_SCHEMA = """
CREATE TABLE certificates (
    serial TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    name TEXT NOT NULL,         -- names.display
    owner TEXT NOT NULL,        -- names.display of the person; empty for a server
    document TEXT NOT NULL,     -- names.to_document, JSON
    fingerprint TEXT NOT NULL,
    spki TEXT NOT NULL,
    uuid TEXT NOT NULL,
    job TEXT NOT NULL,
    cluster TEXT NOT NULL,
    clusters TEXT NOT NULL,     -- an administrator's, JSON
    not_before REAL NOT NULL,
    not_after REAL NOT NULL,
    issued_at REAL NOT NULL,
    issued_by TEXT NOT NULL
);
CREATE INDEX certificates_owner ON certificates (owner);
CREATE INDEX certificates_spki ON certificates (spki);
CREATE INDEX certificates_uuid ON certificates (uuid);
CREATE TABLE revocations (
    serial TEXT PRIMARY KEY REFERENCES certificates (serial),
    at REAL NOT NULL,
    why TEXT NOT NULL
);
CREATE TABLE revoked_owners (
    owner TEXT PRIMARY KEY,
    at REAL NOT NULL,
    why TEXT NOT NULL
)
"""
_COLUMNS = (
    "role, document, serial, fingerprint, not_before, not_after, c.uuid, clusters, spki, job, cluster,"
    " issued_at, issued_by, r.at, r.why"
)
_SELECT = f"SELECT {_COLUMNS} FROM certificates c LEFT JOIN revocations r USING (serial)"  # noqa: S608 -- constants


class LedgerError(PkiError):
    """The ledger cannot be read or written, or has no such certificate."""


class Issued(NamedTuple):
    """One certificate of the ledger."""

    identity: Identity
    job_id: str  # of a job, else empty
    cluster: str
    issued_at: float
    issued_by: str
    revoked_at: float | None
    why: str  # it was revoked

    @property
    def serial(self) -> str:
        """The certificate's serial number."""
        return self.identity.serial

    @property
    def name(self) -> Name:
        """The certificate's subject."""
        return self.identity.name

    @property
    def owner(self) -> str:
        """The text of the name of the person it belongs to; empty for a server."""
        return _owner(self.identity)


class Ledger:
    """An open ledger; several threads may share it."""

    def __init__(self, path: Path | str) -> None:
        """Open the ledger, or make an empty one.

        Raises:
            LedgerError: damaged, or not accessible.
        """
        self.path = path
        self._lock = threading.RLock()
        try:
            self._connection = open_database(path, _SCHEMA, VERSION)
        except DatabaseError as error:
            raise LedgerError(str(error)) from error
        self._seen = -1  # data_version at the last call of changed()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was recorded stays."""
        with self._lock:
            self._connection.close()

    def record(self, identity: Identity, job_id: str, cluster: str, issued_at: float, issued_by: str) -> None:
        """Record one certificate; it is on the disk when this returns.

        Raises:
            LedgerError: its key was revoked, or the file cannot be written.
        """
        self.record_all([(identity, job_id)], cluster, issued_at, issued_by)

    def record_all(
        self, issued: Sequence[tuple[Identity, str]], cluster: str, issued_at: float, issued_by: str
    ) -> None:
        """Record certificates, each with its job id, all or none."""
        rows = [_row(identity, job_id, cluster, issued_at, issued_by) for identity, job_id in issued]
        with self._writing() as connection:
            for identity, _ in issued:
                self._refuse_revoked(connection, identity)
            marks = ", ".join("?" * 15)
            connection.executemany(f"INSERT INTO certificates VALUES ({marks})", rows)  # noqa: S608 -- marks only

    def find(self, serial: str) -> Issued | None:
        """The certificate with this serial number."""
        found = self._query(f"{_SELECT} WHERE serial = ?", (serial.lower(),))
        return found[0] if found else None

    def find_prefix(self, prefix: str) -> list[Issued]:
        """The certificates whose serial number begins so."""
        lowered = prefix.lower()
        return self._query(f"{_SELECT} WHERE substr(serial, 1, ?) = ? ORDER BY serial", (len(lowered), lowered))

    def find_fingerprint(self, fingerprint: str) -> Issued | None:
        """The certificate whose DER has this SHA-256."""
        found = self._query(f"{_SELECT} WHERE fingerprint = ?", (fingerprint,))
        return found[0] if found else None

    def fingerprints(self, kind: str) -> dict[str, str]:
        """The fingerprint of every certificate of a role, by serial number."""
        with self._reading() as connection:
            found = dict(connection.execute("SELECT serial, fingerprint FROM certificates WHERE role = ?", (kind,)))
            connection.execute("PRAGMA shrink_memory")  # 2 MB of pages that nobody asks for again
        return found

    def find_job(self, uuid: str) -> list[Issued]:
        """The certificates of a job, the first one first."""
        return self._query(f"{_SELECT} WHERE c.uuid = ? ORDER BY issued_at, c.rowid", (uuid,)) if uuid else []

    def rows(self, kind: str | None = None, owner: Name | None = None) -> list[Issued]:
        """The certificates of a role, of an owner with her jobs, or all; the first one first."""
        tests, values = [], []
        if kind is not None:
            tests.append("role = ?")
            values.append(kind)
        if owner is not None:
            tests.append("owner = ?")
            values.append(display(owner))
        where = " WHERE " + " AND ".join(tests) if tests else ""
        return self._query(f"{_SELECT}{where} ORDER BY issued_at, c.rowid", values)

    def revoke(self, serial: str, why: str, now: float) -> list[str]:
        """Revoke a certificate and all others of its key; gives the serial numbers newly revoked.

        Raises:
            LedgerError: no such certificate.
        """
        with self._writing() as connection:
            if not connection.execute("SELECT 1 FROM certificates WHERE serial = ?", (serial,)).fetchone():
                raise LedgerError(
                    f"no certificate with the serial number {serial[:64]!r} was issued here; see jobmon pki list --all"
                )
            return _revoke(connection, "spki = (SELECT spki FROM certificates WHERE serial = ?)", serial, why, now)

    def revoke_owner(self, owner: Name, why: str, now: float) -> list[str]:
        """Revoke everything a person has, her jobs' certificates too; gives the serials newly revoked.

        Raises:
            LedgerError: nothing was ever issued to her.
        """
        text = display(owner)
        with self._writing() as connection:
            if not connection.execute("SELECT 1 FROM certificates WHERE owner = ?", (text,)).fetchone():
                raise LedgerError(f"nothing was issued here to {text}; see jobmon pki list --all")
            connection.execute("INSERT OR REPLACE INTO revoked_owners VALUES (?, ?, ?)", (text, now, why))
            return _revoke(connection, "owner = ?", text, why, now)

    def revoked(self) -> frozenset[str]:
        """The serial numbers of all revoked certificates."""
        with self._reading() as connection:
            return frozenset(serial for (serial,) in connection.execute("SELECT serial FROM revocations"))

    def revoked_owners(self) -> dict[str, float]:
        """The text of each name that was revoked as a whole, and when: what was issued later is good."""
        with self._reading() as connection:
            return dict(connection.execute("SELECT owner, at FROM revoked_owners"))

    def changed(self) -> bool:
        """Whether anybody wrote to the file since the last call; true at the first. Costs some ten µs."""
        with self._reading() as connection:
            # data_version tells of others' commits, total_changes of our own.
            version = connection.execute("PRAGMA data_version").fetchone()[0] * 2**32 + connection.total_changes
        changed, self._seen = version != self._seen, version
        return bool(changed)

    def _refuse_revoked(self, connection: sqlite3.Connection, identity: Identity) -> None:
        found = connection.execute(
            "SELECT 1 FROM revocations JOIN certificates USING (serial) WHERE spki = ?", (identity.spki,)
        ).fetchone()
        if found:
            raise LedgerError(
                f"the key of {display(identity.name)} was revoked; issue a new credential, which has a new key"
            )

    def _query(self, statement: str, values: Sequence[object]) -> list[Issued]:
        with self._reading() as connection:
            return [_issued(row) for row in connection.execute(statement, values)]

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise LedgerError(str(damage(self.path, error))) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection, transaction(connection):
            yield connection


def _revoke(connection: sqlite3.Connection, which: str, value: str, why: str, now: float) -> list[str]:
    unrevoked = "serial NOT IN (SELECT serial FROM revocations)"
    found = connection.execute(f"SELECT serial FROM certificates WHERE {which} AND {unrevoked}", (value,))  # noqa: S608
    serials = [serial for (serial,) in found.fetchall()]
    connection.executemany("INSERT INTO revocations VALUES (?, ?, ?)", [(serial, now, why) for serial in serials])
    return serials


def _owner(identity: Identity) -> str:
    if identity.role == JOB:
        return display(owner_of(identity.name))
    return display(identity.name) if identity.role in PEOPLE else ""


def _row(identity: Identity, job_id: str, cluster: str, issued_at: float, issued_by: str) -> tuple[object, ...]:
    return (
        identity.serial,
        identity.role,
        display(identity.name),
        _owner(identity),
        json.dumps(to_document(identity.name)),
        identity.fingerprint,
        identity.spki,
        identity.uuid,
        job_id or (common_name(identity.name) if identity.role == JOB else ""),
        cluster,
        json.dumps(identity.clusters),
        identity.not_before,
        identity.not_after,
        float(issued_at),
        issued_by,
    )


def _issued(row: tuple[Any, ...]) -> Issued:
    role, document, serial, fingerprint, not_before, not_after, uuid, clusters, spki, *others = row
    # Most certificates are jobs', who look after nothing.
    looked_after = tuple(json.loads(clusters)) if clusters != "[]" else ()
    name = from_document(json.loads(document))
    identity = Identity(role, name, serial, fingerprint, not_before, not_after, uuid, looked_after, spki)
    job, cluster, issued_at, issued_by, revoked_at, why = others
    return Issued(identity, job, cluster, issued_at, issued_by, revoked_at, why or "")
