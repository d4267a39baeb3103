"""A database file is opened whole and private, or refused in one sentence."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from jobmon_pki.database import DatabaseError, open_database, transaction

SCHEMA = """
CREATE TABLE words (word TEXT PRIMARY KEY); -- a comment; with a semicolon
CREATE TRIGGER loud AFTER INSERT ON words BEGIN UPDATE words SET word = upper(word); SELECT 1; END;
CREATE INDEX by_length ON words (length(word))
"""


def _words(path: Path) -> list[str]:
    with closing(open_database(path, SCHEMA, 3)) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY word")]


def test_a_new_file_is_private_and_keeps_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(open_database(path, SCHEMA, 3)) as connection, transaction(connection):
        connection.execute("INSERT INTO words VALUES ('job')")

    assert _words(path) == ["JOB"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_commit_is_on_the_disk_when_it_returns(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "a.sqlite", SCHEMA, 3)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    connection = open_database(path, SCHEMA, 3)
    with closing(connection), pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.executemany("INSERT INTO words VALUES (?)", [("JOB",), ("JOB",)])

    assert _words(path) == []


@pytest.mark.parametrize("found", [2, 4])
def test_a_file_of_another_version_is_refused(tmp_path: Path, found: int) -> None:
    path = tmp_path / "a.sqlite"
    open_database(path, SCHEMA, found).close()

    with pytest.raises(DatabaseError, match=f"format {found}, not 3"):
        open_database(path, SCHEMA, 3)


def test_a_file_that_is_no_database_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"not a database at all" * 100)

    with pytest.raises(DatabaseError, match=r"a\.sqlite is damaged .*; stop JobMon and restore it from a backup"):
        open_database(path, SCHEMA, 3)


def test_a_damaged_page_is_found_at_opening(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(open_database(path, SCHEMA, 3)) as connection, transaction(connection):
        connection.executemany("INSERT INTO words VALUES (?)", [(f"word{n}" * 50,) for n in range(200)])
    with open(path, "r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xa5" * 4096)

    with pytest.raises(DatabaseError, match="is damaged"):
        open_database(path, SCHEMA, 3)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.sqlite"

    with pytest.raises(DatabaseError, match=f"cannot open {path}: No such file or directory"):
        open_database(path, SCHEMA, 3)


def test_what_is_no_regular_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "a.sqlite")
    for path in (tmp_path, tmp_path / "dangling"):
        with pytest.raises(DatabaseError, match=f"{path} is not a regular file"):
            open_database(path, SCHEMA, 3)
    assert not (tmp_path / "a.sqlite").exists()


def test_many_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    program = (
        "import sys\n"
        "from jobmon_pki.database import open_database, transaction\n"
        "connection = open_database(sys.argv[1], sys.argv[2], 3)\n"
        "for number in range(20):\n"
        "    with transaction(connection):\n"
        "        connection.execute('INSERT INTO words VALUES (?)', (sys.argv[3] + str(number),))\n"
        "connection.close()\n"
    )

    running = [subprocess.Popen([sys.executable, "-c", program, path, SCHEMA, f"P{n}-"]) for n in range(6)]

    assert [process.wait(60) for process in running] == [0] * 6
    assert len(_words(path)) == 120


def test_a_busy_file_is_said_to_be_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmon_pki.database.BUSY_TIMEOUT", 0.01)
    path = tmp_path / "a.sqlite"
    os.close(os.open(path, os.O_CREAT | os.O_RDWR))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(DatabaseError, match="in use by another process"):
            open_database(path, SCHEMA, 3)
