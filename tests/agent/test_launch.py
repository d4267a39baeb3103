"""Under the agent a job ends, prints, inherits and is signalled as if it ran bare, on every Python."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

NOBODY = 65534  # a user who is not root, on every Linux
ADDED = ("JOBMON_JOB_ID=", "JOBMON_LOG=")

# What a job may do that its parent can see.
SCRIPTS = {
    "ends well": ["true"],
    "fails": ["sh", "-c", "echo out; echo err >&2; exit 1"],
    "fails with 3": ["sh", "-c", "exit 3"],
    "ends with 255": ["sh", "-c", "exit 255"],
    "dies by TERM": ["sh", "-c", "kill -TERM $$"],
    "dies by KILL": ["sh", "-c", "kill -KILL $$"],
    "dies by SEGV": ["sh", "-c", "ulimit -c 0; kill -SEGV $$"],
    "writes into a closed pipe": ["bash", "-c", "yes | head -n 2; echo ${PIPESTATUS[0]}"],
    "reads its stdin": ["cat"],
}
ESSENTIAL = ("fails", "dies by SEGV", "writes into a closed pipe")


def bare(launcher: Any, command: list[str], **options: Any) -> tuple[int, bytes, bytes]:
    return launcher.run(command, **options)


def under(launcher: Any, python: Any, mode: str, command: list[str], **options: Any) -> tuple[int, bytes, bytes]:
    return launcher.run(launcher.line(python, *command, mode=mode), **options)


def test_a_job_ends_and_prints_as_it_would_bare(launcher: Any, pythons: list[Path], python: Path, mode: str) -> None:
    # All of them under the oldest and the newest Python; under the others what touches Python itself.
    scripts = SCRIPTS if python in (pythons[0], pythons[-1]) else {name: SCRIPTS[name] for name in ESSENTIAL}
    expected = {name: bare(launcher, command) for name, command in scripts.items()}

    found = {name: under(launcher, python, mode, command) for name, command in scripts.items()}

    assert found == expected


def test_a_command_that_cannot_run_gives_the_shells_status(launcher: Any, old_or_new: Path, mode: str) -> None:
    python = old_or_new
    (launcher.directory / "data").write_text("no program")
    (launcher.directory / "script").write_text("echo no interpreter $1\n")
    (launcher.directory / "script").chmod(0o700)

    missing = under(launcher, python, mode, ["no-such-command"])
    forbidden = under(launcher, python, mode, ["./data"])
    plain = under(launcher, python, mode, ["./script", "line"])

    assert missing == (127, b"", b"jobmond: no-such-command: command not found\n")
    assert forbidden == (126, b"", b"jobmond: ./data: Permission denied\n")
    assert plain == (0, b"no interpreter line\n", b"")


def test_the_environment_is_the_same_byte_for_byte(launcher: Any, python: Path, mode: str) -> None:
    given = {b"PATH": os.environb[b"PATH"], b"EMPTY": b"", b"ODD": b"\xff\xfe=\n", b"MARK": launcher.marker.encode()}
    given[b"JOBMON_TEST_RUN"] = launcher.marker.encode()
    show = ["cat", "/proc/self/environ"]

    expected = bare(launcher, show, env=given)[1].split(b"\0")
    found = under(launcher, python, mode, show, env=given)[1].split(b"\0")

    names = tuple(name.encode() for name in ADDED)
    assert [entry for entry in found if not entry.startswith(names)] == expected
    assert [entry.split(b"=")[0] + b"=" for entry in found if entry.startswith(names)] == list(names)


def test_signals_limits_and_open_files_are_the_same(launcher: Any, python: Path, mode: str) -> None:
    script = (
        "grep -E '^(Sig|Shd|Umask|NSsid|Cpus_allowed_list)' /proc/self/status | grep -v SigQ;"
        "for f in /proc/self/fd/*; do echo ${f##*/} $(readlink $f | sed 's/.*pipe.*/pipe/'); done | grep -v proc;"
        "cat /proc/self/limits; pwd"
    )
    show = ["bash", "-c", script]
    opened = os.open("/dev/zero", os.O_RDONLY)
    os.dup2(opened, 57)

    def odd() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGCHLD])
        os.umask(0o027)

    try:
        for before in (None, odd):
            expected = bare(launcher, show, pass_fds=[57], preexec_fn=before)
            found = under(launcher, python, mode, show, pass_fds=[57], preexec_fn=before)
            assert found == expected
            assert b"57 /dev/zero" in found[1]
    finally:
        os.close(opened)
        os.close(57)


def test_a_job_without_stdin_and_stdout_runs(launcher: Any, old_or_new: Path, mode: str) -> None:
    python = old_or_new
    show = 'exec 0<&- 1>&-; "$@"'
    command = ["sh", "-c", "ls /proc/self/fd >&2; exit 5"]

    expected = launcher.run(["sh", "-c", show, "sh", *command])
    found = launcher.run(["sh", "-c", show, "sh", *launcher.line(python, *command, mode=mode)])

    assert found == expected
    assert found[0] == 5


def test_in_exec_mode_the_job_is_the_process_that_was_started_and_has_no_child(launcher: Any, python: Path) -> None:
    script = (
        "import os\nprint(os.getpid(), os.getppid())\ntry: os.waitpid(-1, 0)\nexcept ChildProcessError: print('none')"
    )
    job = launcher.start(launcher.line(python, sys.executable, "-I", "-c", script), stdout=subprocess.PIPE)

    output, _ = job.communicate()

    assert output.decode().split() == [str(job.pid), str(os.getpid()), "none"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_to_the_process_reaches_the_job_once(launcher: Any, mode: str, number: signal.Signals) -> None:
    script = (
        "import signal, time\ngot = []\n"
        f"signal.signal({int(number)}, lambda *a: got.append(1))\n"
        "print('ready', flush=True)\nend = time.monotonic() + 20\n"
        "while not got and time.monotonic() < end: time.sleep(0.01)\n"
        "time.sleep(0.05)\nprint(len(got))"
    )
    line = launcher.line(None, sys.executable, "-I", "-c", script, mode=mode)
    job = launcher.start(line, stdout=subprocess.PIPE)
    assert job.stdout.readline() == b"ready\n"

    job.send_signal(number)

    assert job.communicate()[0] == b"1\n"
    assert job.returncode == 0


def test_a_signal_that_ends_the_job_ends_the_waiter_the_same_way(launcher: Any) -> None:
    job = launcher.start(launcher.line(None, "sh", "-c", "echo on; exec sleep 60", mode="--wrap"), stdout=-1)
    assert job.stdout.readline() == b"on\n"

    job.terminate()

    assert job.wait() == -signal.SIGTERM


def test_a_pipeline_ends_with_the_job_although_the_agent_lives(launcher: Any, server: Any, mode: str) -> None:
    server.stop()  # so that the agent stays to tell the end
    line = launcher.line(None, "sh", "-c", "echo all", mode=mode)

    start = time.monotonic()
    output = launcher.run(["sh", "-c", '"$@" | cat', "sh", *line])[1]

    assert output == b"all\n"
    assert time.monotonic() - start < 10
    assert launcher.agents()


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_job_does_not_notice_that_its_agent_is_killed(
    launcher: Any, server: Any, until: Any, mode: str, when: str
) -> None:
    job = launcher.start(launcher.line(None, "sh", "-c", "read x; echo $x; exit 33", mode=mode), stdin=-1, stdout=-1)
    if when == "later":
        server.channel()

    def helpers() -> set[int]:
        # Looked at first: a child that comes between the two looks is the job, on its way to its command.
        found = set(launcher.agents())
        return found - {job.pid, *map(int, _children(job.pid))}

    for pid in until(helpers):
        os.kill(pid, signal.SIGKILL)

    output, _ = job.communicate(b"still here\n")

    assert (job.returncode, output) == (33, b"still here\n")


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.parametrize("fault", ["missing", "readable", "empty", "a person's", "not PEM"])
def test_a_job_with_a_bad_credential_runs_unmonitored_and_says_so(
    launcher: Any, site: Any, fault: str, mode: str
) -> None:
    path = launcher.credential
    text = path.read_text()
    if fault == "missing":
        path.unlink()
    elif fault == "readable":
        path.chmod(0o644)
    elif fault == "empty":
        path.write_text("")
    elif fault == "a person's":
        path.write_text(site.issue_person("alice", (), 3600.0, time.time()).text())
    else:
        path.write_text(text.replace("BEGIN CERT", "BEGAN CERT"))
    script = "echo $JOBMON_JOB_ID; echo line >> $JOBMON_LOG; exit 3"

    status, output, errors = launcher.run(launcher.line(None, "sh", "-c", script, mode=mode))

    assert (status, output) == (3, b"\n")
    assert errors.startswith(b"jobmond: ")
    assert errors.endswith(b"; the job runs unmonitored\n")
    assert errors.count(b"\n") == 1
    line = launcher.line(None, "true", mode=mode)
    assert launcher.run([*line[:4], "--quiet", *line[4:]]) == (0, b"", b"")


def test_the_credential_is_found_in_the_environment_or_the_directory(launcher: Any, server: Any, until: Any) -> None:
    line = [sys.executable, "-I", "-S", str(launcher.agent), "sh", "-c", 'test -n "$JOBMON_JOB_ID"']

    assert launcher.run(line)[0] == 1
    assert launcher.run(line, env=launcher.environment(JOBMON_CREDENTIAL=str(launcher.credential)))[0] == 0
    launcher.credential.rename(launcher.directory / "job.jobmon")
    assert launcher.run(line)[0] == 0
    until(lambda: len(server.ends) == 2)


def test_a_job_runs_when_no_process_is_left(launcher: Any, mode: str) -> None:
    line = launcher.line(None, "sh", "-c", "exec true", mode=mode)
    limited = ["prlimit", "--nproc=1:1", *line]
    if os.geteuid() == 0:
        # The kernel limits no process of root's: be another user, who may read what is root's.
        os.chown(launcher.credential, NOBODY, -1)
        powers = "+dac_override,+dac_read_search"
        limited = ["setpriv", f"--reuid={NOBODY}", f"--inh-caps={powers}", f"--ambient-caps={powers}", *limited]

    status, _, errors = launcher.run(limited)

    assert status == 0
    assert b"cannot start the agent" in errors


@pytest.mark.parametrize("limit", ["-n 8", "-v 65536", "-f 0"])
def test_a_job_runs_within_tight_limits(launcher: Any, mode: str, limit: str) -> None:
    line = launcher.line(None, "sh", "-c", "exit 9", mode=mode)

    assert launcher.run(["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *line])[0] == 9


@pytest.mark.parametrize("module", ["launch", "sidecar", "idle", "environment", "waiter"])
@pytest.mark.parametrize("fault", ["this is no Python", "raise MemoryError", "import sys; sys.exit(0)"])
def test_a_job_runs_when_a_module_of_the_agent_is_broken(
    launcher: Any, pyz: Path, tmp_path: Path, module: str, fault: str
) -> None:
    import zipfile

    broken = tmp_path / "broken.pyz"
    with zipfile.ZipFile(pyz) as good, zipfile.ZipFile(broken, "w") as bad:
        # Without byte code, which would run in the source's place.
        for name in filter(lambda name: not name.startswith("cp"), good.namelist()):
            bad.writestr(name, fault if name == f"jobmon_agent/{module}.py" else good.read(name))
    launcher.agent = broken

    status, output, errors = launcher.run(launcher.line(None, "sh", "-c", "echo it runs; exit 3"))

    assert (status, output) == (3, b"it runs\n")
    assert errors.endswith(b"the job runs unmonitored\n")


def test_usage_is_told_and_nothing_is_run(launcher: Any, pyz: Path) -> None:
    start = [sys.executable, "-I", "-S", str(pyz)]

    assert launcher.run([*start, "--version"])[0] == 0
    assert b"example:" in launcher.run([*start, "--help"])[1]
    assert launcher.run(start)[0] == 2
    assert launcher.run([*start, "--wrong", "true"])[0] == 2
    assert launcher.run([*start, "--credential"])[0] == 2


def test_the_agent_leaves_nothing_behind(launcher: Any, server: Any, until: Any, mode: str) -> None:
    assert launcher.run(launcher.line(None, "true", mode=mode))[0] == 0

    until(lambda: not launcher.processes())

    assert len(server.ends) == 1
    assert list(launcher.directory.iterdir()) == []


def test_the_agent_outlives_its_own_file(launcher: Any, pyz: Path, server: Any, until: Any, old_or_new: Path) -> None:
    shutil.copy(pyz, launcher.directory / "jobmond.pyz")
    launcher.agent = Path("jobmond.pyz")

    assert launcher.run(launcher.line(old_or_new, "sh", "-c", "rm jobmond.pyz; exit 4"))[0] == 4

    until(lambda: server.ends)
    assert server.ends[0]["exit"]["code"] in (4, None)
