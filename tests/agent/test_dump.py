"""A tool that looks into a job is bounded and takes nothing with it; no signal is sent that was not asked for.

Tools are real: py-spy and gdb where they are right, small programs in their
place where a test needs one that fails in a way of its own.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent import dump as dumping
from jobmon_agent import tool as tooling
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.proc import read_process
from jobmon_wire.verbs import VERBS, check_arguments
from tests.agent.asking import ask_under, look, ready
from tests.agent.trees import Yard, answer, data, is_alive, python, read_pid, record, until

THREADS = "import threading, time\nfor _ in range(30): threading.Thread(target=time.sleep, args=(300,)).start()\n"


ANSWERS = (
    "import os, signal, time\n"
    "signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'dumped '))\n"
    "open('ready', 'w').close()\nwhile True: time.sleep(0.05)\n"
)


def states(pid: int) -> set[str]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {task.joinpath("stat").read_text().rpartition(")")[2].split()[0] for task in tasks}


@pytest.mark.promise(34)
@pytest.mark.parametrize("verb", ["stack", "dump"])
def test_no_process_but_a_running_one_of_the_job_is_looked_into(yard: Yard, verb: str) -> None:
    job = yard.start(python("import os, time\nif not os.fork(): os._exit(0)\ntime.sleep(300)"))
    zombie = until(lambda: next((row["pid"] for row in record(job, "ps")["processes"] if row["state"] == "Z"), None))
    bystander = yard.bystander(["sleep", "300"])
    mine = yard.bystander(["sleep", "300"], preexec_fn=lambda: os.setpgid(0, os.getpgrp()))

    for pid in (bystander, mine, zombie, os.getpid(), os.getppid(), 2):
        with pytest.raises(VerbFailure, match=f"{pid} is no running process of this job"):
            list(answer(job, verb, pid=pid))
    for pid in (1, 0, -1):
        with pytest.raises(ValueError, match="must be from 2"):
            check_arguments(VERBS[verb], {"pid": pid})


def test_several_processes_are_named_to_choose_from(yard: Yard) -> None:
    job = yard.start("sleep 300 & sleep 300 & wait")
    until(lambda: len(look(job)["processes"]) == 3)

    with pytest.raises(VerbFailure, match=rf"has 3 processes; name one of them: {job.pid} sh, \d+ sleep, \d+ sleep"):
        list(answer(job, "dump", tool="gdb"))


def test_py_spy_tells_the_functions_of_a_python_process(yard: Yard, python: Path) -> None:
    job = yard.start([sys.executable, "-I", "-S", "-c", "import time\ndef deep_down(): time.sleep(300)\ndeep_down()"])
    until(lambda: look(job)["threads"][0]["call"] == "clock_nanosleep")

    (told,) = ask_under(python, (job, "dump", {"tool": "py-spy"}), PATH=f"{Path(sys.executable).parent}:/usr/bin")

    assert "deep_down" in told.get("data", told)
    assert told["pid"] == job.pid
    assert is_alive(job.pid)


def test_gdb_tells_the_functions_of_any_process_and_lets_it_go(yard: Yard, python: Path) -> None:
    job = yard.start(["sleep", "300"])

    (told,) = ask_under(python, (job, "dump", {"tool": "gdb", "pid": job.pid}), PATH=gdb_path())

    assert "#0" in told.get("data", told)
    until(lambda: states(job.pid) == {"S"})
    assert is_alive(job.pid)


def gdb_path() -> str:
    if not shutil.which("gdb"):
        pytest.skip("gdb is not installed")
    return os.environ["PATH"]


def test_a_stopped_process_is_left_to_stop(yard: Yard) -> None:
    gdb_path()
    job = yard.start(["sleep", "300"])
    os.kill(job.pid, signal.SIGSTOP)
    until(lambda: states(job.pid) == {"T"})

    with pytest.raises(VerbFailure, match="stopped already"):
        list(answer(job, "dump", tool="gdb"))

    assert states(job.pid) == {"T"}


class Requester:
    """A dump asked for in a process of its own, as a performer is."""

    def __init__(self, job: Job, **arguments: Any) -> None:
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setpgid(0, 0)
                list(answer(job, "dump", **arguments))
            except VerbFailure as failure:
                Path(job.sandbox_path, "failure").write_text(failure.message)
            finally:
                os._exit(0)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        os.waitpid(self.pid, 0)


def tracer_of(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("TracerPid:"))
    return int(line.split()[1])


@pytest.mark.promise(45)
@pytest.mark.parametrize("victim", ["gdb", "the reader's process"])
def test_a_job_outlives_the_death_of_whoever_dumps_it(yard: Yard, victim: str) -> None:
    gdb_path()
    job = yard.start(python(THREADS))
    until(lambda: len(os.listdir(f"/proc/{job.pid}/task")) == 31)

    for attempt in range(6):
        requester = Requester(job, tool="gdb", pid=job.pid)
        gdb = until(lambda: tracer_of(job.pid))
        time.sleep(0.004 * attempt)  # another moment of the attach each time
        os.kill(gdb if victim == "gdb" else requester.pid, signal.SIGKILL)
        requester.wait()

        until(lambda gdb=gdb: not is_alive(gdb))
        until(lambda: states(job.pid) == {"S"})
    assert is_alive(job.pid)


def test_the_control_gdb_killed_without_a_keeper_leaves_a_job_stopped(yard: Yard) -> None:
    gdb_path()
    job = yard.start(python(THREADS))
    until(lambda: len(os.listdir(f"/proc/{job.pid}/task")) == 31)

    def stays_stopped() -> bool:
        command = ["gdb", "-nx", "-batch", "-p", str(job.pid)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as gdb:
            until(lambda: tracer_of(job.pid))
            gdb.kill()
        until(lambda: not tracer_of(job.pid))
        time.sleep(0.03)
        return "T" in states(job.pid)

    assert any(stays_stopped() for _ in range(30))


def a_tool(yard: Yard, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> None:
    """A program of that name, the first on the agent's PATH; it knows the job's directory as $JOB."""
    folder = yard.directory / "tools"
    folder.mkdir(exist_ok=True)
    folder.joinpath(name).write_text(f"#!/bin/sh\n{script}\n")
    folder.joinpath(name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def a_stopping_tool(yard: Yard, monkeypatch: pytest.MonkeyPatch, job: Job) -> Path:
    """In gdb's place: stops the job and never lets it go."""
    stopped = Path(job.sandbox_path, "stopped")
    script = f"kill -STOP {job.pid}; echo $$ > {stopped}.new; mv {stopped}.new {stopped}; exec sleep 300"
    a_tool(yard, monkeypatch, "gdb", script)
    return stopped


@pytest.mark.promise(45)
@pytest.mark.parametrize("end", ["its deadline", "its death", "nobody waits"])
def test_a_job_that_a_tool_has_stopped_goes_on(yard: Yard, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    job = yard.start(["sleep", "300"])
    stopped = a_stopping_tool(yard, monkeypatch, job)
    seconds = 0.3 if end == "its deadline" else 60.0
    monkeypatch.setitem(dumping._TOOLS, "gdb", dumping._TOOLS["gdb"]._replace(seconds=seconds))

    requester = Requester(job, tool="gdb")
    program = read_pid(stopped)
    if end == "its death":
        os.kill(program, signal.SIGKILL)
    elif end == "nobody waits":
        requester.kill()
    requester.wait()

    until(lambda: states(job.pid) == {"S"})
    until(lambda: not is_alive(program))
    if end != "nobody waits":
        failure = Path(job.sandbox_path, "failure").read_text()
        assert failure.endswith("the process goes on"), failure


def test_what_a_tool_says_is_bounded(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tooling, "OUTPUT", 200_000)
    a_tool(yard, monkeypatch, "py-spy", "exec yes 'Thread 1'")
    job = yard.start(["sleep", "300"])

    frames = list(answer(job, "dump", tool="py-spy"))

    assert frames[0][1]["is_cut"]
    assert sum(len(payload) for _, payload in frames[1:]) == 200_000


def test_a_tool_gets_nothing_of_the_agents(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    a_tool(yard, monkeypatch, "py-spy", "echo Thread; env; ls -l /proc/self/fd; cat /proc/self/oom_score_adj; trap")
    monkeypatch.setenv("JOBMON_CREDENTIAL", "/secret")
    monkeypatch.setenv("PYTHONPATH", "/odd")
    job = yard.start(["sleep", "300"])

    told = data(job, "dump", tool="py-spy").decode()

    assert "secret" not in told
    assert "/odd" not in told
    assert " 3 -> /proc" in told  # ls itself has its directory there: 0, 1, 2 and no more came with it
    assert " 4 -> " not in told
    assert "\n1000\n" in told


def test_what_a_tool_has_forked_ends_with_it(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    job = yard.start(["sleep", "300"])
    left = Path(job.sandbox_path, "left")
    a_tool(yard, monkeypatch, "py-spy", f"sleep 300 & echo $! > {left}.new; mv {left}.new {left}; echo Thread; exit 0")
    began = time.monotonic()

    told = data(job, "dump", tool="py-spy")

    assert told == b"Thread\n"
    assert time.monotonic() - began < 10  # the pipe that it kept open was not waited for
    until(lambda: not is_alive(read_pid(left)))


def test_a_tool_that_fails_says_why(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    a_tool(yard, monkeypatch, "py-spy", "echo 'Error: permission denied' >&2; exit 1")
    job = yard.start(["sleep", "300"])

    with pytest.raises(VerbFailure, match="py-spy failed: Error: permission denied"):
        list(answer(job, "dump", tool="py-spy"))


def test_a_process_that_ends_meanwhile_is_not_told_of(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    job = yard.start(["sleep", "300"])
    gone = f"until grep -q ') Z' /proc/{job.pid}/stat; do sleep 0.01; done"
    a_tool(yard, monkeypatch, "py-spy", f"echo Thread 1 of whoever has the number now; kill -KILL {job.pid}; {gone}")

    with pytest.raises(VerbFailure, match=f"process {job.pid} has ended"):
        list(answer(job, "dump", tool="py-spy"))


@pytest.mark.parametrize("path", ["/nowhere", ".:", ""])
def test_a_missing_tool_is_one_sentence(yard: Yard, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    job = yard.start(["sleep", "300"])
    a_tool(yard, monkeypatch, "py-spy", "echo Thread")
    monkeypatch.chdir(yard.directory / "tools")  # a relative entry of PATH is no place to look in
    monkeypatch.setenv("PATH", path)

    with pytest.raises(VerbFailure) as failed:
        list(answer(job, "dump", tool="py-spy"))

    node = os.uname().nodename
    assert failed.value.message == (
        f"py-spy is not on the agent's PATH on {node}; jobmon stack without a tool tells what each thread waits for"
    )


@pytest.mark.promise(45)
def test_no_signal_is_sent_without_the_wish_and_the_handler(yard: Yard, pythons: list[Path]) -> None:
    handles = [sys.executable, "-I", "-S", "-c", ANSWERS]
    silent = yard.start(["env", "-u", dumping.OPT_IN, *handles])
    careless = yard.start(["env", f"{dumping.OPT_IN}=USR2", *handles])
    odd = yard.start(["env", f"{dumping.OPT_IN}=PEAR", *handles])
    deadly = yard.start(["env", f"{dumping.OPT_IN}=KILL", *handles])
    ready_jobs = (silent, careless, odd, deadly)
    for job in ready_jobs:
        ready(job)

    for interpreter in pythons:
        told = ask_under(interpreter, *((job, "dump", {"tool": "signal"}) for job in ready_jobs))

        assert "was not started with JOBMON_DUMP_SIGNAL" in told[0]["message"]
        assert "no handler for USR2" in told[1]["message"]
        assert "is no signal" in told[2]["message"]
        assert "no handler for KILL" in told[3]["message"]
    for job in ready_jobs:
        assert is_alive(job.pid)
        assert Path(job.sandbox_path, "out.log").read_bytes() == b""


@pytest.mark.promise(45)
def test_a_job_that_asks_for_it_dumps_itself_once_for_each_wish(yard: Yard, pythons: list[Path]) -> None:
    job = yard.start(["env", f"{dumping.OPT_IN}=SIGUSR1", sys.executable, "-I", "-S", "-c", ANSWERS])
    ready(job)
    said = Path(job.sandbox_path, "out.log")

    for count, interpreter in enumerate(pythons, 1):
        (told,) = ask_under(interpreter, (job, "dump", {"tool": "signal", "pid": job.pid}))

        assert told == {"tool": "signal", "pid": job.pid, "signal": "USR1"}
        until(lambda count=count: said.read_bytes() == b"dumped " * count)
    assert read_process(job.pid) is not None
