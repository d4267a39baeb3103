"""A watch: first what there is, then each change soon, never faster than a reader takes it."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from tests.server.house import House, a_job, until


class Lines:
    """The lines of a watch."""

    def __init__(self, response: httpx.Response) -> None:
        assert response.status_code == 200
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """The next line that is no sign of life."""
        async with asyncio.timeout(5):
            while (line := json.loads(await anext(self._lines)))["kind"] == "alive":
                pass
        return dict(line)

    async def until(self, wanted: Any) -> dict[str, Any]:
        """The first record for which this is true."""
        while True:
            line = await self.next()
            for job in line.get("jobs", ()):
                if wanted(job):
                    return dict(job)


async def test_a_watch_tells_what_there_is_then_what_changes(house: House) -> None:
    async with (
        house.agent(job_id="1.0") as agent,
        house.agent("bob", "9.0"),
        house.user() as alice,
        alice.stream("GET", "/v1/jobs/watch") as response,
    ):
        lines = Lines(response)
        first, second = await lines.next(), await lines.next()
        begun = time.monotonic()
        await agent.say("half")
        changed = await lines.until(lambda job: job["progress"] == "half")
        delay = time.monotonic() - begun
        await agent.end()
        ended = await lines.until(lambda job: job["state"] == "ended")

    assert first["kind"] == "jobs"
    assert [job["id"] for job in first["jobs"]] == ["1.0"]
    assert second == {"kind": "live"}
    assert changed["id"] == ended["id"] == "1.0"
    assert delay < 0.5


async def test_a_job_that_no_longer_fits_the_selector_is_gone(house: House) -> None:
    async with (
        house.agent() as agent,
        house.user() as alice,
        alice.stream("GET", "/v1/jobs/watch?select=state:running") as response,
    ):
        lines = Lines(response)
        assert [(await lines.next())["kind"] for _ in range(2)] == ["jobs", "live"]
        await agent.end()
        gone = await lines.next()
        while gone["kind"] == "jobs":  # a beat may have come between
            gone = await lines.next()

    assert gone == {"kind": "gone", "uuids": [agent.uuid]}


async def test_a_watch_of_nothing_is_live_at_once_and_tells_that_it_lives(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobmon_server.watch.ALIVE", 0.05)
    async with house.user() as alice, alice.stream("GET", "/v1/jobs/watch?select=id:none") as response:
        lines = response.aiter_lines()
        told = [json.loads(await anext(lines)) for _ in range(3)]

    assert [line["kind"] for line in told] == ["live", "alive", "alive"]
    assert told[1]["now"].endswith("Z")


async def test_time_alone_brings_a_job_into_a_watch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmon_server.watch.ALIVE", 0.05)
    job = a_job("u-1")
    job.started, job.state = house.clock() - 60, "ended"
    house.state.registry.add(job)
    async with house.user() as alice, alice.stream("GET", "/v1/jobs/watch?select=age>2m") as response:
        lines = Lines(response)
        live = await lines.next()
        house.clock.shift = 90
        older = await lines.next()

    assert live == {"kind": "live"}
    assert [job["uuid"] for job in older["jobs"]] == ["u-1"]


async def test_at_most_four_lines_a_second_and_the_last_state_of_each_job(house: House) -> None:
    jobs = [a_job(f"u-{number}", str(number), state="ended") for number in range(50)]
    for job in jobs:
        house.state.registry.add(job)
    async with house.user() as alice, alice.stream("GET", "/v1/jobs/watch") as response:
        lines = Lines(response)
        assert len((await lines.next())["jobs"]) == 50
        await lines.next()
        begun, told = time.monotonic(), []

        async def change() -> None:
            for number in range(120):
                for job in jobs:
                    job.progress = str(number)
                    house.state.registry.changed(job)
                await asyncio.sleep(0.01)

        changing = asyncio.create_task(change())
        while not told or told[-1]["jobs"][-1]["progress"] != "119":
            told.append(await lines.next())
        took = time.monotonic() - begun
        await changing

    assert len(told) <= took * 4 + 2
    assert all(len(line["jobs"]) == len({job["uuid"] for job in line["jobs"]}) for line in told)


async def test_watches_end_when_the_server_goes_down_or_the_reader_leaves(house: House) -> None:
    async with house.user() as alice:
        async with alice.stream("GET", "/v1/jobs/watch") as response:
            await Lines(response).next()
        await until(lambda: not house.state.watches)
        async with alice.stream("GET", "/v1/jobs/watch") as response:
            lines = response.aiter_lines()
            await anext(lines)
            await house.stop()
            assert [line async for line in lines] == []
        await house.start()


async def test_nobody_opens_streams_without_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmon_server.readers.SHARE", 2)
    async with (
        house.user() as alice,
        house.user("bob") as bob,
        alice.stream("GET", "/v1/jobs/watch"),
        alice.stream("GET", "/v1/jobs/watch"),
    ):
        refused = await alice.get("/v1/jobs")
        others = await bob.get("/v1/jobs")

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too-many")
    assert others.status_code == 200
