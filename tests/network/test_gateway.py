"""A job is reached behind a gateway that lets nobody in, and whatever that does to what passes it.

Real agents in a namespace of the worker's own, a real server outside, and a
gateway between that rewrites addresses.
"""

import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.sites import ANSWER, JOBMON, Job, wait_until
from tests.network.conftest import BEAT, QUIET, SLOW_BEAT, FarSite, settings
from tests.network.lab import WORKER, Lab

COUNTS_SIGNALS = """
import signal
signal.signal(signal.SIGUSR1, lambda *_: print("USR1"))
print("ready")
while True: signal.pause()
"""
PRINTS_NUMBERS = """
import os, time
number = 0
while not os.path.exists("stop"):
    print("line %07d" % number)
    number += 1
    time.sleep(0.002)
"""
BACK = 40.0  # s of patience; what is claimed of time is counted in beats


def start(site: FarSite, program: str = COUNTS_SIGNALS) -> Job:
    """A job whose agent has closed its channel and can be rung."""
    job = site.start_job(program)
    site.wait_for(job.id, lambda row: row["callback"] == "udp")
    wait_until(site.is_let_go)
    return job


def ring(site: FarSite, job: Job) -> Callable[[], float]:
    """Ask for the job's processes meanwhile; what to call for the seconds that the answer took."""
    took: list[float] = []

    def ask() -> None:
        began = time.monotonic()
        assert site.ask(job, "ps")
        took.append(time.monotonic() - began)

    asking = threading.Thread(target=ask)
    asking.start()

    def answered() -> float:
        asking.join(2 * BACK)
        assert took, "there was no answer"
        return took[0]

    return answered


def wait_until_rung(job: Job) -> None:
    """Until the idle process has forked a worker for those who ask."""
    wait_until(lambda: len(job.agents()) > 1, BACK, 0.005)


def test_a_job_is_listed_and_asked_although_nobody_can_connect_to_its_node(site: FarSite, lab: Lab) -> None:
    job = start(site)

    for words in (("ps", job.id), ("tail", job.id), ("kill", "-s", "USR1", job.id)):
        wait_until(site.is_let_go)
        with pytest.raises(OSError, match="unreachable"):
            socket.create_connection((WORKER, 22), BEAT)
        done = site.jobmon(*words)
        assert (done.returncode, done.stderr) == (0, "")

    assert {row["id"]: row["callback"] for row in site.rows("state:running")} == {job.id: "udp"}
    wait_until(lambda: (job.sandbox / "job.out").read_text() == "ready\nUSR1\n")


def test_where_the_gateway_has_taken_another_port_one_beat_brings_the_agent_back(site: FarSite, lab: Lab) -> None:
    job = start(site)
    [before] = lab.mappings()
    lab.forget("30000-30999")
    sent = lab.sent()

    answered = ring(site, job)
    wait_until_rung(job)
    used = lab.sent() - sent

    answered()
    assert used <= 2, "more than a beat from the new place, and the answer to the challenge"
    assert before not in lab.mappings()
    assert all(30000 <= port <= 30999 for port in lab.mappings())


def test_where_the_gateway_forgets_between_two_beats_each_beat_says_who_asks(site: FarSite, lab: Lab) -> None:
    lab.keep_mappings_for(1)
    job = start(site)
    try:
        for _ in range(2):
            wait_until(site.is_let_go)
            wait_until(lambda: not lab.mappings())
            sent = lab.sent()

            answered = ring(site, job)
            wait_until_rung(job)
            used = lab.sent() - sent

            answered()
            assert used <= 2
    finally:
        lab.keep_mappings_for(30)


def test_where_no_datagram_passes_the_first_command_is_answered_and_the_later_ones_at_once(
    site: FarSite, lab: Lab
) -> None:
    job = start(site)
    site.reload(settings(SLOW_BEAT))
    sent = lab.sent()
    wait_until(lambda: lab.sent() > sent)  # and with the answer to it the agent knows
    lab.weather("meta l4proto udp drop")

    first = ring(site, job)()
    deadline = time.monotonic() + 2 * QUIET
    later = []
    while time.monotonic() < deadline:  # the channel stays, although nobody asks for longer than it would otherwise
        later.append(ring(site, job)())
        time.sleep(0.05)

    assert first < BACK
    assert min(later) < 1.0
    lab.weather()
    site.reload(settings())
    site.wait_for(job.id, lambda row: row["callback"] == "udp", BACK)
    wait_until(site.is_let_go)
    assert ring(site, job)() < BACK


def test_where_a_fifth_is_lost_either_way_every_request_is_answered(site: FarSite, lab: Lab) -> None:
    # Three beats that are lost would count as silence, and be answered by a refusal; so would four tries of TCP, which
    # take 3 s, on a channel that is given up after as long.
    site.reload(settings(SLOW_BEAT, ping=SLOW_BEAT))
    jobs = [start(site) for _ in range(3)]
    lab.lose(0.2)

    for _ in range(2):
        wait_until(site.is_let_go, BACK)
        for answered in [ring(site, job) for job in jobs]:
            answered()


def test_a_connection_that_died_in_silence_is_given_up_by_both_ends_and_the_follow_goes_on(
    site: FarSite, lab: Lab
) -> None:
    cut_a_follow(site, lab, BACK)


def cut_a_follow(site: FarSite, lab: Lab, limit: float) -> float:
    """Cut the connection of an agent whose job is followed, then all ways to it.

    Gives the seconds until both ends had given up the second connection, each by itself.
    """
    job = start(site, PRINTS_NUMBERS)
    copy = site.scratch / "copy"
    follower = follow(site, job, copy)
    try:
        grown(copy)
        [dead] = lab.connections(site.agents_port)
        lab.cut(dead)
        wait_until(lambda: dead not in lab.connections(site.agents_port), limit)
        wait_until(lambda: lab.accepted(site.agents_port) <= 1, limit)
        grown(copy)

        lab.weather("drop")
        began = time.monotonic()
        wait_until(lambda: not lab.connections(site.agents_port), limit)
        wait_until(lambda: not lab.accepted(site.agents_port), limit)
        took = time.monotonic() - began
        lab.weather()
        grown(copy)
        (job.sandbox / "stop").touch()
        _, errors = follower.communicate(timeout=ANSWER)
    finally:
        follower.kill()
        follower.wait()

    assert copy.read_bytes() == (job.sandbox / "job.out").read_bytes()
    assert follower.returncode == 0, errors
    return took


def follow(site: FarSite, job: Job, copy: Path) -> "subprocess.Popen[str]":
    """Follow all of the job's output into a file."""
    with copy.open("wb") as out:
        return subprocess.Popen(
            (*JOBMON, "tail", "-f", "-n", "1000000", job.id, "--context", "alice"),
            env=site.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        )


def grown(copy: Path) -> None:
    """Wait until the copy has grown by a bit."""
    size = copy.stat().st_size
    wait_until(lambda: copy.stat().st_size > size + 1000, BACK)
