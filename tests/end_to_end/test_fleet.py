"""Simulated agents are agents to a real server: benchmarks measure what users will meet."""

import json
import signal
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from benchmarks.measures.people import Person
from benchmarks.simulation.crew import Crew
from benchmarks.simulation.fleet import Server, Settings
from benchmarks.simulation.jobs import LINE, Plan
from benchmarks.simulation.passes import ask, sign
from benchmarks.simulation.real import RealJobs
from benchmarks.simulation.seeding import seed
from benchmarks.simulation.throwaway import Throwaway
from jobmon_agent.tls import read_address
from jobmon_console import calls
from jobmon_wire import frames
from tests.end_to_end.sites import wait_until

JOBS = 20
SEEDED = range(5)  # known to the server from an earlier run
SIGNED = range(5, 15)
ROUTED = range(15, JOBS)  # their certificates came through the server's route
QUIET = 0.5  # s until an agent leaves its channel
BEAT = 1.0  # s
PATIENCE = 30.0  # s; a busy machine
OWNERS = ("alice", "bob")


class Stage(NamedTuple):
    """A server with a fleet and one real job."""

    plan: Plan
    house: Throwaway
    crew: Crew

    def rows(self, person: str = "admin") -> dict[str, dict[str, Any]]:
        """The jobs that a person sees, by id."""
        asked = Person(self.house.context(person))
        try:
            return {row["id"]: row for row in map(json.loads, asked.ask(calls.jobs()).splitlines())}
        finally:
            asked.close()

    def query(self, index: int, verb: str, **arguments: Any) -> list[frames.Frame]:
        """The owner's question to a simulated agent; the whole answer."""
        return self.query_job(self.plan.owner(index), self.plan.id(index), verb, **arguments)

    def query_job(self, owner: str, job: str, verb: str, **arguments: Any) -> list[frames.Frame]:
        """A question; the whole answer."""
        asked = Person(self.house.context(owner))
        try:
            return list(asked.query(job, verb, **arguments))
        finally:
            asked.close()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Twenty agents of all three ways into the server, and a real one, all beating."""
    plan = Plan(OWNERS, 3, time.time(), seed=3)
    with Throwaway(OWNERS, quiet=QUIET, beat=BEAT) as house:
        cards = sign(house.site, plan, [*SEEDED, *SIGNED])
        address = read_address(house.site.agents_url)
        told = seed(house.site, plan, [card for card in cards if card.number in SEEDED])
        house.start()
        for owner in OWNERS:
            cards += ask(house.context(owner), plan, [index for index in ROUTED if plan.owner(index) == owner])
        server = Server(address, "127.0.0.1", house.site.server_ca_pem())
        crew = Crew(plan, cards, server, Settings(), told, processes=2)
        real = RealJobs(house.site, house.directory)
        try:
            crew.prepare()
            crew.go()
            real.start("alice", 1)
            crew.wait(lambda report: report["registered"] == JOBS and report["channels"] == 0, PATIENCE)
            yield Stage(plan, house, crew)
        finally:
            real.stop()
            crew.stop()


def test_every_agent_is_known_and_those_of_an_earlier_run_did_not_register(stage: Stage) -> None:
    report = stage.crew.report()
    rows = wait_until(lambda: len(found := stage.rows()) == JOBS + 1 and found, PATIENCE)

    assert report["errors"] == 0, report["complaints"]
    assert report["registered"] == JOBS
    assert report["registrations"] == JOBS - len(SEEDED)
    assert {row["state"] for row in rows.values()} == {"running"}
    for index in range(JOBS):
        row, job = rows[stage.plan.id(index)], stage.plan.job(index)
        assert (row["owner"], row["node"], row["command"]) == (stage.plan.owner(index), job.node_name, job.command)


def test_beats_are_answered_and_tell_the_vitals(stage: Stage) -> None:
    before = stage.crew.report()
    after = stage.crew.wait(lambda report: report["acks"] >= before["acks"] + 2 * JOBS, PATIENCE)
    row = wait_until(lambda: (found := stage.rows()[stage.plan.id(0)])["callback"] == "udp" and found, PATIENCE)

    assert (after["strange"], after["dropped"]) == (0, 0)
    assert after["registrations"] == before["registrations"]
    assert (row["rss_bytes"], row["process_state"]) == (stage.plan.job(0).rss, "R")


@pytest.mark.parametrize("index", [SEEDED[1], SIGNED[1], ROUTED[1]])
def test_an_agent_that_is_rung_answers_ps(stage: Stage, index: int) -> None:
    wakes = stage.crew.report()["wakes"]

    record, end = stage.query(index, "ps")

    expected = [row["pid"] for row in stage.plan.job(index).ps()]
    assert [row["pid"] for row in record.document()["processes"]] == expected
    assert end.document()["status"] == "done"
    assert stage.crew.report()["wakes"] > wakes


def test_an_answer_is_made_of_lines_that_are_always_the_same(stage: Stage) -> None:
    data = stage.query(SIGNED[2], "head", lines=3)[0].payload

    assert data == b"".join(map(stage.plan.job(SIGNED[2]).line, range(3)))
    assert len(data) == 3 * LINE


def test_a_job_that_is_killed_ends_and_comes_back(stage: Stage) -> None:
    job = stage.plan.id(SIGNED[3])

    stage.query(SIGNED[3], "kill", signal="KILL")

    ended = wait_until(lambda: (row := stage.rows()[job])["state"] == "ended" and row, PATIENCE)
    assert ended["exit"]["signal"] == signal.Signals.SIGKILL.name[3:]
    report = stage.crew.report()
    assert report["registered"] == JOBS - 1
    assert report["come"] == JOBS, "nobody waits for it who waits until all have registered"
    again = wait_until(lambda: (row := stage.rows()[job])["state"] == "running" and row, PATIENCE)
    assert again["batch"]["restarts"] == "1"


def test_the_real_job_among_them_is_one(stage: Stage) -> None:
    record = stage.query_job("alice", "real-print-1", "ps")[0]

    assert "work.py print" in record.document()["processes"][0]["command"]


def test_people_see_their_own_jobs_alone(stage: Stage) -> None:
    hers = {job for job, row in stage.rows("bob").items()}

    assert hers == {stage.plan.id(index) for index in range(JOBS) if stage.plan.owner(index) == "bob"}
