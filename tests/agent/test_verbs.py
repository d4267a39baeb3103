"""Every verb answers alike under every Python that a worker node may have."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from jobmon_agent.verbs import VERBS as FUNCTIONS
from jobmon_wire.verbs import VERBS
from tests.pythons import PYTHONS, Python

AGENT = Path(FUNCTIONS["ps"].__code__.co_filename).parent.parent
SCRIPT = Path(__file__).with_name("verbs_script.py")


def test_there_is_a_function_for_each_verb_of_the_wire() -> None:
    assert set(FUNCTIONS) == set(VERBS)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("python", PYTHONS, ids=[python.version for python in PYTHONS])
def test_every_verb_answers(python: Python, locale: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": locale}

    ran = subprocess.run(
        [python.path, "-I", "-S", "-B", str(SCRIPT), str(AGENT), str(tmp_path)],
        capture_output=True,
        env=environment,
        timeout=60,
    )

    assert (ran.returncode, ran.stderr) == (0, b"")
    answers = json.loads(ran.stdout)
    members = {row["pid"] for row in answers["ps"]}
    assert {answers["pid"], answers["daemon"]} < members
    assert answers["ps"][0]["command"].startswith("/bin/sh -c (setsid")
    assert answers["top"]["job"]["processes"] == len(members) == 3
    assert answers["ls"] == ["daemon.pid", "inside", "out.log", "outside", "ready", "\udcff é"]
    assert answers["odd"] == "odd\n"
    assert answers["cat"] == "eins\nzwei\n"
    assert answers["head"] == "eins\n"
    assert answers["tail"] == "zwei\n"
    assert (answers["outside"], answers["stderr"]) == ("outside-sandbox", "no-stream")
    assert answers["node"] == {"system": "slurm", "id": "17"} == answers["batch"][0]
    assert answers["facts"]["memory"] > 2**20
    assert answers["processes"] == [3, 3]
    assert answers["kill"] == {"signal": "TERM", "sent": sorted(members), "killed": [], "left": []}
    assert answers["status"] == -signal.SIGTERM
    assert {row["state"] for row in answers["after"]} <= {"Z"}  # what process 1 has not waited for yet
    assert answers["followed"] == ["eins\nzwei\n", ["at", "ended"]]
