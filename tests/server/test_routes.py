"""The routes: what agents tell becomes what users read, and every refusal is one of the table's."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from jobmon_pki import keys
from jobmon_pki.site import Site
from jobmon_wire import limits
from jobmon_wire.jobs import FIELDS
from tests.server.house import END_REPORT, PING, REGISTRATION, Agent, House, ask, rows, until
from tests.server.running import person_text

CONTEXTS: dict[Any, Any] = {}  # people's TLS, made once


@pytest.fixture
async def house(site: Site, desk: Path, tmp_path: Path) -> AsyncIterator[House]:
    """A running server with an empty store."""
    site.store_path = tmp_path / "store.sqlite"
    house = House(site, desk, CONTEXTS)
    await house.start()
    yield house
    await house.stop()


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
        {"mode": "attach"},
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


async def test_a_second_agent_of_a_job_waits_until_the_first_is_silent(house: House) -> None:
    credential = house.job()
    async with house.agent(credential=credential) as first, house.user() as alice:
        second = Agent(house, credential)
        await second.connect()
        refused, answer = await second.register(epoch=REGISTRATION["epoch"] + 1)
        assert not first.ended.is_set()
        await first.close()
        house.clock.shift = 3 * PING + 1
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
        await asyncio.wait_for(old.ended.wait(), 2)
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
        log = rows(await alice.get("/v1/jobs/4711.0/log"))

    assert (first, second) == (204, 204)
    assert (job["state"], job["exit"]["code"]) == ("ended", 3)
    assert detail["end"]["cpu_seconds"] == 1.5
    assert "stdout" not in detail["end"]
    assert output.content == b"last words\n"
    assert output.headers["jobmon-output-start"] == str(1000 - len(b"last words\n"))
    assert output.headers["jobmon-output-bytes"] == "1000"
    assert [event["kind"] for event in log].count("ended") == 1


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
        status, _ = await agent.end(ended=REGISTRATION["epoch"] / 1000 - 60)
        (job,) = rows(await alice.get("/v1/jobs"))

    assert status == 409
    assert job["state"] == "running"


# Silence and restarts


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


async def test_a_restarted_server_knows_ended_jobs_and_takes_running_ones_for_silent(house: House) -> None:
    running = house.job(job_id="1.0")
    async with house.agent(credential=running), house.agent(job_id="2.0") as ended:
        await ended.end()
        await house.stop()
    await house.start()
    async with house.user() as alice:
        jobs = {job["id"]: job for job in rows(await alice.get("/v1/jobs"))}
        output = await alice.get("/v1/jobs/2.0/output")
        async with house.agent(credential=running):
            (back,) = rows(await alice.get("/v1/jobs?select=state:running"))

    assert (jobs["1.0"]["state"], jobs["2.0"]["state"]) == ("silent", "ended")
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


# What users read


async def test_whoami_tells_a_person_who_they_are(house: House) -> None:
    async with house.user("adam", "caf", "other") as admin:
        answer = (await admin.get("/v1/whoami")).json()

    assert answer["name"] == person_text(house.site, "adam")
    assert (answer["owner"], answer["role"], answer["clusters"], answer["cluster"]) == (
        "adam",
        "admin",
        ["caf", "other"],
        "caf",
    )
    assert answer["not_after"] > answer["now"]
    assert answer["version"]


async def test_lists_are_selected_sorted_and_cut(house: House) -> None:
    async with (
        house.agent(job_id="1", started=100.0),
        house.agent(job_id="2", started=300.0, node="wn002"),
        house.agent(job_id="3", started=200.0, node="wn002"),
        house.user() as alice,
    ):

        async def ids(parameters: str) -> list[str]:
            return [job["id"] for job in rows(await alice.get(f"/v1/jobs{parameters}"))]

        assert await ids("") == ["2", "3", "1"]
        assert await ids("?sort=id") == ["1", "2", "3"]
        assert await ids("?sort=-id&limit=2") == ["3", "2"]
        assert await ids("?select=node:wn002+-id=2") == ["3"]
        assert await ids("?select=owner:me") == ["2", "3", "1"]
        assert await ids("?select=nothing") == []
        assert await ids("?sort=exit") != []
        wrong = await alice.get("/v1/jobs", params={"select": "id:1 (colour:red)"})
        for parameters in ("?sort=colour", "?sort=tags", "?limit=0", "?limit=x", "?limit=99999999999"):
            assert code(await alice.get(f"/v1/jobs{parameters}")) == (400, "bad-request")

    assert code(wrong) == (400, "bad-selector")
    assert wrong.json()["error"]["position"] == 6
    assert wrong.json()["error"]["expected"]


async def test_a_job_is_found_by_uuid_id_and_prefix(house: House) -> None:
    async with house.agent(job_id="470.0") as first, house.agent(job_id="471.0"), house.user() as alice:
        for reference in (first.uuid, first.uuid[:13], "470.0", "470"):
            assert (await alice.get(f"/v1/jobs/{reference}")).json()["uuid"] == first.uuid
        ambiguous = await alice.get("/v1/jobs/47")
        absent = await alice.get("/v1/jobs/48")

    assert code(ambiguous) == (409, "ambiguous-job")
    assert [each["id"] for each in ambiguous.json()["error"]["candidates"]] == ["470.0", "471.0"]
    assert code(absent) == (404, "no-such-job")


async def test_of_jobs_with_one_id_the_one_that_runs_is_meant(house: House) -> None:
    async with house.agent(job_id="1") as old, house.agent(job_id="10"), house.user() as alice:
        await old.end()
        async with house.agent(job_id="1") as new:
            found = await alice.get("/v1/jobs/1")
            await new.end()
            both = await alice.get("/v1/jobs/1")

    assert found.json()["uuid"] == new.uuid
    assert code(both) == (409, "ambiguous-job")


async def test_a_log_is_followed_until_the_job_ends(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        async with alice.stream("GET", "/v1/jobs/4711.0/log?follow=1") as response:
            lines = response.aiter_lines()
            registered = json.loads(await anext(lines))
            await agent.say("37% event 12k")
            progress = json.loads(await asyncio.wait_for(anext(lines), 1))
            await agent.end()
            rest = [json.loads(line) async for line in lines]
        (job,) = rows(await alice.get("/v1/jobs"))

    assert (registered["kind"], progress["kind"], progress["text"]) == ("registered", "progress", "37% event 12k")
    assert [event["kind"] for event in rest] == ["ended"]
    assert job["progress"] == "37% event 12k"


async def test_a_job_that_talks_without_end_is_heard_at_a_bounded_rate(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        for number in range(500):
            await agent.say(f"line {number}")
        await agent.vitals()
        await until(lambda: house.state.registry.get(agent.uuid).cpu_percent)
        house.clock.shift = 5
        await agent.say("later")
        await until(lambda: house.state.registry.get(agent.uuid).progress == "later")
        log = rows(await alice.get("/v1/jobs/4711.0/log"))

    kinds = [event["kind"] for event in log]
    assert 100 <= kinds.count("progress") <= 150
    assert "lines of progress were dropped" in next(event["text"] for event in log if event["kind"] == "limit")


async def test_an_owner_reads_what_an_administrator_did_to_her_job(house: House) -> None:
    async with house.agent() as agent, house.user("adam", "caf") as admin, house.user() as alice:
        await agent.end()
        await admin.get("/v1/jobs/4711.0/output?stream=stderr")
        async with house.user("bob") as bob:
            foreign = rows(await bob.get("/v1/audit"))
        for_admin = rows(await admin.get("/v1/audit?job=4711.0"))
        (row,) = rows(await alice.get("/v1/audit"))

    assert foreign == []
    assert for_admin == [row]
    assert row["who"] == person_text(house.site, "adam")
    assert (row["verb"], row["role"], row["arguments"]) == ("output", "admin", {"stream": "stderr"})
    assert (row["job"], row["id"], row["decision"], row["outcome"]) == (agent.uuid, "4711.0", "allowed", "done")


async def test_an_action_on_somebody_elses_job_is_refused_and_written_down(house: House) -> None:
    async with house.agent("bob", "9.0") as agent, house.user() as alice, house.user("bob") as bob:
        await alice.post("/v1/jobs/9.0/query", **ask("kill"))
        (mine,) = rows(await alice.get("/v1/audit"))
        assert rows(await bob.get("/v1/audit")) == []
        assert agent.frames.empty()

    assert (mine["verb"], mine["id"], mine["job"], mine["decision"]) == ("kill", "9.0", "", "denied")


async def test_the_output_of_a_job_that_runs_is_not_kept(house: House) -> None:
    async with house.agent(), house.user() as alice:
        assert code(await alice.get("/v1/jobs/4711.0/output")) == (400, "bad-request")
        assert code(await alice.get("/v1/jobs/4711.0/output?stream=core")) == (400, "bad-request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"verb":1}',
        b'{"verb":"exec"}',
        b'{"verb":"__class__"}',
        b'{"verb":"ps","arguments":[]}',
        b'{"verb":"ps","arguments":{"pid":1}}',
        b'{"verb":"head","arguments":{"lines":-1}}',
        b'{"verb":"kill","arguments":{"signal":"NONE"}}',
        b'{"verb":"ps","verb":"kill"}',
    ],
)
async def test_a_query_that_is_none_is_a_bad_request(house: House, body: bytes) -> None:
    async with house.agent() as agent, house.user() as alice:
        response = await alice.post("/v1/jobs/4711.0/query", content=body)

        assert code(response) == (400, "bad-request")
        assert agent.frames.empty()


async def test_a_body_over_the_limit_is_refused(house: House) -> None:
    async with house.user() as alice:
        response = await alice.post("/v1/credentials", content=b" " * (limits.DOCUMENT_BYTES + 1))

    assert code(response) == (413, "too-large")


async def test_unknown_routes_and_methods_get_the_tables_refusals(house: House) -> None:
    async with house.user() as alice:
        for path in ("/", "/v1", "/v1/jobs/", "/v1/jobs/1/exec", "/v2/jobs", "/v1/register"):
            assert code(await alice.get(path)) == (404, "no-such-route")
        assert code(await alice.get("/v1/jobs/1/query")) == (405, "method-not-allowed")
        assert code(await alice.delete("/v1/jobs/1")) == (405, "method-not-allowed")
        assert (await alice.head("/v1/jobs/watch")).status_code == 405


# Credentials


def wanted(*ids: str) -> list[dict[str, str]]:
    """Requests for credentials."""
    return [{"id": each, "request": keys.request_pem(keys.new_key(), "someone-else")} for each in ids]


async def test_an_owner_gets_credentials_for_jobs_of_her_own_name(house: House) -> None:
    async with house.user() as alice:
        response = await alice.post("/v1/credentials", json={"jobs": wanted("1.0", "2.0"), "lifetime": 3600})
        answer = response.json()
        (row,) = rows(await alice.get("/v1/audit"))

    first = x509.load_pem_x509_certificate(answer["jobs"][0]["certificate"].encode())
    assert answer["agents"] == house.site.agents_url
    assert answer["server_ca"] == house.site.server_ca_pem()
    assert [job["id"] for job in answer["jobs"]] == ["1.0", "2.0"]
    assert answer["jobs"][0]["holder"] == person_text(house.site, "alice") + "/CN=1.0"
    assert answer["jobs"][0]["cluster"] == "caf"
    assert "someone-else" not in first.subject.rfc4514_string()
    assert (row["verb"], row["arguments"]["ids"], row["outcome"]) == ("credentials", ["1.0", "2.0"], "done")
    assert [event[2] for event in house.state.store.events(answer["jobs"][0]["uuid"], 0)] == ["issued"]


async def test_an_issued_credential_registers_its_job(house: House) -> None:
    key = keys.new_key()
    request = {"id": "77.0", "request": keys.request_pem(key, "77.0")}
    async with house.user() as alice:
        answer = (await alice.post("/v1/credentials", json={"jobs": [request]})).json()
        (issued,) = answer["jobs"]
        credential = house.job()._replace(
            certificate=issued["certificate"], key=keys.key_pem(key), uuid=issued["uuid"], job="77.0"
        )
        async with house.agent(credential=credential):
            (job,) = rows(await alice.get("/v1/jobs"))
            log = rows(await alice.get("/v1/jobs/77.0/log"))

    assert job["id"] == "77.0"
    assert [event["kind"] for event in log] == ["issued", "registered"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"jobs": []},
        {"jobs": [1]},
        {"jobs": [{"id": "../1", "request": "x"}]},
        {"jobs": [{"id": "1", "request": "x"}]},
        {"jobs": [{"id": "1"}]},
        {"jobs": [{"id": "1", "request": "x"}] * 1001},
        {"jobs": wanted("1"), "lifetime": "long"},
        {"jobs": wanted("1"), "lifetime": -1},
        {"jobs": wanted("1"), "lifetime": 1e9},
    ],
)
async def test_credentials_that_cannot_be_issued_are_refused(house: House, asked: dict[str, Any]) -> None:
    async with house.user() as alice:
        assert code(await alice.post("/v1/credentials", json=asked)) == (400, "bad-request")


def test_the_double_sends_an_end_report_of_the_protocol() -> None:
    assert END_REPORT["stdout_bytes"] > 11
