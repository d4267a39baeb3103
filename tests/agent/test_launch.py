"""Under the agent a job ends, prints and inherits as if it ran bare, on every Python."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ENDINGS = Path(__file__).with_name("endings_script.py")
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


@pytest.mark.promise(12)
def test_a_job_ends_and_prints_as_it_would_bare(launcher: Any, pythons: list[Path], python: Path, mode: str) -> None:
    # All of them under the oldest and the newest Python; under the others what touches Python itself.
    scripts = SCRIPTS if python in (pythons[0], pythons[-1]) else {name: SCRIPTS[name] for name in ESSENTIAL}
    expected = {name: bare(launcher, command) for name, command in scripts.items()}

    found = {name: under(launcher, python, mode, command) for name, command in scripts.items()}

    assert found == expected


@pytest.mark.promise(1)
@pytest.mark.promise(2)
@pytest.mark.promise(29)
def test_every_exit_status_and_death_is_passed_on(
    launcher: Any, pythons: list[Path], python: Path, mode: str, server: Any
) -> None:
    # A waiter passes each code on, by its Python; without one the kernel does, so there the Pythons share the codes.
    codes = "0:256:1" if mode == "--wrap" else f"{pythons.index(python)}:256:{len(pythons)}"
    words = ["--credential", str(launcher.credential), "--quiet", mode]

    status, output, errors = launcher.run(
        [str(python), "-I", "-S", str(ENDINGS), str(launcher.agent), codes, *words], timeout=120
    )

    assert (status, output) == (0, b"done\n"), errors


@pytest.mark.promise(3)
def test_a_command_that_cannot_run_gives_the_shells_status(launcher: Any, python: Path, mode: str) -> None:
    (launcher.directory / "data").write_text("no program")
    (launcher.directory / "script").write_text("echo no interpreter $1\n")
    (launcher.directory / "script").chmod(0o700)

    missing = under(launcher, python, mode, ["no-such-command"])
    forbidden = under(launcher, python, mode, ["./data"])
    plain = under(launcher, python, mode, ["./script", "line"])

    assert missing == (127, b"", b"jobmond: no-such-command: command not found\n")
    assert forbidden == (126, b"", b"jobmond: ./data: Permission denied\n")
    assert plain == (0, b"no interpreter line\n", b"")


@pytest.mark.promise(5)
def test_the_environment_is_the_same_byte_for_byte(launcher: Any, python: Path, mode: str, tmp_path: Path) -> None:
    # No LANG, so that Python would add LC_CTYPE; and a variable that is there twice, which only execve can pass on.
    run = f"JOBMON_TEST_RUN={launcher.marker}".encode()
    given = [b"PATH=" + os.environb[b"PATH"], b"EMPTY=", b"ODD=\xff\xfe=\n", b"TWICE=1", b"TWICE=2", b"=ODD=x", run]
    start = _Executable(given, tmp_path)

    expected = start(["cat", "/proc/self/environ"])
    found = start(launcher.line(python, "cat", "/proc/self/environ", mode=mode))

    names = tuple(name.encode() for name in ADDED)
    assert expected == given
    assert [entry for entry in found if not entry.startswith(names)] == expected
    assert [entry.split(b"=")[0] + b"=" for entry in found if entry.startswith(names)] == list(names)


class _Executable:
    """Starts commands with an environment that no mapping can be."""

    def __init__(self, entries: list[bytes], directory: Path) -> None:
        self._entries = entries
        self._directory = directory

    def keys(self) -> list[bytes]:
        return [entry[: entry.index(b"=", 1)] for entry in self._entries]

    def values(self) -> list[bytes]:
        return [entry[entry.index(b"=", 1) + 1 :] for entry in self._entries]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, name: bytes) -> bytes:
        raise KeyError(name)

    def __call__(self, line: list[str]) -> list[bytes]:
        """Run a command; the entries it prints."""
        output, its_output = os.pipe()
        pid = os.fork()
        if not pid:
            os.dup2(its_output, 1)
            os.chdir(self._directory)
            os.execve(shutil.which(line[0]) or line[0], line, self)  # type: ignore[call-overload]
        os.close(its_output)
        with open(output, "rb") as stream:
            content = stream.read()
        os.waitpid(pid, 0)
        return content.rstrip(b"\0").split(b"\0")


INHERITED = """\
grep -E '^(Sig|Shd|Umask|NSsid|NSpgid|Cpus_allowed_list)' /proc/self/status | grep -v -e SigQ -e NSpgid
for f in /proc/self/fd/*; do echo ${f##*/} $(readlink $f | sed 's/.*pipe.*/pipe/'); done | grep -v proc
cat /proc/self/limits; pwd; umask; nice; cat /proc/self/oom_score_adj; ps -o ppid=,sid=,pgid= -p $$ | tr -s ' '
"""


@pytest.mark.promise(4)
@pytest.mark.promise(6)
@pytest.mark.promise(7)
def test_signals_limits_priority_and_open_files_are_the_same(launcher: Any, python: Path, mode: str) -> None:
    opened = ["bash", "-c", 'exec 5</dev/zero 9</dev/null; exec "$@"', "bash"]
    show = ["bash", "-c", INHERITED]

    def odd() -> None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGCHLD])
        os.umask(0o027)
        if not os.geteuid():  # whoever runs the tests may be as nice as can be
            os.setpriority(os.PRIO_PROCESS, 0, 0)
        os.nice(3)
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        resource.setrlimit(resource.RLIMIT_STACK, (2**22, 2**23))
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))

    for before in (None, odd):
        expected = launcher.run([*opened, *show], preexec_fn=before)
        found = launcher.run([*opened, *launcher.line(python, *show, mode=mode)], preexec_fn=before)
        assert _without_parents(found, mode) == _without_parents(expected, mode)
        assert b"5 /dev/zero\n" in found[1]
        assert b"9 /dev/null\n" in found[1]


@pytest.mark.promise(6)
def test_no_signal_of_the_launchers_own_children_is_left_pending(launcher: Any, python: Path, mode: str) -> None:
    # The job itself reads, as a child of a shell would have nothing pending.
    show = ["grep", "-E", "^(SigPnd|SigBlk|SigIgn|ShdPnd)", "/proc/self/status"]

    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM])

    assert under(launcher, python, mode, show, preexec_fn=block) == bare(launcher, show, preexec_fn=block)


def _without_parents(result: tuple[int, bytes, bytes], mode: str) -> tuple[int, bytes, bytes]:
    """In wrap mode the job's parent is the waiter: the one difference."""
    status, output, errors = result
    *lines, ids = output.rstrip(b"\n").split(b"\n")
    parent = ids.split()[0] if mode == "--exec" else b""
    return status, b"\n".join([*lines, parent, *ids.split()[1:]]), errors


@pytest.mark.promise(6)
@pytest.mark.parametrize("number", [32, 33])
def test_the_c_librarys_own_signals_are_as_they_were(launcher: Any, python: Path, mode: str, number: int) -> None:
    # Some supervisors leave them ignored; glibc's own functions refuse to touch them.
    ignore = (
        "import ctypes, os, signal, struct, sys\n"
        "for number in (13, 25): signal.signal(number, signal.SIG_DFL)\n"
        "act = ctypes.create_string_buffer(struct.pack('QQQQ', 1, 0, 0, 0))\n"
        f"assert ctypes.CDLL(None).syscall({_SIGACTION}, {number}, act, None, 8) == 0\n"
        "os.execvp(sys.argv[1], sys.argv[1:])"
    )
    start = [sys.executable, "-c", ignore]
    show = ["grep", "SigIgn", "/proc/self/status"]
    if _SIGACTION is None:
        pytest.skip("the number of rt_sigaction is known for x86-64 and aarch64 only")

    expected = launcher.run([*start, *show])
    found = launcher.run([*start, *launcher.line(python, *show, mode=mode)])

    assert found == expected
    assert int(found[1].split()[1], 16) & 1 << (number - 1)  # whoever runs the tests may have left the other one so


_SIGACTION = {"x86_64": 13, "aarch64": 134}.get(os.uname().machine)


@pytest.mark.promise(7)
@pytest.mark.parametrize("closed", ["0<&- 1>&-", "0<&- 1>&- 2>&-"], ids=["no stdin and stdout", "none of the three"])
def test_a_job_without_standard_streams_runs_and_is_watched(
    launcher: Any, server: Any, until: Any, python: Path, mode: str, closed: str
) -> None:
    close = f'exec {closed}; "$@"'
    command = ["sh", "-c", "ls /proc/self/fd > descriptors; exit 5"]
    listed = launcher.directory / "descriptors"

    expected = launcher.run(["sh", "-c", close, "sh", *command]), listed.read_text()
    found = launcher.run(["sh", "-c", close, "sh", *launcher.line(python, *command, mode=mode)]), listed.read_text()

    assert found == expected
    assert found[0] == (5, b"", b"")
    until(lambda: server.ends)
    assert server.registrations[0]["stdout"] == "none"


@pytest.mark.promise(4)
@pytest.mark.promise(13)
def test_in_exec_mode_the_job_is_the_process_that_was_started_and_has_no_child(launcher: Any, python: Path) -> None:
    script = (
        "import os\nprint(os.getpid(), os.getppid(), os.getpgrp(), os.getsid(0))\n"
        "try: os.waitpid(-1, 0)\nexcept ChildProcessError: print('none')"
    )
    job = launcher.start(launcher.line(python, sys.executable, "-I", "-c", script), stdout=subprocess.PIPE)

    output, _ = job.communicate()

    assert output.decode().split() == [*map(str, (job.pid, os.getpid(), os.getpgrp(), os.getsid(0))), "none"]


def test_the_credential_is_found_in_the_environment_or_the_directory(launcher: Any, server: Any, until: Any) -> None:
    line = [sys.executable, "-I", "-S", str(launcher.agent), "sh", "-c", 'test -n "$JOBMON_JOB_ID"']

    assert launcher.run(line)[0] == 1
    assert launcher.run(line, env=launcher.environment(JOBMON_CREDENTIAL=str(launcher.credential)))[0] == 0
    launcher.credential.rename(launcher.directory / "job.jobmon")
    assert launcher.run(line)[0] == 0
    until(lambda: len(server.ends) == 2)


def test_usage_is_told_and_nothing_is_run(launcher: Any, pyz: Path) -> None:
    start = [sys.executable, "-I", "-S", str(pyz)]

    assert launcher.run([*start, "--version"])[0] == 0
    assert b"example:" in launcher.run([*start, "--help"])[1]
    assert launcher.run(start)[0] == 2
    assert launcher.run([*start, "--wrong", "true"])[0] == 2
    assert launcher.run([*start, "--credential"])[0] == 2
