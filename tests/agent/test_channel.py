"""An agent registers, beats, answers requests and reports the job's end, over real TLS."""

from __future__ import annotations

import base64
import subprocess
from typing import Any

import pytest

from jobmon_wire import frames, limits
from jobmon_wire.frames import write_credit, write_frame
from jobmon_wire.records import EndReport, Registration, Vitals


def start(launcher: Any, script: str, mode: str = "--exec", python: Any = None) -> subprocess.Popen[bytes]:
    with open(launcher.directory / "out", "wb") as out, open(launcher.directory / "err", "wb") as err:
        return launcher.start(launcher.line(python, "sh", "-c", script, mode=mode), stdout=out, stderr=err)


def test_a_job_is_registered_watched_and_reported(
    launcher: Any, server: Any, until: Any, python: Any, pyz: Any
) -> None:
    launcher.agent = pyz
    job = start(launcher, "echo out; echo err >&2; echo 37% event 12k >> $JOBMON_LOG; sleep 1; exit 3", python=python)

    channel = server.channel()
    until(lambda: server.ends)

    registration = Registration.read(server.registrations[0])
    assert (registration.pid, registration.cwd) == (job.pid, str(launcher.directory))
    assert (registration.stdout, registration.mode) == ("file", "exec")
    assert Vitals.read(channel.objects(frames.VITALS)[0]).processes is not None
    assert [line["text"] for line in channel.objects(frames.LOG)] == ["37% event 12k"]
    assert any(frame.type == frames.PONG and frame.payload == b"12345678" for frame in channel.frames)
    end = EndReport.read(server.ends[0])
    assert (end.stdout, end.stderr, end.stdout_bytes, end.survivors) == (b"out\n", b"err\n", 4, 0)
    assert end.exit.source == "unknown" or (end.exit.code, end.exit.signal) == (3, None)
    assert job.wait() == 3
    until(lambda: not launcher.processes())
    assert sorted(path.name for path in launcher.directory.iterdir()) == ["err", "out"]


@pytest.mark.parametrize("verb", ["ps", "node", "ls", "head", "tail", "cat", "top"])
def test_every_question_is_answered_with_one_end(launcher: Any, server: Any, verb: str) -> None:
    start(launcher, "echo hello; exec sleep 30")
    channel = server.channel()

    request = channel.ask(verb, **({"count": 1} if verb == "top" else {}))

    assert channel.end_of(request) == {"status": "done"}
    answer = channel.of(request)
    if verb in ("head", "tail", "cat"):
        assert b"".join(frame.payload for frame in answer if frame.type == frames.DATA) == b"hello\n"
    else:
        assert answer[0].type == frames.RECORD


def test_a_job_that_is_killed_through_its_agent_is_reported_with_the_signal(
    launcher: Any, server: Any, until: Any, mode: str
) -> None:
    job = start(launcher, "sleep 300 & exec sleep 300", mode=mode)
    channel = server.channel()

    request = channel.ask("kill", signal="TERM")

    assert channel.end_of(request)["status"] == "done"
    assert job.wait() == -15
    until(lambda: server.ends)
    end = EndReport.read(server.ends[0])
    assert end.exit.source == "unknown" or end.exit.signal == "TERM"
    assert end.survivors == 0


def test_a_followed_file_is_sent_as_it_grows_and_ends_with_the_job(launcher: Any, server: Any, until: Any) -> None:
    start(launcher, "for i in 1 2 3; do echo line $i; sleep 0.2; done; sleep 0.5")
    channel = server.channel()

    request = channel.ask("tail", file="stdout", follow=True)

    until(lambda: b"".join(f.payload for f in channel.of(request) if f.type == frames.DATA).endswith(b"line 3\n"))
    assert not server.ends
    assert channel.end_of(request) == {"status": "done"}
    assert [f.document()["kind"] for f in channel.of(request) if f.type == frames.NOTE][-1] == "ended"


def test_a_reader_without_credit_stops_the_answer_and_credit_moves_it_on(
    launcher: Any, server: Any, until: Any
) -> None:
    size = limits.CREDIT_WINDOW + 100000
    start(launcher, f"head -c {size} /dev/zero > big; exec sleep 30")
    until(lambda: (launcher.directory / "big").exists() and (launcher.directory / "big").stat().st_size == size)
    channel = server.channel()

    def received() -> int:
        return sum(len(frame.payload) for frame in channel.of(request) if frame.type == frames.DATA)

    request = channel.ask("cat", file="big")
    until(lambda: received() > limits.CREDIT_WINDOW - limits.FRAME_PAYLOAD)
    beats = len(channel.objects(frames.VITALS))
    until(lambda: len(channel.objects(frames.VITALS)) >= beats + 2)  # time passes

    assert received() <= limits.CREDIT_WINDOW
    channel.send(write_credit(request, limits.CREDIT_WINDOW))
    assert channel.end_of(request) == {"status": "done"}
    assert received() == size


def test_a_request_nobody_waits_for_is_stopped(launcher: Any, server: Any, until: Any) -> None:
    start(launcher, "exec sleep 30")
    channel = server.channel()
    idle = len(launcher.agents())

    request = channel.ask("tail", file="stdout", follow=True)
    until(lambda: len(launcher.agents()) == idle + 1)
    channel.send(write_frame(frames.CANCEL, request))

    assert channel.end_of(request)["code"] == "cancelled"
    until(lambda: len(launcher.agents()) == idle)


def test_requests_run_side_by_side_up_to_the_limit(launcher: Any, server: Any) -> None:
    start(launcher, "exec sleep 30")
    channel = server.channel()

    tails = [channel.ask("tail", file="stdout", follow=True) for _ in range(limits.REQUESTS_PER_JOB)]
    one_more = channel.ask("ps")

    assert channel.end_of(one_more)["code"] == "busy"
    channel.send(write_frame(frames.CANCEL, tails[0]))
    assert channel.end_of(tails[0])["code"] == "cancelled"
    assert channel.end_of(channel.ask("ps")) == {"status": "done"}


@pytest.mark.parametrize(
    ("verb", "arguments", "code"),
    [
        ("reboot", {}, "unsupported"),
        ("tail", {"lines": -1}, "bad-request"),
        ("ps", {"surprise": 1}, "unsupported"),
        ("cat", {"file": "../../../etc/passwd"}, "outside-sandbox"),
        ("cat", {"file": "nothing"}, "no-such-file"),
    ],
)
def test_a_request_that_cannot_be_done_says_why(
    launcher: Any, server: Any, verb: str, arguments: dict[str, Any], code: str
) -> None:
    start(launcher, "exec sleep 30")
    channel = server.channel()

    end = channel.end_of(channel.ask(verb, **arguments))

    assert (end["status"], end["code"]) == ("failed", code)
    assert end["message"]


def test_a_server_that_comes_back_has_its_agents_back(launcher: Any, server: Any, until: Any) -> None:
    start(launcher, "exec sleep 30")
    channel = server.channel()
    request = channel.ask("tail", file="stdout", follow=True)
    until(lambda: len(launcher.agents()) == 3)

    server.stop()
    server.start()

    until(lambda: len(server.channels) == 2)
    assert server.registrations[0]["epoch"] == server.registrations[1]["epoch"]
    assert {frame.type for frame in channel.of(request)} <= {frames.NOTE}
    until(lambda: len(launcher.agents()) == 2)


def test_a_server_that_falls_silent_is_left(launcher: Any, server: Any, until: Any) -> None:
    start(launcher, "exec sleep 30")
    server.channel()

    server.ping = 500.0  # no more pings, while the agent expects one every 0.2 s

    until(lambda: len(server.channels) == 2)


def test_a_goodbye_is_heeded(launcher: Any, server: Any, until: Any) -> None:
    start(launcher, "exec sleep 30")
    channel = server.channel()

    channel.send(frames.write_object(frames.GOODBYE, frames.CHANNEL, {"reason": "restart", "retry_after": 0.1}))

    until(lambda: len(server.channels) == 2)


def test_progress_written_anew_is_read_like_progress_appended(launcher: Any, server: Any, until: Any) -> None:
    script = "for i in 1 2 3; do echo $i% >> $JOBMON_LOG; done; sleep 2; echo 7% > $JOBMON_LOG; sleep 30"
    start(launcher, script)
    channel = server.channel()

    until(lambda: len(channel.objects(frames.LOG)) == 4)

    assert [line["text"] for line in channel.objects(frames.LOG)] == ["1%", "2%", "3%", "7%"]


def test_the_last_words_are_the_end_of_a_long_output(launcher: Any, server: Any, until: Any) -> None:
    start(launcher, "seq 100000; echo last")

    until(lambda: server.ends)

    end = EndReport.read(server.ends[0])
    assert len(end.stdout) == limits.LAST_WORDS
    assert end.stdout.endswith(b"\n100000\nlast\n")
    assert end.stdout_bytes == (launcher.directory / "out").stat().st_size
    assert len(base64.b64decode(server.ends[0]["stdout"])) == limits.LAST_WORDS


def test_an_end_that_cannot_be_told_at_once_is_told_later(launcher: Any, server: Any, until: Any) -> None:
    job = start(launcher, "sleep 0.5; exit 7")
    server.channel()
    server.stop()
    assert job.wait() == 7

    server.start()

    until(lambda: server.ends)
    assert EndReport.read(server.ends[0]).exit.code == 7
