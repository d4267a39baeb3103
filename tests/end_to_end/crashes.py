"""A server that is killed again and again under load, and what became of every request it was asked meanwhile.

Each asker has a job of its own and asks it one thing at a time, so whatever
happens in the job or stands in the audit trail between two moments belongs to
one request.  The job counts its signals in a file, a byte each.  Who asks is
the command line's own library; who is killed is the real server's process.
"""

import contextlib
import random
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from jobmon_console import calls
from jobmon_console.contexts import Flags, load_contexts
from jobmon_console.errors import CutOffError, JobMonError, RefusedError, UnreachableError
from jobmon_console.session import Session
from tests.end_to_end.sites import Job, OwnSite, wait_until

# Beats as frequent, and channels as brief, as can be: a killed server shall meet requests at every point of their way.
SETTINGS = "ping = 1.0\nbeat = 0.3\nquiet = 0.3\nlost_after = 600.0\n"
COUNTS_SIGNALS = """
import os, signal
counted = os.open("signals", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print("ready")
while True:
    signal.sigwait({signal.SIGUSR1})
    os.write(counted, b"1")
"""
QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("kill", {"signal": "USR1"}),) * 6,
    ("ps", {}),
    ("ls", {}),
    ("tail", {}),
    ("head", {"bytes": 3}),
    ("cat", {}),
    ("node", {}),
)
PAUSE = 0.15  # s at most between two questions of one asker
AWAY = 0.25  # s between two tries to reach a server that is not there
ALIVE = 1.5  # s at most that a server lives after what it is to see
SIGHT = 30.0  # s that it may wait for its agents: they come back within ten, or later on a busy machine
PATIENCE = 300.0  # s

ANSWERED, UNKNOWN, UNSENT = "answered", "unknown", "unsent"  # else the code of a refusal
# Refusals after which the job may have been signalled: the agent went away with the request.
DOUBTFUL = (UNKNOWN, "agent-gone")


class Request(NamedTuple):
    """What was asked, and what came of it."""

    verb: str
    began: float  # s since 1970
    ended: float
    outcome: str  # as the user was told
    signals: int  # that the job has received meanwhile


class Asker(threading.Thread):
    """Somebody who asks one job, again and again, until told to stop."""

    def __init__(self, site: OwnSite, job: Job, seed: int) -> None:
        super().__init__(daemon=True)
        [self._context] = load_contexts(Flags(context=("alice",)), site.environment)
        self._counted = job.sandbox / "signals"
        self._status = Path(f"/proc/{job.process.pid}/status")
        self._job = job
        self._random = random.Random(seed)
        self._stopped = threading.Event()
        self.requests: list[Request] = []
        self.faults: list[str] = []  # what must not be, in words

    def run(self) -> None:
        """Ask."""
        try:
            while not self._stopped.wait(self._random.uniform(0, PAUSE)):
                verb, arguments = self._random.choice(QUESTIONS)
                self._ask(verb, arguments)
        except BaseException as error:
            self.faults.append(repr(error))
            raise

    def stop(self) -> None:
        """Let it come to its end."""
        self._stopped.set()
        self.join(PATIENCE)
        if self.is_alive():
            self.faults.append("a request has no end")

    def _ask(self, verb: str, arguments: dict[str, Any]) -> None:
        before, began = self._count(), time.time()
        outcome = self._put(verb, arguments)
        ended = time.time()
        if outcome in DOUBTFUL:
            # The agent begins a new channel when nothing of the old one is under way any more.
            wait_until(lambda: self._put("ps", {}) == ANSWERED, PATIENCE, AWAY)
        elif outcome == UNSENT:
            self._stopped.wait(AWAY)
        wait_until(self._has_counted, PATIENCE)
        self.requests.append(Request(verb, began, ended, outcome, self._count() - before))

    def _put(self, verb: str, arguments: dict[str, Any]) -> str:
        try:
            with Session(self._context) as session:
                for _ in session.frames(calls.query(self._job.id, verb, arguments)):
                    pass
            return ANSWERED
        except RefusedError as error:
            return error.code
        except CutOffError:
            return UNKNOWN
        except UnreachableError:
            return UNSENT
        except JobMonError as error:
            self.faults.append(f"{verb}: {error!r}")
            return UNKNOWN

    def _has_counted(self) -> bool:
        """The job waits for its next signal, and none is on its way to it."""
        facts = dict(line.split(":", 1) for line in self._status.read_text().splitlines())
        return facts["State"].split()[0] == "S" and not int(facts["ShdPnd"], 16)

    def _count(self) -> int:
        return self._counted.stat().st_size


class Crashes:
    """A site, its jobs, and those who ask them while its server is killed.

    Args:
        site: with ``SETTINGS``.
        jobs: how many.
        seed: of every choice.
    """

    def __init__(self, site: OwnSite, jobs: int, seed: int) -> None:
        self._site = site
        self._random = random.Random(seed)
        self.killed: list[float] = []  # when, s since 1970
        started = [site.start_job(COUNTS_SIGNALS) for _ in range(jobs)]
        for job in started:
            wait_until((job.sandbox / "signals").exists)
        self.uuids = {row["id"]: row["uuid"] for row in site.rows()}
        self.askers = {job.id: Asker(site, job, seed + number) for number, job in enumerate(started)}

    def run(self, kills: int) -> None:
        """Kill the server so many times, and let all come to its end under a last one."""
        for asker in self.askers.values():
            asker.start()
        try:
            for _ in range(kills):
                assert not any(asker.faults for asker in self.askers.values()), "nobody asks any more"
                self._await_sight()
                time.sleep(self._random.uniform(0, ALIVE) ** 2 / ALIVE)  # rather soon than late
                assert self._site.server is not None
                self._site.server.kill()
                self.killed.append(time.time())
                self._site.server.wait()
                self._site.start_server()
        finally:
            for asker in self.askers.values():
                asker.stop()

    def _await_sight(self) -> None:
        """Let the server see a number of answers, none to a few for each asker, before it may be killed."""
        wanted = self._answered() + self._random.randrange(2 * len(self.askers))
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self._answered() >= wanted, SIGHT)

    def _answered(self) -> int:
        return sum(request.outcome == ANSWERED for asker in self.askers.values() for request in asker.requests)

    # What came of it

    def faults(self) -> list[str]:
        """Everything that must not be, in words; the server has stopped."""
        found = [fault for asker in self.askers.values() for fault in asker.faults]
        with contextlib.closing(_open(self._site.home / "store.sqlite")) as store:
            found += _damage(store)
            for job, asker in self.askers.items():
                rows = _rows(store, self.uuids[job])
                found += [f"{job}: {fault}" for request in asker.requests for fault in _judge(request, rows)]
        return found

    def hits(self) -> int:
        """Kills that met at least one request on its way."""
        asked = [request for asker in self.askers.values() for request in asker.requests if request.outcome != UNSENT]
        return sum(any(request.began < at < request.ended for request in asked) for at in self.killed)

    def summary(self) -> Counter[str]:
        """How many requests ended how, and of those whose end nobody knows, how far they had come."""
        told: Counter[str] = Counter()
        with contextlib.closing(_open(self._site.home / "store.sqlite")) as store:
            for job, asker in self.askers.items():
                rows = _rows(store, self.uuids[job])
                for request in asker.requests:
                    told[request.outcome] += 1
                    if request.verb == "kill" and request.outcome in DOUBTFUL:
                        row = "a row" if _of(request, rows) else "no row"
                        told[f"kill {request.outcome} with {row} and {request.signals} signals"] += 1
        return told


class Action(NamedTuple):
    """A row of the audit trail."""

    at: float
    verb: str
    decision: str
    outcome: str | None


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def _damage(store: sqlite3.Connection) -> list[str]:
    [(told,)] = store.execute("PRAGMA integrity_check").fetchall()
    return [] if told == "ok" else [f"the store is damaged: {told}"]


def _rows(store: sqlite3.Connection, uuid: str) -> list[Action]:
    found = store.execute(
        "SELECT audit.at, verb, decision, outcome FROM audit LEFT JOIN outcomes ON outcomes.audit = seq WHERE uuid = ?",
        (uuid,),
    )
    return [Action(*row) for row in found]


def _of(request: Request, rows: list[Action]) -> list[Action]:
    return [row for row in rows if request.began <= row.at <= request.ended and row.verb == request.verb]


def _judge(request: Request, rows: list[Action]) -> list[str]:
    """What is wrong with a request, given what was written down of its job."""
    found = []
    own = _of(request, rows)
    most = 1 if request.verb == "kill" and request.outcome in (ANSWERED, *DOUBTFUL) else 0
    least = 1 if request.verb == "kill" and request.outcome == ANSWERED else 0
    if not least <= request.signals <= most:
        found.append(f"{request} has sent {request.signals} signals")
    if len(own) > 1:
        found.append(f"{request} stands {len(own)} times in the audit trail")
    if (request.signals or request.outcome == ANSWERED) and not own:
        found.append(f"{request} does not stand in the audit trail")
    if request.outcome == UNSENT and own:
        found.append(f"{request} was sent all the same: {own}")
    if any(row.decision != "allowed" or row.outcome is None for row in own):
        found.append(f"{request} has no end in the audit trail: {own}")
    if any(row.outcome not in (_told(request), UNKNOWN) for row in own):
        found.append(f"{request} ended otherwise in the audit trail: {own}")
    return found


def _told(request: Request) -> str:
    return "done" if request.outcome == ANSWERED else request.outcome
