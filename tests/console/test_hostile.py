"""On a terminal no command lets a job, a node or a person write anything but text, and columns stay where they are.

Every command runs on a terminal of its own, once as it is and once with the
door of ``safe`` open: then what it prints must leak, or the test would prove
nothing.
"""

import io
import os
import pty
import re
import sys
import termios
import threading
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from jobmon_console.cli.main import main
from jobmon_console.safe import safe
from jobmon_wire import frames
from tests.console.holders import PEER, Person
from tests.console.test_commands import BRAND, HOSTILE, serve_hostile

Make = Callable[..., dict[str, Any]]
OnTerminal = Callable[..., str]

LIST = ("jobs", "jobs --watch", "jobs --columns id,name,command,batch,tags,progress,exit,context")
OF_A_JOB = ("show", "log", "ps", "ps --pss --force", "top -n 1", "stack", "stack --py-spy", "stack --signal", "node")
FILES = ("ls", "ls -l", "head", "tail", "cat", "kill", "kill --pid 7 --yes", "audit")
COMMANDS = (*LIST, *(f"{command} j" for command in (*OF_A_JOB, *FILES)))
OURS = re.compile(r"\x1b\[(?:[0-9;]*m|H|J)")  # colours, and how top begins anew
DANGEROUS = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
# Two cells a character, none, and one: what would move the columns behind it.
BROAD = ("数据处理", "e\u0301e\u0301e\u0301", "\u0e01\u0e31\u0e19", "plain", "x\u202ey", "a\tb")


@pytest.fixture
def on_terminal(context: Any, clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> OnTerminal:
    """Runs a command in this process, on a terminal that passes every byte on; gives what it wrote."""

    def run(*words: str, columns: str = "200") -> str:
        ours, theirs = pty.openpty()
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        written = bytearray()
        reader = threading.Thread(target=_read_all, args=(ours, written))
        reader.start()
        with monkeypatch.context() as patch:
            patch.setenv("JOBMON_CREDENTIAL", context.credential)
            patch.setenv("COLUMNS", columns)
            for name in ("stdout", "stderr"):
                stream = io.TextIOWrapper(io.FileIO(os.dup(theirs), "wb"), "utf-8", write_through=True)
                patch.setattr(sys, name, stream)
            main(list(words))
            sys.stdout.close()
            sys.stderr.close()
        os.close(theirs)
        reader.join()
        os.close(ours)
        return written.decode("utf-8", "surrogateescape")

    return run


def _read_all(descriptor: int, written: bytearray) -> None:
    try:
        while data := os.read(descriptor, 65536):
            written += data
    except OSError:  # the other end is closed
        pass


@pytest.fixture
def open_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody makes text safe."""

    def naive(outside: str | bytes, keep: str = "", tabs: int = 0) -> str:
        data = outside if isinstance(outside, bytes) else outside.encode("utf-8", "replace")
        return data.decode("utf-8", "replace")

    for name, module in list(sys.modules.items()):
        if name.startswith("jobmon_console.") and getattr(module, "safe", None) is safe:
            monkeypatch.setattr(module, "safe", naive)


def dangers(written: str) -> set[str]:
    """Characters that a terminal could obey."""
    left = OURS.sub("", written)
    return {character for character in left if unicodedata.category(character) in DANGEROUS} - {"\n"}


def cells(text: str) -> int:
    """Columns of a terminal."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me") else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_prints_does_not_act(on_terminal: OnTerminal, fake: Any, record: Make, command: str) -> None:
    serve_hostile(fake, record)

    written = on_terminal(*command.split())

    assert BRAND in written
    assert dangers(written) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_control_with_the_door_open_it_would(
    on_terminal: OnTerminal, fake: Any, record: Make, open_door: None, command: str
) -> None:
    serve_hostile(fake, record)

    assert "\x1b]52" in on_terminal(*command.split())


REFUSED = ("show", "log", "ps", "top", "stack", "node", "ls", "head", "tail", "cat", "kill")


@pytest.mark.parametrize("command", REFUSED)
def test_what_a_refusal_says_does_not_act(on_terminal: OnTerminal, fake: Any, command: str) -> None:
    for route in ("GET /v1/jobs/j", "GET /v1/jobs/j/log", "POST /v1/jobs/j/query", "GET /v1/jobs"):
        fake.refuse(route, "internal", HOSTILE)

    written = on_terminal(command, "j")

    assert written.startswith("jobmon: ")
    assert BRAND in written
    assert written.count("\n") == 1
    assert dangers(written) == set()


def test_control_a_refusal_would(on_terminal: OnTerminal, fake: Any, open_door: None) -> None:
    fake.refuse("GET /v1/jobs/j", "internal", HOSTILE)

    assert "\x1b]52" in on_terminal("show", "j")


@pytest.mark.parametrize(
    "words", [["jobs", HOSTILE], ["show", HOSTILE], [HOSTILE], ["jobs", "--columns", HOSTILE], ["show", "/" + HOSTILE]]
)
def test_what_was_typed_is_complained_of_without_acting(on_terminal: OnTerminal, fake: Any, words: list[str]) -> None:
    written = on_terminal(*words)

    assert written.startswith("jobmon: ")
    assert dangers(written) == set()


def test_through_a_holder_nothing_more_passes(person: Person, fake: Any) -> None:
    process = {"pid": 4711, "ppid": 1, "user": "alice", "command": HOSTILE.replace("\udcff", "")}
    fake.document("GET /v1/whoami", PEER)
    fake.answer("4711", (frames.RECORD, {"processes": [process]}))
    person.hold()

    status, out, err = person.run("ps", "4711")

    assert (status, err) == (0, "")
    assert BRAND in out
    assert dangers(out) == set()


def _jobs(fake: Any, record: Make) -> tuple[str, str]:
    names = [record(f"47{at}", uuid=f"u{at}", name="n", owner=name, node="wn1") for at, name in enumerate(BROAD)]
    fake.rows("GET /v1/jobs", *names)
    fake.watch([{"kind": "jobs", "jobs": names}, {"kind": "live"}])
    return "jobs --columns owner,node", "wn1"


def _watch(fake: Any, record: Make) -> tuple[str, str]:
    _, mark = _jobs(fake, record)
    return "jobs --watch --columns owner,node", mark


def _ps(fake: Any, record: Make) -> tuple[str, str]:
    processes = [
        {"pid": at + 1, "ppid": 0, "user": name, "state": "S", "command": "train"} for at, name in enumerate(BROAD)
    ]
    fake.answer("j", (frames.RECORD, {"processes": processes}))
    return "ps j", "train"


def _ls(fake: Any, record: Make) -> tuple[str, str]:
    entries = [{"name": "file", "kind": "file", "owner": name, "size": 7} for name in BROAD]
    fake.answer("j", (frames.RECORD, {"path": ".", "entries": entries}))
    return "ls -l j", "file"


def _audit(fake: Any, record: Make) -> tuple[str, str]:
    fake.rows("GET /v1/audit", *({"at": 1.0, "who": name, "verb": "ls", "decision": "allowed"} for name in BROAD))
    return "audit", "ls"


@pytest.mark.parametrize("answer", [_jobs, _watch, _ps, _ls, _audit])
def test_columns_behind_broad_and_narrow_text_stand_below_each_other(
    on_terminal: OnTerminal, fake: Any, record: Make, answer: Callable[..., tuple[str, str]]
) -> None:
    command, mark = answer(fake, record)

    lines = [OURS.sub("", line) for line in on_terminal(*command.split()).splitlines()]
    rows = [line for line in lines if mark in line]

    assert len(rows) >= len(BROAD)
    places = [cells(row[: row.rindex(mark)]) for row in rows]
    # A list that is watched does not know its later rows: its columns only ever grow.
    assert places == (sorted(places) if answer is _watch else [places[0]] * len(places))
