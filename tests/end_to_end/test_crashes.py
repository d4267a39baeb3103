"""A server killed at any moment loses no request it has accepted, and lets none be carried out twice.

Accepted is what stands in the audit trail.  Each such request ends once: it was
answered, refused, or the user was told that nobody knows.  ``make soak`` kills
the server five hundred times.
"""

from pathlib import Path

import pytest

from tests.end_to_end.crashes import SETTINGS, Crashes
from tests.end_to_end.sites import OwnSite
from tests.network.lab import give_ports, missing, own_network

KILLS = 25
JOBS = 4


def crash(directory: Path, kills: int, jobs: int, seed: int) -> None:
    """Kill a site's server so many times under load; nothing that must not be."""
    with own_network():
        # A port that is free while the server is away could be taken by whoever knocks there: by itself, even.
        give_ports(20000, 29999)
        site = OwnSite("crash", directory, SETTINGS)
        try:
            give_ports(30000, 60999)
            crashes = Crashes(site, jobs, seed)
            crashes.run(kills)
        finally:
            site.stop()
    told = crashes.summary()
    hits = crashes.hits()
    print(
        f"\n{kills} kills, {hits} of them amid requests, seed {seed}:",
        *(f"{number} {outcome}," for outcome, number in sorted(told.items())),
    )
    assert crashes.faults() == []
    assert told["answered"] > kills
    assert hits > kills / 3, "few requests were under way when the server died: this says little"


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_no_request_is_lost_and_none_is_carried_out_twice_however_the_server_dies(tmp_path: Path) -> None:
    crash(tmp_path / "crash", KILLS, JOBS, seed=4)
