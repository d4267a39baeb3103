"""A signal to one process of a job is its owner's to send, or an administrator's; which one is written down."""

import asyncio

import pytest

from jobmon_wire import frames
from tests.server.house import House, ask, rows

PROCESS = {"pid": 31337, "started": "2458696:dc11b80b", "signal": "KILL"}


@pytest.mark.parametrize(("person", "clusters"), [("bob", ()), ("alice2", ()), ("eve", ("other",))])
async def test_a_process_of_somebody_elses_job_is_none_at_all(
    house: House, person: str, clusters: tuple[str, ...]
) -> None:
    async with house.agent() as agent, house.user(person, *clusters) as other, house.user() as alice:
        foreign = await other.post("/v1/jobs/4711.0/query", **ask("kill", **PROCESS))
        by_uuid = await other.post(f"/v1/jobs/{agent.uuid}/query", **ask("kill", **PROCESS))
        absent = await other.post("/v1/jobs/4712.0/query", **ask("kill", **PROCESS))
        assert agent.frames.empty()
        theirs = rows(await other.get("/v1/audit"))
        # The control: its owner's request comes through, and names the process.
        asking = asyncio.create_task(alice.post("/v1/jobs/4711.0/query", **ask("kill", **PROCESS)))
        request = await agent.next(frames.REQUEST)
        await agent.answer(request.request)
        served = await asking

    assert {answer.status_code for answer in (foreign, by_uuid, absent)} == {404}
    assert foreign.content == by_uuid.content == absent.content
    assert [(row["verb"], row["job"], row["decision"]) for row in theirs] == [("kill", "", "denied")] * 3
    assert all(PROCESS.items() <= row["arguments"].items() for row in theirs)
    assert served.status_code == 200
    assert request.document() == {"verb": "kill", "arguments": PROCESS}


async def test_an_administrators_signal_to_one_process_is_in_the_owners_trail(house: House) -> None:
    async with house.agent() as agent, house.user("adam", "caf") as admin, house.user() as alice:
        asking = asyncio.create_task(admin.post("/v1/jobs/4711.0/query", **ask("kill", **PROCESS)))
        await agent.answer((await agent.next(frames.REQUEST)).request)
        await asking
        (row,) = rows(await alice.get("/v1/audit"))

    assert (row["verb"], row["role"], row["decision"]) == ("kill", "admin", "allowed")
    assert row["arguments"] == {**PROCESS, "grace": None}


@pytest.mark.parametrize(
    "arguments",
    [{"pid": 1}, {"pid": 0}, {"pid": -1}, {"pid": True}, {"pid": "31337"}, {"pid": 31337, "started": 2458696.0}],
)
async def test_numbers_that_mean_no_process_do_not_leave_the_server(house: House, arguments: dict[str, object]) -> None:
    async with house.agent() as agent, house.user() as alice:
        refused = await alice.post("/v1/jobs/4711.0/query", **ask("kill", **arguments))

        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad-request")
        assert agent.frames.empty()
