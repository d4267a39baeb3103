"""How a job ended is known exactly where anything tells it, and said to be unknown otherwise: it is never guessed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent import ending, pidfd
from jobmon_agent.ending import Ending
from tests.agent.bell import Bell
from tests.agent.test_beats import the_idle, workers

SCRIPT = Path(__file__).with_name("ending_script.py")


@pytest.fixture(scope="module")
def kernel_tells() -> bool:
    """Whether this kernel keeps a record; asked in a process without children."""
    child = os.fork()
    if not child:
        os._exit(0 if pidfd.tells_exit_status() else 1)
    return os.waitpid(child, 0)[1] == 0


def learn(launcher: Any, python: Path, taken: str, count: int = 200) -> tuple[list[str], int, float, float]:
    """What was learnt amiss, how much stayed unknown, and how long it took."""
    line = [str(python), "-I", "-S", str(SCRIPT), str(launcher.agent), str(count), taken]
    status, output, errors = launcher.run(line, timeout=120)
    assert status == 0, errors
    *wrong, last = output.decode().splitlines()
    unknown, median, late = last.split()
    return wrong, int(unknown), float(median), float(late)


@pytest.mark.promise(28)
def test_the_kernels_record_tells_every_end(launcher: Any, python: Path, kernel_tells: bool) -> None:
    if not kernel_tells:
        pytest.skip("this kernel keeps no record of ended processes (Linux 6.15 does)")

    wrong, unknown, median, late = learn(launcher, python, "nothing")

    assert (wrong, unknown) == ([], 0)
    # A batch system may kill the agent as soon as it has reaped the job.
    assert median < 0.003
    assert late < 0.05


@pytest.mark.promise(28)
def test_without_a_record_an_end_is_unknown_or_right(launcher: Any, python: Path) -> None:
    wrong, unknown, _, _ = learn(launcher, python, "record", 24)

    assert wrong == []
    assert unknown < 24  # a parent that looks a little later leaves the zombie to be seen


@pytest.mark.promise(28)
def test_without_any_witness_an_end_is_unknown(launcher: Any, old_or_new: Path) -> None:
    assert learn(launcher, old_or_new, "all", 10)[:2] == ([], 10)


@pytest.mark.promise(28)
def test_the_server_is_told_how_a_job_ended_that_nobody_of_ours_waited_for(
    launcher: Any, server: Any, until: Callable[..., Any], python: Path, kernel_tells: bool
) -> None:
    if not kernel_tells:
        pytest.skip("this kernel keeps no record of ended processes (Linux 6.15 does)")

    for number, (script, expected) in enumerate({"exit 7": (7, None), "kill -TERM $$": (None, "TERM")}.items(), 1):
        launcher.run(launcher.line(python, "sh", "-c", script))
        until(lambda number=number: len(server.ends) == number)
        told = server.ends[-1]["exit"]
        assert (told["code"], told["signal"]) == expected
        assert told["source"] in ("pidfd", "zombie")


@pytest.mark.promise(29)
def test_a_waiter_tells_every_end_and_the_core(
    launcher: Any, server: Any, until: Callable[..., Any], python: Path
) -> None:
    scripts = {
        "exit 0": (0, None),
        "exit 255": (255, None),
        "kill -TERM $$": (None, "TERM"),
        "kill -9 $$": (None, "KILL"),
    }
    for number, (script, expected) in enumerate(scripts.items(), 1):
        launcher.run(launcher.line(python, "sh", "-c", script, mode="--wrap"))
        until(lambda number=number: len(server.ends) == number)
        told = server.ends[-1]["exit"]
        assert (told["code"], told["signal"], told["source"]) == (*expected, "wrap")

    launcher.run(launcher.line(python, "sh", "-c", "ulimit -c unlimited; kill -SEGV $$", mode="--wrap"))

    until(lambda: len(server.ends) == len(scripts) + 1)
    cores = list(launcher.directory.glob("core*"))
    assert server.ends[-1]["exit"] == {"code": None, "signal": "SEGV", "core": bool(cores), "source": "wrap"}
    assert len(cores) <= 1


@pytest.mark.promise(29)
def test_a_waiter_tells_the_end_also_to_an_agent_that_nobody_asks(
    launcher: Any, server: Any, bell: Bell, until: Callable[..., Any], python: Path
) -> None:
    server.quiet = 0.2
    waiter = launcher.start(launcher.line(python, "sh", "-c", "read go; kill -KILL $$", mode="--wrap"), stdin=-1)
    until(lambda: len(bell.beats) > 2)
    idle = the_idle(launcher, waiter.pid)
    until(lambda: not workers(launcher, idle))

    waiter.communicate(b"go\n")

    assert waiter.returncode == -signal.SIGKILL
    until(lambda: server.ends)
    assert server.ends[0]["exit"] == {"code": None, "signal": "KILL", "core": False, "source": "wrap"}
    assert {bye[1:] for bye in bell.byes} <= {(0, "unknown"), (signal.SIGKILL, "wrap")}


def test_a_waiter_that_is_killed_leaves_the_end_unknown(launcher: Any, server: Any, until: Callable[..., Any]) -> None:
    script = "echo $$; read go; exit 5"
    job = launcher.start(launcher.line(None, "sh", "-c", script, mode="--wrap"), stdin=-1, stdout=subprocess.PIPE)
    assert job.stdout.readline()
    server.channel()

    os.kill(job.pid, signal.SIGKILL)
    job.communicate(b"go\n")

    until(lambda: server.ends)
    assert server.ends[0]["exit"]["code"] in (None, 5)
    assert server.ends[0]["exit"]["source"] != "wrap"


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.promise(28)
@pytest.mark.parametrize(
    ("names", "word"),
    [
        ([], None),
        (["0"], 0),
        (["255", "traps"], 255),
        (["256"], None),
        (["007"], None),
        (["3", "4"], None),
        (["-1", "x", "3 "], None),
        (["\u0663"], None),
    ],
)
def test_a_shells_word_is_one_number_or_none(tmp_path: Path, trap: int, names: list[str], word: int | None) -> None:
    for name in names:
        (tmp_path / name).touch()

    assert ending.word_of(trap) == word


@pytest.mark.promise(28)
def test_the_kernel_is_believed_before_a_shell(tmp_path: Path, trap: int, kernel_tells: bool) -> None:
    if not kernel_tells:
        pytest.skip("this kernel keeps no record of ended processes (Linux 6.15 does)")
    (tmp_path / "0").touch()
    job = subprocess.Popen(["sleep", "60"])
    descriptor = os.pidfd_open(job.pid)
    watched = Ending(job.pid, 1, descriptor, None, trap)

    job.kill()
    job.wait()

    assert watched.learn() == (signal.SIGKILL, "pidfd")
    os.close(descriptor)
