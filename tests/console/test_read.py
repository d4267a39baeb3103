"""head, tail and cat give the bytes as the job wrote them, at once, and the last words of a job that has ended."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_console.cli import retries
from jobmon_console.cli.read import first_lines, last_lines
from jobmon_wire import frames
from jobmon_wire.cursor import Cursor

Run = Callable[..., Any]
EVERY = bytes(range(256)) * 3


def frame(data: bytes) -> bytes:
    return frames.write_frame(frames.DATA, bytes(16), data)


END = frames.write_object(frames.END, bytes(16), {"status": "done"})


def keep(fake: Any, data: bytes, start: int = 0, total: int | None = None, ref: str = "j") -> None:
    """The job has ended and so much of its output is kept."""
    fake.refuse(f"POST /v1/jobs/{ref}/query", "job-ended", "the job has ended")
    whole = str(len(data) + start if total is None else total)
    fake.body(f"GET /v1/jobs/{ref}/output", data, JobMon_Output_Start=str(start), JobMon_Output_Bytes=whole)


def test_a_pipe_gets_every_byte_as_it_is(at_fake: Run, fake: Any) -> None:
    fake.answer("j", (frames.DATA, EVERY[:300]), (frames.DATA, EVERY[300:]))

    for command in ("head", "tail", "cat"):
        result = at_fake(command, "j")
        assert (result.status, result.out, result.err) == (0, EVERY, "")


def test_safe_makes_characters_visible_also_those_cut_by_a_frame(at_fake: Run, fake: Any) -> None:
    text = "grün\t\x1b[31m\n".encode()
    fake.answer("j", *((frames.DATA, bytes([byte])) for byte in text), (frames.DATA, b"\xe2\x82"))

    assert at_fake("cat", "--safe", "j").text == "grün\t␛[31m\n\\xe2\\x82"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("tail j", '{"verb":"tail","arguments":{"file":"stdout","lines":10,"follow":false}}'),
        ("tail -n 3 -f j err.log", '{"verb":"tail","arguments":{"file":"err.log","lines":3,"follow":true}}'),
        ("head -c 5 j stderr", '{"verb":"head","arguments":{"file":"stderr","lines":10,"bytes":5}}'),
        ("cat j a/b", '{"verb":"cat","arguments":{"file":"a/b","offset":0}}'),
        ("cat --offset 3 --length 4 j", '{"verb":"cat","arguments":{"file":"stdout","offset":3,"length":4}}'),
    ],
)
def test_the_agent_is_asked_what_was_typed(at_fake: Run, fake: Any, words: str, asked: str) -> None:
    fake.answer("j")

    assert at_fake(*words.split()).status == 0
    assert fake.asked[-1][1].decode() == asked


def test_several_files_stand_under_their_names_but_in_a_cat_into_a_pipe(at_fake: Run, fake: Any) -> None:
    parts = [
        (frames.NOTE, {"kind": "file", "name": "a\x1b"}),
        (frames.DATA, b"one\xe2"),
        (frames.NOTE, {"kind": "file", "name": "b"}),
        (frames.NOTE, {"kind": "refused", "code": "not-a-file", "message": "c is a pipe"}),
    ]
    fake.answer("j", *parts, end={"status": "failed", "code": "not-a-file", "message": "1 of the 3 files cannot"})

    for command in ("head", "tail"):
        result = at_fake(command, "j", "*")
        assert (result.status, result.out) == (1, "==> a␛ <==\none".encode() + b"\xe2\n==> b <==\n")
        assert result.err.startswith("jobmon: c is a pipe\njobmon: 1 of the 3 files cannot")
    assert at_fake("head", "--safe", "j", "*").text == "==> a␛ <==\none\\xe2\n==> b <==\n"
    assert at_fake("cat", "j", "*").out == b"one\xe2"


def test_a_range_of_an_ended_job_comes_from_what_is_kept_or_from_nowhere(at_fake: Run, fake: Any) -> None:
    keep(fake, b"56789", start=5)

    assert at_fake("cat", "--offset", "6", "--length", "3", "j").out == b"678"
    for words in (["--offset", "4", "--length", "3"], ["--offset", "6"], ["--offset", "9", "--length", "2"]):
        result = at_fake("cat", *words, "j")
        assert (result.status, result.out) == (6, b"")
    keep(fake, b"0123456789")
    assert at_fake("cat", "--offset", "7", "j").out == b"789"


def test_notes_stand_beside_the_bytes(at_fake: Run, fake: Any) -> None:
    fake.answer(
        "j",
        (frames.NOTE, {"kind": "waiting"}),
        (frames.DATA, b"a"),
        (frames.NOTE, {"kind": "skipped", "bytes": 4096}),
        (frames.NOTE, {"kind": "truncated"}),
        (frames.NOTE, {"kind": "rotated"}),
        (frames.NOTE, {"kind": "ended"}),
        (frames.NOTE, {"kind": "unheard-of"}),
    )

    result = at_fake("tail", "-f", "j")

    assert (result.status, result.out) == (0, b"a")
    for word in (
        "not there yet",
        "waiting for stdout",
        "4096 bytes were skipped",
        "truncated",
        "replaced",
        "has ended",
        "unheard-of",
    ):
        assert word in result.err


def test_tail_of_an_ended_job_gives_its_last_words(at_fake: Run, fake: Any) -> None:
    keep(fake, b"two\nthree\nfour\n", start=4)

    result = at_fake("tail", "-n", "2", "-f", "j")

    assert (result.status, result.out) == (0, b"three\nfour\n")
    assert "the last 15 of 19 bytes" in result.err
    assert at_fake("tail", "-c", "3", "j").out == b"ur\n"


def test_cat_and_head_of_an_ended_job_never_pass_a_part_for_the_whole(at_fake: Run, fake: Any) -> None:
    keep(fake, b"one\ntwo\n")
    assert at_fake("cat", "j").out == b"one\ntwo\n"
    assert at_fake("head", "-n", "1", "j").out == b"one\n"

    keep(fake, b"two\n", start=4)
    for command in ("cat", "head"):
        result = at_fake(command, "j")
        assert (result.status, result.out) == (6, b"")
        assert "only the last 4 of 8 bytes are kept" in result.err


def test_a_file_of_an_ended_job_has_nobody_to_ask(at_fake: Run, fake: Any) -> None:
    keep(fake, b"one\n")

    result = at_fake("tail", "j", "results.txt")

    assert (result.status, result.out) == (6, b"")


def test_an_answer_cut_off_by_a_revocation_says_so(at_fake: Run, fake: Any) -> None:
    fake.answer("4711", (frames.DATA, b"some"), is_whole=False)
    fake.document("GET /v1/whoami", {"name": "alice"})
    cut = at_fake("tail", "-f", "4711")
    fake.refuse("GET /v1/whoami", "credential-refused", "the certificate was revoked")
    revoked = at_fake("tail", "-f", "4711")

    assert (cut.status, revoked.status) == (5, 7)
    assert "revoked" in revoked.err


AT = {"kind": "at", "cursor": Cursor.at(1, 2, 1000, b"x" * 64).text()}
QUERY = "POST /v1/jobs/j/query"


def resumes(fake: Any) -> list[str | None]:
    """Where each query asked to go on."""
    bodies = [json.loads(body) for line, body in fake.asked if line.endswith("/query")]
    return [body["arguments"].get("resume") for body in bodies]


def test_a_follow_that_breaks_off_goes_on_with_the_next_byte(at_fake: Run, fake: Any) -> None:
    fake.document("GET /v1/whoami", {"name": "alice"})
    fake.in_turn(
        QUERY,
        lambda: fake.answer("j", (frames.NOTE, AT), (frames.DATA, b"one\n"), is_whole=False),
        lambda: fake.refuse(QUERY, "job-silent"),
        lambda: fake.answer("j", end={"status": "failed", "code": "agent-gone", "message": "gone"}),
        lambda: fake.answer("j", (frames.DATA, b"two\n"), (frames.NOTE, {"kind": "ended", "exit": {"code": 3}})),
    )

    result = at_fake("tail", "-f", "j")

    assert (result.status, result.out) == (0, b"one\ntwo\n")
    assert result.err.splitlines() == [
        "jobmon: the answer broke off after byte 1004; going on there when it can be had",
        "jobmon: the job has ended with exit 3",
    ]
    first, *others = resumes(fake)
    assert first is None
    assert {Cursor.read(other).offset for other in others} == {1004}


def test_a_follow_by_pattern_goes_on_by_the_name_it_was_told(at_fake: Run, fake: Any) -> None:
    fake.document("GET /v1/whoami", {"name": "alice"})
    fake.in_turn(
        QUERY,
        lambda: fake.answer("j", (frames.NOTE, dict(AT, file="log")), (frames.DATA, b"one\n"), is_whole=False),
        lambda: fake.answer("j", (frames.NOTE, AT), is_whole=False),  # a file that was asked for by its name
        lambda: fake.answer("j", (frames.NOTE, dict(AT, file="")), is_whole=False),
        lambda: fake.answer("j", (frames.DATA, b"two\n"), (frames.NOTE, {"kind": "ended", "exit": {"code": 3}})),
    )

    result = at_fake("tail", "-f", "j", "lo*")

    assert (result.status, result.out) == (0, b"one\ntwo\n")
    bodies = [json.loads(body) for line, body in fake.asked if line.endswith("/query")]
    assert [body["arguments"]["file"] for body in bodies] == ["lo*", "log", "log", "log"]


def test_a_follow_of_a_job_that_ended_meanwhile_gives_what_was_kept(at_fake: Run, fake: Any) -> None:
    fake.document("GET /v1/whoami", {"name": "alice"})
    cut = (frames.NOTE, dict(AT, cursor=Cursor.at(1, 2, 4, b"one\n").text())), (frames.DATA, b"two\n")
    fake.in_turn(
        QUERY,
        lambda: fake.answer("j", *cut, is_whole=False),
        lambda: fake.refuse(QUERY, "job-ended", "the job has ended"),
    )
    fake.document("GET /v1/jobs/j", {"id": "j", "exit": {"code": 3, "signal": None}})
    fake.body("GET /v1/jobs/j/output", b"e\ntwo\nthree\n", JobMon_Output_Start="2", JobMon_Output_Bytes="14")

    result = at_fake("tail", "-f", "j")

    assert (result.status, result.out) == (0, b"two\nthree\n")
    assert result.err.splitlines()[-1] == "jobmon: the job has ended with exit 3"


def test_a_follow_of_a_file_of_a_job_that_ended_meanwhile_says_what_is_lost(at_fake: Run, fake: Any) -> None:
    fake.document("GET /v1/whoami", {"name": "alice"})
    fake.in_turn(
        QUERY,
        lambda: fake.answer("j", (frames.NOTE, AT), is_whole=False),
        lambda: fake.refuse(QUERY, "job-ended", "the job has ended"),
    )
    fake.document("GET /v1/jobs/j", {"id": "j", "exit": {"code": 3, "signal": None}})

    result = at_fake("tail", "-f", "j", "results.txt")

    assert result.status == 6
    assert "exit 3; what it wrote to results.txt after byte 1000 is not kept" in result.err


@pytest.mark.parametrize(("code", "status"), [("job-lost", 6), ("not-permitted", 4)])
def test_a_follow_is_given_up_when_nobody_will_answer(at_fake: Run, fake: Any, code: str, status: int) -> None:
    fake.document("GET /v1/whoami", {"name": "alice"})
    fake.in_turn(
        QUERY,
        lambda: fake.answer("j", (frames.NOTE, AT), (frames.DATA, b"one\n"), is_whole=False),
        lambda: fake.refuse(QUERY, code),
    )

    assert at_fake("tail", "-f", "j").status == status


def test_a_follow_is_given_up_after_a_long_outage(at_fake: Run, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PATIENCE", 0.03)
    fake.document("GET /v1/whoami", {"name": "alice"})
    fake.answer("j", (frames.NOTE, AT), is_whole=False)
    fake.in_turn(
        QUERY,
        lambda: fake.answer("j", (frames.NOTE, AT), (frames.DATA, b"one\n"), is_whole=False),
        lambda: fake.refuse(QUERY, "job-silent"),
    )

    result = at_fake("tail", "-f", "j")

    assert (result.status, result.out) == (6, b"one\n")


def test_a_hole_is_zeros_in_a_pipe_and_a_few_words_on_a_terminal(at_fake: Run, fake: Any) -> None:
    hole = {"kind": "hole", "bytes": 2**20 + 7}
    fake.answer("j", (frames.DATA, b"a\0"), (frames.NOTE, hole), (frames.DATA, b"\0b"))

    assert at_fake("cat", "j").out == b"a" + bytes(2**20 + 9) + b"b"
    assert at_fake("cat", "--safe", "j").text == f"a[{2**20 + 9} NUL bytes]b"


def test_a_pipe_gets_everything_and_who_asks_for_it_the_latest(at_fake: Run, fake: Any) -> None:
    fake.answer("j")
    for words in (["-f"], ["-f", "--all"], ["-f", "--latest"]):
        assert at_fake("tail", *words, "j").status == 0

    assert [json.loads(body)["arguments"].get("latest") for _, body in fake.asked] == [None, None, True]


def test_output_is_out_before_the_next_frame_is_made(fake: Any, context: Any, clean_environment: None) -> None:
    printed = threading.Event()
    fake.chunks("POST /v1/jobs/j/query", frame(b"one\n"), lambda: frame(b"two\n") if printed.wait(10) else b"", END)
    environ = {**os.environ, "JOBMON_CREDENTIAL": context.credential}
    command = [sys.executable, "-m", "jobmon_console.cli.main", "tail", "-f", "j"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"one\n"
        printed.set()
        assert process.stdout.read() == b"two\n"
    assert process.returncode == 0


def test_a_reader_that_goes_is_no_error_and_ctrl_c_is_130(fake: Any, context: Any, clean_environment: None) -> None:
    environ = {**os.environ, "JOBMON_CREDENTIAL": context.credential}
    command = [sys.executable, "-m", "jobmon_console.cli.main", "tail", "-f", "j"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    released = threading.Event()
    fake.chunks("POST /v1/jobs/j/query", *[frame(bytes(60000))] * 20, lambda: END if released.wait(10) else b"")
    try:
        with subprocess.Popen(command, env=environ, **streams) as process:  # type: ignore[call-overload]
            process.stdout.read(10)
            process.stdout.close()
            assert (process.wait(10), process.stderr.read()) == (0, b"")
        fake.chunks("POST /v1/jobs/j/query", frame(b"one\n"), lambda: END if released.wait(10) else b"")
        with subprocess.Popen(command, env=environ, **streams) as process:  # type: ignore[call-overload]
            process.stdout.read(4)
            process.send_signal(2)
            assert (process.wait(10), process.stdout.read(), process.stderr.read()) == (130, b"", b"")
    finally:
        released.set()


@given(st.lists(st.sampled_from([b"a", b"", b"bb", b"\r", b"\n"])), st.integers(0, 6))
def test_lines_are_counted_as_head_and_tail_count_them(parts: list[bytes], lines: int) -> None:
    data = b"\n".join(parts)
    whole = data.splitlines(keepends=True) if b"\r" not in data else [x + b"\n" for x in data.split(b"\n")]
    if b"\r" in data:
        whole[-1] = whole[-1][:-1]
        whole = [line for line in whole if line]

    assert first_lines(data, lines) == b"".join(whole[:lines])
    assert last_lines(data, lines) == b"".join(whole[len(whole) - lines :] if lines < len(whole) else whole)
