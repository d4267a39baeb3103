"""The end is told even where the batch system kills the agent together with what the job leaves."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobmon_wire import frames
from jobmon_wire.records import EndReport

LINGER = 1.0  # s; waiter._LONGEST
SWEEPS = 5  # jobs, each swept up at its end


def sweep(launcher: Any) -> None:
    """Kill whatever is left of the job, as Slurm does with proctrack/cgroup when it has looked at the job's end."""
    for pid in launcher.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def told_in_haste(server: Any) -> list[EndReport]:
    """What OVER frames have said."""
    return [EndReport.read(said) for said in server.channel().objects(frames.OVER)]


def test_the_end_is_told_at_once_the_barest_first(
    launcher: Any, server: Any, python: Path, mode: str, until: Callable[..., Any]
) -> None:
    said = "slurmstepd-wn1: error: *** JOB 42 ON wn1 CANCELLED AT 2999-01-01T00:00:00 DUE TO TIME LIMIT ***"
    command = ("sh", "-c", f"echo last words; echo '{said}' >&2; read go; exit 7")
    with (launcher.directory / "out").open("wb") as out, (launcher.directory / "err").open("wb") as err:
        job = launcher.start(
            launcher.line(python, *command, mode=mode),
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            env=launcher.environment(SLURM_JOB_ID="42"),
        )
    server.channel()
    until(lambda: server.channel().objects(frames.VITALS))
    job.stdin.write(b"go\n")
    job.stdin.close()
    until(lambda: server.ends)
    haste = told_in_haste(server)
    whole = EndReport.read(server.ends[0])

    assert (haste[0].stdout, haste[0].stdout_bytes, haste[0].reason) == (b"", None, None)
    assert (haste[-1].stdout, haste[-1].exit.code, haste[-1].reason) == (b"last words\n", 7, "time limit")
    assert {(each.epoch, each.ended) for each in haste} == {(whole.epoch, whole.ended)}
    assert (whole.exit.code, whole.reason) == (7, "time limit")
    assert server.channel().objects(frames.VITALS)[-1]["reason"] == "time limit"


def test_words_beyond_what_a_frame_holds_are_cut_in_haste_and_whole_in_the_report(
    launcher: Any, server: Any, old_or_new: Path, until: Callable[..., Any]
) -> None:
    with (launcher.directory / "out").open("wb") as out:
        launcher.start(
            launcher.line(old_or_new, "sh", "-c", "yes 12345678 | head -c 100000; sleep 0.3"), stdout=out, stderr=out
        )
    until(lambda: server.ends)
    whole = EndReport.read(server.ends[0])

    assert len(whole.stdout) == 65536
    assert told_in_haste(server)[-1].stdout == whole.stdout[-16384:]


def test_a_waiter_lets_the_agent_tell_before_both_are_swept_up(
    launcher: Any, server: Any, old_or_new: Path, until: Callable[..., Any]
) -> None:
    for number in range(1, SWEEPS + 1):
        line = launcher.line(old_or_new, "sh", "-c", f"sleep 0.2; exit {number}", mode="--wrap")
        job = launcher.start(line)
        job.wait(20)
        sweep(launcher)

        assert job.returncode == number
        assert len(server.ends) == number
        # The kernel may know it a moment before the waiter has said it.
        assert server.ends[-1]["exit"]["code"] == number
        assert server.ends[-1]["exit"]["source"] in ("wrap", "pidfd")


def test_where_everything_is_swept_up_the_agent_chooses_to_be_waited_for(
    launcher: Any, server: Any, old_or_new: Path, until: Callable[..., Any]
) -> None:
    line = launcher.line(old_or_new, "sleep", "0.2", mode="--auto")
    launcher.start(line, env=launcher.environment(JOB_ID="7", SGE_JOB_SPOOL_DIR="/spool"))
    until(lambda: server.ends)

    assert server.registrations[0]["mode"] == "wrap"


def test_a_waiter_does_not_wait_for_a_server_that_is_gone(
    launcher: Any, server: Any, old_or_new: Path, until: Callable[..., Any]
) -> None:
    job = launcher.start(launcher.line(old_or_new, "sh", "-c", "read go", mode="--wrap"), stdin=subprocess.PIPE)
    until(lambda: server.channel().objects(frames.VITALS))
    server.stop()
    start = time.monotonic()
    job.stdin.close()
    job.wait(20)

    assert time.monotonic() - start < LINGER


def test_a_waiter_waits_a_second_at_most_for_a_worker_that_hangs(
    launcher: Any, server: Any, old_or_new: Path, until: Callable[..., Any]
) -> None:
    job = launcher.start(launcher.line(old_or_new, "sh", "-c", "read go; exit 3", mode="--wrap"), stdin=subprocess.PIPE)
    until(lambda: server.channel().objects(frames.VITALS))
    agents = set(launcher.agents()) - {job.pid}
    workers = [pid for pid in agents if parent(pid) in agents]
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):  # one may end by itself, or with another
            os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    job.stdin.close()
    job.wait(20)

    assert workers
    assert LINGER - 0.1 < time.monotonic() - start < 2 * LINGER
    assert job.returncode == 3


def test_a_waiter_waits_for_no_agent_that_was_killed(
    launcher: Any, server: Any, old_or_new: Path, until: Callable[..., Any]
) -> None:
    job = launcher.start(launcher.line(old_or_new, "sh", "-c", "read go; exit 3", mode="--wrap"), stdin=subprocess.PIPE)
    until(lambda: server.channel().objects(frames.VITALS))
    for pid in set(launcher.agents()) - {job.pid}:
        with contextlib.suppress(ProcessLookupError):  # one may end by itself, or with another
            os.kill(pid, signal.SIGKILL)
    start = time.monotonic()
    job.stdin.close()
    job.wait(20)

    assert time.monotonic() - start < LINGER / 2
    assert job.returncode == 3


def parent(pid: int) -> int:
    """The number of the process's parent; 0 if it has gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
