"""Sessions: which agent speaks for a job, from its registration to its end.

Who the job is and whose follows from its certificate and the ledger, never from
what the agent says.  A job has one session; another agent of the same job, even
a newer one, waits until the one that speaks has been silent for three beats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jobmon_pki.ledger import Ledger
from jobmon_pki.names import common_name, owner_of
from jobmon_pki.profiles import Identity
from jobmon_server import events
from jobmon_server.audit import Audit
from jobmon_server.channel import Channel
from jobmon_server.configuration import TCP, Configuration
from jobmon_server.hearing import Ears, Hearing
from jobmon_server.jobs import Job, new_job
from jobmon_server.peer import Peer
from jobmon_server.refusals import RefusedError
from jobmon_server.rows import Event, Snapshot
from jobmon_server.store import Store
from jobmon_wire import limits
from jobmon_wire.jobs import ENDED, restarts
from jobmon_wire.records import Configuration as Answer
from jobmon_wire.records import EndReport, Registration

TAKEN = "another agent of this job is alive; this one may try again once that is silent"


class Session(NamedTuple):
    """An agent's right to speak for its job."""

    epoch: int
    source: str  # ip:port of the connection it registered on


class Sessions:
    """The sessions of all jobs."""

    def __init__(
        self,
        ears: Ears,
        store: Store,
        audit: Audit,
        ledger: Ledger,
        cluster: str,
        configuration: Callable[[], Configuration],
    ) -> None:
        self._ears = ears
        self._store = store
        self._audit = audit
        self._ledger = ledger
        self._cluster = cluster
        self._configuration = configuration
        self._sessions: dict[str, Session] = {}

    async def register(self, peer: Peer, said: Registration) -> Answer:
        """Take an agent as the one that speaks for its job.

        Raises:
            RefusedError: ``credential-refused``, or ``session-taken``.
            HearsayError: it says what cannot be.
            StoreFullError: a take-over cannot be written down.
        """
        registry, now = self._ears.registry, self._ears.clock()
        await self._ears.endings.settle(peer.uuid)
        job, identity = self._job(peer, now)
        earlier = job.epoch
        if self._is_take_over(job, said, now):
            await self._audit.begin(peer, "take-over", job, {"epoch": said.epoch, "earlier": earlier})
        job.describe(said)
        job.serial = peer.serial
        if job.state == ENDED and said.epoch > earlier:
            job.revive()
            self._ears.endings.forget(job.uuid)
        job.expires = peer.not_after
        self._sessions[job.uuid] = Session(said.epoch, peer.source)
        self._ears.exchange.drop(job.uuid)
        if registry.seen(job, now):
            self._ears.events.note(Event(job.uuid, now, events.RETURNED, f"its agent is back on {job.node}"))
        job.examine(now)
        if registry.get(job.uuid) is None:
            registry.add(job)
        registry.changed(job)
        if said.epoch != earlier:
            self._ears.events.note(Event(job.uuid, now, events.REGISTERED, _where(job, said)))
            self._store.defer(Snapshot(job, said))
        beats = None
        if self._configuration().callback != TCP:
            beats = self._ears.beats.open(job, identity, Hearing(job, self._ears))
        return Answer(self._configuration().ping, self._configuration().quiet, beats)

    def open_channel(self, peer: Peer) -> Channel:
        """The channel of the agent that registered on this connection.

        Raises:
            RefusedError: ``session-taken``.
        """
        job = self._ears.registry.get(peer.uuid)
        session = self._sessions.get(peer.uuid)
        if job is None or session is None or session.source != peer.source:
            raise RefusedError("session-taken", "a channel is opened on the connection that has registered the agent")
        channel = Channel(job.uuid, self._configuration().ping, Hearing(job, self._ears))
        self._ears.exchange.attach(channel)
        job.callback = self._ears.beats.callback(job.uuid) or TCP
        self._ears.registry.changed(job)
        return channel

    async def end(self, peer: Peer, report: EndReport) -> None:
        """Take the end of a job; the same end twice is one.

        Raises:
            RefusedError: ``session-taken``: it is the end of an earlier run.
            HearsayError: it says what cannot be.
            StoreFullError: it cannot be written down.
        """
        job = self._ears.registry.get(peer.uuid)
        if job is None:
            raise RefusedError("bad-request", "an agent registers its job before it reports its end")
        if report.epoch < job.epoch:
            raise RefusedError("session-taken", TAKEN)
        await self._ears.endings.end(job, report)

    def over(self, uuid: str, told: EndReport) -> None:
        """Take what an agent tells of its job's end in haste; its whole report may follow.

        Raises:
            HearsayError: it says what cannot be.
        """
        self._ears.endings.over(uuid, told)

    def restore(self, job: Job) -> None:
        """Know the agent of an earlier run of the server again, so that its beats are understood."""
        issued = self._ledger.find(job.serial) if job.serial and self._configuration().callback != TCP else None
        if issued is not None:
            self._ears.beats.restore(job, issued.identity, Hearing(job, self._ears))

    def patience(self, job: Job) -> float:
        """Seconds without a sign of life after which a job counts as silent: three beats, by whichever way it beats."""
        configuration = self._configuration()
        is_beating = job.callback != TCP and self._ears.beats.knows(job.uuid)
        return limits.SILENT_AFTER * max(configuration.ping, configuration.beat if is_beating else 0.0)

    def forget(self, uuid: str) -> None:
        """The job is forgotten."""
        self._sessions.pop(uuid, None)
        self._ears.beats.close(uuid)

    def _job(self, peer: Peer, now: float) -> tuple[Job, Identity]:
        """The job of a certificate, and what the ledger knows of that.

        Raises:
            RefusedError: this site did not issue it for that job.
        """
        issued = self._ledger.find(peer.serial)
        if issued is None or issued.identity.uuid != peer.uuid or issued.identity.name != peer.name:
            raise RefusedError("credential-refused", "this server has not issued that certificate; get one from it")
        owner = owner_of(issued.identity.name)
        job = self._ears.registry.get(peer.uuid)
        if job is None:
            job = new_job(peer.uuid, common_name(issued.identity.name), owner, self._cluster, now)
        elif job.owner_rdns != owner:
            raise RefusedError("credential-refused", "the job was issued to somebody else")
        job.issued = issued.issued_at
        return job, issued.identity

    def _is_take_over(self, job: Job, said: Registration, now: float) -> bool:
        """Whether another agent spoke for the job before.

        Raises:
            RefusedError: it still does.
        """
        if job.epoch in (0, said.epoch):
            return False
        if job.state == ENDED:
            if said.epoch < job.epoch:
                raise RefusedError("session-taken", "a newer agent has told of this job's end")
            return False
        is_silent = self._ears.registry.silence(job, now) >= self.patience(job)
        if not is_silent and not self._is_requeued(job, said):
            raise RefusedError("session-taken", TAKEN)
        return True

    def _is_requeued(self, job: Job, said: Registration) -> bool:
        """Whether the batch system has started the job anew, after an agent that went without a word.

        That one's connection was seen to end: an agent that only lost sight of a
        restarted server is not passed over.
        """
        was_here = job.uuid in self._sessions and job.callback is None
        return was_here and said.epoch > job.epoch and restarts(said.batch) > restarts(job.batch)


def _where(job: Job, said: Registration) -> str:
    count = restarts(said.batch)
    return f"runs on {job.node}, process {said.pid}" + (f", restart {count}" if count else "")
