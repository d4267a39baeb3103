"""What was issued is in the ledger, and what was revoked stays revoked, for every process that looks."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon_pki.ledger import Ledger, LedgerError
from jobmon_pki.names import COMMON_NAME, Name, parse
from jobmon_pki.profiles import Identity

ALICE = parse("/DC=org/OU=People/CN=alice")
BOB = parse("/DC=org/OU=People/CN=bob")
NOW = 1_800_000_000.0


def _identity(number: int, name: Name, role: str = "owner", spki: str = "") -> Identity:
    return Identity(
        role=role,
        name=name,
        serial=f"{number:032x}",
        fingerprint=f"f{number}",
        not_before=NOW,
        not_after=NOW + 100,
        uuid=f"uuid-{number}" if role == "job" else "",
        clusters=("caf",) if role == "admin" else (),
        spki=spki or f"key{number}",
    )


def _job(number: int, owner: Name, spki: str = "") -> Identity:
    return _identity(number, owner + ((COMMON_NAME, f"job{number}"),), "job", spki)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty one."""
    with Ledger(tmp_path / "ledger.sqlite") as made:
        yield made


def _fill(ledger: Ledger) -> None:
    ledger.record(_identity(1, ALICE), "", "caf", NOW, "pki")
    ledger.record(_identity(2, BOB, "admin"), "", "caf", NOW, "pki")
    ledger.record_all([(_job(3, ALICE), "job3"), (_job(4, BOB), "job4")], "caf", NOW + 1, "alice")


def test_a_recorded_certificate_is_found_as_it_was(ledger: Ledger) -> None:
    _fill(ledger)

    issued = ledger.find(f"{3:032x}")
    assert issued is not None
    assert issued.identity == _job(3, ALICE)
    assert (issued.job_id, issued.cluster, issued.issued_at, issued.issued_by) == ("job3", "caf", NOW + 1, "alice")
    assert (issued.revoked_at, issued.why) == (None, "")
    assert ledger.find_fingerprint("f2") == ledger.find(f"{2:032x}")
    assert [one.serial for one in ledger.find_job("uuid-4")] == [f"{4:032x}"]
    assert ledger.find_job("") == []
    assert ledger.find("ff") is None


def test_rows_are_those_of_a_role_or_an_owner_in_the_order_of_issue(ledger: Ledger) -> None:
    _fill(ledger)

    def numbers(kind: str | None = None, owner: Name | None = None) -> list[int]:
        return [int(row.serial, 16) for row in ledger.rows(kind, owner)]

    assert numbers() == [1, 2, 3, 4]
    assert numbers("job") == [3, 4]
    assert numbers(owner=ALICE) == [1, 3]
    assert numbers("job", BOB) == [4]
    assert numbers(owner=ALICE[:-1]) == []


def test_a_prefix_is_no_pattern(ledger: Ledger) -> None:
    _fill(ledger)

    assert len(ledger.find_prefix("0" * 31)) == 4
    assert ledger.find_prefix("%") == ledger.find_prefix("0_") == []


def test_a_revoked_certificate_takes_all_others_of_its_key_along(ledger: Ledger) -> None:
    ledger.record_all([(_identity(1, ALICE, spki="k"), ""), (_identity(2, ALICE, spki="k"), "")], "caf", NOW, "pki")
    ledger.record(_identity(3, ALICE, spki="other"), "", "caf", NOW, "pki")

    revoked = ledger.revoke(f"{1:032x}", "lost", NOW + 5)

    assert sorted(revoked) == [f"{1:032x}", f"{2:032x}"]
    assert ledger.revoked() == frozenset(revoked)
    found = ledger.find(f"{2:032x}")
    assert found is not None
    assert (found.revoked_at, found.why) == (NOW + 5, "lost")
    assert ledger.revoke(f"{1:032x}", "again", NOW + 6) == []


def test_a_revoked_key_gets_no_new_certificate(ledger: Ledger) -> None:
    ledger.record(_identity(1, ALICE, spki="k"), "", "caf", NOW, "pki")
    ledger.revoke(f"{1:032x}", "lost", NOW)

    with pytest.raises(LedgerError, match="was revoked"):
        ledger.record_all([(_identity(2, ALICE), ""), (_identity(3, ALICE, spki="k"), "")], "caf", NOW, "pki")
    assert len(ledger.rows()) == 1  # all or none


def test_a_revoked_person_loses_her_jobs_too_and_nobody_elses(ledger: Ledger) -> None:
    _fill(ledger)

    assert sorted(ledger.revoke_owner(ALICE, "left", NOW + 9)) == [f"{1:032x}", f"{3:032x}"]
    assert ledger.revoked_owners() == {"/DC=org/OU=People/CN=alice": NOW + 9}
    assert len(ledger.revoked()) == 2


def test_what_was_never_issued_cannot_be_revoked(ledger: Ledger) -> None:
    _fill(ledger)

    with pytest.raises(LedgerError, match="no certificate with the serial number"):
        ledger.revoke("ff", "", NOW)
    with pytest.raises(LedgerError, match="nothing was issued here"):
        ledger.revoke_owner(ALICE[:-1], "", NOW)
    assert ledger.revoked() == frozenset()


def test_a_change_is_seen_once_whoever_made_it(ledger: Ledger) -> None:
    assert ledger.changed()
    assert not ledger.changed()

    with Ledger(ledger.path) as other:
        other.record(_identity(1, ALICE), "", "caf", NOW, "pki")
    assert ledger.changed()
    assert not ledger.changed()

    ledger.revoke(f"{1:032x}", "", NOW)
    assert ledger.changed()
    assert not ledger.changed()


def test_two_processes_write_while_a_third_reads(ledger: Ledger, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from jobmon_pki.ledger import Ledger\n"
        "from jobmon_pki.names import parse\n"
        "from jobmon_pki.profiles import Identity\n"
        "start = int(sys.argv[2])\n"
        "with Ledger(sys.argv[1]) as ledger:\n"
        "    for number in range(start, start + 40):\n"
        "        serial = '%032x' % number\n"
        "        name = parse('/OU=People/CN=alice')\n"
        "        one = Identity('owner', name, serial, serial, 0.0, 1.0, '', (), serial)\n"
        "        ledger.record(one, '', 'caf', 0.0, 'pki')\n"
        "        ledger.revoke(serial, '', 0.0)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, ledger.path, str(n)]) for n in (1000, 2000)]

    seen = 0
    while any(process.poll() is None for process in running):
        count = len(ledger.revoked())
        assert count >= seen
        seen = count

    assert [process.returncode for process in running] == [0, 0]
    assert len(ledger.revoked()) == 80


def test_threads_share_one_ledger(ledger: Ledger) -> None:
    def write(start: int) -> None:
        for number in range(start, start + 20):
            ledger.record(_identity(number, ALICE), "", "caf", NOW, "pki")
            ledger.revoked()

    threads = [threading.Thread(target=write, args=(start,)) for start in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ledger.rows()) == 60


def test_a_damaged_ledger_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)

    with pytest.raises(LedgerError, match=r"ledger\.sqlite is damaged .*; stop JobMon and restore"):
        Ledger(path)


def test_the_same_serial_number_twice_is_an_error(ledger: Ledger) -> None:
    _fill(ledger)

    with pytest.raises(LedgerError, match="cannot use"):
        ledger.record(_identity(1, BOB), "", "caf", NOW, "pki")
