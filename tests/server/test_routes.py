"""The routes: what agents tell becomes what users read, and every refusal is one of the table's."""

import asyncio
import json
from typing import Any

import pytest
from cryptography import x509

from jobmon_pki import keys
from jobmon_wire import PROTOCOL, limits
from tests.server.house import END_REPORT, PATIENCE, House, ask, rows, until
from tests.server.running import person_text


def code(response: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return response.status_code, response.json()["error"]["code"]


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
    assert answer["protocol"] == PROTOCOL


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


async def test_a_list_has_the_fields_that_were_asked_for_and_no_others(house: House) -> None:
    async with house.agent(job_id="1"), house.agent(job_id="2"), house.agent("bob", "3"), house.user() as alice:
        some = await alice.get("/v1/jobs?sort=id&fields=state,id,state")
        paged = await alice.get("/v1/jobs?sort=-id&fields=node&limit=1")
        wrong = [await alice.get(f"/v1/jobs?fields={text}") for text in ("id,colour", "id,", ",", "packed", "ID")]
        assert rows(await alice.get("/v1/jobs?fields=")) == rows(await alice.get("/v1/jobs"))

    assert [list(row.items()) for row in rows(some)] == [[("state", "running"), ("id", job)] for job in ("1", "2")]
    assert [list(row) for row in rows(paged)] == [["node"]]
    assert paged.headers["JobMon-Next"]
    assert [code(each) for each in wrong] == [(400, "bad-request")] * 5
    assert "colour" in wrong[0].json()["error"]["message"]


async def test_a_long_list_comes_in_pages_that_say_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmon_server.listing.PAGE", 2)
    async with (
        house.agent(job_id="1"),
        house.agent(job_id="2"),
        house.agent(job_id="3"),
        house.agent("bob", "9"),
        house.user() as alice,
    ):
        first = await alice.get("/v1/jobs?sort=id&limit=100")
        second = await alice.get("/v1/jobs", params={"sort": "id", "after": first.headers["JobMon-Next"]})
        wrong = await alice.get("/v1/jobs?after=nonsense")

    assert [job["id"] for job in rows(first)] == ["1", "2"]
    assert [job["id"] for job in rows(second)] == ["3"]
    assert [page.headers["JobMon-Total"] for page in (first, second)] == ["3", "3"]
    assert "JobMon-Next" not in second.headers
    assert code(wrong) == (400, "bad-request")


async def test_a_job_is_found_by_uuid_id_and_prefix(house: House) -> None:
    async with house.agent(job_id="470.0") as first, house.agent(job_id="471.0"), house.user() as alice:
        for reference in (first.uuid, first.uuid[:13], "470.0", "470"):
            assert (await alice.get(f"/v1/jobs/{reference}")).json()["uuid"] == first.uuid
        ambiguous = await alice.get("/v1/jobs/47")
        absent = await alice.get("/v1/jobs/48x")  # no uuid begins so

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
            progress = json.loads(await asyncio.wait_for(anext(lines), PATIENCE))
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
