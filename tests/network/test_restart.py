"""A server that was killed and is back knows its agents again, and none of them has to register for that.

Two hundred light agents with real certificates, registered over TLS with the
real server, which is killed and started anew.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jobmon_pki.site import Site
from jobmon_wire.credential import Credential
from jobmon_wire.documents import read_object, write_document
from jobmon_wire.records import Configuration
from tests.network.light import LightAgent
from tests.server.house import REGISTRATION
from tests.server.running import RunningServer, call, client_context, new_site, person_credential

AGENTS = 200
BEAT = 2.0  # s
DOWN = 1.0  # s that the server is away
ENOUGH = 0.99  # of the agents
FIGURE = 30.0  # s within which so many can be rung again


class Herd:
    """A real server, and light agents that have registered with it."""

    def __init__(self, site: Site, desk: Path) -> None:
        self._site = site
        self._desk = desk
        self._alice = client_context(person_credential(site, "alice"), site.server_ca_pem(), desk)
        self.server = RunningServer(site.config_path)
        self.agents: dict[str, LightAgent] = {}  # by the job's uuid
        self.rung: set[LightAgent] = set()

    async def register(self, number: int) -> None:
        """Have so many agents register, and begin to beat."""
        ids = [f"job-{at}" for at in range(number)]
        for credential in self._site.issue_job_credentials(self._site.person_name("alice"), ids, None, time.time()):
            agent = LightAgent(ssl.PEM_cert_to_DER_cert(credential.certificate), "127.0.0.1", self.rung.add)
            told = (await self._ask(credential)).beats
            assert told is not None
            agent.begin(told)
            self.agents[credential.uuid] = agent

    async def _ask(self, credential: Credential) -> Configuration:
        context = client_context(credential, self._site.server_ca_pem(), self._desk)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.server.agents, ssl=context, server_hostname="localhost"
        )
        body = write_document(REGISTRATION)
        writer.write(b"POST /v1/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        answer = Configuration.read(read_object(await reader.readexactly(length)))
        writer.close()
        await writer.wait_closed()
        return answer

    async def crash(self) -> None:
        """Kill the server, and start it anew."""
        self.server.process.kill()
        self.server.stop()
        await asyncio.sleep(DOWN)
        self.server = await asyncio.to_thread(RunningServer, self._site.config_path)

    async def reachable(self) -> set[str]:
        """The jobs whose agents can be rung, as a user is told."""
        answer = await asyncio.to_thread(call, self.server.users, self._alice, "/v1/jobs")
        return {row["uuid"] for row in map(json.loads, answer.body.splitlines()) if row["callback"] == "udp"}

    async def until_reachable(self, share: float) -> float:
        """Wait until so many can be rung; the seconds that took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while len(await self.reachable()) < share * len(self.agents):
            assert loop.time() - began < 2 * FIGURE, f"{len(await self.reachable())} of {len(self.agents)} are back"
            await asyncio.sleep(0.05)
        return loop.time() - began

    async def ask(self, uuid: str) -> None:
        """Ask a job, and go when its agent is rung."""
        context = self._alice
        _, writer = await asyncio.open_connection(
            "127.0.0.1", self.server.users, ssl=context, server_hostname="localhost"
        )
        body = write_document({"verb": "ps", "arguments": {}})
        head = f"POST /v1/jobs/{uuid}/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        async with asyncio.timeout(FIGURE):
            while self.agents[uuid] not in self.rung:
                await asyncio.sleep(0.01)
        writer.transport.abort()

    def close(self) -> None:
        """End all."""
        for agent in self.agents.values():
            agent.close()
        self.server.stop()


@pytest.fixture
async def herd(tmp_path: Path) -> AsyncIterator[Herd]:
    """A server with fast beats."""
    site = new_site(tmp_path / "site")
    with site.config_path.open("a") as file:
        file.write(f"beat = {BEAT}\n")
    (tmp_path / "desk").mkdir()
    made = Herd(site, tmp_path / "desk")
    yield made
    made.close()


async def test_agents_of_a_killed_server_can_be_rung_after_a_beat_without_registering_again(herd: Herd) -> None:
    await come_back(herd, AGENTS)


async def come_back(herd: Herd, number: int) -> Any:
    """Kill the server of so many agents; the seconds until they can be rung."""
    await herd.register(number)
    await herd.until_reachable(1.0)
    await herd.crash()
    sent = {uuid: agent.beats for uuid, agent in herd.agents.items()}

    took = await herd.until_reachable(ENOUGH)
    beats = sorted(agent.beats - sent[uuid] for uuid, agent in herd.agents.items())
    await herd.ask(next(iter(await herd.reachable())))

    assert took <= FIGURE
    # One that was unanswered, one that is answered with a challenge, one with the answer to that.
    assert beats[int(ENOUGH * number) - 1] <= 3 + took / BEAT
    return took
