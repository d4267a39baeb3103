"""The node is told as the kernel knows it."""

import os
import platform
import pwd
import shutil

import pytest

from jobmon_agent import VERSION, node
from tests.agent.trees import Yard, record


def test_the_facts_are_those_of_this_machine() -> None:
    facts = node.facts()

    assert facts == {
        "node": platform.node(),
        "cpus": os.cpu_count(),
        "memory": facts["memory"],
        "kernel": "Linux " + platform.release(),
        "user": pwd.getpwuid(os.geteuid()).pw_name,
    }
    # MemTotal may differ from the page count by what the kernel has given back since.
    assert facts["memory"] == pytest.approx(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), rel=0.01)


def test_the_verb_tells_load_memory_and_disk(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    job = yard.start(["sleep", "300"])

    answer = record(job, "node")

    assert set(answer) == {
        "node",
        "kernel",
        "cpus",
        "cpu_model",
        "load",
        "uptime",
        "memory",
        "memory_available",
        "swap",
        "swap_free",
        "disk",
        "user",
        "cwd",
        "python",
        "agent",
        "mode",
        "batch",
        "job",
    }
    assert answer["disk"]["size"] == shutil.disk_usage(job.sandbox_path).total
    assert 0 < answer["disk"]["free"] <= answer["disk"]["size"]
    assert 0 < answer["memory_available"] < answer["memory"]
    assert 0 <= answer["swap_free"] <= answer["swap"]
    assert answer["uptime"] > 0
    assert len(answer["load"]) == 3
    assert (answer["cwd"], answer["mode"], answer["agent"]) == (job.sandbox_path, "exec", VERSION)
    assert answer["python"] == platform.python_version()
    assert answer["batch"]["id"] == "4711"


def test_a_kernel_that_tells_nothing_gives_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_read", lambda path: b"")

    assert node.memory(("memory", "swap")) == {"memory": 0, "swap": 0}
    assert node.cpu_model() == ""
