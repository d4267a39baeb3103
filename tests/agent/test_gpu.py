"""GPUs are told where NVIDIA's tool is installed, and a tool that hangs or babbles harms nobody.

No GPU was at hand: programs that print what the tool prints stand for it.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_agent import gpu
from jobmon_agent.job import Job
from tests.agent.trees import Yard, answer, is_alive, record, until

MIB = 1024 * 1024
DEVICES = """\
0, GPU-0d2d6f3a-0d5c-0f0b-3c0e-3a8f6d7f1e11, NVIDIA A100-SXM4-40GB, 97, 30211, 40960
1, GPU-5b6f2a90-77d1-9c53-6a1b-0c5a3e9d2f22, NVIDIA A100-SXM4-40GB, 0, 4, 40960
2, GPU-77777777-77d1-9c53-6a1b-0c5a3e9d2f33, NVIDIA A100-SXM4-40GB, [N/A], [N/A], 40960
"""
Install = Callable[[str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a program in the tool's place; where its runs are noted."""
    for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)

    def install(script: str) -> Path:
        program, runs = tmp_path / "bin" / gpu.PROGRAM, tmp_path / "runs"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho $$ >> {runs}\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return runs

    return install


def printing(job: Job) -> str:
    processes = (
        f"{job.pid}, GPU-0d2d6f3a-0d5c-0f0b-3c0e-3a8f6d7f1e11, 30000\n1, GPU-5b6f2a90-77d1-9c53-6a1b-0c5a3e9d2f22, 4"
    )
    return f"case $1 in --query-gpu*) cat <<'.'\n{DEVICES}.\n;; *) cat <<'.'\n{processes}\n.\n;; esac"


def test_ps_top_and_node_tell_the_gpus_that_the_job_uses(yard: Yard, install: Install) -> None:
    job = yard.start(["sleep", "300"])
    install(printing(job))
    device = {
        "index": 0,
        "name": "NVIDIA A100-SXM4-40GB",
        "utilization": 97,
        "memory_used": 30211 * MIB,
        "memory": 40960 * MIB,
        "job_memory": 30000 * MIB,
    }

    assert [row["gpu_memory"] for row in record(job, "ps")["processes"]] == [30000 * MIB]
    assert record(job, "node")["job"]["gpus"] == [device]
    ticks = [tick for _, tick in answer(job, "top", delay=0.2, count=5)]
    assert ticks[-1]["job"]["gpus"] == [device]
    assert ticks[-1]["processes"][0]["gpu_memory"] == 30000 * MIB


def test_gpus_that_were_given_to_the_job_are_told_before_it_uses_them(
    yard: Yard, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = yard.start(["sleep", "300"])
    install(printing(job))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")

    found = record(job, "node")["job"]["gpus"]

    assert [(each["index"], each["utilization"], each["job_memory"]) for each in found] == [
        (0, 97, 30000 * MIB),
        (2, None, None),
    ]


def test_nothing_is_started_where_the_tool_is_not_installed(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "find", lambda: "")
    monkeypatch.setattr(gpu, "Question", lambda *_: pytest.fail("a program was started"))
    job = yard.start(["sleep", "300"])

    assert record(job, "ps")["processes"][0]["gpu_memory"] is None
    assert record(job, "top", count=1)["job"]["gpus"] == []


def test_a_tool_that_hangs_is_killed_at_its_deadline(
    yard: Yard, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = yard.start(["sleep", "300"])
    runs = install("trap '' TERM; exec sleep 300")
    monkeypatch.setattr(gpu, "DEADLINE", 0.3)
    began = time.monotonic()

    rows = record(job, "ps")["processes"]

    assert rows[0]["gpu_memory"] is None
    assert time.monotonic() - began < 5
    assert len(runs.read_text().split()) == 1  # the second question is not asked
    until(lambda: not is_alive(int(runs.read_text())))


def test_no_tick_waits_for_a_tool_that_hangs(yard: Yard, install: Install) -> None:
    job = yard.start(["sleep", "300"])
    runs = install("exec sleep 300")
    began = time.monotonic()

    ticks = list(answer(job, "top", delay=0.2, count=3))

    assert len(ticks) == 3
    assert time.monotonic() - began < gpu.DEADLINE / 2
    os.kill(int(until(runs.read_text)), 9)


@pytest.mark.parametrize(
    "script",
    ["head -c 100000000 /dev/urandom", "echo NVIDIA-SMI has failed; exit 9", "echo; echo , , ,; echo 1,2", "exit 0"],
)
def test_a_tool_that_babbles_tells_nothing(yard: Yard, install: Install, script: str) -> None:
    job = yard.start(["sleep", "300"])
    install(script)

    assert record(job, "node")["job"]["gpus"] == []
    assert record(job, "ps")["processes"][0]["gpu_memory"] is None


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_arbitrary_output_is_gpus_or_none(devices: bytes, processes: bytes) -> None:
    gpu.parse(devices, processes, [1], ["0"])
