"""A watch: first what there is, then each change soon, never faster than a reader takes it."""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from jobmon_server.jobs import Job
from jobmon_server.listing import Order
from jobmon_server.public import public
from jobmon_server.registry import Registry
from jobmon_server.selection import Selection
from jobmon_server.watch import Watch
from tests.server.house import PATIENCE, House, a_job, person, until


class Lines:
    """The lines of a watch."""

    def __init__(self, response: httpx.Response) -> None:
        assert response.status_code == 200
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """The next line that is no sign of life and announces nothing."""
        while (line := await self.any())["kind"] in ("alive", "sync", "resumed"):
            pass
        return line

    async def any(self) -> dict[str, Any]:
        """The next line."""
        async with asyncio.timeout(PATIENCE):
            return dict(json.loads(await anext(self._lines)))

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
    assert second["kind"] == "live"
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

    assert (gone["kind"], gone["uuids"]) == ("gone", [agent.uuid])


async def test_a_watch_of_nothing_is_live_at_once_and_tells_that_it_lives(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobmon_server.watch.ALIVE", 0.05)
    async with house.user() as alice, alice.stream("GET", "/v1/jobs/watch?select=id:none") as response:
        lines = response.aiter_lines()
        told = [json.loads(await anext(lines)) for _ in range(4)]

    assert [line["kind"] for line in told] == ["sync", "live", "alive", "alive"]
    assert told[2]["now"].endswith("Z")


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

    assert live["kind"] == "live"
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
            assert [json.loads(await anext(lines))["kind"] for _ in range(2)] == ["sync", "live"]
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


# What a console needs of 100,000 jobs: a screen at once, then the rest; and to come back without it


def fill(house: House, number: int) -> list[Job]:
    """Jobs of alice's that have ended, the last one started last."""
    jobs = [a_job(f"u-{i:05d}", str(i), state="ended") for i in range(number)]
    for i, job in enumerate(jobs):
        job.started, job.node = 1000.0 + i, f"wn{i % 3}"
        house.state.registry.add(job)
    return jobs


async def test_a_snapshot_begins_with_counts_and_a_screenful_in_the_readers_order(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobmon_server.watch.FIRST", 5)
    monkeypatch.setattr("jobmon_server.watch.PART", 20)
    fill(house, 45)
    house.state.registry.add(a_job("b-1", owner="bob"))
    async with house.user() as alice, alice.stream("GET", "/v1/jobs/watch?sort=-id") as response:
        lines = Lines(response)
        sync, *parts = [await lines.any() for _ in range(4)]
        live = await lines.any()

    assert (sync["kind"], sync["total"], live["kind"]) == ("sync", 45, "live")
    assert sync["counts"]["node"] == {"wn0": 15, "wn1": 15, "wn2": 15}
    assert (sync["counts"]["state"], sync["counts"]["cluster"]) == ({"ended": 45}, {"caf": 45})
    assert [len(part["jobs"]) for part in parts] == [5, 20, 20]
    assert [job["id"] for job in parts[0]["jobs"]] == ["9", "8", "7", "6", "5"]
    assert len({job["uuid"] for part in parts for job in part["jobs"]}) == 45


async def position_of(lines: Lines, epoch: str = "") -> str:
    """Where a watch could be resumed, once it is live."""
    while (line := await lines.any())["kind"] != "live":
        epoch = line.get("epoch", epoch)
    return f"{epoch}:{line['seq']}"


@pytest.mark.parametrize("select", ["", "&select=node:wn1", "&select=state:ended"])
async def test_a_reader_who_comes_back_is_told_what_has_changed_and_nothing_else(house: House, select: str) -> None:
    jobs = fill(house, 9)
    async with house.user() as alice:
        async with alice.stream("GET", f"/v1/jobs/watch?{select}") as response:
            position = await position_of(Lines(response))
        jobs[1].progress, jobs[4].node, jobs[7].state = "half", "wn2", "lost"
        for job in (jobs[1], jobs[4], jobs[7]):
            house.state.registry.changed(job)
        house.state.registry.remove("u-00002")
        house.state.registry.remove("u-00005")
        async with alice.stream("GET", f"/v1/jobs/watch?resume={position}{select}") as response:
            lines = Lines(response)
            told = [await lines.any()]
            while told[-1]["kind"] != "live":
                told.append(await lines.any())

    came = [job["uuid"] for line in told for job in line.get("jobs", ())]
    gone = {uuid for line in told for uuid in line.get("uuids", ())}
    assert told[0]["kind"] == "resumed"
    assert (
        came
        == {
            "": ["u-00001", "u-00004", "u-00007"],
            "&select=node:wn1": ["u-00001", "u-00007"],
            "&select=state:ended": ["u-00001", "u-00004"],
        }[select]
    )
    assert gone >= {"u-00002", "u-00005"}
    assert gone - {"u-00002", "u-00005"} == {"": set(), "&select=node:wn1": {"u-00004"}}.get(select, {"u-00007"})
    assert told[-1]["seq"] > int(position.partition(":")[2])


@pytest.mark.parametrize("position", ["", "x:1", "EPOCH:", "EPOCH:-1", "EPOCH:99999", "EPOCH:0", "EPOCH:1e3"])
async def test_who_comes_back_too_late_or_from_elsewhere_is_told_everything(house: House, position: str) -> None:
    registry = house.state.registry
    registry._gone = deque(maxlen=2)
    fill(house, 6)
    for uuid in ("u-00000", "u-00001", "u-00002"):
        registry.remove(uuid)
    async with house.user() as alice:
        resume = position.replace("EPOCH", registry.epoch)
        async with alice.stream("GET", f"/v1/jobs/watch?resume={resume}") as response:
            first = await Lines(response).any()

    assert (first["kind"], first["total"]) == ("sync", 3)


async def test_nobody_resumes_into_jobs_that_are_not_theirs(house: House) -> None:
    fill(house, 3)
    house.state.registry.add(a_job("b-1", owner="bob"))
    house.state.registry.add(a_job("b-2", owner="bob"))
    house.state.registry.remove("b-2")
    position = f"{house.state.registry.epoch}:0"
    jobs, gone = {}, {}
    for name in ("alice", "bob", "eve"):
        async with house.user(name) as user, user.stream("GET", f"/v1/jobs/watch?resume={position}") as response:
            lines = Lines(response)
            told = [await lines.any()]
            while told[-1]["kind"] != "live":
                told.append(await lines.any())
        jobs[name] = {job["uuid"] for line in told for job in line.get("jobs", ())}
        gone[name] = [uuid for line in told for uuid in line.get("uuids", ())]

    assert jobs == {"alice": {"u-00000", "u-00001", "u-00002"}, "bob": {"b-1"}, "eve": set()}
    assert gone == {"alice": [], "bob": ["b-2"], "eve": []}


def a_watch(registry: Registry, select: str = "") -> Watch:
    """Alice's watch without a network: whoever iterates it is its reader."""
    peer = person("alice")
    return Watch(registry, Selection(select, peer), Order("-started"), "", time.time)


async def read_until_live(lines: AsyncGenerator[bytes]) -> list[dict[str, Any]]:
    """The lines of a snapshot, after whatever else."""
    told = []
    async with asyncio.timeout(PATIENCE):
        while not told or told[-1]["kind"] != "live":
            told.append(json.loads(await anext(lines)))
    return told


async def test_a_reader_far_behind_is_told_everything_anew_and_little_waits_for_him(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobmon_server.watch.BEHIND", 10)
    registry = Registry()
    jobs = [a_job(f"u-{i:02d}") for i in range(50)]
    for job in jobs:
        registry.add(job)
    watch = a_watch(registry)
    async with contextlib.aclosing(watch.lines()) as lines:
        await read_until_live(lines)
        for turn in range(3):  # nobody reads meanwhile
            for job in jobs:
                job.progress = str(turn)
                registry.changed(job)
        registry.remove("u-49")
        waiting = len(watch._dirty)
        anew = await read_until_live(lines)

    assert waiting <= 10
    assert (anew[0]["kind"], anew[0]["total"]) == ("sync", 49)
    assert {job["progress"] for line in anew for job in line.get("jobs", ())} == {"2"}


async def test_what_a_line_numbers_is_known_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every position that a reader is told can be resumed from without losing a change."""
    monkeypatch.setattr("jobmon_server.watch.PART", 3)
    monkeypatch.setattr("jobmon_server.watch.PACE", 0.0)
    registry = Registry()
    jobs = [a_job(f"u-{i}") for i in range(8)]
    for job in jobs:
        registry.add(job)
    known: dict[str, str | None] = {}
    async with contextlib.aclosing(a_watch(registry).lines()) as lines:
        await read_until_live(lines)
        for turn in range(5):
            for job in jobs[turn % 3 :]:
                job.progress = str(turn)
                registry.changed(job)
            number = None
            while number is None:
                line = json.loads(await anext(lines))
                known.update((job["uuid"], job["progress"]) for job in line.get("jobs", ()))
                number = line.get("seq")
            assert number == registry.change
            assert all(known.get(job.uuid) == job.progress for job in jobs if job.progress is not None)


async def test_a_change_is_written_once_for_all_who_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr("jobmon_server.texts.TEXTS", 2)
    monkeypatch.setattr("jobmon_server.texts.public", lambda job: written.append(job.uuid) or public(job))
    registry = Registry()
    for number in range(5):
        registry.add(a_job(f"t-{number}"))
    job = a_job("u-1")
    registry.add(job)
    async with contextlib.AsyncExitStack() as stack:
        watches = [await stack.enter_async_context(contextlib.aclosing(a_watch(registry).lines())) for _ in range(5)]
        for lines in watches:
            await read_until_live(lines)
        written.clear()
        job.progress = "half"
        registry.changed(job)
        told = [json.loads(await anext(lines))["jobs"][0]["progress"] for lines in watches]

    assert told == ["half"] * 5
    assert written == ["u-1"]
