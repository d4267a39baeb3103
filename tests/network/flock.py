"""Many light agents on a worker node, and the server's end of their sessions: real datagrams, no jobs.

Each end is the program's own: ``jobmon_agent.beats`` keeps the agent's session
and ``jobmon_server.beats`` rings it.  Only what a worker process would do, open
a channel and tell the session anew, is said in a word here.  One event loop
runs both ends; the sockets stand where they were made, so what passes between
them passes the gateway.
"""

import asyncio
import hashlib
import time
import uuid
from typing import Any

from jobmon_agent.beats import Beats as AgentBeats
from jobmon_pki.names import parse
from jobmon_pki.profiles import JOB, Identity
from jobmon_server.beats import Beats as ServerBeats
from jobmon_server.configuration import Address
from jobmon_server.ports import bind_datagrams
from jobmon_wire import datagrams
from jobmon_wire.limits import BEAT_INTERVAL
from jobmon_wire.records import Exit, Vitals
from tests.network.lab import OUTSIDE, Lab
from tests.server.house import PEOPLE, a_job

PORT = 8444
SPREAD = 5.0  # s over which agents begin, and over which they are rung
DAY = 86400.0  # s

_NOTHING = Vitals(1.7e9, 1.0, 2**20, 1, 0, None)


class Health:
    """What an agent says of a job that is none."""

    def glance(self) -> Vitals:
        """Always the same."""
        return _NOTHING


class Deaf:
    """Who hears what datagrams say of jobs, and does nothing about it."""

    def feel(self, vitals: Vitals) -> None:
        """A beat came."""

    def bye(self, ended: float, status: Exit) -> None:
        """The job has ended."""


class LightAgent:
    """One agent without a job: it beats, and when it is rung it says so at once."""

    def __init__(self, server: ServerBeats, number: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = server
        self._job = a_job(str(uuid.UUID(int=number)))
        self._identity = _identity(number)
        self._beats = AgentBeats(Health())  # type: ignore[arg-type]
        self._next: asyncio.TimerHandle | None = None
        self._woken: asyncio.Future[float] | None = None

    def register(self) -> None:
        """Take the session that the server tells: the calling thread stands on the worker node."""
        told = self._server.open(self._job, self._identity, Deaf())
        assert told is not None
        up, down = datagrams.derive_keys(told.secret, told.session, bytes.fromhex(self._identity.fingerprint))
        said: dict[str, Any] = {
            "family": 2,
            "address": (OUTSIDE, told.port),
            "session": told.session,
            "up": up,
            "down": down,
            "interval": told.interval,
            "counter": told.counter,
            "pending": told.pending,
        }
        is_first = self._next is None
        self._beats.begin(said)
        if is_first:
            descriptor = self._beats.descriptor(time.monotonic())
            assert descriptor is not None
            self._loop.add_reader(descriptor, self._hear)
            self._plan()

    @property
    def is_reachable(self) -> bool:
        """The server knows where to ring it."""
        return self._server.reaches(self._job.uuid)

    async def ring(self) -> float:
        """Have the server ring it; seconds until it has heard that."""
        began = self._loop.time()
        self._woken = self._loop.create_future()
        self._server.ring(self._job.uuid)
        woken = await self._woken
        self._server.answered(self._job.uuid)
        self.register()
        return woken - began

    def close(self) -> None:
        """Let go of its socket."""
        if self._next is not None:
            self._next.cancel()
        descriptor = self._beats.descriptor(time.monotonic())
        if descriptor is not None and descriptor >= 0:
            self._loop.remove_reader(descriptor)
        self._beats._close()

    def _hear(self) -> None:
        self._beats.hear(time.monotonic())
        self._look()

    def _beat(self) -> None:
        self._beats.beat(time.monotonic())
        self._plan()

    def _look(self) -> None:
        if self._beats.is_rung and self._woken is not None and not self._woken.done():
            self._woken.set_result(self._loop.time())
        self._plan()

    def _plan(self) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = self._loop.call_at(self._beats.next, self._beat)


class Flock:
    """All of them, and their server."""

    def __init__(self, lab: Lab, size: int) -> None:
        self._lab = lab
        self._size = size
        self.agents: list[LightAgent] = []

    async def __aenter__(self) -> "Flock":
        self.server = ServerBeats(bytes(32), lambda: BEAT_INTERVAL, time.time)
        sock = bind_datagrams(Address(OUTSIDE, PORT))
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self.server, sock=sock)
        for number in range(self._size):
            agent = LightAgent(self.server, number)
            self.agents.append(agent)
            with self._lab.at("worker"):
                agent.register()
            await asyncio.sleep(SPREAD / self._size)
        while not all(agent.is_reachable for agent in self.agents):
            await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *_: object) -> None:
        for agent in self.agents:
            agent.close()
        self.server.shut()
        await asyncio.sleep(0)

    async def ring_all(self) -> list[float]:
        """Ring each once, one after the other; the seconds that each took to hear it, the least first."""
        ringing = []
        for agent in self.agents:
            ringing.append(asyncio.create_task(agent.ring()))
            await asyncio.sleep(SPREAD / self._size)
        return sorted(await asyncio.gather(*ringing))


def _identity(number: int) -> Identity:
    mark = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
    now = time.time()
    name = parse(f"{PEOPLE}alice/CN={number}")
    return Identity(JOB, name, mark[:32], mark, now - DAY, now + DAY, str(uuid.UUID(int=number)), (), mark)
