"""When a part dies: the job goes on as it would have, and the list comes back right."""

import os
import signal
from collections.abc import Callable

import pytest

from tests.end_to_end.sites import ANSWER, Site, wait_until

ENDS_WITH_7 = """
import os, sys, time
print("alive", flush=True)
while not os.path.exists("go"): time.sleep(0.02)
print("done", flush=True)
sys.exit(7)
"""
BACK = 10.0  # s until agents are back after their server


@pytest.mark.parametrize("mode", ["--exec", "--wrap"])
def test_a_job_whose_agent_is_killed_ends_as_it_would_have(site: Site, mode: str) -> None:
    job = site.start_job(ENDS_WITH_7, mode)
    wait_until(lambda: "alive" in (job.sandbox / "job.out").read_text())
    agents = [pid for pid in job.agents() if pid != job.process.pid]
    assert agents
    for agent in agents:
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
