"""A job that hangs is looked at without being touched, and what cannot be seen is said and not guessed."""

import json
import os
import pwd
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent.errand import run_errand
from jobmon_agent.job import Job
from jobmon_agent.syscalls import read_call
from tests.agent.asking import ask_under, look, ready
from tests.agent.trees import Yard, is_alive, python, until

HANGS = """
import fcntl, os, select, socket, sys, threading, time
reader, writer = os.pipe()
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
child = os.fork()
if not child:
    os.close(reader)
    fcntl.flock(open("lock", "w"), fcntl.LOCK_EX)
    os._exit(0)
os.close(writer)
def hang(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)
one = socket.create_connection(listener.getsockname())
other, _ = listener.accept()
watch = select.epoll()
watch.register(reader)
held = threading.Lock()
held.acquire()
hang(os.read, reader, 1)
hang(one.recv, 1)
hang(listener.accept)
hang(watch.poll)
hang(time.sleep, 1000)
for _ in range(20):
    hang(held.acquire)
with open("facts", "w") as file:
    file.write("%d %d %d" % (child, listener.getsockname()[1], one.getsockname()[1]))
os.rename("facts", "ready")
os.waitpid(child, 0)
"""


def start_hanging(yard: Yard) -> tuple[Job, int, int, int]:
    job = yard.start(python(HANGS))
    child, listens, connects = map(int, ready(job).read_text().split())
    waiting = {"wait4", "flock", "read", "recvfrom", "epoll_wait", "futex"}
    until(lambda: waiting <= {thread["call"] for thread in look(job)["threads"]} and len(look(job)["threads"]) == 27)
    return job, child, listens, connects


def test_each_thread_says_what_it_waits_for(yard: Yard, pythons: list[Path]) -> None:
    job, child, listens, connects = start_hanging(yard)

    for interpreter in pythons:
        (told,) = ask_under(interpreter, (job, "stack", {}))
        threads = {thread["call"]: thread for thread in told["threads"] if thread["call"] != "futex"}

        assert [process["pid"] for process in told["processes"]] == [job.pid, child]
        assert told["processes"][0]["command"].startswith(sys.executable + " -I -S -c")
        assert threads["wait4"]["child"] == child
        assert (threads["flock"]["file"], threads["flock"]["held_by"]) == (job.sandbox_path + "/lock", [job.pid])
        assert threads["read"]["file"].startswith("pipe:[")
        assert threads["read"]["held_by"] == [child]
        assert threads["recvfrom"]["peer"] == f"tcp 127.0.0.1:{connects}, peer 127.0.0.1:{listens}"
        assert (threads.get("accept4") or threads["accept"])["peer"] == f"tcp, listening at 127.0.0.1:{listens}"
        assert threads["epoll_wait"]["watches"][0].endswith(threads["read"]["file"])
        assert [thread["call"] for thread in told["threads"]].count("futex") == 20
        assert {thread["state"] for thread in told["threads"]} == {"S"}


def test_one_process_may_be_asked_for(yard: Yard) -> None:
    job, child, _, _ = start_hanging(yard)

    told = look(job, pid=child)

    assert [process["pid"] for process in told["processes"]] == [child]
    assert [thread["tid"] for thread in told["threads"]] == [child]


def test_to_look_wakes_nobody(yard: Yard) -> None:
    job, child, _, _ = start_hanging(yard)

    def switches() -> list[str]:
        paths = sorted(Path("/proc", str(pid), "task") for pid in (job.pid, child))
        return [
            line
            for path in paths
            for task in sorted(path.iterdir())
            for line in task.joinpath("status").read_text().splitlines()
            if "ctxt_switches" in line or line.startswith(("State", "SigPnd", "ShdPnd", "TracerPid"))
        ]

    before = switches()
    look(job)

    assert switches() == before


def test_a_thread_that_computes_is_in_no_call(yard: Yard) -> None:
    job = yard.start(python("while True: pass"))

    # A thread that the scheduler has just put aside is in none either.
    (thread,) = until(lambda: (found := look(job)["threads"])[0]["state"] == "R" and found)

    assert (thread["number"], thread["call"], thread["descriptor"]) == (None, None, None)


def test_what_the_kernel_hides_is_named_and_not_guessed(yard: Yard) -> None:
    if os.geteuid():
        pytest.skip("to be another user than the job's tests needs root")
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chmod(yard.directory, 0o777)
    script = f"import os, ctypes, time; os.setuid({nobody}); ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); time.sleep(300)"
    job = yard.start(python(script))
    until(lambda: read_uid(job.pid) == nobody)
    until(lambda: look(job)["threads"][0]["call"] == "clock_nanosleep")  # the control: root may look

    def as_nobody(descriptor: int) -> None:
        os.setgroups([])
        os.setgid(nobody)
        os.setuid(nobody)
        os.write(descriptor, json.dumps(look(job)).encode())

    told, is_whole = run_errand(as_nobody, 10.0, 2**20)

    assert is_whole
    found = json.loads(told)
    assert {"syscall"} <= set(found["processes"][0]["denied"])
    assert found["threads"][0]["state"] == "S"
    assert {found["threads"][0][key] for key in ("number", "call", "wchan", "descriptor")} == {None}
    assert found["processes"][0]["command"]


def read_uid(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Uid:"))
    return int(line.split()[1])


@pytest.mark.parametrize(
    ("line", "machine", "expected"),
    [
        ("0 0x3 0x7f 0x1 0x0 0x0 0x0 0x7ffc00000000 0x7f0000000000", "x86_64", (0, "read", 3, None)),
        ("63 0x3 0x7f 0x1 0x0 0x0 0x0 0x7ffc00000000 0x7f0000000000", "aarch64", (63, "read", 3, None)),
        ("61 0xffffffff 0x7f 0x1 0x0 0x0 0x0 0x7ffc00000000 0x7f00", "x86_64", (61, "wait4", None, None)),
        ("247 0x1 0x1267 0x1 0x4 0x0 0x0 0x7ffc00000000 0x7f00", "x86_64", (247, "waitid", None, 4711)),
        ("9999 0x1 0x2 0x1 0x4 0x0 0x0 0x7ffc00000000 0x7f00", "x86_64", (9999, None, None, None)),
        ("0 0x3 0x7f 0x1 0x0 0x0 0x0 0x7ffc00000000 0x7f0000000000", "riscv64", (0, None, None, None)),
        ("0 0x3 0x7f 0x1 0x0 0x0 0x0 0xffffcc00 0xf7f00000", "x86_64", (0, None, None, None)),  # a 32-bit program
        ("running", "x86_64", None),
        ("-1 0x7ffc00000000 0x7f00", "x86_64", None),
        ("", "x86_64", None),
        ("0 pear 0x7f 0x1 0x0 0x0 0x0 0x7ffc00000000 0x7f00", "x86_64", None),
    ],
)
def test_a_call_is_read_from_its_number_and_the_machine(line: str, machine: str, expected: Any) -> None:
    assert read_call(line.encode() + b"\n", machine) == expected


def test_work_that_hangs_is_ended_and_what_it_told_is_kept() -> None:
    began = time.monotonic()

    def hang(descriptor: int) -> None:
        os.write(descriptor, b"%d" % os.getpid())
        time.sleep(300)

    told, is_whole = run_errand(hang, 0.2, 1000)

    assert not is_whole
    assert time.monotonic() - began < 5
    assert not is_alive(int(told))
    assert run_errand(lambda end: os.write(end, b"x" * 5000) and None, 5.0, 1000) == (b"x" * 1000, False)
