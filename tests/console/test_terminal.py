"""A terminal gets colour, safe text, lines that fit and a redrawn top; a pipe gets none of it."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from jobmon_console.cli import table
from jobmon_console.cli.table import Column
from jobmon_wire import frames

Make = Callable[..., dict[str, Any]]
OnTerminal = Callable[..., str]


@pytest.fixture
def on_terminal(context: Any, clean_environment: None) -> OnTerminal:
    """Runs a command on a terminal of 60 columns; gives what it wrote there."""

    def run(*words: str, **environ: str) -> str:
        ours, theirs = pty.openpty()
        import fcntl
        import struct
        import termios

        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 60, 0, 0))
        whole = {**os.environ, "JOBMON_CREDENTIAL": context.credential, "TERM": "xterm", **environ}
        whole.pop("COLUMNS", None)
        whole.pop("LINES", None)
        command = [sys.executable, "-m", "jobmon_console.cli.main", *words]
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=whole) as process:
            os.close(theirs)
            seen = b""
            try:
                while data := os.read(ours, 65536):
                    seen += data
            except OSError:  # the other end is closed
                pass
            finally:
                os.close(ours)
        assert process.returncode == 0, seen
        return seen.decode().replace("\r\n", "\n")

    return run


def test_lines_fit_and_states_have_colours(on_terminal: OnTerminal, fake: Any, record: Make) -> None:
    fake.rows("GET /v1/jobs", record(name="n" * 300), record("4712", uuid="b", state="lost", health_reason="数" * 90))

    seen = on_terminal("jobs")

    assert "\x1b[32m" in seen
    assert "…" in seen
    plain = on_terminal("jobs", NO_COLOR="1")
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 60


def test_cat_is_safe_on_a_terminal_unless_raw(on_terminal: OnTerminal, fake: Any) -> None:
    fake.answer("j", (frames.DATA, b"\x1b]0;evil\x07\n"))

    assert on_terminal("cat", "j") == "␛]0;evil␇\n"
    assert on_terminal("cat", "--raw", "j") == "\x1b]0;evil\x07\n", "the control"


def test_top_redraws_a_terminal(on_terminal: OnTerminal, fake: Any) -> None:
    tick = {"at": 1.0, "job": {"processes": 1}, "node": {"cpus": 2}, "processes": [{"pid": 7, "name": "train"}] * 50}
    fake.answer("j", (frames.RECORD, tick), (frames.RECORD, tick))

    seen = on_terminal("top", "-n", "2", "--sort", "memory", "j")

    assert " MEM▼ " in seen
    assert seen.count("\x1b[H\x1b[J") == 2
    assert all(block.count("\n") < 20 for block in seen.split("\x1b[H\x1b[J"))


def test_a_cell_is_cut_by_the_columns_it_takes() -> None:
    assert table.cut("数据数据", 5) == "数据…"
    assert table.cut("plain", 5) == "plain"
    assert table.cells_of("e\u0301数") == 3
    assert table.cells_of("\u0e01\u0e31\u0e19") == 2, "a vowel above another letter, which combines with none"
    lines = table.lines([Column("A"), Column("N", is_number=True)], [["数", "1"], ["xyz", "22"]])
    assert lines == ["A     N", "数    1", "xyz  22"]


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_is_no_harm(
    closed: int, context: Any, fake: Any, record: Make, clean_environment: None
) -> None:
    fake.rows("GET /v1/jobs", record())
    script = f'exec {closed}>&-; exec "$@"'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "jobmon_console.cli.main", "jobs"]
    environ = {**os.environ, "JOBMON_CREDENTIAL": context.credential}

    done = subprocess.run(command, env=environ, capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"4711.0" in done.stdout) == (closed != 1)


def test_a_full_disk_is_one_line(context: Any, fake: Any, record: Make, clean_environment: None) -> None:
    fake.rows("GET /v1/jobs", record())
    environ = {**os.environ, "JOBMON_CREDENTIAL": context.credential}
    command = [sys.executable, "-m", "jobmon_console.cli.main", "jobs"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, env=environ, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (1, b"jobmon: output: No space left on device; see to it\n")
