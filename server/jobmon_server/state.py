"""The state of one server: its parts put together, and what they do by themselves.

It opens the store and the ledger, knows the jobs that a former run knew, turns
the silent ones silent, forgets the old ones, and lets everything come to its
end.  All of it lives in one event loop; it knows no routes and no ports.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from jobmon_pki.ledger import Ledger
from jobmon_pki.site import Site
from jobmon_server import events
from jobmon_server.admission import Admission
from jobmon_server.audit import Audit
from jobmon_server.beats import Beats
from jobmon_server.beats_key import read_secret
from jobmon_server.configuration import Configuration
from jobmon_server.credentials import Credentials
from jobmon_server.endings import Endings
from jobmon_server.events import Events
from jobmon_server.exchange import Exchange
from jobmon_server.hearing import Ears
from jobmon_server.readers import Readers
from jobmon_server.registry import Registry
from jobmon_server.renewal import Renewals
from jobmon_server.rows import Event, Snapshot
from jobmon_server.sessions import Sessions
from jobmon_server.shells import Shells
from jobmon_server.store import Store, StoreFullError, open_store
from jobmon_server.watch import Watch
from jobmon_wire.jobs import LOST

LOOK = 1.0  # s between two looks for silent jobs
STOOD_STILL = 5.0  # s between two looks: no work delays them so: the machine was paused, or its clock set forward
WRITE = 0.2  # s until a deferred row is on the disk
SAVE = 60.0  # s between two savings of what has changed; not of what beats bring, which the next one brings again
SAVED_AT_ONCE = 500  # jobs in one commit, about 20 ms
FORGET = 600.0  # s between two looks for jobs to forget
PATIENCE = 2.0  # s that readers have for their last line when the server goes down

_log = logging.getLogger("jobmon.server")


class State:
    """Everything a request may need; made by ``open``."""

    def __init__(
        self,
        configuration: Configuration,
        site: Site,
        store: Store,
        ledger: Ledger,
        secret: bytes,
        clock: Callable[[], float],
    ) -> None:
        self.configuration = configuration  # may be exchanged while the server runs
        self.site = site
        self.clock = clock
        self.version = importlib.metadata.version("jobmon")
        self.store = store
        self.registry = Registry(opened=clock())
        admission = Admission()
        self.beats = Beats(secret, self.registry.get, lambda: self.configuration.beat, admission.window, clock)
        self.exchange = Exchange(self.beats, lambda: self.configuration.callback)
        self.events = Events(store)
        self.audit = Audit(store, self.events, site.cluster, clock)
        self.readers = Readers()
        self.watches: set[Watch] = set()
        self.shells = Shells()
        self.credentials = Credentials(site, ledger, self.audit, self.events, clock)
        self.endings = Endings(self.registry, self.events, self.beats, clock)
        self.renewals = Renewals(site, ledger, self.audit, self.events, clock)
        ears = Ears(
            self.registry,
            self.events,
            self.exchange,
            self.beats,
            self.endings,
            lambda: self.configuration.callback,
            clock,
        )
        self.sessions = Sessions(
            ears, store, self.audit, ledger, self.renewals, admission, site.cluster, lambda: self.configuration
        )
        self._ledger = ledger
        self._looked = clock()
        self._tasks: list[asyncio.Task[None]] = []

    @staticmethod
    def open(configuration: Configuration, site: Site, clock: Callable[[], float] = time.time) -> State:
        """Open store and ledger, and remember the jobs.

        Raises:
            StoreError: the store cannot be opened.
            BeatsError: the secret of the beats cannot be read.
            PkiError: the ledger cannot.
        """
        store = open_store(site.store_path)
        try:
            secret = read_secret(site.beats_secret)
            ledger = Ledger(site.ledger_path)
        except BaseException:
            store.close()
            raise
        state = State(configuration, site, store, ledger, secret, clock)
        store.conclude(clock())
        state.registry.fill(state.sessions.restore(store.load()))
        state.beats.begin_after(max((job.last_seen for job in state.registry), default=0.0))
        return state

    async def start(self) -> None:
        """Begin what the server does by itself."""
        self._looked = self.clock()
        for period, work in ((LOOK, self._look), (WRITE, self.store.flush), (SAVE, self._save), (FORGET, self._forget)):
            self._tasks.append(asyncio.create_task(_every(period, work)))

    async def stop(self) -> None:
        """Say goodbye, let readers come to their end, write everything down and close."""
        self.exchange.drain()
        self.beats.shut()
        self.events.close()
        for watch in self.watches:
            watch.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(PATIENCE):
                await self.readers.gone()
        except TimeoutError:
            _log.info("some readers were still there")
        try:
            await self.endings.settle()
            self.registry.unsaved.update(self.registry.beaten())
            await self._save()
            await self.store.flush()
        except StoreFullError as error:
            _log.error("the last changes could not be saved", extra={"facts": {"cause": error}})
        self.store.close()
        self._ledger.close()

    async def _look(self) -> None:
        now, before = self.clock(), self._looked
        self._looked = now
        if not 0.0 <= now - before <= STOOD_STILL:
            what = "the server stood still" if now > before else "the clock was set back"
            facts = {"seconds": round(abs(now - before))}
            _log.warning(f"{what}: the silence of jobs counts from now", extra={"facts": facts})
            self.registry.listen_anew(now)
        for job in self.registry.review(now, self.sessions.patience, self.configuration.lost_after):
            self.exchange.wake(job.uuid)
            kind = events.LOST if job.state == LOST else events.SILENT
            silence = self.registry.silence(job, now)
            self.events.note(Event(job.uuid, now, kind, f"no word from its agent for {silence:.0f} s"))

    async def _save(self) -> None:
        """Write down the facts that have changed: a restarted server knows them for a start."""
        while self.registry.unsaved:
            uuids = [self.registry.unsaved.pop() for _ in range(min(SAVED_AT_ONCE, len(self.registry.unsaved)))]
            jobs = [job for job in map(self.registry.get, uuids) if job is not None]
            try:
                await self.store.append(*(Snapshot(job, reach=self.beats.reach(job)) for job in jobs))
            except StoreFullError:
                self.registry.unsaved.update(uuids)
                raise
            await asyncio.sleep(0)  # others' turn

    async def _forget(self) -> None:
        before = self.clock() - self.configuration.retention
        uuids = [uuid for uuid in self.registry.outlived(before) if self.exchange.channel(uuid) is None]
        await self.store.forget(uuids, before)
        for uuid in uuids:
            self.sessions.forget(uuid)  # by way of the registry
            self.registry.remove(uuid)
            self.endings.forget(uuid)


async def _every(period: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do the work again and again; a full disk is told once and outlived."""
    is_full = False
    while True:
        await asyncio.sleep(period)
        try:
            await work()
            is_full = False
        except StoreFullError as error:
            if not is_full:
                _log.error("the store takes nothing: actions are refused", extra={"facts": {"cause": error}})
            is_full = True
