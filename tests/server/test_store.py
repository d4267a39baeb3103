"""The store: what it took is there after a crash; what it could not take is said; a damaged file is no store."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobmon_pki.names import parse
from jobmon_server.jobs import Job, new_job
from jobmon_server.rows import Action, Event, Outcome, Snapshot
from jobmon_server.store import Store, StoreError, StoreFullError, open_store
from jobmon_wire.records import EndReport, Exit, Registration
from tests.server.house import REGISTRATION

ALICE = parse("/DC=org/DC=example/OU=People/CN=alice")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    store = open_store(tmp_path / "store.sqlite")
    yield store
    store.close()


def a_job(uuid: str = "u-1") -> Job:
    """A job with odd text in it."""
    job = new_job(uuid, "4711.0", ALICE, "caf", 1000.0)
    job.describe(Registration.read({**REGISTRATION, "command": 'echo "\udcff" \x1b[0m', "tags": {"é": "\n"}}))
    return job


def an_action(verb: str = "kill", owner: str = "/CN=alice", cluster: str = "caf") -> Action:
    """An action on alice's job."""
    return Action(1.0, "/CN=adam", "admin", "f" * 64, verb, "u-1", "1", owner, cluster, b"{}", "", "::1", "allowed")


async def test_a_job_comes_back_as_it_was_saved(store: Store) -> None:
    job = a_job()

    await store.append(Snapshot(job))

    ((found, _),) = store.load()
    assert found == job
    assert found.owner_rdns == ALICE


async def test_a_later_registration_takes_the_last_words_of_the_run_before_away(store: Store) -> None:
    job, said = a_job(), Registration.read(REGISTRATION)
    report = EndReport(1, 2.0, Exit(None, "SEGV", True, "wrap"), b"\0\xff", b"", 2, None, 1, 0.5, 0)

    await store.append(Snapshot(job, said))
    await store.append(Snapshot(job, report=report))
    kept = store.last_words("u-1", "stdout"), store.last_words("u-1", "stderr")
    await store.append(Snapshot(job))
    registration, end = await store.details("u-1")
    await store.append(Snapshot(job, said))

    assert kept == ((b"\0\xff", 2), (b"", None))
    assert registration["node"] == REGISTRATION["node"]
    assert end["exit"]["signal"] == "SEGV"
    assert store.last_words("u-1", "stdout") is None
    assert await store.details("u-2") == (None, None)


async def test_events_come_in_order_and_after_a_number(store: Store) -> None:
    await store.append(*(Event("u-1", float(n), "progress", f"line {n}") for n in range(700)))
    store.defer(Event("u-1", 700.0, "ended", "exit 0"))
    await store.flush()

    first = store.events("u-1", 0)
    second = store.events("u-1", first[-1][0])

    assert len(first) == 500
    assert [at for _, at, _, _ in first + second] == [float(n) for n in range(701)]


async def test_rows_of_one_batch_are_written_all_or_none(store: Store) -> None:
    with pytest.raises(StoreFullError):
        await store.append(Event("u-1", 1.0, "ended", "x"), Event("u-1", 1.0, "ended", None))  # type: ignore[arg-type]

    assert store.events("u-1", 0) == []


async def test_the_newest_actions_come_oldest_first_with_the_first_outcome(store: Store) -> None:
    numbers = await store.append(an_action("ps"), an_action("top"), an_action("kill", owner="/CN=bob"))
    await store.append(Outcome(numbers[1], 2.0, "done"))
    await store.append(Outcome(numbers[1], 3.0, "agent-gone"))

    (rows,) = store.actions("owner = ?", ["/CN=alice"], 10)
    (last,) = store.actions("owner = ?", ["/CN=alice"], 1)

    assert [(row[4], row[-1]) for row in rows] == [("ps", None), ("top", "done")]
    assert last == rows[1:]


async def test_an_action_that_a_run_left_without_an_end_has_an_unknown_one(store: Store) -> None:
    numbers = await store.append(an_action("ps"), an_action("kill"), an_action("cat")._replace(decision="denied"))
    await store.append(Outcome(numbers[0], 2.0, "done"))

    store.conclude(3.0)
    await store.append(Outcome(numbers[1], 4.0, "done"))

    (rows,) = store.actions("owner = ?", ["/CN=alice"], 10)
    assert [(row[4], row[-1]) for row in rows] == [("ps", "done"), ("kill", "unknown"), ("cat", None)]


async def test_a_forgotten_job_leaves_its_audit_and_nothing_else(store: Store) -> None:
    await store.append(Snapshot(a_job()), Snapshot(a_job("u-2")), an_action())
    await store.append(*(Event(uuid, 5.0, "ended", "") for uuid in ("u-1", "u-2", "never-began")))

    await store.forget(["u-1"], 10.0)

    assert [job.uuid for job, _ in store.load()] == ["u-2"]
    assert [len(store.events(uuid, 0)) for uuid in ("u-1", "u-2", "never-began")] == [0, 1, 0]
    assert list(store.actions("uuid = ?", ["u-1"], 10))


async def test_a_full_disk_refuses_and_keeps_what_was_there(store: Store) -> None:
    await store.append(Event("u-1", 1.0, "registered", "before"))
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StoreFullError, match="cannot write its store"):
        await store.append(*(Event("u-1", 2.0, "progress", "x" * 1000) for _ in range(100)))

    store._connection.execute(f"PRAGMA max_page_count = {pages * 100}")
    await store.append(Event("u-1", 3.0, "ended", "after"))
    assert [text for _, _, _, text in store.events("u-1", 0)] == ["before", "after"]


async def test_deferred_rows_survive_a_full_disk_and_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmon_server.store.DEFERRED", 3)
    store._connection.execute("PRAGMA query_only = ON")
    for number in range(5):
        store.defer(Event("u-1", float(number), "progress", ""))
    with pytest.raises(StoreFullError):
        await store.flush()
    store._connection.execute("PRAGMA query_only = OFF")

    (action,) = await store.append(an_action())

    assert action == 1
    assert [at for _, at, _, _ in store.events("u-1", 0)] == [0.0, 1.0, 2.0]


CRASH = """
import asyncio, os, signal, sys
from pathlib import Path
from jobmon_server.rows import Event
from jobmon_server.store import open_store

async def main():
    store = open_store(Path(sys.argv[1]))
    for number in range(1000):
        await store.append(Event("u-1", float(number), "progress", "x" * 100))
        os.write(1, b"%d\\n" % number)
asyncio.run(main())
"""


async def test_what_was_appended_is_there_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with subprocess.Popen([sys.executable, "-c", CRASH, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 50:
                os.kill(process.pid, signal.SIGKILL)
                break
        told = 50 + len(process.stdout.read().split())
    store = open_store(path)
    kept = len(store.events("u-1", 0))
    store.close()

    assert process.returncode == -signal.SIGKILL
    assert kept in (told + 1, told + 2)  # the last one may have been written and not told


def test_a_damaged_store_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    open_store(path).close()
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 100)

    with pytest.raises(StoreError, match="damaged") as caught:
        open_store(path)

    assert "\n" not in str(caught.value)


def test_a_store_of_a_newer_server_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = open_store(path)
    store._connection.execute("PRAGMA user_version = 99")
    store.close()

    with pytest.raises(StoreError, match="newer"):
        open_store(path)


def test_a_store_is_private(tmp_path: Path) -> None:
    open_store(tmp_path / "store.sqlite").close()

    assert (tmp_path / "store.sqlite").stat().st_mode & 0o777 == 0o600
