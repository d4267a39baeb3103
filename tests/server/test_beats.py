"""Datagrams from agents refresh what is seen of a job, and do nothing else for anybody."""

import asyncio
import socket
from pathlib import Path

from jobmon_server.beats import BUFFER, TURN
from jobmon_wire import datagrams, frames
from jobmon_wire.datagrams import ACK, BEAT, BYE, WAKE, Ends
from tests.server.correspondents import (  # noqa: F401 - fixtures
    QUIET,
    Figures,
    connected_agent,
    house_with_datagrams,
    no_socket_is_left,
    nothing,
    own_socket,
    receive,
    register,
    silence,
)
from tests.server.house import Agent, House, Reader, ask, rows, until


async def test_a_beat_counts_once_its_sender_has_answered_a_challenge(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    job = house.state.registry.get(agent.uuid)

    node.send(node.beat())
    assert await node.hear() == ACK
    assert (job.callback, job.output_bytes) == (None, None)
    node.send(node.beat())
    assert await node.hear() == ACK

    assert (job.callback, job.output_bytes, job.rss_bytes) == ("udp", 77, 2**30)


async def test_an_agent_may_close_its_channel_once_it_can_be_rung(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await agent.open_channel()
    leave = frames.write_frame(frames.LEAVE)

    await agent.send(leave)
    node.send(node.beat())
    assert await node.hear() == ACK
    assert agent.frames.empty()  # nobody could ring it
    await node.prove()
    await agent.send(leave)
    await agent.next(frames.LEAVE)
    await agent.ended.wait()

    async with house.user() as alice:
        (job,) = rows(await alice.get("/v1/jobs"))
    assert (job["state"], job["callback"]) == ("running", "udp")


async def test_an_agent_does_not_leave_while_an_answer_is_under_way(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await agent.open_channel()
    await node.prove()
    async with house.user() as alice, alice.stream("POST", f"/v1/jobs/{agent.uuid}/query", **ask("ps")) as response:
        request = (await agent.next(frames.REQUEST)).request
        await agent.send(frames.write_frame(frames.LEAVE))
        await agent.answer(request, b"all")

        assert [frame.type for frame in await Reader(response).rest()] == [frames.DATA, frames.END]
    await agent.send(frames.write_frame(frames.LEAVE))
    await agent.next(frames.LEAVE)


async def test_who_proves_nothing_hears_nothing(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    stranger = own_socket()
    beat = node.beat()
    wake = Ends(node.told.session, node.down, node.up).seal(WAKE, datagrams.write_wake(1))
    other = datagrams.derive_keys(bytes(32), node.told.session, b"x" * 32)
    forged = Ends(node.told.session, *other, counter=99).seal(
        BEAT, datagrams.write_beat(0, bytes(8), datagrams.write_vitals(Figures))
    )

    altered = beat[:-1] + bytes([beat[-1] ^ 1])
    for noise in (b"", b"x", beat[:-1], altered, beat + b"x", bytes(108), wake, forged, bytes(2000)):
        stranger.sendto(noise, node.server)

    assert await silence(stranger)
    stranger.sendto(beat, node.server)  # the same socket with a genuine one: it is the key that counts
    assert len(await receive(stranger) or b"") <= len(beat)
    stranger.sendto(beat, node.server)
    assert await silence(stranger)


async def test_a_beat_copied_and_delivered_first_does_not_move_the_bell(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    copier, beat = own_socket(), node.beat()

    copier.sendto(beat, node.server)
    answer = await receive(copier)
    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        asking.cancel()

    assert answer is not None
    assert len(answer) <= len(beat)
    assert await silence(copier)


async def test_datagrams_in_crowds_and_alone_after_a_silence_are_all_looked_at(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    beats, crowd = house.state.beats, 3 * TURN

    for _ in range(crowd):
        node.send(b"nothing that anybody knows")
    await until(lambda: beats.refused == crowd)
    for number in range(3):
        await until(lambda: beats._look is None)
        node.send(b"nothing either")
        await until(lambda: beats.refused == crowd + number + 1)  # noqa: B023
    await node.prove()
    look = beats._look
    beats.shut()

    assert beats.taken == 2
    assert look is not None
    assert look.cancelled()


async def test_the_kernel_holds_thousands_of_datagrams_while_the_server_is_busy(house: House) -> None:
    held = house.state.beats._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    allowed = int(Path("/proc/sys/net/core/rmem_max").read_text())

    assert held >= min(BUFFER, allowed)
    assert held <= 2 * BUFFER  # the kernel doubles what it is told, for its own


async def test_a_job_that_beats_no_more_turns_silent_and_its_request_is_refused(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    await agent.close()

    async with house.user() as alice:
        answer = await alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps"))

    assert answer.json()["error"]["code"] == "job-silent"
    job = house.state.registry.get(agent.uuid)
    assert (job.state, job.callback) == ("silent", None)
    await node.prove()
    assert job.state == "running"


async def test_an_expired_or_revoked_credential_is_answered_no_more(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()

    house.clock.shift = 400 * 86400.0
    node.send(node.beat())
    assert await silence(node.socket)
    house.clock.shift = 0.0
    await node.prove()
    assert house.state.beats.sweep(lambda identity: "revoked") == 1
    node.send(node.beat())
    assert await silence(node.socket)


async def test_a_session_that_floods_is_heard_a_few_times_a_second(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    for _ in range(200):
        node.send(node.beat())

    heard = 0
    while await receive(node.socket, QUIET) is not None:
        heard += 1

    assert 1 <= heard <= 12


async def test_a_bye_is_acknowledged_and_no_longer_than_that(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    bye = node.ends.seal(BYE, datagrams.write_bye(0, node.echo, 1.7e9, 0, "pidfd"))

    node.send(bye)

    assert len(await receive(node.socket) or bytes(999)) <= len(bye)
