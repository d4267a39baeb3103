"""A shell beside a job: a real terminal, bounded both ways, and nothing of it is left when it is over.

What one shell does is tried under every Python in one run of ``shell_script.py``;
what the agent does with shells, over real TLS.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent.verbs import VERBS as FUNCTIONS
from jobmon_wire import frames, limits
from jobmon_wire.frames import write_frame
from tests.agent.trees import is_alive, read_pid
from tests.pythons import PYTHONS, Python

AGENT = Path(FUNCTIONS["shell"].__code__.co_filename).parent.parent
SCRIPT = Path(__file__).with_name("shell_script.py")
DONE = {"status": "done"}


@functools.cache
def told_by(python: Python) -> dict[str, Any]:
    """What the script saw, once for each Python."""
    with tempfile.TemporaryDirectory() as sandbox:
        ran = subprocess.run(
            [python.path, "-I", "-S", "-B", str(SCRIPT), str(AGENT), sandbox],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            timeout=60,
        )
    assert (ran.returncode, ran.stderr) == (0, b"")
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.fixture(params=PYTHONS, ids=[python.version for python in PYTHONS])
def told(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What each Python's script saw."""
    return told_by(request.param)


def test_what_is_typed_is_run_where_the_job_runs(told: dict[str, Any]) -> None:
    first = told["first"]

    assert first["echo"] == "one two"
    assert first["place"].startswith("/tmp/")
    assert first["variables"] == "yes:xterm-256color:none"
    assert first["umask"] == "0027"
    assert first["exit"] == [{"exit": {"code": 7, "signal": None}}, DONE]


def test_the_shell_is_a_session_of_its_own_with_nothing_of_the_agents(told: dict[str, Any]) -> None:
    first = told["first"]
    pid, session, _ = first["session"]

    assert pid == session
    _, blocked, _, ignored = first["signals"].split()
    # 32 and 33 are the C library's own, which whoever runs the tests may have left ignored.
    assert (int(blocked, 16), int(ignored, 16) & ~(3 << 31)) == (0, 0)
    assert set(first["files"].split()) == {"0", "1", "2", "3"}  # the last is what lists them


def test_the_job_comes_first(told: dict[str, Any]) -> None:
    assert told["first"]["rank"] == f"1000\n{min(19, os.nice(0) + 5)}"


def test_the_terminal_has_the_size_it_is_given(told: dict[str, Any]) -> None:
    assert told["first"]["size"] == "33 99"
    assert told["first"]["resized"] == "50 132"


@pytest.mark.parametrize("key", ["interrupt", "quit", "stop"])
def test_a_key_reaches_what_runs_in_the_foreground(told: dict[str, Any], key: str) -> None:
    assert told["first"][key] == "alive"


def test_a_key_is_echoed_within_what_a_person_notices(told: dict[str, Any]) -> None:
    assert told["first"]["latency"] < 0.05


def test_scripts_have_pipes_that_end(told: dict[str, Any]) -> None:
    pipes = told["pipes"]

    assert pipes["counted"] == ["65536\n", [{"exit": {"code": 3, "signal": None}}, DONE]]
    assert pipes["script"][0] == "hostname\nnot a tty\n"
    assert pipes["killed"] == [{"exit": {"code": None, "signal": "KILL"}}, DONE]
    assert pipes["missing"] == [{"exit": {"code": 127, "signal": None}}, DONE]


@pytest.mark.promise(44)
def test_all_that_came_of_a_shell_ends_with_its_asker_within_a_second(told: dict[str, Any]) -> None:
    leaving = told["leaving"]

    assert leaving["before"] == [True] * 6
    assert leaving["took"] < 1.0
    assert leaving["gone"] < 1.0


@pytest.mark.promise(44)
def test_nothing_else_ends_with_a_shell(told: dict[str, Any]) -> None:
    assert told["leaving"]["left"] == [True, True]


@pytest.mark.promise(44)
def test_a_flood_does_not_make_the_agent_grow(told: dict[str, Any]) -> None:
    assert max(told["flood"]["grown"]) <= 2 * limits.MIB


def test_a_shell_is_none_of_the_jobs_processes(told: dict[str, Any]) -> None:
    assert told["beside"] == {"shown": [told["job"]], "sent": [told["job"]], "alone": "action-failed"}


def test_a_shell_ends_with_the_job(told: dict[str, Any]) -> None:
    assert told["over"][-1]["code"] == "job-ended"


def test_a_forgotten_shell_is_ended_with_a_sentence(told: dict[str, Any]) -> None:
    (end,) = told["forgotten"]["idle"]

    assert (end["code"], end["message"][:18]) == ("timeout", "the shell was idle")


def test_a_job_may_forbid_it(told: dict[str, Any]) -> None:
    (end,) = told["forgotten"]["forbidden"]

    assert end["code"] == "not-permitted"
    assert "JOBMON_SHELL=off" in end["message"]


def test_a_screen_that_cannot_be_ends_it(told: dict[str, Any]) -> None:
    assert told["forgotten"]["refused"][-1]["code"] == "bad-request"


# Over a channel


def start(launcher: Any, script: str, python: Path | None = None, **environ: str) -> subprocess.Popen[bytes]:
    environment = launcher.environment(**environ)
    return launcher.start(launcher.line(python, "sh", "-c", script), stdout=subprocess.DEVNULL, env=environment)


def printed(channel: Any, request: bytes) -> bytes:
    return b"".join(frame.payload for frame in channel.of(request) if frame.type == frames.DATA)


def sleeper(launcher: Any, channel: Any, until: Any) -> tuple[bytes, int]:
    """A shell in which a process sleeps that does not heed a hang-up."""
    request = channel.ask("shell", command="nohup sleep 300 >/dev/null 2>&1 & echo $! > sleeper; wait")
    pid = read_pid(launcher.directory / "sleeper")
    assert is_alive(pid)
    return request, pid


def test_a_shell_is_typed_into_and_answers(launcher: Any, server: Any, until: Any, python: Any) -> None:
    launcher.start(launcher.line(python, "sleep", "30"))
    channel = server.channel()

    request = channel.ask("shell", command="read line; cat /proc/self/oom_score_adj; echo got $line; exit 5")
    channel.send(write_frame(frames.INPUT, request, b"a line\r"))

    assert channel.end_of(request) == DONE
    assert printed(channel, request).endswith(b"\r\n1000\r\ngot a line\r\n")
    (record,) = [frame.document() for frame in channel.of(request) if frame.type == frames.RECORD]
    assert record == {"exit": {"code": 5, "signal": None}}


def test_there_is_one_shell_of_a_job_at_a_time(launcher: Any, server: Any) -> None:
    start(launcher, "exec sleep 30")
    channel = server.channel()
    first = channel.ask("shell", command="read line")

    second = channel.ask("shell")

    assert channel.end_of(second)["code"] == "busy"
    channel.send(write_frame(frames.INPUT, first, b"\r"))
    assert channel.end_of(first) == DONE
    assert channel.end_of(channel.ask("shell", command="true")) == DONE


def test_input_is_granted_as_it_is_taken(launcher: Any, server: Any, until: Any) -> None:
    start(launcher, "exec sleep 30")
    channel = server.channel()
    request = channel.ask("shell", terminal=False, command="cat > copy")
    sent = limits.INPUT_WINDOW

    for _ in range(8):
        channel.send(write_frame(frames.INPUT, request, bytes(limits.INPUT_WINDOW // 8 - frames.HEADER_BYTES)))

    until(lambda: sum(f.credit() for f in channel.of(request) if f.type == frames.CREDIT) > sent / 2)
    channel.send(write_frame(frames.INPUT, request))
    assert channel.end_of(request) == DONE
    assert (launcher.directory / "copy").stat().st_size == sent - 8 * frames.HEADER_BYTES


def test_input_beyond_its_credit_ends_the_channel(launcher: Any, server: Any, until: Any) -> None:
    start(launcher, "exec sleep 30")
    channel = server.channel()
    request = channel.ask("shell", terminal=False, command="exec sleep 30")

    for _ in range(6):  # the pipe takes one, the performer another
        channel.send(write_frame(frames.INPUT, request, bytes(limits.FRAME_PAYLOAD)))

    until(lambda: len(server.channels) == 2)


@pytest.mark.promise(44)
@pytest.mark.parametrize("harm", ["cancel", "channel", "worker", "server"])
def test_nothing_of_a_shell_survives_whoever_asked(
    launcher: Any, server: Any, until: Any, another_python: Path, harm: str
) -> None:
    start(launcher, "exec sleep 30", another_python)
    channel = server.channel()
    worker = max(launcher.agents())
    request, pid = sleeper(launcher, channel, until)

    if harm == "cancel":
        channel.send(write_frame(frames.CANCEL, request))
    elif harm == "channel":
        channel.must_close = True
    elif harm == "worker":
        os.kill(worker, signal.SIGKILL)
    else:
        server.stop()

    until(lambda: not is_alive(pid))


def test_the_agent_is_itself_after_a_shell(launcher: Any, server: Any, until: Any) -> None:
    job = start(launcher, "exec sleep 30")
    channel = server.channel()
    idle = len(launcher.agents())
    request, _ = sleeper(launcher, channel, until)
    channel.send(write_frame(frames.CANCEL, request))

    assert channel.end_of(request)["code"] == "cancelled"
    until(lambda: len(launcher.agents()) == idle)
    assert channel.end_of(channel.ask("ps")) == DONE
    assert job.poll() is None


def test_the_jobs_own_word_against_shells_is_heeded(launcher: Any, server: Any) -> None:
    start(launcher, "exec sleep 30", JOBMON_SHELL="off")
    channel = server.channel()

    assert channel.end_of(channel.ask("shell"))["code"] == "not-permitted"


@pytest.mark.promise(44)
def test_a_flood_that_nobody_reads_leaves_the_worker_small(
    launcher: Any, server: Any, until: Any, old_or_new: Any
) -> None:
    launcher.start(launcher.line(old_or_new, "sleep", "30"))
    channel = server.channel()
    channel.end_of(channel.ask("shell", command="true"))  # what is imported at the first request is there
    worker = max(launcher.agents())
    before = resident(worker)

    request = channel.ask("shell", command="yes")
    until(lambda: len(printed(channel, request)) > limits.CREDIT_WINDOW - limits.FRAME_PAYLOAD)
    beats = len(channel.objects(frames.VITALS))
    until(lambda: len(channel.objects(frames.VITALS)) >= beats + 2)  # time passes, in which an agent would hoard
    stalled = resident(worker)
    for _ in range(32):
        channel.send(frames.write_credit(request, limits.CREDIT_WINDOW))
    until(lambda: len(printed(channel, request)) > 30 * limits.CREDIT_WINDOW)

    assert max(stalled, resident(worker)) - before <= 2 * limits.MIB
    channel.send(write_frame(frames.INPUT, request, b"\x03"))  # heard, however much waits to be read
    channel.send(frames.write_credit(request, limits.CREDIT_WINDOW))
    assert channel.end_of(request) == DONE


def resident(pid: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
