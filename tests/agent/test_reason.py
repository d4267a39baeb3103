"""Why a job ended is what the batch system wrote about this very run, and nothing else."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from jobmon_agent import reason
from jobmon_wire.records import Exit

STARTED = 1_795_700_000.0  # s since 1970
SLURM = {"SLURM_JOB_ID": "42"}
TERM = Exit(None, "TERM", False, "pidfd")


def line(text: str = "", number: str = "42", at: float = STARTED + 60, who: str = "slurmstepd-wn1") -> bytes:
    """What Slurm's step daemon writes."""
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at))
    return f"{who}: error: *** JOB {number} ON wn1 CANCELLED AT {when}{text} ***\n".encode()


SAYS = {
    "": "cancelled",
    " DUE TO TIME LIMIT": "time limit",
    " DUE TO PREEMPTION": "preempted",
    " DUE TO JOB REQUEUE": "requeued",
    " DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS": "node failure",
    " DUE TO SOMETHING NEW": "cancelled",
}


@pytest.mark.parametrize(("text", "cause"), SAYS.items())
def test_what_slurm_writes_is_understood(text: str, cause: str) -> None:
    assert reason.announced(b"some output\n" + line(text) + b"Traceback: killed\n", SLURM, STARTED) == cause


@pytest.mark.parametrize(
    "errors",
    [
        b"",
        line(number="4"),
        line(number="421"),
        line(at=STARTED - 60),  # of an earlier run, in a file that is appended to
        line()[:-5],
        b"copied: " + line(),
        line(who="x-slurmstepd"),
        b"\xff\x00" * 2000,
    ],
)
def test_lines_about_something_else_say_nothing(errors: bytes) -> None:
    assert reason.announced(errors, SLURM, STARTED) is None
    assert reason.announced(line(), {}, STARTED) is None


def test_the_last_of_several_lines_counts_and_a_step_is_of_its_job() -> None:
    step = line(" DUE TO TIME LIMIT").replace(b"JOB 42 ", b"STEP 42.0 ")

    assert reason.announced(line() + step, SLURM, STARTED) == "time limit"
    assert reason.announced(step.replace(b"42.0", b"42.batch") + line(), SLURM, STARTED) == "cancelled"


def test_a_passed_time_limit_is_told_by_the_clock_where_nobody_says_it() -> None:
    limit = dict(SLURM, SLURM_JOB_END_TIME=str(int(STARTED) + 100))

    assert reason.deduced(limit, STARTED + 101, TERM, None) == "time limit"
    assert reason.deduced(limit, STARTED + 99, TERM, None) is None
    assert reason.deduced(limit, STARTED + 101, Exit(0, None, False, "pidfd"), None) is None
    assert reason.deduced({"SLURM_JOB_END_TIME": "soon"}, STARTED, TERM, None) is None


def test_a_kill_for_memory_is_told_unless_the_batch_system_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    told = [reason.deduced(SLURM, STARTED, TERM, kills) for kills in (None, 0, 1)]
    announced = reason.of_end(line(" DUE TO TIME LIMIT"), STARTED, STARTED + 60, TERM, 1)

    assert told == [None, None, "out of memory"]
    assert announced == "time limit"


def test_every_python_reads_it_alike(python: Path) -> None:
    script = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from jobmon_agent import reason;"
        "print(json.dumps([reason.announced(line.encode(), {'SLURM_JOB_ID': '42'}, float(sys.argv[2]))"
        " for line in json.load(sys.stdin)]))"
    )
    command = [str(python), "-I", "-S", "-c", script, str(Path(reason.__file__).parents[1]), str(STARTED)]
    lines = json.dumps([line(text).decode() for text in SAYS])

    told = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, timeout=60).stdout

    assert json.loads(told) == list(SAYS.values())
