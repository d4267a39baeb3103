"""What an agent says of its job besides answers: beats, progress, signs of life.

All of it is hearsay: it changes what is shown of the job, and nothing else.  A
job that talks without end is heard at a bounded rate, and told of in its log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jobmon_server import events
from jobmon_server.beats import Beats
from jobmon_server.channel import Channel
from jobmon_server.endings import Endings
from jobmon_server.events import Events
from jobmon_server.exchange import Exchange
from jobmon_server.jobs import LATEST, HearsayError, Job, readable
from jobmon_server.registry import Registry
from jobmon_server.rows import Event
from jobmon_wire import datagrams, documents, limits
from jobmon_wire.documents import DocumentError
from jobmon_wire.frames import FrameError
from jobmon_wire.jobs import ENDED, RUNNING
from jobmon_wire.records import TCP, UDP, EndReport, Exit, Vitals

RESOLUTION = 1.0  # s; signs of life closer together than this say nothing new
BURST = 100  # lines of progress that may come at once
RATE = 10.0  # lines of progress a second that are kept in the long run


class Ears(NamedTuple):
    """What the hearing of every job shares."""

    registry: Registry
    events: Events
    exchange: Exchange
    beats: Beats
    endings: Endings
    callback: Callable[[], str]  # how the site wants agents to be reached
    clock: Callable[[], float]

    def feel(self, job: Job, vitals: Vitals, now: float) -> bool:
        """Take a beat, whichever way it came; false where the job has ended.

        Raises:
            HearsayError: it says what cannot be.
        """
        state = job.state
        if state == ENDED:
            return False
        job.feel(vitals, now)
        job.examine(now)
        if state == RUNNING:
            self.registry.felt(job)
        else:
            self.seen(job, now)
        return True

    def seen(self, job: Job, now: float) -> bool:
        """Take a sign of life; whether it says anything new."""
        if job.state == RUNNING and now - job.last_seen < RESOLUTION:
            return False
        if self.registry.seen(job, now):
            self.events.note(Event(job.uuid, now, events.RETURNED, "its agent is heard again"))
        return True


class Datagrams:
    """The listener on the datagrams of all jobs."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self._felt = ears.registry.felt

    def beat(self, job: Job, body: bytes, now: float) -> None:
        """A beat.

        Raises:
            HearsayError: it says what cannot be.
        """
        if job.beat(body, now):
            self._felt(job)
            return
        if job.callback != UDP:
            job.callback = UDP
        self._ears.feel(job, Vitals(*datagrams.read_figures(body)[2]), now)

    def bye(self, job: Job, ended: float, status: Exit) -> None:
        """The job has ended: what an agent can tell that is killed with its job.

        Raises:
            HearsayError: it says what cannot be.
        """
        nothing = (b"", b"", None, None, None, None, 0)
        self._ears.endings.over(job.uuid, EndReport(job.epoch, ended, status, *nothing))


class Hearing:
    """The listener on one job's channel."""

    def __init__(self, job: Job, ears: Ears) -> None:
        self._job = job
        self._ears = ears
        self._budget = float(BURST)  # lines
        self._refilled = ears.clock()
        self._dropped = 0  # lines since the last that was kept

    def alive(self) -> None:
        """Something came."""
        self._ears.seen(self._job, self._ears.clock())

    def vitals(self, document: dict[str, Any]) -> None:
        """A beat on the channel."""
        try:
            self.feel(Vitals.read(document))
        except (DocumentError, HearsayError) as error:
            raise FrameError(f"vitals: {error}") from error

    def feel(self, vitals: Vitals) -> None:
        """A beat on the channel.

        Raises:
            HearsayError: it says what cannot be.
        """
        is_news = vitals.reason is not None and vitals.reason != self._job.reason
        now = self._ears.clock()
        if not self._ears.feel(self._job, vitals, now):
            return
        callback = self._ears.beats.callback(self._job.uuid) or TCP
        if is_news or self._job.callback != callback:
            self._job.callback = callback
            self._ears.registry.changed(self._job)
        if is_news and self._may_speak():
            text = f"the batch system says: {self._job.reason}"
            self._ears.events.note(Event(self._job.uuid, now, events.BATCH, text))
        if now >= self._ears.beats.due(self._job):
            self._ears.exchange.recall(self._job.uuid)

    def over(self, document: dict[str, Any]) -> None:
        """The job has ended."""
        try:
            self._ears.endings.over(self._job.uuid, EndReport.read(document))
        except (DocumentError, HearsayError) as error:
            raise FrameError(f"over: {error}") from error

    def progress(self, document: dict[str, Any]) -> None:
        """A line of progress."""
        try:
            at = documents.number(document, "at")
            text = documents.text(document, "text", longest=limits.LOG_LINE)
        except DocumentError as error:
            raise FrameError(f"log: {error}") from error
        if not 0 <= at < LATEST:
            raise FrameError("log: a moment between 1970 and 2242 was expected")
        if not self._may_speak():
            return
        self._job.progress = line = readable(text)
        self._ears.events.note(Event(self._job.uuid, at, events.PROGRESS, line))
        self._ears.registry.changed(self._job)

    def lets_go(self, channel: Channel) -> bool:
        """Whether the agent may close its channel: it can be rung by datagram."""
        if self._ears.callback() != UDP and not self._ears.beats.reaches(self._job.uuid):
            return False
        self._ears.exchange.detach(channel)
        return True

    def gone(self, channel: Channel) -> None:
        """The channel has ended."""
        if self._ears.exchange.detach(channel):
            self._job.callback = self._ears.beats.callback(self._job.uuid)
            self._ears.endings.hurry(self._job.uuid)
            self._ears.registry.changed(self._job)

    def _may_speak(self) -> bool:
        now = self._ears.clock()
        self._budget = min(BURST, self._budget + max(0.0, now - self._refilled) * RATE)
        self._refilled = now
        if self._budget < 1:
            self._dropped += 1
            return False
        self._budget -= 1
        if self._dropped:
            text = f"{self._dropped} lines of progress were dropped: more than {RATE:.0f} a second"
            self._ears.events.note(Event(self._job.uuid, now, events.LIMIT, text))
            self._dropped = 0
        return True
