"""The shell's end at the user: exit statuses, the escape, and an answer that is not what it should be."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_console.cli.terminal import Escape
from jobmon_wire import frames, limits
from jobmon_wire.documents import write_document

REQUEST = bytes(range(16))
HEADER = frames.HEADER_BYTES
ROUTE = "POST /v1/jobs/j/shell"
DONE = frames.write_object(frames.END, REQUEST, {"status": "done"})


def ended(**how: Any) -> bytes:
    """How the shell ended, and END."""
    return frames.write_object(frames.RECORD, REQUEST, {"exit": how}) + DONE


def failed(code: str, message: str) -> bytes:
    """An END that says no."""
    return frames.write_object(frames.END, REQUEST, {"status": "failed", "code": code, "message": message})


@pytest.fixture
def shell(fake: Any, context: Any, clean_environment: None) -> Callable[..., Any]:
    """Runs ``jobmon shell j`` in pipes against these parts of an answer."""

    def run(*parts: bytes, typed: bytes = b"", words: tuple[str, ...] = (), is_whole: bool = True) -> Any:
        if parts:
            fake.chunks(ROUTE, *parts, is_whole=is_whole)
        command = [sys.executable, "-m", "jobmon_console.cli.main", "shell", "j", "--credential", context.credential]
        return subprocess.run([*command, *words], input=typed, capture_output=True, timeout=60, check=False)

    return run


def test_bytes_come_through_as_they_are(shell: Callable[..., Any]) -> None:
    noise = bytes(range(256)) + b"\x1b]0;title\x07"

    done = shell(frames.write_frame(frames.DATA, REQUEST, noise), ended(code=0, signal=None))

    assert (done.returncode, done.stdout, done.stderr) == (0, noise, b"")


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"code": 0}, 0),
        ({"code": 7, "signal": None}, 7),
        ({"code": 255}, 255),
        ({"code": None, "signal": "KILL"}, 137),
        ({"code": None, "signal": "INT"}, 130),
        ({"code": 256}, 1),
        ({"code": True}, 1),
        ({"code": "0"}, 1),
        ({"signal": "\x1b[2J"}, 1),
        ({}, 1),
    ],
)
def test_the_exit_status_is_the_shells(shell: Callable[..., Any], how: dict[str, Any], status: int) -> None:
    assert shell(ended(**how)).returncode == status


@pytest.mark.parametrize(
    ("code", "status"),
    [("not-permitted", 4), ("busy", 1), ("no-such-job", 3), ("job-silent", 6), ("job-ended", 6), ("draining", 5)],
)
def test_a_refusal_is_one_sentence_and_its_status(shell: Callable[..., Any], fake: Any, code: str, status: int) -> None:
    fake.refuse(ROUTE, code, "no \x1b[31m; that is how it is")

    done = shell()

    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr == "jobmon: no ␛[31m; that is how it is\n".encode()


@pytest.mark.parametrize(
    ("parts", "status", "words"),
    [
        ([frames.write_frame(frames.DATA, REQUEST, b"x")], 5, b"broke"),
        ([failed("agent-gone", "gone")], 6, b"gone"),
        ([failed("timeout", "idle")], 124, b"idle"),
        ([frames.write_frame(frames.DATA, REQUEST, b"x") + failed("job-ended", "over")], 6, b"over"),
        ([DONE], 1, b"without a word"),
        ([b"\x63" + bytes(23)], 1, b"compare the versions"),
        ([frames.write_frame(frames.VITALS, REQUEST, b"{}")], 1, b"compare the versions"),
    ],
    ids=["cut off", "agent gone", "idle", "job ended", "no record", "no frame", "another frame"],
)
def test_an_answer_that_fails_is_one_sentence(
    shell: Callable[..., Any], fake: Any, parts: list[bytes], status: int, words: bytes
) -> None:
    fake.document("GET /v1/whoami", {})
    done = shell(*parts, is_whole=False)

    assert done.returncode == status
    assert done.stderr.count(b"\n") == 1
    assert words in done.stderr
    assert done.stdout == (b"x" if parts[0][HEADER:].startswith(b"x") else b""), "what came before is shown"


def test_a_server_that_is_not_there_is_said(shell: Callable[..., Any], credential_file: Any, dead_url: str) -> None:
    done = shell(words=("--credential", credential_file(dead_url, "dead")))

    assert done.returncode == 5
    assert done.stderr.startswith(b"jobmon: cannot reach")


def test_words_behind_two_dashes_are_the_command_wherever_options_stand(shell: Callable[..., Any], fake: Any) -> None:
    asked: list[bytes] = []

    def answer(handler: Any) -> None:
        length = int(handler.rfile.readline(), 16)
        asked.append(handler.rfile.read(length))
        answer_parts(handler)

    fake.chunks(ROUTE, ended(code=0))
    answer_parts = fake.routes[ROUTE]
    fake.routes[ROUTE] = answer
    done = shell(words=("--timeout", "9", "--", "ls", "-l", "a b", "*", "--", "--context"))

    assert done.returncode == 0, done.stderr
    (opening,) = frames.FrameReader(frozenset([frames.REQUEST])).feed(asked[0])
    expected = {"command": "ls -l 'a b' '*' -- --context", "terminal": False, "term": "dumb", "rows": 24, "columns": 80}
    assert opening.document() == {"verb": "shell", "arguments": expected}


def test_a_command_that_is_too_long_is_a_usage_error(shell: Callable[..., Any]) -> None:
    done = shell(words=("--", "echo", "x" * limits.TEXT))

    assert done.returncode == 2
    assert b"command must be 1 to 4096 characters" in done.stderr


# The escape


@pytest.mark.parametrize(
    ("typed", "sent", "leaves"),
    [
        (b"ls\r", b"ls\r", False),
        (b"~.", b"", True),
        (b"ls\r~.rm -rf", b"ls\r", True),
        (b"a~.", b"a~.", False),
        (b"~~.", b"~.", False),
        (b"~~~.", b"~~.", False),
        (b"~a~.", b"~a~.", False),
        (b"~", b"", False),
        (b"\n~\r~.", b"\n~\r", True),
        (b"cd ~.\r", b"cd ~.\r", False),
    ],
)
def test_the_escape_counts_at_the_start_of_a_line(typed: bytes, sent: bytes, leaves: bool) -> None:
    whole, cut = Escape(), Escape()

    assert (whole.feed(typed), whole.has_left) == (sent, leaves)
    assert b"".join(cut.feed(typed[at : at + 1]) for at in range(len(typed)) if not cut.has_left) == sent
    assert cut.has_left == leaves


@given(st.binary(max_size=50).map(lambda typed: b"x" + typed.replace(b"~", b"-")))
def test_what_holds_no_escape_goes_on_as_it_is(typed: bytes) -> None:
    assert Escape().feed(typed) == typed


def test_an_opening_frame_fits_however_long_the_command_is() -> None:
    longest = {"verb": "shell", "arguments": {"command": "\ud800" * limits.TEXT}}

    assert len(write_document(longest)) < limits.FRAME_PAYLOAD
