"""Jobs that the server knows from an earlier run which never was.

Their rows are put into the store of a site whose server is down, by the
server's own code, and their sessions are derived as it derives them; the agents
then go on beating, as after a restart.  Certificates are real and in the
ledger: an agent that is rung registers as any other.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.simulation.jobs import Plan
from benchmarks.simulation.passes import Pass
from jobmon_pki.names import common_name, owner_of
from jobmon_pki.site import Site
from jobmon_server.beats import Beats, read_secret
from jobmon_server.jobs import Job, new_job
from jobmon_server.rows import Snapshot
from jobmon_server.store import open_store
from jobmon_wire.records import Beats as Told

AT_ONCE = 1000  # jobs in one commit


class _Transport(asyncio.DatagramTransport):
    """Where the server would listen: nothing is sent from here."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Its address."""
        return ("", self._port) if name == "sockname" else default


class _Nobody:
    """Listens to no beat: none comes before the server runs."""

    def feel(self, vitals: object) -> None:
        """Never called."""

    def bye(self, ended: float, status: object) -> None:
        """Never called."""


def seed(site: Site, plan: Plan, cards: Sequence[Pass], port: int, interval: float) -> dict[int, Told]:
    """Have the site's server know the jobs when it starts; the sessions of their agents by index.

    Args:
        port: that the server takes datagrams at.
        interval: s between beats.

    Raises:
        StoreError, BeatsError: the site's files cannot be used.
    """
    now = time.time()
    beats = Beats(read_secret(site.beats_secret), lambda: interval, time.time)
    beats.listen(_Transport(port))
    jobs = [_known(plan, card, site.cluster, now) for card in cards]
    asyncio.run(_store(site, jobs))
    told = {}
    for card, (job, _) in zip(cards, jobs, strict=True):
        found = beats.open(job, card.identity, _Nobody())
        assert found is not None
        told[card.index] = found
        beats.close(job.uuid)
    return told


def _known(plan: Plan, card: Pass, cluster: str, now: float) -> tuple[Job, Any]:
    identity = card.identity
    simulated = plan.job(card.index)
    said = simulated.registration()
    job = new_job(identity.uuid, common_name(identity.name), owner_of(identity.name), cluster, now)
    job.describe(said)
    job.feel(simulated.vitals(now))
    job.serial, job.issued, job.expires = identity.serial, now, identity.not_after
    return job, said


async def _store(site: Site, jobs: list[tuple[Job, Any]]) -> None:
    store = open_store(site.store_path)
    for start in range(0, len(jobs), AT_ONCE):
        await store.append(*(Snapshot(job, said) for job, said in jobs[start : start + AT_ONCE]))
    store.close()
