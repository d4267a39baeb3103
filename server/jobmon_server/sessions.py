"""Sessions: which agent speaks for a job, from its registration to its end.

Who the job is and whose follows from its certificate and the ledger, never from
what the agent says.  A job has one session; another agent of the same job, even
a newer one, waits until the one that speaks has been silent for three beats.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator

from jobmon_pki.ledger import Ledger
from jobmon_pki.profiles import JOB
from jobmon_server import events
from jobmon_server.admission import Admission
from jobmon_server.audit import Audit
from jobmon_server.channel import Channel
from jobmon_server.configuration import Configuration
from jobmon_server.facts import Kept
from jobmon_server.grants import Grant, Grants
from jobmon_server.hearing import Datagrams, Ears, Hearing
from jobmon_server.jobs import Job, new_job
from jobmon_server.peer import Peer
from jobmon_server.refusals import RefusedError
from jobmon_server.renewal import Renewals
from jobmon_server.rows import Event, Snapshot
from jobmon_server.store import Store
from jobmon_wire import limits
from jobmon_wire.jobs import ALIVE, ENDED, restarts
from jobmon_wire.records import TCP, EndReport, Registration
from jobmon_wire.records import Configuration as Answer

TAKEN = "another agent of this job is alive; this one may try again once that is silent"


class Sessions:
    """The sessions of all jobs; each is ``epoch`` and ``source`` of the job, which takes 12 bytes."""

    def __init__(
        self,
        ears: Ears,
        store: Store,
        audit: Audit,
        ledger: Ledger,
        renewals: Renewals,
        admission: Admission,
        cluster: str,
        configuration: Callable[[], Configuration],
    ) -> None:
        self._ears = ears
        self._store = store
        self._audit = audit
        self._ledger = ledger
        self._grants = Grants(ledger, renewals.moment)
        self._admission = admission
        ears.beats.listener = Datagrams(ears)
        self._cluster = cluster
        self._configuration = configuration

    async def register(self, peer: Peer, said: Registration) -> Answer:
        """Take an agent as the one that speaks for its job.

        Raises:
            RefusedError: ``credential-refused``, ``session-taken``, or ``later``.
            HearsayError: it says what cannot be.
            StoreFullError: a take-over cannot be written down.
        """
        registry, now = self._ears.registry, self._ears.clock()
        self._admit(peer)
        await self._ears.endings.settle(peer.uuid)
        job, grant = self._job(peer, now)
        earlier = job.epoch
        if self._is_take_over(job, said, now):
            await self._audit.begin(peer, "take-over", job, {"epoch": said.epoch, "earlier": earlier})
        job.describe(said)
        is_due = _take_grant(job, grant, peer, now)
        if job.state == ENDED and said.epoch > earlier:
            job.revive()
            self._ears.endings.forget(job.uuid)
        job.source = _number(peer.source)
        self._ears.exchange.drop(job.uuid)
        if registry.seen(job, now):
            self._ears.events.note(Event(job.uuid, now, events.RETURNED, f"its agent is back on {job.node}"))
        job.examine(now)
        if registry.get(job.uuid) is None:
            registry.add(job)
        registry.changed(job)
        configuration, opened = self._configuration(), job.opened
        is_beating = configuration.callback != TCP
        beats = self._ears.beats.open(job, grant.fingerprint) if is_beating else None
        if said.epoch != earlier:
            self._ears.events.note(Event(job.uuid, now, events.REGISTERED, _where(job, said)))
            self._store.defer(Snapshot(job, said))
        elif job.opened != opened:
            self._store.defer(Snapshot(job))
        if said.epoch != earlier or job.opened != opened:  # a server that is killed now must know the session again
            await self._store.settle()
        return Answer(configuration.ping, configuration.quiet, beats, configuration.callback, is_due)

    def _admit(self, peer: Peer) -> None:
        """Let the agent register now, or send it away for a while; one that somebody waits for is not.

        Raises:
            RefusedError: ``later``.
        """
        if self._ears.beats.is_rung(peer.uuid):
            return
        wait = self._admission.wait(peer.uuid, asyncio.get_running_loop().time())
        if wait:
            seconds = math.ceil(wait)
            raise RefusedError("later", f"many agents register now; come back in {seconds} s", retry_after=seconds)

    def open_channel(self, peer: Peer) -> Channel:
        """The channel of the agent that registered on this connection.

        Raises:
            RefusedError: ``session-taken``.
        """
        job = self.speaks_for(peer)
        channel = Channel(job.uuid, self._configuration().ping, Hearing(job, self._ears))
        self._ears.exchange.attach(channel)
        job.callback = self._ears.beats.callback(job.uuid) or TCP
        self._ears.registry.changed(job)
        return channel

    def speaks_for(self, peer: Peer) -> Job:
        """The job whose agent has registered on this connection.

        Raises:
            RefusedError: ``session-taken``: none has.
        """
        job = self._ears.registry.get(peer.uuid)
        if job is None or job.source != _number(peer.source):
            raise RefusedError("session-taken", "an agent registers first, on the same connection")
        return job

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

    def restore(self, kept: Iterable[Kept]) -> Iterator[Job]:
        """Know the agents of an earlier run of the server again, so that their beats are understood; yield the jobs."""
        fingerprints = {} if self._configuration().callback == TCP else self._ledger.fingerprints(JOB)
        for job, reach in kept:
            fingerprint = fingerprints.get(job.serial)
            if fingerprint is not None and job.opened and job.state in ALIVE:
                self._ears.beats.restore(job, fingerprint, reach)
            yield job

    def patience(self, job: Job) -> float:
        """Seconds without a sign of life after which a job counts as silent: three beats, by whichever way it beats."""
        configuration = self._configuration()
        is_beating = job.callback != TCP and self._ears.beats.knows(job)
        return limits.SILENT_AFTER * max(configuration.ping, configuration.beat if is_beating else 0.0)

    def forget(self, uuid: str) -> None:
        """The job is forgotten."""
        self._ears.beats.close(uuid)

    def _job(self, peer: Peer, now: float) -> tuple[Job, Grant]:
        """The job of a certificate, and what that grants.

        Raises:
            RefusedError: this site did not issue it for that job.
        """
        grant = self._grants.of(peer)
        job = self._ears.registry.get(peer.uuid)
        if job is None:
            job = new_job(peer.uuid, grant.job_id, grant.owner, self._cluster, now)
        elif job.owner_rdns != grant.owner:
            raise RefusedError("credential-refused", "the job was issued to somebody else")
        return job, grant

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
        was_here = job.source and job.callback is None
        return bool(was_here) and said.epoch > job.epoch and restarts(said.batch) > restarts(job.batch)


def _number(source: str) -> int:
    """What is kept of the ip:port of a connection, by which an agent knows no other one of its job; never 0."""
    return hash(source) & 2**32 - 1 or 1


def _take_grant(job: Job, grant: Grant, peer: Peer, now: float) -> bool:
    """Note the job's certificate, and when it is to be renewed; whether that is now.

    An agent that is told so and does not do it is told again when a quarter
    of what is left has passed: it may be an older one, or the disk is full.
    """
    due = grant.renewal
    if job.serial == peer.serial:
        due = max(due, job.renew) if due else due
    else:
        job.serial, job.issued, job.expires = peer.serial, grant.issued, peer.not_after
    job.renew = due
    if not 0 < due <= now or job.state == ENDED:
        return False
    job.renew = now + (grant.not_after - now) / 4
    return True


def _where(job: Job, said: Registration) -> str:
    count = restarts(said.batch)
    return f"runs on {job.node}, process {said.pid}" + (f", restart {count}" if count else "")
