"""An agent without a channel is rung when somebody asks for its job, wherever it is and until it comes."""

import asyncio

from jobmon_server.admission import Admission
from jobmon_wire import frames
from jobmon_wire.datagrams import ACK, WAKE
from tests.server.correspondents import (  # noqa: F401 - fixtures
    connected_agent,
    house_with_datagrams,
    no_socket_is_left,
    receive,
    register,
    silence,
)
from tests.server.house import PING, Agent, House, ask, until

LONG_AGO = 10 * PING  # s; three missed beats are enough, but moments are kept to a second after half a year of uptime


async def test_a_request_rings_until_the_channel_opens_and_is_served_then(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()

    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        assert await node.hear() == WAKE  # nobody came: it rings again
        assert node.pending > node.told.pending
        assert (await register(house, agent)).told.pending == node.pending
        await agent.open_channel()
        await agent.answer((await agent.next(frames.REQUEST)).request, b"served")
        answer = await asking

    assert b"served" in answer.content
    assert await silence(node.socket)


async def test_a_lost_wake_up_is_made_up_for_by_the_next_acknowledgement(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        await node.hear(WAKE)
        level, node.pending = node.pending, 0

        node.send(node.beat())
        while await node.hear() != ACK:
            pass

        assert node.pending == level > node.told.pending
        asking.cancel()


async def test_an_agent_that_moves_is_rung_where_it_is_with_its_second_beat(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    node.move()

    await node.prove()
    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        asking.cancel()


async def test_a_request_right_after_a_restart_rings_where_the_agent_was_before_it_has_beaten(
    house: House, agent: Agent
) -> None:
    node = await register(house, agent)
    await node.prove()
    async with house.user() as alice:  # the agent has seen a level, as all have after a while
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        asking.cancel()
    seen = node.pending
    await agent.close()
    await house.stop()
    await house.start()

    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        asking.cancel()

    assert node.pending > seen  # or the agent would not come
    assert house.state.registry.get(agent.uuid).callback is None  # until it answers a challenge of this run


async def test_the_bell_shows_in_the_list_as_it_is_now(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    job = house.state.registry.get(agent.uuid)
    assert job.callback is None
    await agent.open_channel()
    assert job.callback == "tcp"

    await node.prove()
    assert job.callback == "udp"
    house.state.beats._lines.heard[job.line] -= LONG_AGO  # no datagram came since
    await agent.vitals()
    await until(lambda: job.callback == "tcp")
    await node.prove()
    assert job.callback == "udp"
    house.state.beats._lines.heard[job.line] -= LONG_AGO
    await agent.close()

    await until(lambda: job.callback is None)


async def test_with_datagrams_alone_a_channel_is_let_go_and_an_unreachable_job_says_why(
    house: House, agent: Agent
) -> None:
    house.state.configuration = house.state.configuration._replace(callback="udp")
    assert (await agent.register())[1]["callback"] == "udp"
    await agent.open_channel()

    await agent.send(frames.write_frame(frames.LEAVE))
    await agent.next(frames.LEAVE)
    await agent.ended.wait()
    await until(lambda: house.state.registry.get(agent.uuid).state == "silent")
    async with house.user() as alice:
        error = (await alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps"))).json()["error"]

    assert error["code"] == "job-silent"
    assert 'callback = "udp"' in error["message"]


async def test_an_agent_that_somebody_waits_for_is_taken_out_of_turn(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    house.state.sessions._admission = Admission(rate=0.01, burst=0.0)
    assert (await agent.register())[0] == 503

    async with house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps")))
        assert await node.hear() == WAKE
        status, _ = await agent.register()
        asking.cancel()

    assert status == 200


async def test_an_agent_that_does_not_come_is_rung_after_half_one_and_two_seconds(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    # Three beats must be longer than the second to which it is noted when an agent was heard.
    house.state.configuration = house.state.configuration._replace(beat=5.0)
    loop = asyncio.get_running_loop()
    moments: list[float] = []

    async def one_after_the_other() -> None:
        for pause in (0.5, 1, 2):
            await asyncio.sleep(pause)

    house.state.beats.ring(agent.uuid)
    pauses = asyncio.create_task(one_after_the_other())  # on a busy machine it is as late as the rings are
    while len(moments) < 4:
        node.send(node.beat())  # else it would soon count as silent, and be rung no more
        while (datagram := await receive(node.socket, 0.25)) is not None:
            if node.ends.open(datagram, (WAKE,)):
                moments.append(loop.time())
    house.state.beats.answered(agent.uuid)

    assert moments[-1] - moments[0] > 1.9
    assert not pauses.done(), "those are pauses: 0.5, 1 and 2 s one after the other"
    pauses.cancel()
    await asyncio.wait([pauses])


async def test_another_owners_job_is_not_rung(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()

    async with house.user("bob") as bob:
        answer = await bob.post(f"/v1/jobs/{agent.uuid}/query", **ask("ps"))

    assert answer.json()["error"]["code"] == "no-such-job"
    assert await silence(node.socket)
