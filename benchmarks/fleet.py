"""A fleet of agents on this machine, against a throw-away server or one that runs.

Run after ``make``::

    .venv/bin/python benchmarks/fleet.py --jobs 3000 --storm
    .venv/bin/python benchmarks/fleet.py --jobs 100000 --seeded 1 --rate 1000 --serve

The second feeds the console: it prints the configuration to use with it.

What is real: the server; the certificates, one for each job, made by the site's
Job CA and in its ledger, with a key of its own; TLS 1.3 with them; registrations;
channels, their frames and credit; the datagrams, each job with its own session,
keys and counters.  One job in a hundred is a process under the real agent.

What is not: the other jobs do not exist, their figures and answers are made up
from a seed; agents of one node share a socket for datagrams; a node is an
address on the loopback network.  ``--seeded`` leaves out TLS and
HTTP of the first registrations: the server's own code makes them in this
program, then the server is started, as after a restart, and their agents go on
beating; they register by TLS when they are rung.  ``--loss``
drops datagrams in the agents' own process, never TCP: for that put them behind
a network that loses packets, with ``--nat``.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.simulation.crew import Crew, CrewError
from benchmarks.simulation.fleet import Server, Settings
from benchmarks.simulation.jobs import Plan
from benchmarks.simulation.passes import Pass, ask, sign
from benchmarks.simulation.real import RealJobs
from benchmarks.simulation.seeding import seed
from benchmarks.simulation.throwaway import ADMIN, ServerError, Throwaway
from jobmon_agent.tls import read_address
from jobmon_console.contexts import Flags, load_contexts
from jobmon_console.errors import JobMonError
from jobmon_pki.errors import PkiError
from jobmon_pki.site import Site
from jobmon_wire.credential import parse_credential

PEOPLE = ("alice", "bob", "carol", "dora", "emil", "frida")
REAL_SHARE = 100  # one real job among so many
MOST_REAL = 30  # unless more are asked for: each is three processes and 12 MiB
REPORTED = 5.0  # s between two lines of the report
RATES = ("beats", "acks", "ended", "cpu")  # figures of the report that are told by the second
PATIENCE = 1800.0  # s for all to register: 100,000 at 200 a second take 500


class Stage(NamedTuple):
    """Where the fleet acts."""

    site: Site | None  # whose keys are here
    house: Throwaway | None  # its server is ours
    server: Server


def main() -> None:
    """Bring up a fleet, report, take it down."""
    try:
        _run()
    except (CrewError, JobMonError, PkiError, ServerError) as error:
        raise SystemExit(f"fleet: {error}") from None


def _run() -> None:
    arguments = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has its background jobs ignore the first
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as stack:
        started = time.monotonic()
        plan = Plan(_owners(arguments), arguments.nodes, time.time(), arguments.seed)
        stage = _stage(arguments, plan, stack)
        crew = _crew(arguments, plan, stage, stack)
        crew.prepare()
        _say(f"{arguments.jobs:,} agents are ready after {time.monotonic() - started:.0f} s")
        crew.go()
        if stage.site is not None and arguments.real:
            real = RealJobs(stage.site, stage.house.directory if stage.house else Path(arguments.scratch))
            stack.callback(real.stop)
            real.start(plan.owners[0], arguments.real)
        with suppress(KeyboardInterrupt):
            _watch(arguments, crew, stage)
        _say("going down")


def _watch(arguments: argparse.Namespace, crew: Crew, stage: Stage) -> None:
    """Report until everyone has registered, be it that some have ended since; then as long as is wished."""
    lines = _lines(arguments, crew, stage)
    deadline = time.monotonic() + PATIENCE
    while crew.report()["come"] < arguments.jobs and time.monotonic() < deadline:
        _say(next(lines))
    report = crew.report()
    _say(f"{report['come']:,} registered in {report['since']:.1f} s, {report['errors']} attempts failed")
    for text, count in sorted(report["complaints"].items(), key=lambda item: -item[1])[:5]:
        _say(f"  {count} x {text}")
    if arguments.serve and stage.house is not None:
        _say(f"look at them with:  JOBMON_CONFIG={stage.house.config} jobmon console --context {ADMIN}")
    end = time.monotonic() + (float("inf") if arguments.serve else arguments.seconds)
    while time.monotonic() < end:
        _say(next(lines))


def _lines(arguments: argparse.Namespace, crew: Crew, stage: Stage) -> Iterator[str]:
    """A line of figures every few seconds."""
    house = stage.house
    before, moment = crew.report(), time.monotonic()
    used = house.cpu() if house else 0.0
    while True:
        time.sleep(REPORTED)
        now, seconds = crew.report(), time.monotonic() - moment
        moment += seconds
        each = {name: (now[name] - before[name]) / seconds for name in RATES}
        line = f"registered {now['registered']:,}/{arguments.jobs:,}  channels {now['channels']:,}"
        line += f"  beats {each['beats']:,.0f}/s  answered {each['acks']:,.0f}/s  ends {each['ended']:.1f}/s"
        line += f"  requests {now['answered']:,}  errors {now['errors']:,}  fleet {100 * each['cpu']:.0f} % of a core"
        if house is not None:
            share, used = (house.cpu() - used) / seconds, house.cpu()
            line += f"  server {100 * share:.0f} %, {house.resident() / 2**20:.0f} MiB"
        before = now
        yield line


def _stage(arguments: argparse.Namespace, plan: Plan, stack: ExitStack) -> Stage:
    """The server's place; one of our own is not started yet."""
    if arguments.site:
        site = Site.open(arguments.site)
        return Stage(site, None, _server(site.agents_url, site.server_ca_pem(), arguments.host))
    if arguments.context:
        context = load_contexts(Flags(context=(arguments.context,)), {"JOBMON_CONFIG": arguments.config})[0]
        ca = Path(context.ca).read_text() if context.ca else _server_ca(context.credential)
        return Stage(None, None, _server(arguments.agents, ca, arguments.host))
    times: dict[str, float | str] = {"beat": arguments.interval, "quiet": arguments.quiet, "log": "warning"}
    times["lost_after"] = max(3600.0, 4 * arguments.interval)
    house = stack.enter_context(Throwaway(plan.owners, arguments.host or "localhost", **times))
    site = house.site
    return Stage(site, house, _server(site.agents_url, site.server_ca_pem(), arguments.host or "127.0.0.1"))


def _server(url: str, ca: str, host: str) -> Server:
    address = read_address(url)
    return Server(address, host or address.host, ca)


def _server_ca(credential: str) -> str:
    return parse_credential(Path(credential).read_text(), credential).server_ca


def _crew(arguments: argparse.Namespace, plan: Plan, stage: Stage, stack: ExitStack) -> Crew:
    """The processes, with everybody's certificate."""
    indexes = iter(range(arguments.jobs))
    seeded = list(islice(indexes, round(arguments.seeded * arguments.jobs) if stage.house else 0))
    routed = list(islice(indexes, round(arguments.routed * arguments.jobs) if stage.site else arguments.jobs))
    cards: list[Pass] = []
    told = {}
    if stage.site is not None:
        cards = sign(stage.site, plan, [*seeded, *indexes], arguments.processes)
        _say(f"{len(cards):,} certificates are signed")
    if stage.house is not None:
        known = set(seeded)
        told = seed(stage.house.site, plan, [card for card in cards if card.number in known])
        stage.house.start()
        _say(f"the server runs, with {len(told):,} jobs")
    cards += _ask(arguments, plan, stage, routed)
    settings = Settings(
        rate=arguments.rate,
        is_storm=arguments.storm,
        loss=arguments.loss,
        is_bound=stage.server.host.startswith("127.") and not arguments.nat,
    )
    crew = Crew(plan, cards, stage.server, settings, told, arguments.processes, arguments.nat)
    stack.callback(crew.stop)
    return crew


def _ask(arguments: argparse.Namespace, plan: Plan, stage: Stage, routed: list[int]) -> list[Pass]:
    """The certificates that come through the server's issuing route."""
    if not routed:
        return []
    if stage.house is None:
        contexts = load_contexts(Flags(context=(arguments.context,)), {"JOBMON_CONFIG": arguments.config})
        return ask(contexts[0], plan, routed)
    found = []
    for owner in plan.owners:
        found += ask(stage.house.context(owner), plan, [each for each in routed if plan.owner(each) == owner])
    _say(f"{len(found):,} certificates came through the server's route")
    return found


def _owners(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Names of people; with a context there is one, who asks."""
    more = (f"user{number:03d}" for number in range(arguments.owners))
    return tuple(islice((*PEOPLE, *more), 1 if arguments.context else arguments.owners))


def _say(line: str) -> None:
    print(line, flush=True)


def _arguments() -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--jobs", type=int, default=1000, help="simulated jobs (default %(default)s)")
    add("--owners", type=int, default=6, help="people who own them (%(default)s)")
    add("--nodes", type=int, default=0, help="nodes they run on (one for 200 jobs)")
    add("--rate", type=float, default=0.0, help="changes a second: of figures, some of state, some ends (%(default)s)")
    add("--interval", type=float, default=25.0, help="s between beats (%(default)s)")
    add("--quiet", type=float, default=60.0, help="s until an agent leaves its channel (%(default)s)")
    add("--storm", action="store_true", help="all register at the same moment")
    add("--seeded", type=float, default=0.0, metavar="SHARE", help="share that the server knows already (%(default)s)")
    add("--routed", type=float, default=0.0, metavar="SHARE", help="share issued by the server's route (%(default)s)")
    add("--real", type=int, help=f"jobs under the real agent (one in {REAL_SHARE}, at most {MOST_REAL})")
    add("--loss", type=float, default=0.0, metavar="SHARE", help="datagrams dropped, each way (%(default)s)")
    add("--nat", default="", metavar="NAMESPACE", help="the agents' network namespace, as /run/netns/worker; root")
    add("--host", default="", help="address at which agents reach the server, where not by loopback")
    add("--site", default="", help="directory of a site whose server runs, instead of a throw-away one")
    add("--context", default="", help="a context of the console; its owner's jobs, through the issuing route alone")
    add("--config", default="", help="the console's configuration, for --context")
    add("--agents", default="", help="URL of the agents' port, for --context")
    add("--processes", type=int, default=1, help="of the fleet; handshakes of a storm want two (%(default)s)")
    add("--seconds", type=float, default=30.0, help="s to go on when all have registered (%(default)s)")
    add("--serve", action="store_true", help="go on until Ctrl-C, for a console to look at")
    add("--seed", type=int, default=1, help="of everything that is made up (%(default)s)")
    add("--scratch", default=".", help="directory for real jobs, where the site is not throw-away")
    arguments = parser.parse_args()
    if arguments.context and not (arguments.config and arguments.agents):
        parser.error("--context needs --config and --agents")
    if arguments.site and (arguments.seeded or arguments.routed):
        parser.error("--seeded and --routed are for a throw-away site")
    arguments.nodes = arguments.nodes or -(-arguments.jobs // 200)
    if arguments.real is None:
        arguments.real = min(arguments.jobs // REAL_SHARE, MOST_REAL)
    return arguments


if __name__ == "__main__":
    main()
