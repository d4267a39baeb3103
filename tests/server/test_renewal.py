"""A job's credential is renewed by its agent, over the connection it has shown the old one on, and on the record."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from jobmon_pki.profiles import DAY
from jobmon_server import beats
from jobmon_wire import frames
from jobmon_wire.credential import Credential, parse_credential
from jobmon_wire.records import AUTO, TCP
from tests.server.house import PATIENCE, Agent, House, ask, rows, until
from tests.server.nodes import Nodes, RealJob
from tests.server.running import job_credential

LIFE = 60.0  # s
DUE = 46.0  # s; two thirds and the twelfth over which jobs are spread


@pytest.fixture
def credential(house: House) -> Credential:
    """A job's, for a minute."""
    return job_credential(house.site, "alice", "4711.0", LIFE)


@contextlib.asynccontextmanager
async def registered(house: House, credential: Credential) -> AsyncIterator[tuple[Agent, dict[str, Any]]]:
    """An agent that has registered, and what it was answered."""
    agent = Agent(house, credential)
    await agent.connect()
    try:
        status, answer = await agent.register()
        assert status == 200, answer
        yield agent, answer
    finally:
        await agent.close()


def wish(credential: Credential, kept: str = "file") -> dict[str, str]:
    return {"certificate": credential.certificate, "kept": kept}


async def test_an_agent_is_told_when_its_credential_is_due_and_renews_it(house: House, credential: Credential) -> None:
    async with registered(house, credential) as (agent, answer):
        assert answer["renew"] is False
        house.clock.shift = DUE
        assert (await agent.register())[1]["renew"] is True
        assert house.state.registry.get(agent.uuid).renew > house.clock()
        status, given = await agent.post("/v1/renew", wish(credential))
        assert status == 200, given
    renewed = credential._replace(certificate=given["certificate"])
    async with registered(house, renewed) as (agent, answer), house.user() as alice:
        assert answer["renew"] is False
        assert house.state.registry.get(agent.uuid).expires == pytest.approx(house.clock() + LIFE, abs=2)
        audit, log = rows(await alice.get("/v1/audit")), rows(await alice.get("/v1/jobs/4711.0/log"))

    assert [(row["verb"], row["role"], row["outcome"]) for row in audit] == [("renew", "job", "done")]
    [text] = [event["text"] for event in log if event["kind"] == "issued"]
    assert text.startswith("renewed until ")
    assert text.endswith("into its file")


async def test_the_old_session_ends_with_the_old_certificates(house: House, credential: Credential) -> None:
    await house.call_back_by(AUTO)
    async with registered(house, credential) as (agent, first):
        house.clock.shift = DUE
        _, given = await agent.post("/v1/renew", wish(credential))
    async with registered(house, credential._replace(certificate=given["certificate"])) as (_, second):
        assert second["beats"]["session"] != first["beats"]["session"]
        assert len(house.state.beats) == 1


@pytest.mark.parametrize("moment", [0.0, 39.0])
async def test_one_that_is_not_due_is_not_renewed(house: House, credential: Credential, moment: float) -> None:
    house.clock.shift = moment
    async with registered(house, credential) as (agent, _), house.user() as alice:
        status, answer = await agent.post("/v1/renew", wish(credential))
        audit = rows(await alice.get("/v1/audit"))

    assert (status, answer["error"]["code"]) == (403, "not-permitted")
    assert [row["outcome"] for row in audit] == ["credential-refused"]
    assert len(house.state._ledger.find_job(credential.uuid)) == 1


async def test_a_revoked_one_is_not_renewed(house: House, credential: Credential) -> None:
    async with registered(house, credential) as (agent, _):
        house.clock.shift = DUE
        serial = house.state.registry.get(agent.uuid).serial
        house.state._ledger.revoke(serial, "stolen", house.clock())
        status, answer = await agent.post("/v1/renew", wish(credential))

    assert status == 403
    assert "was revoked" in answer["error"]["message"]
    assert len(house.state._ledger.find_job(credential.uuid)) == 1


async def test_one_of_a_job_that_has_ended_is_not_renewed(house: House, credential: Credential) -> None:
    async with registered(house, credential) as (agent, _):
        house.clock.shift = DUE
        await agent.end()
        status, answer = await agent.post("/v1/renew", wish(credential))
        assert (await agent.register())[1]["renew"] is False

    assert (status, answer["error"]["code"]) == (410, "job-ended")


async def test_nobody_renews_anybody_elses_or_without_having_registered(house: House, credential: Credential) -> None:
    other = job_credential(house.site, "bob", "9000", LIFE)
    house.clock.shift = DUE
    stranger = Agent(house, credential)
    await stranger.connect()
    unregistered, _ = await stranger.post("/v1/renew", wish(credential))
    await stranger.close()
    async with registered(house, credential) as (agent, _):
        answers = [
            await agent.post("/v1/renew", said)
            for said in (wish(other), wish(credential, "nowhere"), {"certificate": "x", "kept": "file"}, {})
        ]

    assert unregistered == 409
    assert [(status, answer["error"]["code"]) for status, answer in answers] == [(400, "bad-request")] * 4
    assert len(house.state._ledger.find_job(other.uuid)) == 1


async def test_beyond_thirty_days_a_credential_is_not_due_any_more(house: House) -> None:
    credential = job_credential(house.site, "alice", "4711.0", 30 * DAY)
    async with registered(house, credential) as (agent, _):
        assert house.state.registry.get(agent.uuid).renew == 0
        house.clock.shift = 29 * DAY
        assert (await agent.register())[1]["renew"] is False
        assert (await agent.post("/v1/renew", wish(credential)))[0] == 403


async def test_an_agent_on_an_open_channel_is_called_back_when_no_answer_is_under_way(
    house: House, credential: Credential
) -> None:
    async with house.agent(credential=credential) as agent, house.user() as alice:
        async with alice.stream("POST", f"/v1/jobs/{agent.uuid}/query", **ask("ps")) as response:
            request = (await agent.next(frames.REQUEST)).request
            house.clock.shift = DUE
            await agent.vitals()
            await asyncio.sleep(0.05)
            assert agent.frames.empty()
            await agent.answer(request, b"whole")
            body = await response.aread()
        assert b"whole" in body
        await agent.vitals()
        goodbye = await agent.next(frames.GOODBYE)

    assert "register again" in goodbye.document()["reason"]


async def test_an_agent_that_does_not_renew_is_told_again_after_a_while_and_not_at_every_turn(
    house: House, credential: Credential
) -> None:
    async with registered(house, credential) as (agent, _):
        told = []
        for shift in (DUE, DUE + 0.5, DUE + 1, DUE + 8):
            house.clock.shift = shift
            told.append((await agent.register())[1]["renew"])

    assert told == [True, False, False, True]


async def test_jobs_whose_credentials_were_made_at_once_renew_them_one_after_another(house: House) -> None:
    moments = []
    for number in range(8):
        async with registered(house, job_credential(house.site, "alice", f"4711.{number}", 7 * DAY)) as (agent, _):
            moments.append(house.state.registry.get(agent.uuid).renew - house.clock())

    assert all(2 / 3 * 7 * DAY - 60 < moment < 3 / 4 * 7 * DAY for moment in moments)
    assert max(moments) - min(moments) > 60  # s: a twelfth of a week is 14 hours


# The real agent


class Credentials:
    """What becomes of the credential of a job under the real agent."""

    def __init__(self, house: House, job: RealJob) -> None:
        self._house = house
        self._job = job

    async def live(self, seconds: float) -> None:
        """Let time pass, and the credential be renewed."""
        job = self._house.state.registry.get(self._job.uuid)
        serial = job.serial
        self._house.clock.shift += seconds
        await until(lambda: job.serial != serial, 2 * PATIENCE)

    def written(self) -> Credential:
        """What the file holds."""
        return parse_credential(self._job.path.read_text(), "it")

    def is_current(self) -> bool:
        """Whether the file holds the certificate that the server knows."""
        der = ssl.PEM_cert_to_DER_cert(self.written().certificate)
        issued = self._house.state._ledger.find(self._house.state.registry.get(self._job.uuid).serial)
        return issued is not None and issued.identity.fingerprint == sha256(der).hexdigest()


@pytest.mark.parametrize("callback", [AUTO, TCP])
async def test_a_job_of_ten_minutes_outlives_its_certificates_of_one_and_is_not_disturbed(
    house: House, nodes: Nodes, old_or_new: Path, callback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beats, "SPREAD", 0.05)
    await house.call_back_by(callback)
    credential = job_credential(house.site, "alice", "4711.0", LIFE)
    rounds = 13 if callback == AUTO else 3
    async with nodes.job(house, credential, old_or_new) as job, house.user() as alice:
        credentials = Credentials(house, job)
        before = Path(f"/proc/{job.process.pid}/stat").read_text().split()[19]
        first = credentials.written()
        for _ in range(rounds):
            await credentials.live(DUE)
            await until(credentials.is_current)
        answer = await alice.post(f"/v1/jobs/{job.uuid}/query", **ask("ps"))
        after = Path(f"/proc/{job.process.pid}/stat").read_text().split()[19]

        assert answer.status_code == 200
        assert after == before
        assert job.process.poll() is None
        assert job.path.stat().st_mode & 0o777 == 0o600
        assert credentials.written()._replace(certificate="") == first._replace(certificate="")
        assert [path.name for path in job.path.parent.iterdir() if path.name.startswith(".")] == []
        assert len(house.state._ledger.find_job(job.uuid)) == rounds + 1
        assert house.state.registry.get(job.uuid).state == "running"


async def test_where_the_file_is_another_by_now_it_stays_and_the_certificate_is_kept_in_memory(
    house: House, nodes: Nodes, old_or_new: Path
) -> None:
    credential = job_credential(house.site, "alice", "4711.0", LIFE)
    async with nodes.job(house, credential, old_or_new) as job, house.user() as alice:
        credentials = Credentials(house, job)
        job.path.unlink()
        job.path.write_text("something else")
        await credentials.live(DUE)
        await credentials.live(DUE)
        log = rows(await alice.get("/v1/jobs/4711.0/log"))

        assert job.path.read_text() == "something else"
        assert [event["text"].endswith("cannot replace the file") for event in log if event["kind"] == "issued"] == [
            True,
            True,
        ]
        assert {path.name for path in job.path.parent.iterdir()} == {"job.jobmon", "sandbox"}
