"""The exchange: which job is reachable, and by which channel.

A request for a job whose agent is just coming back waits a moment for it, and
one whose agent has closed its channel for want of requests has it rung.
Nothing here knows who asks; that was decided, and written down, before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from jobmon_server.beats import Beats
from jobmon_server.channel import Channel
from jobmon_server.jobs import Job
from jobmon_server.refusals import RefusedError
from jobmon_wire.jobs import ENDED, LOST, SILENT
from jobmon_wire.moments import write_moment
from jobmon_wire.records import UDP

PATIENCE = 2.0  # s for an agent to come back; agents try again within one after a broken channel
RUNG_PATIENCE = 60.0  # s for one that is rung: with half of the datagrams lost, 99 % are awake after 14 s
COME_BACK = 1.0  # s; what agents are told when the server goes down


class Exchange:
    """The open channels by job."""

    def __init__(self, beats: Beats, callback: Callable[[], str]) -> None:
        self._beats = beats
        self._callback = callback  # how the site wants agents to be reached
        self._channels: dict[str, Channel] = {}
        self._awaited: dict[str, list[asyncio.Event]] = {}
        self._is_draining = False

    def __len__(self) -> int:
        """Channels that are open."""
        return len(self._channels)

    @property
    def waiting(self) -> int:
        """Requests that wait for an agent to come."""
        return sum(map(len, self._awaited.values()))

    def channel(self, uuid: str) -> Channel | None:
        """The job's channel, if it is open."""
        return self._channels.get(uuid)

    def attach(self, channel: Channel) -> None:
        """A channel has opened; an earlier one of the job ends."""
        self.drop(channel.uuid)
        if self._is_draining:
            channel.close("the server goes down", COME_BACK)
            return
        self._channels[channel.uuid] = channel
        self.wake(channel.uuid)

    def wake(self, uuid: str) -> None:
        """Let those who wait for a job look again."""
        self._beats.answered(uuid)
        for awaited in self._awaited.pop(uuid, ()):
            awaited.set()

    def detach(self, channel: Channel) -> bool:
        """A channel has ended; false where another took its place before."""
        if self._channels.get(channel.uuid) is not channel:
            return False
        del self._channels[channel.uuid]
        return True

    def drop(self, uuid: str) -> None:
        """End the job's channel, if there is one."""
        if channel := self._channels.pop(uuid, None):
            channel.close()

    def recall(self, uuid: str) -> None:
        """Have the job's agent register again, once no answer is under way."""
        channel = self._channels.get(uuid)
        if channel is not None and channel.is_idle:
            channel.close("the agent is to register again", COME_BACK)

    async def reach(self, job: Job) -> Channel:
        """The job's channel, once it is open.

        Raises:
            RefusedError: ``job-ended``, ``job-lost``, ``job-silent`` or ``draining``.
        """
        if job.state == ENDED:
            raise RefusedError("job-ended", "the job has ended; its last output is kept")
        channel = self._channels.get(job.uuid)
        if channel is None and job.state != LOST:
            channel = await self._await(job)
        if self._is_draining:
            raise RefusedError("draining", "the server goes down; ask again in a moment")
        if channel is not None and channel.is_open:
            return channel
        since = f"no word from the job's agent since {write_moment(job.last_seen)}"
        if job.state == LOST:
            raise RefusedError("job-lost", f"{since}; the job is given up for lost")
        if self._callback() == UDP and self._beats.knows(job):
            since += ' by datagram, and this site has callback = "udp": no connection stays open'
        raise RefusedError("job-silent", f"{since}; ask again later")

    def drain(self) -> None:
        """Say goodbye to every agent and take no more requests."""
        self._is_draining = True
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.close("the server goes down", COME_BACK)

    async def _await(self, job: Job) -> Channel | None:
        awaited = asyncio.Event()
        self._awaited.setdefault(job.uuid, []).append(awaited)
        is_rung = self._beats.ring(job.uuid)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(RUNG_PATIENCE if is_rung and job.state != SILENT else PATIENCE):
                    await awaited.wait()
        finally:
            if not awaited.is_set():
                self._give_up(job.uuid, awaited)
        return self._channels.get(job.uuid)

    def _give_up(self, uuid: str, awaited: asyncio.Event) -> None:
        others = self._awaited[uuid]
        others.remove(awaited)
        if not others:
            del self._awaited[uuid]
            self._beats.answered(uuid)
