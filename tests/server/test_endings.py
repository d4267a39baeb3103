"""Ends of jobs: told in haste they stand, told whole they are complete, and one end is one event."""

import asyncio
from typing import Any

import pytest

from jobmon_server import endings
from jobmon_wire.answers import PROBLEMS
from tests.server.house import REGISTRATION, Agent, House, ask, rows, until

UNKNOWN = {"code": None, "signal": None, "core": False, "source": "unknown"}
KILLED = {"code": None, "signal": "KILL", "core": False, "source": "zombie"}
WORDS = {"stdout": "aGFzdHkK", "stdout_bytes": 6, "stderr_bytes": 0}  # "hasty\n"


async def told(alice: Any) -> tuple[dict[str, Any], list[str]]:
    """The job's record, and the texts of its events that tell of its end."""
    (job,) = rows(await alice.get("/v1/jobs"))
    log = rows(await alice.get("/v1/jobs/4711.0/log"))
    return job, [event["text"] for event in log if event["kind"] == "ended"]


async def test_an_end_told_in_haste_stands_when_the_agent_is_killed_in_the_next_moment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "HOLD", 3600.0)  # no more is waited for than the agent
    async with house.agent() as agent, house.user() as alice:
        await agent.over(exit=UNKNOWN)
        await agent.over(exit=KILLED, reason="time limit", **WORDS)
        await agent.close()
        await until(lambda: house.state.registry.get(agent.uuid).state == "ended")
        job, ends = await told(alice)
        output = await alice.get("/v1/jobs/4711.0/output")

    assert (job["exit"], job["reason"]) == (KILLED, "time limit")
    assert ends == ["time limit: exit KILL"]
    assert output.content == b"hasty\n"


async def test_an_end_told_in_haste_waits_for_the_whole_report_and_is_one_with_it(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        await agent.over(exit=UNKNOWN, reason="cancelled")
        await agent.vitals()
        await until(lambda: house.state.registry.get(agent.uuid).processes == 1)
        before, _ = await told(alice)
        await agent.end(survivors=2)
        job, ends = await told(alice)
        output = await alice.get("/v1/jobs/4711.0/output")

    assert before["state"] == "running"
    assert (job["state"], job["exit"]["code"], job["reason"]) == ("ended", 3, "cancelled")
    assert ends == ["cancelled: exit 3, 2 of its processes are left"]
    assert output.content == b"last words\n"


async def test_an_end_stands_after_a_while_and_a_later_report_completes_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "HOLD", 0.1)
    async with house.agent() as agent, house.user() as alice:
        await agent.over(exit=UNKNOWN)
        await until(lambda: house.state.registry.get(agent.uuid).state == "ended")
        early, _ = await told(alice)
        await agent.end()
        await agent.end(exit=KILLED)
        job, ends = await told(alice)
        output = await alice.get("/v1/jobs/4711.0/output")

    assert early["exit"]["source"] == "unknown"
    assert job["exit"]["code"] == 3
    assert ends == ["exit unknown", "exit 3, 0 of its processes are left"]
    assert output.content == b"last words\n"


async def test_a_report_that_knows_less_takes_nothing_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "HOLD", 0.05)
    async with house.agent() as agent, house.user() as alice:
        await agent.over(exit=KILLED, reason="out of memory")
        await until(lambda: house.state.registry.get(agent.uuid).state == "ended")
        await agent.over(exit=UNKNOWN)
        await agent.end(exit=UNKNOWN)
        job, ends = await told(alice)

    assert (job["exit"], job["reason"]) == (KILLED, "out of memory")
    assert ends == ["out of memory: exit KILL"]


async def test_a_job_that_tells_its_end_again_and_again_is_written_down_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "HOLD", 0.05)
    async with house.agent() as agent, house.user() as alice:
        for number in range(200):
            await agent.over(exit=KILLED, ended=1_700_000_000.0 + number)
        await until(lambda: house.state.registry.get(agent.uuid).state == "ended")
        for _ in range(200):
            await agent.over(exit=KILLED, reason="cancelled")
        await agent.end()
        job, ends = await told(alice)

    assert len(ends) <= 2
    assert job["ended"] == "2023-11-14T22:13:20.000Z"


async def test_the_end_of_an_earlier_run_told_late_on_a_channel_is_passed_over(house: House) -> None:
    house.be_patient()
    async with house.agent() as agent, house.user() as alice:
        await agent.over(epoch=REGISTRATION["epoch"] - 1)
        await agent.close()
        await asyncio.sleep(0.05)
        job, ends = await told(alice)

    assert (job["state"], ends) == ("running", [])


@pytest.mark.parametrize("wrong", [{"exit": None}, {"ended": 1e300}, {"reason": "r" * 65}, {"exit": {"source": "?"}}])
async def test_an_end_that_cannot_be_ends_the_channel_and_changes_nothing(house: House, wrong: dict[str, Any]) -> None:
    house.be_patient()
    async with house.agent() as agent, house.user() as alice:
        await agent.over(**wrong)
        await until(agent.ended.is_set)
        job, ends = await told(alice)

    assert (job["state"], ends) == ("running", [])


async def test_a_server_that_goes_down_writes_down_what_it_was_told(house: House) -> None:
    async with house.agent() as agent:
        await agent.over(exit=KILLED)
        await until(lambda: agent.uuid in house.state.endings._held)
        await house.stop()
    await house.start()
    async with house.user() as alice:
        job, _ = await told(alice)

    assert (job["state"], job["exit"]) == ("ended", KILLED)


async def test_who_waits_for_an_answer_is_told_that_the_job_has_ended(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        query = asyncio.create_task(alice.post("/v1/jobs/4711.0/query", **ask("ps")))
        await until(lambda: not agent.frames.empty())
        await agent.over()
        await agent.close()
        response = await query

    assert b'"job-ended"' in response.content
    assert PROBLEMS  # the code is one of the table's


@pytest.mark.usefixtures("at_work")
async def test_what_the_batch_system_announces_is_an_event_and_outlives_the_agent(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        for _ in range(3):
            await agent.vitals(reason="time limit")
        await until(lambda: house.state.registry.get(agent.uuid).reason == "time limit")
        await agent.vitals()
        await agent.close()
        house.clock.shift = 1000
        await until(lambda: house.state.registry.get(agent.uuid).state == "lost")
        (job,) = rows(await alice.get("/v1/jobs"))
        log = rows(await alice.get("/v1/jobs/4711.0/log"))

    assert (job["state"], job["reason"], job["exit"]) == ("lost", "time limit", None)
    assert [event["text"] for event in log if event["kind"] == "batch"] == ["the batch system says: time limit"]


# Requeue


def run(number: int) -> dict[str, Any]:
    """What the agent of a job's later run says."""
    batch = REGISTRATION["batch"] | {"restarts": str(number)}
    return {"epoch": REGISTRATION["epoch"] + number, "batch": batch}


async def test_a_requeued_job_is_back_at_once_and_the_log_tells_both_runs(house: House) -> None:
    house.be_patient()
    credential = house.job()
    async with house.agent(credential=credential) as first, house.user() as alice:
        await first.over(exit=KILLED, reason="requeued")
        async with house.agent(credential=credential, **run(1)):
            (job,) = rows(await alice.get("/v1/jobs"))
            log = rows(await alice.get("/v1/jobs/4711.0/log"))

    assert (job["state"], job["exit"], job["reason"], job["batch"]["restarts"]) == ("running", None, None, "1")
    assert [event["text"] for event in log] == [
        "runs on wn001.example.org, process 4711",
        "requeued: exit KILL",
        "runs on wn001.example.org, process 4711, restart 1",
    ]


async def test_a_requeued_job_whose_first_agent_went_without_a_word_is_back_at_once(house: House) -> None:
    house.be_patient()
    credential = house.job()
    async with house.agent(credential=credential) as first, house.user() as alice:
        await first.close()
        await until(lambda: house.state.exchange.channel(credential.uuid) is None)
        async with house.agent(credential=credential, **run(1)):
            (job,) = rows(await alice.get("/v1/jobs"))
            audit = rows(await alice.get("/v1/audit"))

    assert (job["state"], job["batch"]["restarts"]) == ("running", "1")
    assert [row["verb"] for row in audit] == ["take-over"]


@pytest.mark.parametrize(
    ("is_alive", "said"),
    [
        (True, run(1)),  # the first one's connection is open
        (False, run(1) | {"batch": {}}),  # no restart
        (False, run(1) | {"batch": {"restarts": "²"}}),
        (False, run(1) | {"epoch": REGISTRATION["epoch"] - 1}),  # an older agent
    ],
)
async def test_a_second_agent_that_only_says_it_was_requeued_waits(
    house: House, is_alive: bool, said: dict[str, Any]
) -> None:
    credential = house.job()
    house.be_patient()
    async with house.agent(credential=credential) as first:
        if not is_alive:
            await first.close()
            await until(lambda: house.state.exchange.channel(credential.uuid) is None)
        second = Agent(house, credential)
        await second.connect()
        status, answer = await second.register(**said)
        await second.close()

    assert (status, answer["error"]["code"]) == (409, "session-taken")


@pytest.mark.usefixtures("at_work")
async def test_after_a_restart_of_the_server_an_agent_has_time_to_come_back_before_a_requeued_one(house: House) -> None:
    credential = house.job()
    async with house.agent(credential=credential):
        await house.stop()
    await house.start()
    patience = house.be_patient()
    second = Agent(house, credential)
    await second.connect()
    refused, _ = await second.register(**run(1))
    house.clock.shift = patience + 1
    taken, _ = await second.register(**run(1))
    await second.close()

    assert (refused, taken) == (409, 200)
