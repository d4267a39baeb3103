"""The registry: every job the server knows, and who is told when one changes.

Jobs are found by uuid, by owner and by cluster.  The registry moves a job from
state to state; it asks nobody's permission and writes nothing down.  A watcher
is told the uuids that changed, and only those that its scope may hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from jobmon_server.jobs import Job, public
from jobmon_server.peer import Peer
from jobmon_server.policy import sees
from jobmon_server.refusals import RefusedError, no_such_job
from jobmon_wire.jobs import ALIVE, ENDED, LOST, RUNNING, SILENT

CANDIDATES = 20  # jobs named in the answer to an ambiguous reference

OWNER, CLUSTER = "owner", "cluster"


class Scope(NamedTuple):
    """A group of jobs that is found without looking at the others."""

    kind: str  # OWNER or CLUSTER
    key: Any  # the owner's name, or the cluster


Listener = Callable[[str], None]  # is told the uuid of a job that changed


def scopes_of(peer: Peer) -> list[Scope]:
    """Where all jobs are that the peer may see; policy decides on each."""
    return [Scope(OWNER, peer.name), *(Scope(CLUSTER, cluster) for cluster in peer.clusters)]


class Registry:
    """All jobs, by whatever they are looked for.

    Args:
        opened: s since 1970; a job's silence counts from here at the earliest,
            since a server that was not there has heard nobody.
    """

    def __init__(self, opened: float = 0.0) -> None:
        self._opened = opened
        self._jobs: dict[str, Job] = {}
        self._scopes: dict[Scope, dict[str, Job]] = {}
        self._records: dict[str, dict[str, Any]] = {}  # public records as last made
        self._listeners: dict[Scope, dict[Listener, None]] = {}
        self.unsaved: set[str] = set()  # uuids whose facts the store does not have

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs.values()))

    def get(self, uuid: str) -> Job | None:
        """The job, whoever asks."""
        return self._jobs.get(uuid)

    def record(self, job: Job) -> dict[str, Any]:
        """The job's public record; made anew only after a change."""
        found = self._records.get(job.uuid)
        if found is None:
            found = self._records[job.uuid] = public(job)
        return found

    def add(self, job: Job) -> None:
        """Take a job in."""
        self._jobs[job.uuid] = job
        for scope in _scopes_of_job(job):
            self._scopes.setdefault(scope, {})[job.uuid] = job
        self.changed(job)

    def remove(self, uuid: str) -> None:
        """Forget a job."""
        job = self._jobs.pop(uuid, None)
        if job is None:
            return
        for scope in _scopes_of_job(job):
            members = self._scopes[scope]
            del members[uuid]
            if not members:
                del self._scopes[scope]
        self.changed(job)
        self.unsaved.discard(uuid)
        self._records.pop(uuid, None)

    def changed(self, job: Job) -> None:
        """Tell that something of a job is different."""
        self._records.pop(job.uuid, None)
        self.unsaved.add(job.uuid)
        for scope in _scopes_of_job(job):
            for listener in self._listeners.get(scope, ()):
                listener(job.uuid)

    def listen(self, scopes: Iterable[Scope], listener: Listener) -> None:
        """Have a listener told of changes in the scopes."""
        for scope in scopes:
            self._listeners.setdefault(scope, {})[listener] = None

    def leave(self, scopes: Iterable[Scope], listener: Listener) -> None:
        """Tell the listener no more."""
        for scope in scopes:
            listeners = self._listeners.get(scope, {})
            listeners.pop(listener, None)
            if not listeners:
                self._listeners.pop(scope, None)

    def visible(self, peer: Peer) -> list[Job]:
        """The jobs that the peer may see."""
        found: dict[str, Job] = {}
        for scope in scopes_of(peer):
            for uuid, job in self._scopes.get(scope, {}).items():
                if sees(peer, job.owner_rdns, job.cluster):
                    found[uuid] = job
        return list(found.values())

    def resolve(self, peer: Peer, reference: str) -> Job:
        """The one job of the peer's that a reference means.

        An exact uuid or id comes before a prefix of either.  Of jobs that share
        their id the one that has not ended is meant.

        Raises:
            RefusedError: ``no-such-job``, or ``ambiguous-job`` with candidates.
        """
        exact = self._jobs.get(reference)
        if exact is not None and sees(peer, exact.owner_rdns, exact.cluster):
            return exact
        jobs = self.visible(peer)
        found = [job for job in jobs if job.id == reference] or [
            job for job in jobs if job.id.startswith(reference) or job.uuid.startswith(reference)
        ]
        if not reference or not found:
            raise no_such_job()
        return _the_one(found)

    def seen(self, job: Job, now: float) -> bool:
        """Note a sign of life; true where the job had been silent or lost."""
        job.last_seen = now
        returned = job.state in (SILENT, LOST)
        if returned:
            job.state = RUNNING
            job.examine(now)
        self.changed(job)
        return returned

    def silence(self, job: Job, now: float) -> float:
        """Seconds since the job's last sign of life."""
        return now - max(job.last_seen, self._opened)

    def review(self, now: float, silent_after: Callable[[Job], float], lost_after: float) -> list[Job]:
        """Turn jobs without a sign of life silent, and lost; give those that turned."""
        turned = []
        for job in self._jobs.values():
            if job.state not in ALIVE:
                continue
            silence = self.silence(job, now)
            if silence < silent_after(job):
                continue
            state = LOST if silence >= lost_after else SILENT
            if job.state != state:
                job.state, job.callback = state, None
                job.examine(now)
                turned.append(job)
        for job in turned:
            self.changed(job)
        return turned

    def outlived(self, before: float) -> list[str]:
        """The uuids of jobs that are over and were last heard of before a moment."""
        # By our own clock: what an agent says of a job's end may be any moment.
        return [job.uuid for job in self._jobs.values() if job.state in (ENDED, LOST) and job.last_seen < before]


def _scopes_of_job(job: Job) -> tuple[Scope, Scope]:
    return Scope(OWNER, job.owner_rdns), Scope(CLUSTER, job.cluster)


def _the_one(found: list[Job]) -> Job:
    if len(found) == 1:
        return found[0]
    running = [job for job in found if job.state != ENDED]
    if len(running) == 1 and len({job.id for job in found}) == 1:
        return running[0]
    candidates = [
        {"id": job.id, "uuid": job.uuid, "state": job.state}
        for job in sorted(found, key=lambda job: (job.id, job.registered))
    ]
    raise RefusedError("ambiguous-job", f"{len(found)} jobs are meant by that", candidates=candidates[:CANDIDATES])
