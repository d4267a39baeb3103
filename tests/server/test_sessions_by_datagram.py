"""A session by datagram outlives the server, is exchanged every day, and costs no registration in between."""

import msgspec
import pytest

from jobmon_server import packing
from jobmon_server.admission import Admission
from jobmon_server.beats import AGE, GRACE, SPREAD
from jobmon_server.facts import NEVER_HEARD
from jobmon_wire.datagrams import ACK
from tests.server.correspondents import (  # noqa: F401 - fixtures
    QUIET,
    Node,
    connected_agent,
    fingerprint_of,
    house_with_datagrams,
    no_socket_is_left,
    nothing,
    own_socket,
    receive,
    register,
    session_of,
    silence,
)
from tests.server.house import Agent, House


async def test_a_restarted_server_understands_beats_and_takes_no_old_one_for_a_sign_of_life(
    house: House, agent: Agent
) -> None:
    node = await register(house, agent)
    await node.prove()
    await agent.close()
    old = node.beat()
    node.send(old)
    await node.hear()
    job = house.state.registry.get(agent.uuid)
    house.state.beats._lines.highest[job.line] = 0  # as when the server is killed before it has written it down
    await house.stop()
    await house.start()
    job = house.state.registry.get(agent.uuid)
    copier = own_socket()

    copier.sendto(old, node.server)
    assert 0 < len(await receive(copier) or b"") <= len(old)
    assert job.callback is None
    await node.prove()  # without a registration

    assert (job.state, job.callback) == ("running", "udp")


async def test_beats_from_before_a_restart_are_old_and_most_not_even_answered(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    sent = []
    for number in range(100):
        sent.append(node.beat())
        house.state.beats.take(sent[-1], node.socket.getsockname(), 1e6 + number)
        assert await node.hear() == ACK
    last_seen = house.state.registry.get(agent.uuid).last_seen
    await agent.close()
    await house.stop()
    await house.start()
    copier = own_socket()

    for number, old in enumerate(sent):
        house.state.beats.take(old, copier.getsockname(), 1e6 + number)
    answered = 0
    while await receive(copier, QUIET) is not None:
        answered += 1

    job = house.state.registry.get(agent.uuid)
    assert answered <= 64
    assert (job.callback, job.last_seen) == (None, last_seen)
    await node.prove()


async def test_a_clock_set_back_does_not_make_the_servers_datagrams_old(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()
    await agent.close()
    await house.stop()
    house.clock.shift = -7200.0
    await house.start()

    await node.prove()  # which opens what comes with a window that has taken the earlier ones

    assert house.state.registry.get(agent.uuid).callback == "udp"


async def test_thousands_of_agents_go_on_beating_after_a_restart_and_none_registers(
    house: House, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await register(house, agent)
    await node.prove()
    state = house.state
    jobs = [state.registry.get(agent.uuid)]
    for number in range(1000):  # as if they had registered: what that does is tested elsewhere
        names = packing.pack_names(jobs[0].id, f"{number:08x}-0000-4000-8000-000000000000")
        packed = names + jobs[0].packed[packing.end_of_names(jobs[0].packed) :]
        credential_job = msgspec.structs.replace(jobs[0], packed=packed)
        jobs.append(credential_job)
        state.registry.add(credential_job)
        state.beats.restore(credential_job, fingerprint_of(house, credential_job), NEVER_HEARD)
    assert len(state.beats) == len(jobs)  # a copy of a job's record does not stand on its session
    await agent.close()
    await house.stop()
    await house.start()
    monkeypatch.setattr(house.state.sessions, "register", None)

    beats = house.state.beats
    for heard, job in enumerate(jobs):
        told = session_of(house, job)
        again = Node(house, told, fingerprint_of(house, job), beats.reach(job).counter)
        again.socket = node.socket
        for _ in range(2):
            beats.take(again.beat(), node.socket.getsockname(), 1e6 + heard)
            assert await again.hear() == ACK

    assert len(beats) == len(jobs)
    assert all(beats.reaches(job.uuid) for job in jobs)


async def test_after_a_day_an_agent_is_told_to_register_again_and_gets_another_session(
    house: House, agent: Agent
) -> None:
    node = await register(house, agent)
    await node.prove()
    assert node.again == 0

    house.clock.shift = AGE + 60.0
    node.send(node.beat())
    assert await node.hear() == ACK
    assert SPREAD <= node.again <= GRACE
    fresh = await register(house, agent)

    assert fresh.told.session != node.told.session
    assert fresh.told.secret != node.told.secret
    await fresh.prove()
    assert fresh.again == 0
    node.send(node.beat())
    assert await silence(node.socket)


async def test_a_session_that_is_not_exchanged_ends_an_hour_later(house: House, agent: Agent) -> None:
    node = await register(house, agent)
    await node.prove()

    house.clock.shift = AGE + GRACE + 1.0
    node.send(node.beat())

    assert await silence(node.socket)


async def test_an_agent_that_registers_again_soon_keeps_its_session_and_after_half_a_day_does_not(
    house: House, agent: Agent
) -> None:
    first = await register(house, agent)
    soon = await register(house, agent)
    house.clock.shift = AGE / 2 + 60.0
    late = await register(house, agent)

    assert soon.told.session == first.told.session
    assert late.told.session != first.told.session


async def test_a_new_session_is_known_after_a_server_was_killed(house: House, agent: Agent) -> None:
    await register(house, agent)
    house.clock.shift = AGE / 2 + 60.0
    node = await register(house, agent)
    await node.prove()
    await house.state.store.flush()  # a fifth of a second
    house.state._save = nothing  # what else a server that is killed does not do
    house.state.registry.unsaved.clear()
    await agent.close()
    await house.stop()
    await house.start()

    await node.prove()


async def test_agents_beyond_what_the_server_can_take_are_told_when_to_come(house: House, agent: Agent) -> None:
    house.state.sessions._admission = Admission(rate=0.5, burst=1.0)
    await register(house, agent)
    others = [Agent(house, house.job(job_id=f"4712.{number}")) for number in range(2)]
    for other in others:
        await other.connect()

    answers = [await other.register() for other in others]
    answers += [await other.register() for other in others]

    assert [status for status, _ in answers] == [503] * 4
    assert [answer["error"]["code"] for _, answer in answers] == ["later"] * 4
    turns = [answer["error"]["retry_after"] for _, answer in answers]
    assert turns[0] < turns[1]
    assert turns[2:] <= turns[:2]
    for other in others:
        await other.close()
