"""The demo's promise: real jobs of every kind, and nothing left behind however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_console.demo import jobs, work
from tests.pythons import PYTHONS, Python

FRONT = "import sys; from jobmon_console.demo import main; sys.exit(main(2, None, True))"
# Stands in for the server: `run` writes down its process, then does what the test says.
SERVER = """
import errno, os, socket, sys, time
from pathlib import Path
notes = Path(os.environ["NOTES"])
with notes.open("a") as lines:
    lines.write(" ".join([str(os.getpid()), *sys.argv[1:]]) + chr(10))
"""
HANGS = "time.sleep(600)"
FAILS = "sys.exit('the disk of this server is full')"
LOSES_ITS_PORTS = """
if sys.argv[1] == "--config":
    port = int(sys.argv[2].rsplit("site-")[-1].split("/")[0])
    held = notes.parent / f"held-{port}"
    if os.fork() == 0:
        holder = socket.socket()
        holder.bind(("127.0.0.1", port))
        holder.listen()
        held.touch()
        time.sleep(600)
    while not held.exists():
        time.sleep(0.01)
    sys.exit(os.strerror(errno.EADDRINUSE))
"""
# A signal that interrupts no wait of the main thread, as one that comes right before the wait begins.
MISSES = """
import signal, sys, threading, time
from jobmon_console.demo import front, processes
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
def send():
    time.sleep(0.2)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
threading.Thread(target=send, daemon=True).start()
"""
WATCHES = {
    "keeper": "kept = processes.Processes({}); kept.start(['sleep', '60'], '/', None, None); kept.watch()",
    "front": "import subprocess; front._wait(subprocess.Popen(['sleep', '60'], stdout=subprocess.PIPE))",
}


@pytest.fixture
def start_front(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    fronts = []
    (tmp_path / "rest").mkdir()

    def start(server: str) -> subprocess.Popen[str]:
        package = tmp_path / "fake" / "jobmon_server"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(SERVER + server)
        environment = os.environ | {
            "PYTHONPATH": str(package.parent),
            "NOTES": str(tmp_path / "notes"),
            "TMPDIR": str(tmp_path / "rest"),
        }
        front = subprocess.Popen(
            [sys.executable, "-c", FRONT], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        fronts.append(front)
        return front

    yield start
    for front in fronts:
        front.kill()
        front.communicate()


def _wait_until(claim: Callable[[], object], limit: float = 10.0) -> None:
    deadline = time.monotonic() + limit
    while not claim():
        assert time.monotonic() < deadline, "not within the time limit"
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def _is_noted(notes: Path) -> bool:
    return notes.exists() and notes.read_text().endswith("\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_front_that_is_stopped_while_starting_leaves_no_process_and_no_file(start_front, tmp_path, number) -> None:
    front = start_front(HANGS)
    _wait_until(lambda: _is_noted(tmp_path / "notes"))
    server = int((tmp_path / "notes").read_text().split()[0])
    assert _is_running(server)
    assert list((tmp_path / "rest").iterdir())

    front.send_signal(number)

    assert front.wait(10) == (-number if number == signal.SIGKILL else 130)
    _wait_until(lambda: not _is_running(server))
    _wait_until(lambda: not list((tmp_path / "rest").iterdir()))


def test_a_server_that_does_not_start_is_told_in_one_line(start_front, tmp_path) -> None:
    front = start_front(FAILS)

    stdout, stderr = front.communicate(timeout=60)

    assert (front.returncode, stdout) == (1, "")
    assert stderr.startswith("jobmon: `")
    assert stderr.endswith("ended with 1: the disk of this server is full\n")
    assert not list((tmp_path / "rest").iterdir())


def test_ports_that_were_taken_meanwhile_are_exchanged_for_others(start_front, tmp_path) -> None:
    front = start_front(LOSES_ITS_PORTS)

    _, stderr = front.communicate(timeout=60)

    inits = [line.split() for line in (tmp_path / "notes").read_text().splitlines() if "--init" in line]
    assert len(inits) == len({line[line.index("--users-port") + 1] for line in inits}) == 5
    assert stderr == "jobmon: found no free ports in 5 tries; end what takes them, then try again\n"


def test_the_demo_s_directory_is_private(start_front, tmp_path) -> None:
    start_front(HANGS)
    _wait_until(lambda: _is_noted(tmp_path / "notes"))

    (directory,) = (tmp_path / "rest").iterdir()

    assert directory.stat().st_mode & 0o777 == 0o700


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("pids", "a") as pids: pids.write(f"{os.getpid()}\\n")
        os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
os.wait()
with open("pids", "a") as pids: pids.write(f"{os.getpid()}\\n")
time.sleep(600)
"""
ENDING = """
import os, sys
from pathlib import Path
from jobmon_console.demo.processes import Processes
processes = Processes(os.environ)
with open("out", "wb") as out:
    processes.start([sys.executable, "-c", sys.argv[1]], Path("."), out, out)
processes.wait_until(lambda: Path("pids").exists() and len(Path("pids").read_text().splitlines()) == 2, "start")
print(*[os.path.exists(f"/proc/{pid}") for pid in Path("pids").read_text().split()])
processes.end()
"""


def test_processes_that_ignore_term_left_the_tree_or_are_stopped_end_as_well(tmp_path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ENDING, STUBBORN], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )

    assert ended.stdout.split() == ["True", "True"]
    assert not [pid for pid in (tmp_path / "pids").read_text().split() if os.path.exists(f"/proc/{pid}")]


@given(st.integers(0, 500))
def test_a_quarter_of_the_jobs_is_the_second_owner_s(count: int) -> None:
    planned = jobs.plan(count)

    assert len({job.id for job in planned}) == len(planned) == count
    assert Counter(job.owner for job in planned)["bob"] == count // 4


def test_eight_jobs_are_one_of_each_kind_and_both_owners_have_one_that_stays() -> None:
    planned = jobs.plan(8)

    assert {job.kind for job in planned} == set(work.KINDS)
    assert [job.id for job in planned if job.kind == "hang" and job.owner == "bob"] == ["demo-hang-1"]
    assert [job.id for job in planned if job.kind == "print" and job.owner == "alice"] == ["demo-print-1"]


@pytest.mark.parametrize("python", PYTHONS, ids=lambda python: python.version)
@pytest.mark.parametrize(("kind", "status"), [("fail", 3), ("crash", -signal.SIGSEGV), ("finish", 0)])
def test_work_ends_as_its_kind_says_under_every_python(python: Python, kind: str, status: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {"JOBMON_LOG": str(log)}

    ended = subprocess.run(
        [python.path, work.__file__, kind, "0.05"], cwd=tmp_path, env=environment, capture_output=True, check=False
    )

    assert ended.returncode == status
    assert log.exists() == (kind == "finish")


@pytest.mark.parametrize("who", WATCHES)
def test_a_signal_right_before_a_wait_is_not_missed(who: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", MISSES + WATCHES[who]], start_new_session=True)
    try:
        assert process.wait(20) == 7
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its child, too
