"""Many light agents on a worker node, and the server's end of their sessions outside.

Both ends are the program's own: ``jobmon_agent.beats`` keeps the agents'
sessions and ``jobmon_server.beats`` rings them.  Only what a worker would do
when it is rung, open a channel and tell the session anew, is said in a word
here.  One event loop runs both ends; the sockets stand where they were made, so
what passes between them passes the gateway.
"""

import asyncio
import hashlib
import time
import uuid

from jobmon_server.beats import Beats
from jobmon_server.configuration import Address
from jobmon_server.jobs import Job
from jobmon_server.ports import bind_datagrams
from jobmon_wire.limits import BEAT_INTERVAL
from jobmon_wire.records import Exit
from tests.network.lab import OUTSIDE, Lab
from tests.network.light import LightAgent
from tests.server.house import a_job

PORT = 8444
SPREAD = 5.0  # s over which agents begin, and over which they are rung
DAY = 86400.0  # s


class Deaf:
    """Who hears what datagrams say of jobs, and does nothing about it."""

    def beat(self, job: Job, body: bytes, now: float) -> None:
        """A beat came."""

    def bye(self, job: Job, ended: float, status: Exit) -> None:
        """The job has ended."""


class Member:
    """One agent, and what the server knows of it."""

    def __init__(self, number: int, server: Beats) -> None:
        self._server = server
        self._job: Job = a_job(str(uuid.UUID(int=number)))
        certificate = b"certificate %d" % number
        self._job.issued, self._job.expires = time.time() - DAY, time.time() + DAY
        self._fingerprint = hashlib.sha256(certificate).hexdigest()
        self._woken: asyncio.Future[float] | None = None
        self.agent = LightAgent(certificate, OUTSIDE, self._wake)

    @property
    def job(self) -> Job:
        """Its job."""
        return self._job

    def register(self) -> None:
        """Be told the session by the server."""
        told = self._server.open(self._job, self._fingerprint)
        assert told is not None
        self.agent.begin(told)

    @property
    def is_reachable(self) -> bool:
        """The server knows where to ring it."""
        return self._server.reaches(self._job.uuid)

    async def ring(self) -> float:
        """Have the server ring it; seconds until it has heard that."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._woken = loop.create_future()
        self._server.ring(self._job.uuid)
        woken = await self._woken
        self._server.answered(self._job.uuid)
        self.register()
        return woken - began

    def _wake(self, _: LightAgent) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(asyncio.get_running_loop().time())


class Flock:
    """All of them, and their server; use it as a context manager, from outside the lab's gateway."""

    def __init__(self, lab: Lab, size: int) -> None:
        self._lab = lab
        self._size = size
        self._members: list[Member] = []

    async def __aenter__(self) -> "Flock":
        self._server = Beats(bytes(32), self._find, lambda: BEAT_INTERVAL, lambda number: 60.0, time.time)
        self._server.listener = Deaf()
        self._server.listen(bind_datagrams(Address(OUTSIDE, PORT)))
        for number in range(self._size):
            member = Member(number, self._server)
            self._members.append(member)
            with self._lab.at("worker"):
                member.register()
            await asyncio.sleep(SPREAD / self._size)
        while not all(member.is_reachable for member in self._members):
            await asyncio.sleep(0.05)
        return self

    def _find(self, uuid: str) -> Job | None:
        return next((member.job for member in self._members if member.job.uuid == uuid), None)

    async def __aexit__(self, *_: object) -> None:
        for member in self._members:
            member.agent.close()
        self._server.shut()

    async def ring_all(self) -> list[float]:
        """Ring each once, one after the other; the seconds that each took to hear it, the least first."""
        ringing = []
        for member in self._members:
            ringing.append(asyncio.create_task(member.ring()))
            await asyncio.sleep(SPREAD / self._size)
        return sorted(await asyncio.gather(*ringing))
