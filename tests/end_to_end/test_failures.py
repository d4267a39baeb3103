"""When a part dies: the job goes on as it would have, and the list comes back right."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.end_to_end.sites import ANSWER, JOBMON, Site, wait_until

ENDS_WITH_7 = """
import os, sys, time
print("alive", flush=True)
while not os.path.exists("go"): time.sleep(0.02)
print("done", flush=True)
sys.exit(7)
"""
PRINTS_NUMBERS = """
import os, sys, time
number = 0
while not os.path.exists("stop"):
    sys.stdout.write("line %07d\\n" % number)
    sys.stdout.flush()
    number += 1
    time.sleep(0.002)
sys.exit(3)
"""
BACK = 10.0  # s until agents are back after their server


@pytest.mark.parametrize("mode", ["--exec", "--wrap"])
def test_a_job_whose_agent_is_killed_ends_as_it_would_have(site: Site, mode: str) -> None:
    job = site.start_job(ENDS_WITH_7, mode)
    wait_until(lambda: "alive" in (job.sandbox / "job.out").read_text())
    agents = [pid for pid in job.agents() if pid != job.process.pid]
    assert agents
    for agent in agents:
        with contextlib.suppress(ProcessLookupError):  # one may end by itself, or with another
            os.kill(agent, signal.SIGKILL)

    (job.sandbox / "go").touch()

    assert job.process.wait(ANSWER) == 7
    assert (job.sandbox / "job.out").read_text() == "alive\ndone\n"


def test_after_a_killed_server_is_back_so_are_its_agents_and_its_past(make_site: Callable[[str], Site]) -> None:
    site = make_site("phoenix")
    ended, ending, staying = (site.start_job(ENDS_WITH_7) for _ in range(3))
    (ended.sandbox / "go").touch()
    before = site.wait_for(ended.id, lambda row: row["state"] == "ended")
    site.server.kill()
    site.server.wait()
    (ending.sandbox / "go").touch()
    assert ending.process.wait(ANSWER) == 7

    site.start_server()

    back = site.wait_for(staying.id, lambda row: row["state"] == "running" and row["callback"] == "tcp", limit=BACK)
    assert back["exit"] is None
    assert site.jobmon("head", "-n", "1", staying.id).stdout == "alive\n"
    after = {row["id"]: row for row in site.rows()}
    assert after.keys() == {ended.id, ending.id, staying.id}
    assert (after[ended.id]["state"], after[ended.id]["exit"]) == ("ended", before["exit"])
    late = site.wait_for(ending.id, lambda row: row["state"] == "ended", limit=BACK)
    assert late["exit"]["code"] == 7


def test_a_job_runs_without_any_server(make_site: Callable[[str], Site]) -> None:
    site = make_site("absent")
    first = site.start_job(ENDS_WITH_7)
    site.server.kill()
    site.server.wait()
    (first.sandbox / "go").touch()

    assert first.process.wait(ANSWER) == 7
    answer = site.jobmon("jobs")
    assert answer.returncode == 5
    assert answer.stderr.startswith("jobmon: ")
    assert len(answer.stderr.splitlines()) == 1


def test_a_follow_over_a_killed_server_misses_no_line_and_repeats_none(make_site: Callable[[str], Site]) -> None:
    site = make_site("lazarus")
    job = site.start_job(PRINTS_NUMBERS)
    copy = site.scratch / "copy"
    with copy.open("wb") as out:
        follower = subprocess.Popen(
            (*JOBMON, "tail", "-f", "-n", "1000000", job.id, "--context", "alice"),
            env=site.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        for _ in range(2):
            size = copy.stat().st_size
            wait_until(lambda size=size: copy.stat().st_size > size + 1000)
            site.server.kill()
            site.server.wait()
            site.start_server()
        size = copy.stat().st_size
        wait_until(lambda: copy.stat().st_size > size + 1000, limit=30.0)
        (job.sandbox / "stop").touch()
        _, errors = follower.communicate(timeout=ANSWER)
    finally:
        follower.kill()

    assert copy.read_bytes() == (job.sandbox / "job.out").read_bytes()
    assert follower.returncode == 0
    *outages, last = errors.splitlines()
    assert len(outages) == 2
    assert all("the answer broke off after byte" in each for each in outages)
    assert last == "jobmon: the job has ended with exit 3"


class Told(NamedTuple):
    """A command that goes on, and what it has said so far."""

    process: subprocess.Popen[bytes]
    paths: tuple[Path, Path]

    def out(self) -> str:
        return self.paths[0].read_text()

    def err(self) -> str:
        return self.paths[1].read_text()


@contextlib.contextmanager
def told(site: Site, *words: str) -> Iterator[Told]:
    """`jobmon WORDS…`, until the end of the block."""
    out, err = (site.scratch / f"{words[0]}.{stream}" for stream in ("out", "err"))
    with out.open("wb") as stdout, err.open("wb") as stderr:
        command = (*JOBMON, *words, "--context", "alice")
        process = subprocess.Popen(
            command, env=site.environment, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        )
    try:
        yield Told(process, (out, err))
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_what_is_watched_goes_on_after_the_server_and_tells_of_each_change_once(
    make_site: Callable[[str], Site], end: signal.Signals
) -> None:
    site = make_site("again")
    job = site.start_job(ENDS_WITH_7)
    with contextlib.ExitStack() as stack:
        watch, log = (
            stack.enter_context(told(site, *words))
            for words in (("jobs", "--watch", "--columns", "id,state", "--no-header"), ("log", "-f", job.id))
        )
        wait_until(lambda: job.id in watch.out())
        wait_until(lambda: "registered" in log.out())
        site.server.send_signal(end)
        site.server.wait()
        wait_until(lambda: "broke off" in watch.err() and "broke off" in log.err())
        site.start_server()
        (job.sandbox / "go").touch()
        wait_until(lambda: "ended" in watch.out())

        assert log.process.wait(ANSWER) == 0

    assert [line.split() for line in watch.out().splitlines()] == [[job.id, "running"], [job.id, "ended", "7"]]
    events = [line.split()[1] for line in log.out().splitlines()]
    assert (events.count("registered"), events[-1]) == (1, "ended")
    for each, what in ((watch, "list"), (log, "log")):
        assert each.err() == f"jobmon: the {what} broke off; going on with it when it can be had\n"
