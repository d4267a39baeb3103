"""The ledger's promise to a running server: what another process writes is seen, however often it is open here."""

import subprocess
import sys
from pathlib import Path

from jobmon_pki.ledger import Ledger

WRITES = """
import secrets, sys
from jobmon_pki.database import open_database, transaction
connection = open_database(sys.argv[1], "", 1)
with transaction(connection):
    connection.execute("INSERT INTO revoked_owners VALUES (?, 0, 'lost')", (secrets.token_hex(8),))
connection.close()
"""


def test_what_other_processes_write_is_seen_by_every_ledger_that_is_open_here(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as first, Ledger(path) as second:
        for written in range(1, 4):
            subprocess.run([sys.executable, "-c", WRITES, str(path)], check=True)

            assert (len(first.revoked_owners()), len(second.revoked_owners())) == (written, written)
