"""One line in a batch script puts its shell under watch: at once, always with status 0, and nothing else changes.

``attach --sh`` also lets the script know who it is, and tells its exit status on every kernel: rightly or not at all.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHELLS = ("bash", "dash")  # whose exit status the trap tells
OTHERS = ("zsh", "ksh93", "mksh", "busybox")


def present(*shells: str) -> list[Any]:
    """The shells as parameters; a test is skipped, and says so, for one that is not installed."""
    skip = pytest.mark.skipif
    return [pytest.param(name, marks=skip(not shutil.which(name), reason=f"no shell {name}")) for name in shells]


# In the copy of the agent the kernel keeps no record, and no zombie is seen: as on an old one, on a bad day.
FORGETFUL = "\n\ndef exit_status(pidfd):\n    return None\n"
BLIND = "\n\ndef zombie_status(pid, starttime):\n    return None\n"


def line(launcher: Any, python: Path | str | None = None, *options: str) -> str:
    """``attach`` as one line of a script."""
    words = [str(python or sys.executable), "-I", "-S", str(launcher.agent), "attach"]
    return " ".join([*words, "--credential", str(launcher.credential), *options])


def evaluated(launcher: Any, python: Path | str | None = None, *options: str) -> str:
    return f'eval "$({line(launcher, python, "--sh", *options)})"'


def run(launcher: Any, shell: str, script: str, **options: Any) -> tuple[int, bytes, bytes]:
    words = ["busybox", "sh"] if shell == "busybox" else [shell]
    return launcher.run([*words, "-c", script], **options)


@pytest.fixture
def forgetful(tree: Path, tmp_path: Path) -> Path:
    """The agent on a kernel that tells nothing of a process that has ended."""
    path = tmp_path / "forgetful"
    shutil.copytree(tree, path, ignore=shutil.ignore_patterns("__pycache__"))
    for module, end in (("pidfd", FORGETFUL), ("pidstat", BLIND)):
        file = path / "jobmon_agent" / f"{module}.py"
        file.write_text(file.read_text() + end)
    return path


@pytest.mark.promise(16)
def test_a_script_goes_on_at_once_and_is_watched_to_its_end(
    launcher: Any, server: Any, until: Callable[..., Any], python: Path
) -> None:
    script = f"{line(launcher, python)}; echo $? $$; wait; sleep 0.01 & wait; exit 7"

    status, output, errors = run(launcher, "bash", script)

    assert (status, errors) == (7, b"")
    until(lambda: server.ends and not launcher.processes())
    [registration], [end] = server.registrations, server.ends
    assert output.split() == [b"0", b"%d" % registration["pid"]]
    assert (registration["mode"], registration["stdout"]) == ("attach", "pipe")
    assert registration["command"].startswith("bash -c")
    assert end["exit"]["code"] == 7
    assert list(launcher.directory.iterdir()) == []


@pytest.mark.promise(16)
def test_attaching_costs_little_cpu(launcher: Any, until: Callable[..., Any], python: Path) -> None:
    costs = []
    for _ in range(3):
        job = launcher.start(["dash", "-c", f"{line(launcher, python)}; exit 0"])
        _, status, used = os.wait4(job.pid, 0)
        job.returncode = status
        costs.append(used.ru_utime + used.ru_stime)

    assert min(costs) < 0.1


@pytest.mark.promise(16)
@pytest.mark.parametrize("mode", ["", "--sh"])
def test_nothing_that_breaks_stops_the_script(
    launcher: Any, pyz: Path, tmp_path: Path, pythons: list[Path], mode: str
) -> None:
    turns = itertools.cycle(pythons if mode else reversed(pythons))  # in both modes each Python at least once

    def script(options: str, agent: object = launcher.agent) -> str:
        call = f"{next(turns)} -I -S {agent} attach {mode} {options}"
        return f'set -e; eval "$({call})"; exit 3' if mode else f"set -e; {call}; exit 3"

    broken = tmp_path / "broken.pyz"
    with zipfile.ZipFile(pyz) as good, zipfile.ZipFile(broken, "w") as bad:
        # Without byte code, which would run in the source's place.
        for name in filter(lambda name: not name.startswith("cp"), good.namelist()):
            bad.writestr(name, "raise MemoryError" if name.endswith("/attach.py") else good.read(name))

    for fault in (script(""), script("--wrong"), script("--credential"), script("true"), script("", broken)):
        status, output, errors = run(launcher, "dash", fault)
        assert (status, output) == (3, b"")
        assert errors.startswith(b"jobmond: ")
        assert errors.count(b"\n") == 1
    for fault in (script("--quiet"), script("--quiet --credential no-such-file")):
        assert run(launcher, "dash", fault) == (3, b"", b"")


@pytest.mark.promise(16)
def test_a_pipe_of_the_script_ends_with_the_script(launcher: Any, server: Any) -> None:
    server.stop()  # so that the agent stays to tell the end
    pipeline = f"{{ {line(launcher)}; echo all; }} | cat"

    for script in (pipeline, f"sh -c '{line(launcher)}; echo all' | cat"):
        start = time.monotonic()
        assert run(launcher, "bash", script)[1] == b"all\n"
        assert time.monotonic() - start < 10
    assert launcher.agents()


def test_a_caller_that_is_gone_is_not_watched(launcher: Any, server: Any, until: Callable[..., Any]) -> None:
    said = launcher.directory / "said"
    orphan = "\n".join(
        (
            "import os, time",
            "if os.fork(): os._exit(0)",
            "os.setsid()",
            "while os.getppid() != 1: time.sleep(0.01)",
            f"os.execl('/bin/sh', 'sh', '-c', 'exec {line(launcher)} 2>said')",
        )
    )

    launcher.run([sys.executable, "-c", orphan])

    until(lambda: said.exists() and said.read_text().endswith("\n"))
    assert "the shell that called has ended" in said.read_text()
    assert server.registrations == []


@pytest.mark.promise(16)
@pytest.mark.parametrize("shell", present(*SHELLS, *OTHERS))
def test_a_script_learns_who_it_is_and_its_status_is_told(
    launcher: Any, server: Any, until: Callable[..., Any], forgetful: Path, another_python: Path, shell: str
) -> None:
    launcher.agent = forgetful
    script = (
        evaluated(launcher, another_python) + '; echo $? $JOBMON_JOB_ID; echo "50%" >> $JOBMON_LOG; (exit 9); exit 5'
    )

    status, output, errors = run(launcher, shell, script)

    assert (status, errors) == (5, b"")
    until(lambda: server.ends and not launcher.processes())
    assert output.decode().split()[0] == "0"
    assert len(output.decode().split()[1]) == 36
    known = server.ends[0]["exit"]
    assert (known["code"], known["source"]) in [(5, "trap")] + [(None, "unknown")] * (shell not in SHELLS)
    assert list(launcher.directory.iterdir()) == []


@pytest.mark.promise(16)
@pytest.mark.parametrize("shell", present(*SHELLS))
def test_the_shell_that_evaluates_is_watched_and_not_a_process_between(
    launcher: Any, server: Any, until: Callable[..., Any], shell: str
) -> None:
    code = f'code="$(true; ({line(launcher, None, "--sh")}); true)"; eval "$code"; echo $$; ulimit -f 0; exit 5'

    status, output, _ = run(launcher, shell, code)

    assert status == 5
    until(lambda: server.ends)
    assert server.registrations[0]["pid"] == int(output)


def test_two_runs_in_one_directory_do_not_tell_each_others_status(
    launcher: Any, server: Any, until: Callable[..., Any], forgetful: Path
) -> None:
    launcher.agent = forgetful
    jobs = [
        launcher.start(["dash", "-c", f"{evaluated(launcher)}; echo on; read go; exit {status}"], stdin=-1, stdout=-1)
        for status in (3, 4)
    ]
    for job in jobs:
        assert job.stdout.readline() == b"on\n"
    for job in jobs:
        job.communicate(b"go\n")

    until(lambda: len(server.ends) == 2 and not launcher.processes())

    assert sorted(end["exit"]["code"] for end in server.ends) == [3, 4]
    assert list(launcher.directory.iterdir()) == []


def test_a_caller_that_is_another_users_is_not_watched(launcher: Any, server: Any) -> None:
    if os.geteuid():
        pytest.skip("to be another user needs root")
    script = f"setpriv --reuid=65534 --inh-caps=+dac_override --ambient-caps=+dac_override {line(launcher)}; exit 3"

    status, output, errors = run(launcher, "dash", script)

    assert (status, output) == (3, b"")
    assert b"the shell that called is another user's" in errors


ENDINGS = {
    "exit": ("exit 4", 4),
    "exit of a variable": ("rc=6; exit $rc", 6),
    "exit in a function": ("f() { exit 8; }; f", 8),
    "exit as before": ("(exit 3) || exit", 3),
    "a failed command": ("set -e; (exit 3); exit 9", 3),
    "a failed pipeline": ("set -eu; false; exit 9", 1),
    "the last line": ("true; (exit 2)", 2),
    "an old trap": ("exit 4", 4),
    "an old trap that exits": ("exit 4", 77),
}


@pytest.mark.promise(16)
@pytest.mark.promise(28)
@pytest.mark.parametrize("shell", present(*SHELLS))
def test_a_status_told_by_a_trap_is_right(
    launcher: Any, server: Any, until: Callable[..., Any], forgetful: Path, shell: str
) -> None:
    launcher.agent = forgetful
    found: dict[str, int | None] = {}
    for number, (name, (body, expected)) in enumerate(ENDINGS.items(), 1):
        before = {
            "an old trap": "trap 'echo \"it'\"'\"'s $?\"' EXIT;",
            "an old trap that exits": "trap 'exit 77' EXIT;",
        }
        status, output, errors = run(launcher, shell, f"{before.get(name, '')} {evaluated(launcher)}\n{body}")
        assert (status, errors) == (expected, b"")
        assert output == (b"it's 4\n" if name == "an old trap" else b"")
        until(lambda count=number: len(server.ends) == count and not launcher.processes())
        found[name] = server.ends[-1]["exit"]["code"]

    right = {name: expected for name, (_, expected) in ENDINGS.items()}
    unknown = ["the last line"] if shell == "bash" else ["an old trap"]  # dash cannot read its old trap back
    assert found == {**right, **dict.fromkeys([*unknown, "an old trap that exits"])}


def runs(shell: int, program: bytes) -> bool:
    """Whether a child of the shell is that program already."""
    children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
    try:
        return any(Path(f"/proc/{child}/comm").read_bytes() == program + b"\n" for child in children)
    except OSError:  # a child is gone
        return False


@pytest.mark.promise(28)
@pytest.mark.parametrize("shell", present(*SHELLS, *OTHERS))
def test_a_shell_that_dies_of_a_signal_is_never_said_to_have_exited(
    launcher: Any, server: Any, until: Callable[..., Any], forgetful: Path, shell: str
) -> None:
    launcher.agent = forgetful
    jobs = []
    sleeps = ("true; echo on; /bin/sleep 60; exit 0", "set -e; echo on; /bin/sleep 60; exit 0")
    for body in (*sleeps, "(exit 3); echo on; while true; do true; done; exit 3"):
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
            words = ["busybox", "sh"] if shell == "busybox" else [shell]
            script = f"{evaluated(launcher)}\n{body}"
            jobs.append(
                (number, body in sleeps, launcher.start([*words, "-c", script], stdout=-1, start_new_session=True))
            )
    for number, is_asleep, job in jobs:
        assert job.stdout.readline() == b"on\n"
        if is_asleep:  # a child that is not yet its program takes the signal as the shell would, and forgets it
            until(lambda job=job: runs(job.pid, b"sleep"))
        os.killpg(job.pid, number)
        job.wait(10)

    until(lambda: len(server.ends) == len(jobs) and not launcher.processes())

    statuses = {job.pid: job.returncode for *_, job in jobs}
    for end in server.ends:
        told = end["exit"]
        # Some have begun within the same millisecond.
        pids = [each["pid"] for each in server.registrations if each["epoch"] == end["epoch"]]
        assert told["source"] in ("unknown", "trap")
        assert told["source"] == "unknown" or told["code"] in [statuses[pid] for pid in pids]
