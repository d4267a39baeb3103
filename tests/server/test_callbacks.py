"""How an agent is reached: by datagram, by a channel where none pass, by datagram again; the list shows which.

A real agent, and a server that may be made deaf to datagrams.
"""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobmon_server import exchange
from jobmon_wire.records import AUTO, UDP
from tests.server.house import PATIENCE, House, ask, until
from tests.server.nodes import Nodes, RealJob

QUIET = 0.3  # s without a request until an agent closes its channel


async def begin(house: House, callback: str) -> None:
    """Start the server anew with that callback."""
    await house.call_back_by(callback)
    house.state.configuration = house.state.configuration._replace(quiet=QUIET)


def block(house: House) -> None:
    """Let no datagram in, nor out."""
    beats = house.state.beats
    beats.take = lambda *_: None  # type: ignore[method-assign]
    beats._send = lambda datagram, address: None  # type: ignore[method-assign]


def unblock(house: House) -> None:
    """Let datagrams pass again."""
    beats = house.state.beats
    del beats.take  # type: ignore[misc]
    del beats._send  # type: ignore[misc]


async def is_rung_by_datagram_alone(house: House, job: Any, real: RealJob) -> None:
    """Wait until the agent has closed its channel, has no worker and can be rung."""

    def is_so() -> bool:
        has_channel = house.state.exchange.channel(job.uuid) is not None
        return job.callback == "udp" and not has_channel and len(real.launcher.agents()) == 1

    await until(is_so, 2 * PATIENCE)


async def serve(user: httpx.AsyncClient, real: RealJob) -> None:
    """Ask until it is answered: on a busy machine an agent may look silent, its beats are that quick here."""
    deadline = asyncio.get_running_loop().time() + 2 * PATIENCE
    while (answer := await user.post(f"/v1/jobs/{real.uuid}/query", **ask("ps"))).status_code != 200:
        assert asyncio.get_running_loop().time() < deadline, answer.text


async def test_an_agent_falls_back_to_its_channel_and_finds_the_way_back(
    house: House, nodes: Nodes, old_or_new: Path
) -> None:
    await begin(house, AUTO)
    async with nodes.job(house, house.job(), old_or_new) as real, house.user() as alice:
        job = house.state.registry.get(real.uuid)
        await is_rung_by_datagram_alone(house, job, real)

        block(house)
        await until(lambda: job.callback == "tcp", 3 * PATIENCE)
        await serve(alice, real)
        unblock(house)
        await is_rung_by_datagram_alone(house, job, real)

        await serve(alice, real)


async def test_with_datagrams_alone_no_channel_stays_and_a_blocked_job_says_why_until_it_is_found_again(
    house: House, nodes: Nodes, old_or_new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "RUNG_PATIENCE", 2.0)
    await begin(house, UDP)
    async with nodes.job(house, house.job(), old_or_new) as real, house.user() as alice:
        job = house.state.registry.get(real.uuid)
        await is_rung_by_datagram_alone(house, job, real)

        block(house)
        refused = (await alice.post(f"/v1/jobs/{real.uuid}/query", **ask("ps"))).json()["error"]
        await until(lambda: job.state == "silent")
        assert job.callback is None
        assert house.state.exchange.channel(real.uuid) is None
        unblock(house)
        await is_rung_by_datagram_alone(house, job, real)

        await serve(alice, real)
    assert refused["code"] == "job-silent"
    assert 'callback = "udp"' in refused["message"]
