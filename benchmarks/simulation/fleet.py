"""A process's share of a fleet: its agents in one event loop, and the changes of their jobs.

It prepares, waits for a word, registers everyone, and goes on until it is told
to stop.  Which processes there are is ``crew``'s.
"""

import asyncio
import resource
import time
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from benchmarks.simulation.agents import Agent, Counts, World
from benchmarks.simulation.beats import Beats
from benchmarks.simulation.jobs import Plan
from benchmarks.simulation.passes import Pass
from benchmarks.simulation.secure import Wardrobe
from jobmon_agent.tls import Address
from jobmon_wire.records import Beats as Told

AT_ONCE = 64  # registrations under way in one process, where they do not all come at once
TICK = 0.02  # s between two looks at the changes that are due
SHARES = (0.97, 0.99)  # of the changes: figures; a process stopped or let go on; the rest are ends
EMPTY = 1.0  # s to wait where no agent is there that could change


class Server(NamedTuple):
    """Where the fleet's server is."""

    address: Address  # by the name in its certificate
    host: str  # its numeric address
    server_ca: str  # PEM


class Settings(NamedTuple):
    """How a fleet behaves."""

    rate: float = 0.0  # changes a second, of all jobs together
    is_storm: bool = False  # all register at once
    loss: float = 0.0  # share of datagrams dropped at the agents' end, each way
    is_bound: bool = True  # every node has an address of its own


class Fleet:
    """The agents of one process.

    Args:
        plan: of the whole fleet.
        cards: of the jobs in this process.
        told: sessions of an earlier run of the server, by index of the job.
    """

    def __init__(
        self,
        plan: Plan,
        cards: Sequence[Pass],
        server: Server,
        settings: Settings,
        told: dict[int, Told],
    ) -> None:
        self._settings = settings
        self._told = told
        self._draw = Random(f"fleet {plan.seed} {cards[0].number if cards else 0}")
        self._wardrobe = Wardrobe(server.server_ca, server.address.host)
        self.counts = Counts()
        self.beats = Beats(server.host, settings.loss, settings.is_bound, self._draw)
        self.complaints: dict[str, int] = {}
        gate = asyncio.Semaphore(len(cards) if settings.is_storm else AT_ONCE)
        world = World(
            server.address,
            server.host,
            settings.is_bound,
            self._wardrobe,
            self.beats,
            gate,
            self.counts,
            self.complaints,
        )
        self.agents = [Agent(world, plan.job(card.number), card) for card in cards]
        self._changer: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Do what needs no server, so that a storm is nothing but its handshakes."""
        for agent in self._new() if self._settings.is_storm else ():
            agent.dress = self._wardrobe.dress(agent.card.certificate, agent.card.key)

    def go(self, share: float) -> None:
        """Begin: who has a session beats, everyone else registers.

        Args:
            share: of the whole fleet's changes that are this process's.
        """
        for agent in self.agents:
            told = self._told.get(agent.card.number)
            if told is not None:
                # What is the agents' own is their place in the interval.
                agent.know(told, told.interval * self._draw.random())
        for agent in self._new():
            agent.start()
        if self._settings.rate:
            self._changer = asyncio.get_running_loop().create_task(self._change(self._settings.rate * share))

    async def stop(self) -> None:
        """Let every agent go, without a word, as when their nodes lose power."""
        if self._changer is not None:
            self._changer.cancel()
        for agent in self.agents:
            agent.stop()
        await asyncio.sleep(0)
        self.beats.close()
        self._wardrobe.close()

    def report(self) -> dict[str, Any]:
        """What was done so far; ``come`` are the agents that have registered once, be it that their job ended since."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        come = self.counts.registered + self.counts.requeued
        figures = {"come": come, "cpu": used.ru_utime + used.ru_stime, "complaints": self.complaints}
        return vars(self.counts) | vars(self.beats.counts) | figures

    def _new(self) -> Iterator[Agent]:
        return (agent for agent in self.agents if agent.card.number not in self._told)

    async def _change(self, rate: float) -> None:
        """Change jobs at random, so many a second; a pause is made good, yet not in one burst."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await asyncio.sleep(TICK)
            due = max(due, loop.time() - EMPTY)
            while due <= loop.time():
                due += 1 / rate
                self._change_one(self._draw.choice(self.agents), self._draw.random())

    def _change_one(self, agent: Agent, kind: float) -> None:
        if agent.line is None:
            return
        if kind >= SHARES[1]:
            agent.end()
            return
        if kind >= SHARES[0]:
            agent.job.stop_or_go()
        agent.change(self._draw, time.time())
