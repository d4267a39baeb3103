"""A simulated agent: registers over TLS, serves its channel, beats, tells of the end.

It keeps the order and the retries of the real one (``jobmon_agent.session``
and ``beats``), without a job, a node or a process of its own.
"""

import asyncio
import time
from typing import Any, NamedTuple

from benchmarks.simulation.beats import Beats, Line, node_address
from benchmarks.simulation.channels import Channel
from benchmarks.simulation.jobs import Job
from benchmarks.simulation.passes import Pass
from benchmarks.simulation.secure import AGENT, Dress, RefusedError, Secure, Wardrobe
from jobmon_agent.channel import MEDIA_TYPE
from jobmon_agent.session import Retries
from jobmon_agent.tls import Address
from jobmon_wire import http, limits
from jobmon_wire.documents import DocumentError, read_object, write_document
from jobmon_wire.frames import FrameError
from jobmon_wire.records import Beats as Told
from jobmon_wire.records import Configuration
from jobmon_wire.records import Vitals as Figures

REQUEUED = 5.0  # s from a job's end to its new start
FAILURES = (OSError, TimeoutError, ValueError, http.HttpError, FrameError, DocumentError)
EXITED = 0  # wait status of a job that ended well


class Counts:
    """What the agents of a process did."""

    def __init__(self) -> None:
        self.registered = 0  # agents, each once
        self.requeued = 0  # jobs that have ended and are to start anew
        self.registrations = 0
        self.errors = 0  # attempts that failed
        self.channels = 0  # open now
        self.answered = 0  # requests
        self.ended = 0
        self.last = 0.0  # moment of the last first registration, by time.monotonic


class World(NamedTuple):
    """What the agents of a process share."""

    address: Address  # of the server, by name
    host: str  # its numeric address
    is_bound: bool  # each node has an address of its own
    wardrobe: Wardrobe
    beats: Beats
    gate: asyncio.Semaphore  # registrations at once
    counts: Counts
    complaints: dict[str, int]  # what failed, and how often


class Agent:
    """One agent."""

    __slots__ = ("_channel", "_is_ended", "_is_known", "_task", "_world", "card", "dress", "job", "line")

    def __init__(self, world: World, job: Job, card: Pass) -> None:
        self._world = world
        self.job = job
        self.card = card
        self.line: Line | None = None
        self.dress: Dress | None = None  # of a connection that was prepared beforehand
        self._task: asyncio.Task[None] | None = None
        self._channel: Channel | None = None
        self._is_ended = False
        self._is_known = False  # to the server

    def start(self) -> None:
        """Register, and serve the channel as long as it is wanted."""
        if self._task is None:
            self._run(self._serve())

    def know(self, told: Told, delay: float) -> None:
        """Take a session of an earlier run of the server, and go on beating after so many seconds."""
        self._count()
        self._beat(told, delay)

    def change(self, draw: Any, now: float) -> None:
        """The job has gone on; tell at once."""
        self.job.change(draw, now)
        if self.line is not None:
            self._world.beats.beat(self.line)

    def end(self, status: int = EXITED) -> None:
        """The job has ended, as wait() tells it; it will be started anew."""
        if not self._is_ended and self.line is not None:
            self._is_ended = True
            self._is_known = False
            self._world.counts.ended += 1
            self._world.counts.registered -= 1
            self._world.counts.requeued += 1
            self._world.beats.bye(self.line, status)
            self._world.beats.end(self.line)
            self.line = None
            self.stop()
            self._run(self._end(status))

    def stop(self) -> None:
        """Do no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def vitals(self) -> Figures:
        """What a beat carries."""
        return self.job.vitals(time.time())

    def rung(self) -> None:
        """The server has requests, or does not answer any more."""
        self.start()

    def again(self, delay: float) -> None:
        """The server wants it, or does not answer any more: once, after so many seconds."""
        if self._task is None:
            self._run(self._serve(delay))

    def _run(self, work: Any) -> None:
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        if self._task is task:
            self._task = None
            # Rung while it left: the level tells.
            if not self._is_ended and self.line is not None and self.line.is_rung:
                self.start()

    async def _serve(self, delay: float = 0.0) -> None:
        """As ``jobmon_agent.session.Session.run``."""
        await asyncio.sleep(delay)
        retries = Retries()
        while True:
            asked: float | None = None
            is_slow = False
            try:
                asked = await self._visit(retries)
                if asked is None:
                    return
            except RefusedError as error:
                self._complain(error)
                asked, is_slow = error.retry_after, error.status < 500 and error.retry_after is None
            except FAILURES as error:
                self._complain(error)
            await asyncio.sleep(retries.delay(time.monotonic(), asked, is_slow))

    async def _visit(self, retries: Retries) -> float | None:
        """One connection: register, then the channel; None where the server let the agent go."""
        counts = self._world.counts
        secure: Secure | None = None
        try:
            async with self._world.gate:
                secure = await self._connect()
                configuration = await self._register(secure)
            retries.reset()
            channel = self._open(secure, configuration)
            await secure.lost
        finally:
            if self._channel is not None:
                self._channel.end()
                counts.answered += self._channel.answered
                counts.channels -= 1
                self._channel = None
            if secure is not None:
                secure.close()
        if channel.is_let_go:
            return None
        if secure.status not in (0, 200):
            raise RefusedError(secure.status, None, b"the channel")
        return channel.retry_after or 0.0

    async def _connect(self) -> Secure:
        dress, self.dress = self.dress or self._world.wardrobe.dress(self.card.certificate, self.card.key), None
        own = (node_address(self.job.node), 0) if self._world.is_bound else None
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(limits.CONNECT_TIMEOUT):
            _, secure = await loop.create_connection(
                lambda: Secure(dress), self._world.host, self._world.address.port, local_addr=own
            )
        try:
            await secure.shake_hands()
        except BaseException:
            secure.close()
            raise
        return secure

    async def _register(self, secure: Secure) -> Configuration:
        body = write_document(self.job.registration().document())
        answer = await secure.post("/v1/register", self._world.address.authority, body)
        configuration = Configuration.read(read_object(answer))
        self._world.counts.registrations += 1
        self._count()
        if configuration.beats is not None:
            self._beat(configuration.beats, 0.0)
        return configuration

    def _count(self) -> None:
        if not self._is_known:
            self._is_known = True
            self._world.counts.registered += 1
            self._world.counts.requeued -= self._is_ended
            self._is_ended = False
            self._world.counts.last = time.monotonic()

    def _beat(self, told: Told, delay: float) -> None:
        beats = self._world.beats
        beats.plan(beats.begin(self, told, self.card.identity.fingerprint, self.job.node), delay)

    def _open(self, secure: Secure, configuration: Configuration) -> Channel:
        self._channel = Channel(self.job, configuration, secure.write, secure.close, self.end)
        self._world.counts.channels += 1
        head = http.request_head("/v1/channel", self._world.address.authority, AGENT, MEDIA_TYPE, None)
        secure.listen(head, self._channel.take)
        return self._channel

    async def _end(self, status: int) -> None:
        """Report the end; start anew after a while."""
        body = write_document(self.job.end(time.time(), status).document())
        retries = Retries()
        while True:
            try:
                async with self._world.gate:
                    secure = await self._connect()
                    try:
                        await secure.post("/v1/end", self._world.address.authority, body)
                        break
                    finally:
                        secure.close()
            except FAILURES as error:
                self._complain(error)
            await asyncio.sleep(retries.delay(time.monotonic()))
        await asyncio.sleep(REQUEUED)
        self.job.restart(time.time())
        await self._serve()

    def _complain(self, error: BaseException) -> None:
        self._world.counts.errors += 1
        text = f"{type(error).__name__}: {error}"
        self._world.complaints[text] = self._world.complaints.get(text, 0) + 1
