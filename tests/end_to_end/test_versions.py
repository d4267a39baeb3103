"""An agent that is older than the command does what it knows, and names in a sentence what it does not."""

import re
import sys
import zipfile
from pathlib import Path

from tests.end_to_end.sites import ANSWER, Site, is_running, wait_until

WAITS = "import time; print('alive', flush=True); time.sleep(300)"
FORKS = """
import os, time
worker = os.fork()
if worker:
    with open("new", "w") as file: file.write("%d" % worker)
    os.rename("new", "worker")
time.sleep(300)
"""


# Arguments of verbs that an older agent's table does not have, and what today's verbs take in their place.
MISSING = {"directory": False, "length": None, "latest": None, "started": None, "pid": None}
NAMED = {"pid": r"(?m)^ +_PID,$"}  # how an argument of several verbs stands in the one that has not always had it
FILLED = f"""
_check_arguments = check_arguments
def check_arguments(verb, given):
    return dict({MISSING!r}, **_check_arguments(verb, given))
"""


def grow_old(agent: Path) -> None:
    """Give an agent the table of one that was made before these arguments were."""
    with zipfile.ZipFile(agent) as file:
        # The source alone: there is byte code of the whole table beside it.
        members = {name: file.read(name) for name in file.namelist() if not name.startswith("cp")}
    table = members["jobmon_wire/verbs.py"].decode()
    for argument in MISSING:
        written = NAMED.get(argument, rf'(, )?Argument\("{argument}", [^()]*\)(?(1)|,)')
        table, found = re.subn(written, "", table)
        assert found == 1
    members["jobmon_wire/verbs.py"] = (table + FILLED).encode()
    with zipfile.ZipFile(agent, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


def make_old_agent(site: Site) -> None:
    assert site.jobmon("agent", "--python", sys.executable, "--out", str(site.agent), context=None).returncode == 0
    grow_old(site.agent)


def test_an_option_that_the_agent_is_too_old_for_is_named(site: Site) -> None:
    make_old_agent(site)
    job = site.start_job(WAITS)
    sentence = (
        "jobmon: the job's agent is older than this command's option '{}'; ask without it; "
        "a job started with a newer jobmond.pyz takes it\n"
    )

    plain = [site.jobmon(*words, job.id) for words in (["ls"], ["cat"], ["tail"])]
    newer = {
        "directory": site.jobmon("ls", "-d", job.id),
        "length": site.jobmon("cat", "--length", "1", job.id),
        "latest": site.jobmon("tail", "-f", "--latest", job.id),
    }

    assert [done.returncode for done in plain] == [0] * 3, plain
    assert [done.stdout for done in plain[1:]] == ["alive\n"] * 2
    for option, done in newer.items():
        assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence.format(option))


def test_an_agent_too_old_to_signal_one_process_signals_none(site: Site) -> None:
    make_old_agent(site)
    job = site.start_job(FORKS)
    worker = int(wait_until(lambda: (job.sandbox / "worker").exists() and (job.sandbox / "worker").read_text()))

    done = site.jobmon("kill", job.id, "--pid", str(worker), "--yes", "-s", "KILL")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "jobmon: the job's agent is too old to signal one process alone, so nothing was sent; "
        "a job started with a newer jobmond.pyz takes it\n"
    )
    assert is_running(worker)
    assert is_running(job.process.pid)
    # The control: it does what it knows, and that is the whole job.
    assert site.jobmon("kill", job.id, "-s", "KILL").returncode == 0
    assert job.process.wait(ANSWER) == -9
    assert not is_running(worker)
