"""Many jobs: what 100,000 that beat cost, what a listing costs, and how a storm is borne."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import uvloop

from benchmarks.measures.people import Person, Watcher, quantile
from benchmarks.measures.processes import answering, response
from benchmarks.simulation.crew import Crew, CrewError
from benchmarks.simulation.fleet import Fleet, Server, Settings
from benchmarks.simulation.jobs import Plan
from benchmarks.simulation.passes import sign
from benchmarks.simulation.seeding import seed
from benchmarks.simulation.throwaway import ADMIN, Throwaway
from benchmarks.table import Row, at_most
from jobmon_agent.tls import read_address
from jobmon_console import calls
from jobmon_console.cli import columns

JOBS = 100_000
INTERVAL = 60.0  # s between their beats
LOST = 3600.0  # s
SETTLED = 75.0  # s until each has beaten once, and was challenged
WATCHED = 60.0  # s over which their beats are measured
LISTED = 10_000  # jobs of the owner whose listing is measured
LISTINGS = 5
CHANNELS = 1000
HELD = 3600.0  # s that they stay open
OPENED = 300.0  # s for so many to open
STORM = 3000
STORM_PATIENCE = 120.0  # s
MIB = 2**20  # bytes
HOST = "127.0.0.1"
OWNERS = ("alice", "bob", "carol")


def beating(jobs: int = JOBS) -> Iterator[Row]:
    """Jobs that beat once a minute, and the listing of one owner's."""
    made = time.time()
    hers, others = Plan(OWNERS[:1], jobs // 200 + 1, made), Plan(OWNERS[1:], jobs // 200 + 1, made)
    with Throwaway(OWNERS, log="warning", beat=INTERVAL, lost_after=LOST) as house:
        house.start()
        empty = house.resident()
        house.stop()
        cards = sign(house.site, hers, range(min(LISTED, jobs)), 2) + sign(house.site, others, range(LISTED, jobs), 2)
        told = seed(house.site, others, cards)
        house.start()
        crew = Crew(others, cards, _server(house), Settings(), told)
        try:
            crew.prepare()
            crew.go()
            time.sleep(SETTLED)
            used, before, moment = house.cpu(), crew.report(), time.monotonic()
            time.sleep(WATCHED)
            seconds, after = time.monotonic() - moment, crew.report()
            share = 100 * (house.cpu() - used) / seconds
            beats = (after["acks"] - before["acks"]) / seconds
            resident = house.resident()
            note = (
                f"{beats:,.0f} beats/s answered; the fleet used {100 * (after['cpu'] - before['cpu']) / seconds:.0f} %"
            )
            yield Row(f"{jobs:,} jobs beating every {INTERVAL:.0f} s: CPU", [share], "% of core", at_most(5), note=note)
            yield Row(f"{jobs:,} jobs beating every {INTERVAL:.0f} s: memory", [resident / MIB], "MiB", at_most(100))
            yield Row("memory of a job", [(resident - empty) / jobs], "bytes", at_most(650))
            yield _listing(house, f"listing {LISTED:,} jobs: CPU", columns.fields(None))
            yield _listing(house, "the same, whole records: CPU", [])
        finally:
            crew.stop()


def _listing(house: Throwaway, name: str, fields: list[str]) -> Row:
    """The owner's jobs, all of them; the limit is to encode the records and to send as many bytes over TLS."""
    call = calls.jobs(fields=fields)
    person = Person(house.context(OWNERS[0]))
    ours, encoded, sent = [], [], []
    for _ in range(LISTINGS):
        used = house.cpu()
        body = person.ask(call)
        ours.append((house.cpu() - used) * 1e3)
        records = [json.loads(line) for line in body.splitlines()]
        began = time.thread_time()
        msgspec.json.Encoder().encode_lines(records)
        encoded.append((time.thread_time() - began) * 1e3)
    person.close()
    with answering(house.site, response(body, "application/x-ndjson"), house.site.people_ca) as least:
        person = Person(house.context(OWNERS[0]), least.port)
        for _ in range(LISTINGS):
            used = least.cpu()
            person.ask(call)
            sent.append((least.cpu() - used) * 1e3)
        person.close()
    note = f"{len(body) / 1e6:.1f} MB; limit: {min(encoded):.1f} ms to encode them, {min(sent):.1f} to send them"
    limits = [one + other for one, other in zip(encoded, sent, strict=True)]
    return Row(name, ours, "ms", at_most(6) if fields else None, limits, note=note)


def channels() -> Row:
    """What an open channel without requests weighs in the server."""
    plan = Plan(OWNERS[:1], 10, time.time())
    with Throwaway(plan.owners, log="warning", quiet=HELD) as house:
        cards = sign(house.site, plan, range(CHANNELS), 2)
        told = seed(house.site, plan, cards)
        house.start()

        async def measure() -> float:
            fleet = Fleet(plan, cards, _server(house), Settings(), told)
            fleet.go(1.0)
            before = house.resident()
            for agent in fleet.agents:
                agent.start()
            with suppress(TimeoutError):
                async with asyncio.timeout(OPENED):
                    while fleet.counts.channels < CHANNELS:
                        await asyncio.sleep(0.1)
            opened, after = fleet.counts.channels, house.resident()
            await fleet.stop()
            return (after - before) / opened

        weight = uvloop.run(measure())
    return Row("an idle channel", [weight / 1024], "KiB", at_most(50))


def storm() -> Iterator[Row]:
    """3,000 agents register at the same moment, while a person asks."""
    plan = Plan(OWNERS, 100, time.time())
    with Throwaway(OWNERS, log="warning") as house:
        cards = sign(house.site, plan, range(STORM), 2)
        house.start()
        crew = Crew(plan, cards, _server(house), Settings(is_storm=True), processes=2)
        watcher = Watcher(house.context(ADMIN))
        try:
            crew.prepare()
            watcher.take()
            time.sleep(1.0)
            before, used = watcher.take(), house.cpu()
            crew.go()
            report = _drained(crew)
            during, used = watcher.take(), house.cpu() - used
        finally:
            watcher.stop()
            crew.stop()
    note = f"{report['registered']:,} of them; CPU of the server {used:.1f} s, of the agents {report['cpu']:.1f}"
    yield Row(f"storm of {STORM:,} registrations", [report["since"]], "s", at_most(12), note=note)
    worst = "; ".join(f"{count} x {text}" for text, count in report["complaints"].items())[:120]
    yield Row("attempts that failed in it", [report["errors"]], "", at_most(0), note=worst)
    note = f"p50 {quantile(during, 0.5):.1f}; before p50 {quantile(before, 0.5):.1f}"
    yield Row("users' p99 during it", [quantile(during, 0.99)], "ms", at_most(50), [quantile(before, 0.99)], note=note)


def _drained(crew: Crew) -> dict[str, Any]:
    """What the crew has done when all have registered, or the patience is over."""
    with suppress(CrewError):
        return crew.wait(lambda report: bool(report["registered"] >= STORM), STORM_PATIENCE)
    return crew.report() | {"since": STORM_PATIENCE}


def _server(house: Throwaway) -> Server:
    return Server(read_address(house.site.agents_url), HOST, house.site.server_ca_pem())
