"""Every route, for every kind of caller, about every kind of job: generated from the servers' own tables.

A route that is added is tested without a line here.  What a caller may not see
answers, byte for byte, as what does not exist.  The owner's own requests are
the positive control: they are served.
"""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from jobmon_pki.names import parse
from jobmon_pki.profiles import ADMIN, JOB, OWNER
from jobmon_pki.site import Site
from jobmon_server.access import BY_VERB, SELF, DeclarationError, Entry
from jobmon_server.application import build
from jobmon_server.peer import Peer
from jobmon_server.routes_agents import ROUTES as AGENTS
from jobmon_server.routes_users import ROUTES as USERS
from jobmon_wire import frames
from jobmon_wire.verbs import EXEC, READ, SIGNAL, VERBS, VIEW
from tests.server.house import Agent, House, rows
from tests.server.running import new_site

CONTEXTS: dict[Any, Any] = {}  # people's TLS, made once

PEOPLE = {"alice": (), "bob": (), "alice2": (), "adam": ("caf",), "eve": ("other",)}
# Each has a job that runs and, with "-e", one that has ended; no beginning of an id can be one of a uuid.
OWNERS = {"alice": "x4711.0", "bob": "x9000.7"}


def may_see(person: str, owner: str) -> bool:
    """What the design says, told a second time."""
    return person == owner or person == "adam"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A new site."""
    return new_site(tmp_path_factory.mktemp("site") / "site")


@pytest.fixture
async def house(site: Site, tmp_path: Path) -> AsyncIterator[House]:
    """A running server with an empty store."""
    site.store_path = tmp_path / "store.sqlite"
    (tmp_path / "desk").mkdir()
    house = House(site, tmp_path / "desk", CONTEXTS)
    await house.start()
    yield house
    await house.stop()


@contextlib.asynccontextmanager
async def the_jobs(house: House) -> AsyncIterator[dict[str, list[str]]]:
    """Jobs of two owners; the references to them by owner."""
    async with contextlib.AsyncExitStack() as stack:
        references: dict[str, list[str]] = {}
        for owner, job_id in OWNERS.items():
            agent = await stack.enter_async_context(house.agent(owner, job_id))
            answering = asyncio.create_task(_answer_all(agent))
            stack.callback(answering.cancel)
            ended = await stack.enter_async_context(house.agent(owner, job_id + "-e"))
            await ended.end()
            references[owner] = [agent.uuid, agent.uuid[:13], job_id, ended.uuid, job_id + "-e", job_id[:3]]
        yield references


async def _answer_all(agent: Agent) -> None:
    while True:
        frame = await agent.frames.get()
        if frame.type == frames.REQUEST:
            await agent.answer(frame.request, b"answer")


def requests(entry: Entry, reference: str) -> Iterator[tuple[str, str, Any]]:
    """The requests that try a route: method, path and body."""
    path = entry.path.replace("{job}", reference)
    if entry.takes_input:
        yield entry.method, path, opening(entry.verb)
        return
    if entry.permission != BY_VERB:
        yield entry.method, path, None
        return
    for verb in VERBS:
        yield entry.method, path, {"verb": verb, "arguments": {}}


def opening(verb: str) -> bytes:
    """The first frame of a body that goes on."""
    return frames.write_object(frames.REQUEST, frames.CHANNEL, {"verb": verb, "arguments": {}})


def allow_shells(house: House, shells: str = "all") -> None:
    """What an operator writes into server.toml."""
    house.state.configuration = house.state.configuration._replace(shell=shells)


async def fetch(client: httpx.AsyncClient, method: str, path: str, body: Any) -> tuple[int, list[Any], bytes]:
    """Status, headers but for the date, and body."""
    given: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
    response = await client.request(method, path, **given)
    headers = sorted((name, value) for name, value in response.headers.items() if name != "date")
    return response.status_code, headers, response.content


ABOUT_JOBS = [entry for entry in USERS if "{job}" in entry.path]


@pytest.mark.parametrize("entry", ABOUT_JOBS, ids=lambda entry: f"{entry.method} {entry.path}")
async def test_a_foreign_job_answers_as_an_absent_one_and_ones_own_is_served(house: House, entry: Entry) -> None:
    cases = served = 0
    allow_shells(house)
    async with the_jobs(house) as references:
        for person, clusters in PEOPLE.items():
            async with house.user(person, *clusters) as client:
                absent = [
                    await fetch(client, *request)
                    for reference in ("00000000-0000-4000-8000-000000000000", "nope")
                    for request in requests(entry, reference)
                ]
                assert all(each == absent[0] for each in absent)
                assert absent[0][0] == 404
                for owner, reference in itertools.chain.from_iterable(
                    [(owner, reference) for reference in found] for owner, found in references.items()
                ):
                    for request in requests(entry, reference):
                        got = await fetch(client, *request)
                        cases += 1
                        if may_see(person, owner):
                            assert got[0] in (200, 400, 409, 410), (person, request, got)
                            served += got[0] == 200
                        else:
                            assert got == absent[0], (person, request)

    assert cases >= len(PEOPLE) * 12
    assert served >= 8  # the control: each owner and the administrator, about one job or more each


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/audit"])
async def test_lists_hold_nothing_of_anybody_elses(house: House, path: str) -> None:
    async with the_jobs(house) as references:
        for owner in OWNERS:
            async with house.user(owner) as client:
                await client.post(f"/v1/jobs/{references[owner][0]}/query", json={"verb": "ps"})
        for person, clusters in PEOPLE.items():
            async with house.user(person, *clusters) as client:
                found = {row["id"] for row in rows(await client.get(path))}
                for owner, job_id in OWNERS.items():
                    assert (job_id in found) == may_see(person, owner), (person, path)


async def test_the_audit_of_a_foreign_job_answers_as_that_of_an_absent_one(house: House) -> None:
    async with the_jobs(house) as references, house.user("alice") as alice:
        absent = await fetch(alice, "GET", "/v1/audit?job=nope", None)
        for reference in references["bob"]:
            assert await fetch(alice, "GET", f"/v1/audit?job={reference}", None) == absent
        own = await alice.get(f"/v1/audit?job={references['alice'][0]}")

    assert absent[0] == 404
    assert own.status_code == 200


async def test_credentials_are_issued_under_the_callers_own_name_alone(house: House) -> None:
    from jobmon_pki import keys

    request = {"id": "1", "request": keys.request_pem(keys.new_key(), "bob")}
    for person, clusters in PEOPLE.items():
        async with house.user(person, *clusters) as client:
            asked = {"jobs": [request], "owner": "bob", "holder": "/CN=bob", "role": "admin"}
            answer = (await client.post("/v1/credentials", json=asked)).json()
        assert parse(answer["jobs"][0]["holder"]) == (*house.site.person_name(person), ("2.5.4.3", "1"))


async def _turned_away(port: int, context: ssl.SSLContext, method: str, path: str) -> bool:
    """Whether TLS ended before an answer; the server's word comes with the first read."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            return not (await reader.read(100)).startswith(b"HTTP/1.1")
        finally:
            writer.transport.abort()
    except (ssl.SSLError, ConnectionError):
        return True


async def test_a_certificate_is_turned_away_from_every_route_of_the_other_port(house: House) -> None:
    job = house.context(house.job())
    alice = house.person_context("alice")
    nobody = ssl.create_default_context(cadata=house.site.server_ca_pem())
    for entry in USERS:
        for context in (job, nobody):
            assert await _turned_away(house.users, context, entry.method, entry.path)
        assert not await _turned_away(house.users, alice, entry.method, entry.path)
    for entry in AGENTS:
        for context in (alice, nobody):
            assert await _turned_away(house.agents, context, entry.method, entry.path)
        assert not await _turned_away(house.agents, job, entry.method, entry.path)


# Behind the doors: what holds even if a door let the wrong one in


class As:
    """An application called by a peer, or by nobody."""

    def __init__(self, app: ASGIApp, peer: Peer | None) -> None:
        self._app = app
        self._peer = peer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve with the peer in the scope."""
        scope["state"] = {} if self._peer is None else {"peer": self._peer}
        await self._app(scope, receive, send)


def peer_with(role: str) -> Peer:
    """A peer of a role."""
    name = parse("/DC=org/DC=example/OU=People/CN=alice")
    return Peer(role, name, "alice", "/CN=alice", "f" * 64, "5", 1e10, "u", ("caf",), "::1")


@pytest.mark.parametrize("role", [OWNER, ADMIN, JOB, "server", "", None])
async def test_no_route_serves_a_role_that_it_does_not_name(house: House, role: str | None) -> None:
    apps = build(house.state)
    peer = None if role is None else peer_with(role)
    tried = 0
    for app, entries in zip(apps, (USERS, AGENTS), strict=True):
        transport = httpx.ASGITransport(As(app, peer))
        async with httpx.AsyncClient(transport=transport, base_url="https://x") as client:
            for entry in entries:
                if role in entry.roles:
                    continue
                response = await client.request(entry.method, entry.path.replace("{job}", "1"))
                tried += 1
                assert response.status_code == (401 if role is None else 403), (entry, role)

    assert tried >= 3


async def test_a_permission_that_is_not_granted_is_a_refusal_on_the_record(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted = {VIEW}
    monkeypatch.setattr("jobmon_server.access.permits", lambda peer, permission, *of_the_job: permission in granted)
    async with the_jobs(house) as references, house.user("alice") as alice:
        job = references["alice"][0]
        for verb in VERBS.values():
            response = await alice.post(f"/v1/jobs/{job}/query", json={"verb": verb.name})
            assert response.status_code == (200 if verb.permission in granted else 403), verb.name
        output = await alice.get(f"/v1/jobs/{job}/output")
        shell = await alice.post(f"/v1/jobs/{job}/shell", content=opening("shell"))
        audit = rows(await alice.get("/v1/audit"))

    denied = {row["verb"] for row in audit if row["decision"] == "denied"}
    assert (output.status_code, shell.status_code) == (403, 403)
    assert denied == {verb.name for verb in VERBS.values() if verb.permission != VIEW} | {"output"}


# What the design says of shells, told a second time: by the site's word, who may open one beside alice's job.
SHELLS = {"off": set[str](), "owner": {"alice"}, "all": {"alice", "adam"}}


@pytest.mark.parametrize("shells", SHELLS)
async def test_a_shell_is_for_whom_the_site_says_and_every_try_is_on_the_record(house: House, shells: str) -> None:
    allow_shells(house, shells)
    async with the_jobs(house) as references:
        job = references["alice"][0]
        path = f"/v1/jobs/{job}/shell"
        for person, clusters in PEOPLE.items():
            async with house.user(person, *clusters) as client:
                status, _, body = await fetch(client, "POST", path, opening("shell"))
            expected = 200 if person in SHELLS[shells] else 403 if may_see(person, "alice") else 404
            assert (status, person) == (expected, person)
            assert expected != 403 or b"shell" in body
        async with house.user("alice") as alice:
            decisions = [
                (row["who"].rpartition("=")[2], row["decision"])
                for row in rows(await alice.get(f"/v1/audit?job={job}"))
                if row["verb"] == "shell"
            ]

    tried = [person for person in PEOPLE if may_see(person, "alice")]
    assert decisions == [(person, "allowed" if person in SHELLS[shells] else "denied") for person in tried]


async def test_no_site_has_shells_unless_it_says_so(house: House) -> None:
    async with the_jobs(house) as references, house.user("alice") as alice:
        refused = await alice.post(f"/v1/jobs/{references['alice'][0]}/shell", content=opening("shell"))

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not-permitted")


WRONG: list[tuple[str, str, frozenset[str], str]] = [
    ("GET", "/v1/x", frozenset(), SELF),
    ("GET", "/v1/x", frozenset(["root"]), SELF),
    ("GET", "/v1/x", frozenset([OWNER]), ""),
    ("GET", "/v1/x", frozenset([OWNER]), VIEW),
    ("GET", "/v1/jobs/{job}/x", frozenset([OWNER]), SELF),
    ("GET", "/v1/jobs/{job}/x", frozenset([OWNER]), "any"),
    ("GET", "/v1/jobs/{job}/x", frozenset([OWNER]), BY_VERB),
    ("GET", "/v1/jobs/{job}/x", frozenset([OWNER]), SIGNAL),
    ("GET", "/v1/jobs/{job}/x", frozenset([OWNER]), EXEC),
    ("PUT", "/v1/jobs/{job}/x", frozenset([OWNER]), READ),
]


@pytest.mark.parametrize(("method", "path", "roles", "permission"), WRONG)
def test_a_route_without_a_fitting_declaration_cannot_be_made(
    method: str, path: str, roles: frozenset[str], permission: str
) -> None:
    with pytest.raises(DeclarationError):
        Entry(method, path, roles, permission, USERS[0].handler)


def test_every_verb_has_a_permission_and_what_acts_is_a_post() -> None:
    assert {verb.permission for verb in VERBS.values()} <= {VIEW, READ, SIGNAL, EXEC}
    assert {entry.method for entry in USERS if entry.permission in (BY_VERB, SIGNAL, EXEC)} == {"POST"}
