"""A signal sent to a job under the agent is delivered as often as to one that runs bare, also from a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NAMES = ("TERM", "INT", "USR1", "USR2", "XCPU", "HUP", "QUIT", "CONT", "TSTP")

# A job that counts each signal, and says so at its end.  It waits in short turns: a signal that comes
# just before a long call would be handled after it only, together with the next.
COUNTING = f"""
import select, signal, sys
counts = {{}}
def count(number, frame): counts[number] = counts.get(number, 0) + 1
for name in {NAMES!r}: signal.signal(getattr(signal, "SIG" + name), count)
print("ready", flush=True)
while not select.select([0], [], [], 0.01)[0]: pass
print(*[counts.get(getattr(signal, "SIG" + name), 0) for name in {NAMES!r}], flush=True)
"""


@pytest.mark.promise(8)
@pytest.mark.parametrize("target", ["process", "group", "every process"])
def test_one_signal_is_one_delivery(
    launcher: Any, server: Any, until: Callable[..., Any], python: Path, target: str
) -> None:
    line = launcher.line(python, sys.executable, "-I", "-S", "-c", COUNTING)
    job = launcher.start(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert job.stdout.readline() == b"ready\n"
    server.channel()

    for name in NAMES:
        number = getattr(signal, "SIG" + name)
        if target == "group":
            os.killpg(job.pid, number)
        else:
            for pid in [job.pid] if target == "process" else launcher.processes():
                os.kill(pid, number)
        until(lambda number=number: not _is_pending(job.pid, number))
    output, _ = job.communicate(b"\n")

    assert output.split() == [b"1"] * len(NAMES)
    until(lambda: server.ends)  # the agent has survived all of it


def _is_pending(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


@pytest.mark.promise(8)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_to_the_waiter_reaches_the_job_once(launcher: Any, number: signal.Signals) -> None:
    line = launcher.line(None, sys.executable, "-I", "-S", "-c", COUNTING, mode="--wrap")
    job = launcher.start(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert job.stdout.readline() == b"ready\n"

    job.send_signal(number)
    time.sleep(0.05)  # twice would come at once
    output, _ = job.communicate(b"\n")

    assert [int(count) for count in output.split()] == [int(name == number.name[3:]) for name in NAMES]
    assert job.returncode == 0


# The launcher as it is when the herald was killed after its first word, and has left no reader.
WITHOUT_HERALD = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from jobmon_agent.environment import Environment, become
from jobmon_agent.sidecar import Introduction
from jobmon_agent.waiter import Waiter
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE] if sys.argv[2] == "blocked" else [])
herald = os.fork() or os._exit(0)
(gone, ask), (told, end), (status, other) = os.pipe(), os.pipe(), os.pipe()
for each in (gone, end, other):
    os.close(each)
introduction = Introduction(herald, ask, told, status, sys.argv[3])
command = [b"sh", b"-c", b"grep Pnd /proc/self/status; exit 7"]
if sys.argv[3] == "wrap":
    Waiter(command, Environment.inherited(), lambda is_copied: None).run(introduction)
introduction.settle(os.getpid())
become(command, Environment.inherited())
"""


@pytest.mark.promise(15)
@pytest.mark.parametrize("way", ["wrap", "exec"])
@pytest.mark.parametrize("mask", ["open", "blocked"])
def test_a_herald_that_was_killed_sends_the_job_no_sigpipe(launcher: Any, python: Path, mask: str, way: str) -> None:
    line = [str(python), "-I", "-S", "-c", WITHOUT_HERALD, str(launcher.agent), mask, way]

    status, output, errors = launcher.run(line)

    assert (status, errors) == (7, b"")
    assert output.split() == [b"SigPnd:", b"0" * 16, b"ShdPnd:", b"0" * 16]


# The launcher as it is when the herald hangs, as on a dead file server; it is waited for less than usual.
WITH_A_HERALD_THAT_HANGS = """
import sys, time
sys.path.insert(0, sys.argv[1])
from jobmon_agent import sidecar
from jobmon_agent.herald import Herald
from jobmon_agent.launch import main
sidecar._PATIENCE = 0.2
setattr(Herald, sys.argv[2], lambda *_: time.sleep(600))
sys.exit(main([sys.argv[3], "--credential", sys.argv[4], "--", "sh", "-c", "exit 7"]))
"""


@pytest.mark.promise(15)
@pytest.mark.parametrize("step", ["_find_credential", "_open_job"], ids=["silent", "after its first word"])
def test_a_herald_that_hangs_is_ended_and_the_job_runs(
    launcher: Any, until: Callable[..., Any], python: Path, mode: str, step: str
) -> None:
    start = [str(python), "-I", "-S", "-c", WITH_A_HERALD_THAT_HANGS, str(launcher.agent)]

    status, output, errors = launcher.run([*start, step, mode, str(launcher.credential)])

    assert (status, output, errors) == (7, b"", b"")
    until(lambda: not launcher.processes())


def test_a_signal_that_ends_the_job_ends_the_waiter_the_same_way(launcher: Any) -> None:
    job = launcher.start(launcher.line(None, "sh", "-c", "echo on; exec sleep 60", mode="--wrap"), stdout=-1)
    assert job.stdout.readline() == b"on\n"

    job.terminate()

    assert job.wait() == -signal.SIGTERM


# A waiter cannot pass on a STOP, which nobody can wait for; TSTP, what ^Z sends, it can.
@pytest.mark.promise(9)
@pytest.mark.parametrize(("mode", "stop"), [("--exec", signal.SIGSTOP), ("--wrap", signal.SIGTSTP)])
def test_a_job_that_is_stopped_stops_and_goes_on(
    launcher: Any, until: Callable[..., Any], python: Path, mode: str, stop: signal.Signals
) -> None:
    line = launcher.line(python, "sh", "-c", "echo $$; read go; exit 5", mode=mode)
    # A group of its own: a TSTP stops nothing in a group whose parents have gone, as after nohup.
    started = launcher.start(line, stdin=-1, stdout=-1, process_group=0)
    job = int(started.stdout.readline())  # the job's own number, whichever process was started

    def states() -> set[str]:
        stats = (Path(f"/proc/{pid}/stat").read_text() for pid in (job, started.pid))
        return {stat.rpartition(")")[2].split()[0] for stat in stats}

    started.send_signal(stop)
    until(lambda: states() == {"T"})
    _, status = os.waitpid(started.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    started.send_signal(signal.SIGCONT)
    until(lambda: states() == {"S"})
    started.communicate(b"go\n")

    assert started.returncode == 5


@pytest.mark.promise(11)
def test_a_pipeline_ends_with_the_job_although_the_agent_is_stopped(
    launcher: Any, server: Any, until: Callable[..., Any], python: Path, mode: str
) -> None:
    line = launcher.line(python, "sh", "-c", "echo $$; read go; echo all", mode=mode)
    pipeline = launcher.start(["sh", "-c", '"$@" | cat', "sh", *line], stdin=-1, stdout=-1)
    job = int(pipeline.stdout.readline())
    server.channel()
    waiter = int(Path(f"/proc/{job}/stat").read_text().rpartition(")")[2].split()[1])
    stopped = [pid for pid in launcher.agents() if pid not in (job, waiter, pipeline.pid)]
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):  # one may end by itself, or with another
            os.kill(pid, signal.SIGSTOP)

    output, _ = pipeline.communicate(b"\n", timeout=60)

    assert len(stopped) >= 2
    assert output == b"all\n"
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


class Terminal:
    """An interactive shell on a pseudo-terminal."""

    def __init__(self, launcher: Any) -> None:
        self._master, slave = pty.openpty()
        self.seen = b""
        launcher.start(
            ["bash", "--norc", "--noprofile", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=launcher.environment(PS1="$ "),
        )
        os.close(slave)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def read_until(self, text: str) -> str:
        """What came up to and with the text."""
        end = time.monotonic() + 20
        while text.encode() not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self._master], [], [], 0.2)[0]:
                self.seen += os.read(self._master, 65536)
        found, _, self.seen = self.seen.partition(text.encode())
        return found.decode() + text

    def close(self) -> None:
        os.close(self._master)


# It says what it gets, by calls that a signal's handler may make at any time.
AT_A_TERMINAL = """
import os, select, signal, sys
def say(*words): os.write(1, (" ".join(map(str, words)) + "\\n").encode())
for number in (signal.SIGINT, signal.SIGQUIT): signal.signal(number, lambda number, frame: say("got", number))
say("front", os.getpgrp() == os.tcgetpgrp(0))
while True:
    while not select.select([0], [], [], 0.01)[0]: pass
    line = sys.stdin.readline().strip()
    if line == "end": sys.exit(3)
    say("read", line)
"""


@pytest.mark.promise(10)
def test_a_terminal_works_as_with_a_bare_job(launcher: Any, python: Path, mode: str) -> None:
    (launcher.directory / "job").write_text(AT_A_TERMINAL)
    terminal = Terminal(launcher)
    words = launcher.line(python, sys.executable, "-I", "-S", "job", mode=mode)

    try:
        terminal.read_until("$ ")
        terminal.type(" ".join(words) + "\n")
        terminal.read_until("front ")
        assert terminal.read_until("\n").startswith("True")
        for _ in range(10):
            terminal.type("\x03")
            assert terminal.read_until("got 2").count("got") == 1
            time.sleep(0.02)  # a second one would come now
        terminal.type("\x1c")
        assert "got 2" not in terminal.read_until("got 3")
        terminal.type("\x1a")
        terminal.read_until("Stopped")
        terminal.read_until("$ ")
        terminal.type("echo in the shell\n")
        assert "got" not in terminal.read_until("in the shell\r\n")
        terminal.type("fg\n")
        terminal.read_until("job\r\n")
        terminal.type("hello\n")
        assert "got" not in terminal.read_until("read hello")
        terminal.type("end\n")
        terminal.read_until("$ ")
        terminal.type("echo status $?\n")
        terminal.read_until("status 3")
    finally:
        terminal.close()


@pytest.mark.promise(10)
def test_a_terminals_interrupt_reaches_the_job_of_a_waiter_once(
    launcher: Any, until: Callable[..., Any], python: Path
) -> None:
    # The waiter hears it when the job has heard it already: at the same time two would often be one.
    master, slave = pty.openpty()
    line = launcher.line(python, sys.executable, "-I", "-S", "-c", COUNTING, mode="--wrap")
    waiter = launcher.start(
        line,
        stdin=slave,
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    assert waiter.stdout.readline() == b"ready\n"
    job = int(Path(f"/proc/{waiter.pid}/task/{waiter.pid}/children").read_text())

    waiter.send_signal(signal.SIGSTOP)
    until(lambda: _state(waiter.pid) == "T")
    os.write(master, b"\x03")
    until(lambda: _is_pending(waiter.pid, signal.SIGINT) and not _is_pending(job, signal.SIGINT))
    waiter.send_signal(signal.SIGCONT)
    until(lambda: not _is_pending(waiter.pid, signal.SIGINT) and _state(waiter.pid) == "S")
    os.write(master, b"\n")
    output, _ = waiter.communicate()
    os.close(master)

    assert output.split()[NAMES.index("INT")] == b"1"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
