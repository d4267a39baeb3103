"""How jobs end: what is told of it in haste, and what completes it.

An agent tells of the end at once, before it knows all of it, since a batch
system may kill it in the next millisecond; the whole report follows if it
lives.  What was told in haste is held for that report.  It stands by itself
when the agent's channel ends first, or when nothing follows in time.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable

from jobmon_server import events
from jobmon_server.beats import Beats
from jobmon_server.events import Events
from jobmon_server.jobs import Job, check_moment
from jobmon_server.registry import Registry
from jobmon_server.rows import Event, Snapshot
from jobmon_server.store import StoreFullError
from jobmon_wire.jobs import ENDED, exit_text
from jobmon_wire.records import EndReport, Exit

HOLD = 2.5  # s for the whole report to follow: agents look two seconds for the exit status
AGAIN = 5.0  # s until an end that a full disk has refused is tried again

_log = logging.getLogger("jobmon.server")


class Endings:
    """The ends of all jobs."""

    def __init__(self, registry: Registry, events: Events, beats: Beats, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._events = events
        self._beats = beats
        self._clock = clock
        self._held: dict[str, EndReport] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()

    def over(self, uuid: str, told: EndReport) -> None:
        """Take what is told of an end in haste; told again, it may be better known.

        Raises:
            HearsayError: it says what cannot be.
        """
        check_moment("ended", told.ended)
        job = self._registry.get(uuid)
        if job is None or told.epoch != job.epoch or not _adds(job, told):
            return
        earlier = self._held.get(uuid)
        self._held[uuid] = told if earlier is None else _together(earlier, told)
        if earlier is None:
            self._plan(uuid, HOLD)

    def hurry(self, uuid: str) -> None:
        """Nothing more can come of the job's agent: what was told stands."""
        if uuid in self._held:
            self._plan(uuid, 0.0)

    async def settle(self, uuid: str = "") -> None:
        """Write down now what is held of a job, or of every job."""
        for each in [uuid] if uuid else list(self._held):
            job, told = self._registry.get(each), self._held.get(each)
            if job is not None and told is not None:
                await self._write(job, told, is_whole=False)

    async def end(self, job: Job, report: EndReport) -> None:
        """Take the whole report; the same one twice is one.

        Raises:
            HearsayError: it says what cannot be.
            StoreFullError: it cannot be written down.
        """
        await self._write(job, report, is_whole=True)

    def forget(self, uuid: str) -> None:
        """The job is forgotten, or runs anew."""
        self._held.pop(uuid, None)
        if timer := self._timers.pop(uuid, None):
            timer.cancel()

    async def _write(self, job: Job, report: EndReport, is_whole: bool) -> None:
        async with self._lock:
            if job.is_told:
                return
            if (held := self._held.get(job.uuid)) is not None:
                report = _together(held, report)
            was_ended, known = job.state == ENDED, (job.exit, job.reason)
            ended = copy.copy(job)
            ended.close(report)
            ended.last_seen = now = self._clock()
            ended.is_told = is_whole
            rows: list[Snapshot | Event] = [Snapshot(ended, report=report)]
            if not was_ended or known != (ended.exit, ended.reason):
                rows.append(Event(job.uuid, now, events.ENDED, _text(ended, report if is_whole else None)))
            await self._events.record(*rows)
            self.forget(job.uuid)
            job.close(report)
            job.last_seen = now
            job.is_told = is_whole
            job.examine(now)
            self._registry.changed(job)
            if is_whole:
                self._beats.close(job.uuid)
            self._events.wake(job.uuid)

    def _plan(self, uuid: str, delay: float) -> None:
        if timer := self._timers.pop(uuid, None):
            timer.cancel()
        self._timers[uuid] = asyncio.get_running_loop().call_later(delay, self._start, uuid)

    def _start(self, uuid: str) -> None:
        task = asyncio.create_task(self._settle_or_try_again(uuid))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle_or_try_again(self, uuid: str) -> None:
        try:
            await self.settle(uuid)
        except StoreFullError:
            _log.warning("the end of a job cannot be written down yet", extra={"facts": {"job": uuid}})
            self._plan(uuid, AGAIN)


def _adds(job: Job, told: EndReport) -> bool:
    """Whether it says more than is known: each job's end is written a few times at most."""
    return not job.is_told and (job.state != ENDED or (not _is_known(job.exit) and _knows(told.exit)))


def _together(earlier: EndReport, later: EndReport) -> EndReport:
    """What two reports of one end say; the later one is better wherever it says anything."""
    said = {name: value for name, value in later._asdict().items() if value not in (None, b"")}
    if not _knows(later.exit):
        said["exit"] = earlier.exit
    return earlier._replace(**said | {"ended": earlier.ended})


def _knows(status: Exit) -> bool:
    return status.code is not None or status.signal is not None


def _is_known(status: dict[str, object] | None) -> bool:
    return exit_text(status) not in ("", "unknown")


def _text(job: Job, whole: EndReport | None) -> str:
    reason = f"{job.reason}: " if job.reason else ""
    left = "" if whole is None else f", {whole.survivors} of its processes are left"
    return f"{reason}exit {exit_text(job.exit)}{left}"
