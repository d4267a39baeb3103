"""Sessions: what an agent tells of its job, how long it speaks for it, and what is left after silence and restarts."""

import time
from typing import Any

import pytest

from jobmon_wire.jobs import FIELDS
from tests.server.house import END_REPORT, REGISTRATION, Agent, House, ask, rows, until
from tests.server.running import person_text


def code(response: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return response.status_code, response.json()["error"]["code"]


# What agents tell


async def test_a_registered_job_is_listed_with_every_field(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        await agent.vitals(rss_bytes=123456)
        await until(lambda: house.state.registry.get(agent.uuid).rss_bytes == 123456)
        (job,) = rows(await alice.get("/v1/jobs"))

    assert list(job) == [field.name for field in FIELDS]
    assert (job["id"], job["uuid"], job["owner"]) == ("4711.0", agent.uuid, "alice")
    assert job["owner_name"] == person_text(house.site, "alice")
    assert (job["state"], job["health"], job["callback"]) == ("running", "ok", "tcp")
    assert job["started"] == "2023-11-14T22:13:20.000Z"
    assert job["batch"] == REGISTRATION["batch"]
    assert job["rss_bytes"] == 123456


async def test_a_job_says_no_more_of_itself_than_its_certificate_allows(house: House) -> None:
    lie = {"owner": "bob", "owner_name": "/CN=bob", "cluster": "other", "id": "1", "uuid": "0"}
    async with house.agent() as agent, house.user("bob") as bob, house.user() as alice:
        again = Agent(house, agent.credential)
        await again.connect()
        status, _ = await again.register(**lie)
        assert status == 200
        await again.close()
        assert rows(await bob.get("/v1/jobs")) == []
        (job,) = rows(await alice.get("/v1/jobs"))

    assert (job["id"], job["uuid"], job["owner"], job["cluster"]) == ("4711.0", agent.uuid, "alice", "caf")


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": "1"},
        {"epoch": 0},
        {"started": 1e300},
        {"started": -1},
        {"mode": "beside"},
        {"node": "n" * 300},
        {"batch": {"k": 1}},
        {"command": None},
    ],
)
async def test_a_registration_that_cannot_be_is_refused_and_leaves_nothing(house: House, wrong: dict[str, Any]) -> None:
    agent = Agent(house, house.job())
    await agent.connect()
    status, answer = await agent.register(**wrong)
    await agent.close()

    assert (status, answer["error"]["code"]) == (400, "bad-request")
    assert len(house.state.registry) == 0


async def test_names_that_are_not_utf8_travel_as_lone_surrogates(house: House) -> None:
    async with house.agent(command="cat \udcff", batch={"odd": "\udc80"}), house.user() as alice:
        (job,) = rows(await alice.get("/v1/jobs"))
        detail = (await alice.get("/v1/jobs/4711.0")).json()
    await house.stop()
    await house.start()
    async with house.user() as alice:
        (again,) = rows(await alice.get("/v1/jobs"))

    assert job["command"] == again["command"] == detail["registration"]["command"] == "cat \udcff"
    assert job["batch"] == {"odd": "\udc80"}


@pytest.mark.usefixtures("at_work")
async def test_a_second_agent_of_a_job_waits_until_the_first_is_silent(house: House) -> None:
    credential = house.job()
    patience = house.be_patient()
    async with house.agent(credential=credential) as first, house.user() as alice:
        second = Agent(house, credential)
        await second.connect()
        refused, answer = await second.register(epoch=REGISTRATION["epoch"] + 1)
        assert not first.ended.is_set()
        await first.close()
        house.clock.shift = patience + 1
        taken, _ = await second.register(epoch=REGISTRATION["epoch"] + 1)
        opened = await second.open_channel()
        audit = rows(await alice.get("/v1/audit"))
        await second.close()

    assert (refused, answer["error"]["code"]) == (409, "session-taken")
    assert (taken, opened) == (200, 200)
    assert [(row["verb"], row["role"]) for row in audit] == [("take-over", "job")]


async def test_the_same_agent_that_registers_again_replaces_its_old_channel_at_once(house: House) -> None:
    credential = house.job()
    async with house.agent(credential=credential) as old, house.agent(credential=credential) as new:
        await until(old.ended.is_set)
        assert not new.ended.is_set()
        assert house.state.exchange.channel(credential.uuid) is not None


async def test_a_channel_needs_a_registration_on_its_own_connection(house: House) -> None:
    credential = house.job()
    stranger = Agent(house, credential)
    await stranger.connect()
    before = await stranger.open_channel()
    await stranger.close()
    async with house.agent(credential=credential) as agent:
        other = Agent(house, credential)
        await other.connect()
        beside = await other.open_channel()
        await other.close()
        assert not agent.ended.is_set()

    assert (before, beside) == (409, 409)


async def test_the_end_of_a_job_is_kept_with_its_last_words_and_told_once(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        first, _ = await agent.end()
        second, _ = await agent.end(exit={"code": 0, "signal": None, "core": False, "source": "wrap"})
        (job,) = rows(await alice.get("/v1/jobs"))
        detail = (await alice.get("/v1/jobs/4711.0")).json()
        output = await alice.get("/v1/jobs/4711.0/output")
        errors = await alice.get("/v1/jobs/4711.0/output?stream=stderr")
        log = rows(await alice.get("/v1/jobs/4711.0/log"))

    assert (first, second) == (204, 204)
    assert (job["state"], job["exit"]["code"], job["output_bytes"]) == ("ended", 3, 1000)
    assert detail["end"]["cpu_seconds"] == 1.5
    assert "stdout" not in detail["end"]
    assert output.content == b"last words\n"
    assert output.headers["jobmon-output-start"] == str(1000 - len(b"last words\n"))
    assert output.headers["jobmon-output-bytes"] == errors.headers["jobmon-other-bytes"] == "1000"
    assert output.headers["jobmon-other-bytes"] == errors.headers["jobmon-output-bytes"]
    assert [event["kind"] for event in log].count("ended") == 1


async def test_of_streams_that_are_one_file_none_is_called_the_other(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        await agent.end(stderr=END_REPORT["stdout"], stderr_bytes=END_REPORT["stdout_bytes"])
        output = await alice.get("/v1/jobs/4711.0/output")

    assert "jobmon-other-bytes" not in output.headers


async def test_a_requeued_job_starts_anew_and_an_older_agent_does_not(house: House) -> None:
    credential = house.job()
    async with house.agent(credential=credential) as agent, house.user() as alice:
        await agent.end()
        older = Agent(house, credential)
        await older.connect()
        refused, _ = await older.register(epoch=REGISTRATION["epoch"] - 1)
        await older.close()
        async with house.agent(credential=credential, epoch=REGISTRATION["epoch"] + 1):
            (job,) = rows(await alice.get("/v1/jobs"))
            detail = (await alice.get("/v1/jobs/4711.0")).json()
            log = rows(await alice.get("/v1/jobs/4711.0/log"))

    assert refused == 409
    assert (job["state"], job["exit"], job["ended"]) == ("running", None, None)
    assert detail["end"] is None
    assert [event["kind"] for event in log] == ["registered", "ended", "registered"]


async def test_the_end_of_an_earlier_run_does_not_end_the_one_that_runs(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        status, _ = await agent.end(epoch=REGISTRATION["epoch"] - 1)
        (job,) = rows(await alice.get("/v1/jobs"))

    assert status == 409
    assert job["state"] == "running"


@pytest.mark.parametrize("figures", [{"cpu_percent": "much"}, {"output_at": 1e300}, {"rss_bytes": True}])
async def test_vitals_that_cannot_be_end_the_channel_and_change_nothing(house: House, figures: dict[str, Any]) -> None:
    async with house.agent() as agent:
        await agent.vitals(**figures)
        await until(agent.ended.is_set)
        job = house.state.registry.get(agent.uuid)

    assert (job.cpu_percent, job.rss_bytes, job.output_at) == (None, None, None)


async def test_a_failure_of_the_server_tells_nothing_of_its_inside(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> float:
        raise RuntimeError("a secret path")

    monkeypatch.setattr(house.state, "clock", fail)
    async with house.user() as alice:
        response = await alice.get("/v1/whoami")

    assert code(response) == (500, "internal")
    assert "secret" not in response.text
    assert "a secret path" in caplog.text


# Silence and restarts


async def test_a_restarted_server_passes_over_no_agent_whose_connection_it_has_not_seen_to_end(house: House) -> None:
    credential, answers = house.job(), []
    async with house.agent(credential=credential):
        pass
    for count in (1, 2):
        await until(lambda: house.state.registry.get(credential.uuid).callback is None)
        newer = Agent(house, credential)
        await newer.connect()
        said = {"epoch": REGISTRATION["epoch"] + count, "batch": {**REGISTRATION["batch"], "restarts": str(count)}}
        answers.append((await newer.register(**said))[0])
        await newer.close()
        await house.stop()
        await house.start()

    assert answers == [200, 409]


@pytest.mark.usefixtures("at_work")
async def test_a_job_without_beats_turns_silent_then_lost_and_comes_back(house: House) -> None:
    credential = house.job()
    async with house.user() as alice:
        async with house.agent(credential=credential):
            pass
        house.clock.shift = 60
        await until(lambda: house.state.registry.get(credential.uuid).state == "silent")
        (silent,) = rows(await alice.get("/v1/jobs"))
        house.clock.shift = 1000
        await until(lambda: house.state.registry.get(credential.uuid).state == "lost")
        lost = code(await alice.post("/v1/jobs/4711.0/query", **ask("ps")))
        async with house.agent(credential=credential):
            (back,) = rows(await alice.get("/v1/jobs"))
            log = rows(await alice.get("/v1/jobs/4711.0/log"))

    assert (silent["state"], silent["health"], silent["callback"]) == ("silent", "silent", None)
    assert silent["health_reason"].startswith("no word from its agent since 20")
    assert lost == (503, "job-lost")
    assert (back["state"], back["health"]) == ("running", "ok")
    assert [event["kind"] for event in log] == ["registered", "silent", "lost", "request", "returned"]


async def test_a_server_that_stood_still_gives_jobs_three_beats_to_be_heard(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    credential = house.job()
    async with house.user() as alice:
        async with house.agent(credential=credential):
            pass
        house.clock.shift = 1000  # a machine that was paused; after as long a silence a job is lost
        await until(lambda: house.state.registry.get(credential.uuid).state != "running")
        log = rows(await alice.get("/v1/jobs/4711.0/log"))

    assert [event["kind"] for event in log] == ["registered", "silent"]
    assert "the server stood still" in caplog.text


async def test_a_restarted_server_knows_ended_jobs_and_gives_running_ones_three_beats_to_be_heard(house: House) -> None:
    running = house.job(job_id="1.0")
    async with house.agent(credential=running), house.agent(job_id="2.0") as ended:
        await ended.end()
        await house.stop()
    await house.start()
    async with house.user() as alice:
        jobs = {job["id"]: job for job in rows(await alice.get("/v1/jobs"))}
        output = await alice.get("/v1/jobs/2.0/output")
        await until(lambda: house.state.registry.get(running.uuid).state == "silent")
        async with house.agent(credential=running):
            (back,) = rows(await alice.get("/v1/jobs?select=state:running"))

    assert (jobs["1.0"]["state"], jobs["2.0"]["state"]) == ("running", "ended")
    assert jobs["2.0"]["exit"]["code"] == 3
    assert output.content == b"last words\n"
    assert back["id"] == "1.0"


async def test_a_job_that_prints_nothing_and_computes_nothing_is_stuck(house: House) -> None:
    async with house.agent(started=time.time() - 7200) as agent, house.user() as alice:
        await agent.vitals(cpu_percent=0.2, output_at=time.time() - 3600)
        job = house.state.registry.get(agent.uuid)
        await until(lambda: job.health == "stuck")
        (listed,) = rows(await alice.get("/v1/jobs?select=health:stuck"))
        await agent.vitals(cpu_percent=0.2, output_at=time.time())
        await until(lambda: job.health == "ok")

    assert listed["health_reason"] == "no output for 60 min and 0.2% CPU"


@pytest.mark.parametrize(
    ("figures", "health", "reason"),
    [
        ({"rss_bytes": 95 * 2**30, "memory_limit": 100 * 2**30}, "memory", "uses 95% of its 100.0 GiB of memory"),
        ({"rss_bytes": 89 * 2**30, "memory_limit": 100 * 2**30}, "ok", None),
        ({"rss_bytes": 95 * 2**30, "memory_limit": None}, "ok", None),
        ({"oom_kills": 1, "memory_limit": 2**40}, "memory", "1 of its processes killed for want of memory"),
        ({"oom_kills": 0}, "ok", None),
        ({"state": "T"}, "stuck", "its first process is stopped"),
    ],
)
async def test_a_job_short_of_memory_or_stopped_is_not_well(
    house: House, figures: dict[str, object], health: str, reason: str | None
) -> None:
    async with house.agent() as agent, house.user() as alice:
        await agent.vitals(output_bytes=77, **figures)
        job = house.state.registry.get(agent.uuid)
        await until(lambda: job.output_bytes == 77)
        job.examine(house.clock())
        (listed,) = rows(await alice.get("/v1/jobs"))

    assert (job.health, job.health_reason) == (health, reason)
    assert listed["memory_limit"] == figures.get("memory_limit")
    assert listed["oom_kills"] == figures.get("oom_kills")
    assert listed["process_state"] == figures.get("state")


async def test_jobs_that_ended_long_ago_are_forgotten_with_their_events(house: House) -> None:
    async with house.agent(job_id="old") as agent, house.user() as alice:
        await agent.end()
        await agent.close()
        await until(lambda: house.state.exchange.channel(agent.uuid) is None)
        house.clock.shift = 2 * 86400.0
        async with house.agent(job_id="new"):
            await house.state._forget()
            jobs = rows(await alice.get("/v1/jobs"))

    assert [job["id"] for job in jobs] == ["new"]
    assert house.state.store.events(agent.uuid, 0) == []
