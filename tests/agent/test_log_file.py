"""``--log-file`` shows a job's output to its owner where stdout is a pipe, and the pipe's reader misses nothing.

The copy may be lost with the agent; the job never is, and never waits for the copy.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent import logfile
from jobmon_wire import frames


def line(launcher: Any, python: Path | None, mode: str, *command: str, log: str = "out.log") -> list[str]:
    whole = launcher.line(python, *command, mode=mode)
    return [*whole[:4], "--log-file", log, *whole[4:]]


def test_the_owner_reads_the_file_and_the_reader_of_the_pipe_gets_every_byte(
    launcher: Any, server: Any, until: Callable[..., Any], old_or_new: Path, mode: str
) -> None:
    file = launcher.directory / "out.log"
    file.write_text("of an earlier run\n")
    script = "echo one; echo two >&2; read go; seq 20000; exit 3"
    job = launcher.start(line(launcher, old_or_new, mode, "sh", "-c", script), stdin=-1, stdout=-1, stderr=-1)
    request = server.channel().ask("head", file="stdout", lines=3)
    server.channel().end_of(request)
    shown = b"".join(frame.payload for frame in server.channel().of(request) if frame.type == frames.DATA)

    output, errors = job.communicate(b"go\n")

    assert job.returncode == 3
    assert shown == b"of an earlier run\none\ntwo\n"
    assert output == b"one\ntwo\n" + b"".join(b"%d\n" % number for number in range(1, 20001))
    assert errors == b""
    assert file.read_bytes() == b"of an earlier run\n" + output
    assert server.registrations[0]["stdout"] == server.registrations[0]["stderr"] == "file"
    until(lambda: not launcher.processes())


def test_a_copier_that_has_waited_for_long_copies_on(
    launcher: Any, server: Any, until: Callable[..., Any], old_or_new: Path, mode: str
) -> None:
    job = launcher.start(line(launcher, old_or_new, mode, "sh", "-c", "echo on; read go; seq 9"), stdin=-1, stdout=-1)
    assert job.stdout.readline() == b"on\n"
    copier = until(lambda: next((pid for pid in launcher.processes() if _catches(pid, signal.SIGALRM)), None))

    for _ in range(20):  # its clock's tick, which comes once a second
        os.kill(copier, signal.SIGALRM)
        time.sleep(0.01)
    output, _ = job.communicate(b"go\n")

    assert output == b"".join(b"%d\n" % number for number in range(1, 10))


def _catches(pid: int, number: int) -> bool:
    """The process has a handler for the signal; not, where it has ended since it was listed."""
    try:
        caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return False
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def test_a_new_file_is_private_and_stderr_that_is_a_file_stays(launcher: Any, server: Any, mode: str) -> None:
    errors = launcher.directory / "err.log"

    with errors.open("wb") as stream:
        job = launcher.start(line(launcher, None, mode, "sh", "-c", "echo out; echo err >&2"), stdout=-1, stderr=stream)
        output, _ = job.communicate()

    assert output == b"out\n"
    assert errors.read_bytes() == b"err\n"
    assert (launcher.directory / "out.log").stat().st_mode & 0o777 == 0o600


def test_the_job_does_not_wait_for_a_reader_that_reads_nothing_nor_miss_one_that_left(
    launcher: Any, server: Any, until: Callable[..., Any], mode: str
) -> None:
    script = "seq 200000; exit 5"

    stuck = launcher.start(line(launcher, None, mode, "sh", "-c", script), stdout=subprocess.PIPE)
    assert stuck.wait(20) == 5
    assert len((launcher.directory / "out.log").read_bytes()) == 1288895
    stuck.stdout.close()
    until(lambda: not launcher.processes())

    left = launcher.start(line(launcher, None, mode, "sh", "-c", "read go; " + script), stdin=-1, stdout=-1)
    left.stdout.close()
    left.stdout = None
    left.communicate(b"go\n")
    assert left.returncode == 5
    assert len((launcher.directory / "out.log").read_bytes()) == 2 * 1288895


def test_the_job_goes_on_when_agent_and_copier_are_killed(
    launcher: Any, server: Any, until: Callable[..., Any], mode: str
) -> None:
    job = launcher.start(line(launcher, None, mode, "sh", "-c", "read go; seq 9; exit 6"), stdin=-1, stdout=-1)
    server.channel()
    parents = {job.pid, *map(int, Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split())}
    for pid in set(launcher.agents()) - parents:
        with contextlib.suppress(ProcessLookupError):  # one may end by itself, or with another
            os.kill(pid, signal.SIGKILL)

    job.communicate(b"go\n")

    assert job.returncode == 6
    assert (launcher.directory / "out.log").read_text().endswith("9\n")


def test_a_job_whose_stdout_is_the_file_already_writes_once(launcher: Any, server: Any, mode: str) -> None:
    with (launcher.directory / "out.log").open("ab") as stream:
        launcher.start(line(launcher, None, mode, "echo", "once"), stdout=stream).wait()

    assert (launcher.directory / "out.log").read_bytes() == b"once\n"


def test_a_job_without_any_stdout_writes_to_the_file(launcher: Any, server: Any, mode: str) -> None:
    words = line(launcher, None, mode, "sh", "-c", "echo out; echo err >&2; exit 4")

    assert launcher.run(["sh", "-c", 'exec 0<&- 1>&- 2>&-; "$@"', "sh", *words]) == (4, b"", b"")
    assert (launcher.directory / "out.log").read_bytes() == b"out\nerr\n"


@pytest.mark.parametrize("planted", ["link", "fifo", "device", "directory", "second name"])
def test_what_another_planted_is_not_written_to(launcher: Any, server: Any, tmp_path: Path, planted: str) -> None:
    victim, place = tmp_path / "victim", launcher.directory / "out.log"
    victim.write_text("kept")
    if planted == "link":
        place.symlink_to(victim)
    elif planted == "fifo":
        os.mkfifo(place)
    elif planted == "device":
        place = Path("/dev/full")
    elif planted == "directory":
        place.mkdir()
    else:
        os.link(victim, place)

    status, output, errors = launcher.run(
        line(launcher, None, "--exec", "sh", "-c", "echo out; exit 3", log=str(place))
    )

    assert (status, output) == (3, b"out\n")
    assert errors.startswith(f"jobmond: cannot write to {place}: ".encode())
    assert errors.count(b"\n") == 1
    assert victim.read_text() == "kept"
    assert server.channel()


def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("to give a file away needs root")
    os.chmod(tmp_path, 0o777)
    other = tmp_path / "other"
    other.touch(0o666)
    os.chown(other, 65534, 65534)

    with pytest.raises(OSError, match="no file of yours"):
        logfile.open_log_file(str(other))


def test_a_copier_whose_reader_is_stuck_leaves_after_the_job(
    launcher: Any, tree: Path, tmp_path: Path, until: Callable[..., Any]
) -> None:
    import shutil

    hurried = tmp_path / "hurried"
    shutil.copytree(tree, hurried)
    module = hurried / "jobmon_agent" / "copier.py"
    module.write_text(
        module.read_text().replace("_PATIENCE = 10.0", "_PATIENCE = 0.3").replace("_TICK = 1.0", "_TICK = 0.1")
    )
    launcher.agent = hurried

    job = launcher.start(line(launcher, None, "--exec", "seq", "200000"), stdout=subprocess.PIPE)
    job.wait(20)
    start = time.monotonic()

    until(lambda: not launcher.processes())

    assert time.monotonic() - start < 10
