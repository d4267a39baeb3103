"""Open an SQLite file that several processes write: WAL, and durable when a commit returns.

What the tables mean is the caller's; here is only how such a file is made,
checked and opened, so that the ledger and the server's store do it alike.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from jobmon_pki.errors import PkiError

BUSY_TIMEOUT = 10.0  # s to wait for another writer; a commit to a slow disk takes 0.1 s
_PRIVATE = 0o600


class DatabaseError(PkiError):
    """The file cannot be used; the sentence says why and what to do."""


def open_database(path: Path | str, schema: str, version: int) -> sqlite3.Connection:
    """A connection in autocommit mode; use ``transaction`` for more than one statement.

    The connection may be used by several threads, one at a time.

    Args:
        path: made, with mode 0600, where there is no file.
        schema: statements that make the tables of a new file.
        version: of the schema; kept in the file.

    Raises:
        DatabaseError: damaged, written by another version, or not accessible.
    """
    _make_private(path)
    connection = None
    try:
        # Autocommit: the module begins no transactions of its own.
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        _prepare(connection, path, schema, version)
    except sqlite3.Error as error:
        _close(connection)
        raise damage(path, error) from error
    except BaseException:
        _close(connection)
        raise
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of the block's statements, or none; the write lock is taken at once."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        # A full disk may have rolled it back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def damage(path: Path | str, error: sqlite3.Error) -> DatabaseError:
    """The sentence for an error that SQLite reported."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseError(f"{path} is damaged ({error}); stop JobMon and restore it from a backup")
    if code == sqlite3.SQLITE_FULL:
        return DatabaseError(f"no space is left to write {path}; free some")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseError(f"{path} was in use by another process for {BUSY_TIMEOUT:.0f} s; try again")
    return DatabaseError(f"cannot use {path}: {error}; check the file, its directory and the disk")


def _make_private(path: Path | str) -> None:
    """Make the file where there is none; a descriptor of one that exists is never opened here.

    POSIX drops all of a process's locks on a file when it closes any descriptor of it: SQLite's
    locks of another connection would go, another process would then remove the write-ahead log
    under it, and that connection would see no later change, or a damaged file.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _PRIVATE))
    except FileExistsError as error:
        if not os.path.isfile(path) or os.path.islink(path):
            raise DatabaseError(f"{path} is not a regular file; move it away") from error
        if not os.access(path, os.R_OK | os.W_OK):
            raise DatabaseError(f"cannot open {path}: Permission denied; check the directory and its owner") from error
    except OSError as error:
        raise DatabaseError(f"cannot open {path}: {error.strerror}; check the directory and its owner") from error


def _prepare(connection: sqlite3.Connection, path: Path | str, schema: str, version: int) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    connection.execute("PRAGMA shrink_memory")  # the check leaves 2 MB of pages that nobody may ask for
    if verdict != "ok":
        raise DatabaseError(f"{path} is damaged ({str(verdict)[:200]}); stop JobMon and restore it from a backup")
    if _version(connection) == 0:
        with transaction(connection):
            if _version(connection) == 0:  # nobody else made the tables meanwhile
                for statement in _statements(schema):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={version:d}")
    found = _version(connection)
    if found != version:
        which = "a newer" if found > version else "an older"
        raise DatabaseError(f"{path} was written by {which} JobMon (format {found}, not {version}); use that one")


def _statements(schema: str) -> Iterator[str]:
    """One by one: executescript would end the transaction they belong to."""
    statement = ""
    for part in schema.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):  # not inside a comment, a text or a trigger
            yield statement
            statement = ""


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        connection.close()
