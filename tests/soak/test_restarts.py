"""Ten thousand agents and a server that dies: with its store they go on, without it they come back one after the other.

Certificates, sessions, datagrams and, where agents register again, TLS are
real; the jobs are not.  Not part of ``make test``; ``make soak`` runs it.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import pytest

from benchmarks.measures.people import Person, Watcher, quantile
from benchmarks.simulation.crew import Crew
from benchmarks.simulation.fleet import Server, Settings
from benchmarks.simulation.jobs import Plan
from benchmarks.simulation.passes import sign
from benchmarks.simulation.seeding import seed
from benchmarks.simulation.throwaway import ADMIN, Throwaway
from jobmon_agent.tls import read_address
from jobmon_console import calls
from jobmon_console.tui.texts import moment

JOBS = int(os.environ.get("JOBMON_SOAK_AGENTS", "10000"))
BEAT = 25.0  # s, the default
DOWN = 10.0  # s without a server
KEPT, LOST = 30.0, 180.0  # s after its start in which nearly all are heard again: security.md R9
NEARLY = 0.99
LOOK = 1.0  # s between two listings; one of ten thousand jobs is work for the server, too
SLOWEST = 2000.0  # ms; 99 of 100 questions of people meanwhile
OWNERS = ("alice", "bob")


class Fleet(NamedTuple):
    """Agents that beat, and their server."""

    house: Throwaway
    crew: Crew


@contextmanager
def beating() -> Iterator[Fleet]:
    """Everybody has a session and beats."""
    plan = Plan(OWNERS, -(-JOBS // 200), time.time())
    with ExitStack() as stack:
        house = stack.enter_context(Throwaway(OWNERS, log="warning", beat=BEAT))
        cards = sign(house.site, plan, range(JOBS), 2)
        told = seed(house.site, plan, cards)
        house.start()
        address = read_address(house.site.agents_url)
        crew = Crew(plan, cards, Server(address, "127.0.0.1", house.site.server_ca_pem()), Settings(), told)
        stack.callback(crew.stop)
        crew.prepare()
        crew.go()
        crew.wait(lambda report: report["acks"] >= JOBS, 4 * BEAT)
        yield Fleet(house, crew)


def heard_since(house: Throwaway, start: float, limit: float) -> tuple[int, float, float]:
    """How many jobs were heard since then, when nearly all were, or the limit is over, and how long people waited."""
    person, watcher = Person(house.context(ADMIN)), Watcher(house.context(ADMIN))
    heard = 0
    try:
        while heard < NEARLY * JOBS and time.time() < start + limit:
            records = [json.loads(line) for line in person.ask(calls.jobs()).splitlines()]
            heard = sum((moment(record["last_seen"]) or 0.0) >= start for record in records)
            time.sleep(LOOK)
        return heard, time.time() - start, quantile(watcher.take(), 0.99)
    finally:
        watcher.stop()
        person.close()


@pytest.mark.parametrize(("is_kept", "limit"), [(True, KEPT), (False, LOST)], ids=["store kept", "store lost"])
def test_agents_are_heard_again_after_the_server_was_killed(is_kept: bool, limit: float) -> None:
    with beating() as (house, crew):
        before = crew.report()
        house.stop(signal.SIGKILL)
        if not is_kept:
            for path in house.site.directory.glob("store.sqlite*"):
                path.unlink()
        time.sleep(DOWN)
        house.start()
        started = time.time()

        heard, seconds, slowest = heard_since(house, started, limit)

        after = crew.report()
        print(f"{heard} of {JOBS} after {seconds:.1f} s, p99 {slowest:.0f} ms, {after}")
        again = after["registrations"] - before["registrations"]
        assert heard >= NEARLY * JOBS
        assert slowest < SLOWEST
        assert again == 0 if is_kept else again >= NEARLY * JOBS
