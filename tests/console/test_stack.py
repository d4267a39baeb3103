"""``jobmon stack`` says where a job hangs in words a person can act on, and stops nothing that nobody agreed to."""

import json
from typing import Any

import pytest

from jobmon_console.cli.stack import told
from jobmon_wire import frames
from tests.console.prompts import answer_prompt

PROCESSES = {
    "ptrace_scope": 1,
    "processes": [
        {"pid": 4711, "ppid": 1, "state": "S", "name": "python", "command": "python train.py", "threads": 40},
        {"pid": 4712, "ppid": 4711, "state": "D", "name": "dd", "command": None, "threads": 1, "denied": ["syscall"]},
    ],
}
READS = {"call": "read", "number": 0, "descriptor": 3, "file": "pipe:[123]", "held_by": [4712]}
WAITS = {"call": "futex", "number": 202, "descriptor": None, "child": None}
THREADS = {
    "threads": [
        {"pid": 4711, "tid": 4711, "name": "python", "state": "S", "wchan": "anon_pipe_read", **READS},
        *({"pid": 4711, "tid": 4800 + i, "name": "worker", "state": "S", "wchan": "futex", **WAITS} for i in range(37)),
        {"pid": 4711, "tid": 4999, "name": "reader", "state": "R", "wchan": None, "call": None, "number": None},
        {"pid": 4712, "tid": 4712, "name": "dd", "state": "D", "wchan": "nfs_wait", "call": None, "number": None},
    ]
}
DUMPED = (frames.RECORD, {"tool": "gdb", "pid": 4711, "seconds": 0.5, "is_cut": False})


def asked(fake: Any) -> list[dict[str, Any]]:
    return [json.loads(body) for line, body in fake.asked if "/query" in line]


def test_threads_that_wait_alike_are_one_line(at_fake: Any, fake: Any) -> None:
    fake.answer("4711", (frames.RECORD, PROCESSES), (frames.RECORD, THREADS), (frames.NOTE, {"threads": 2}))

    result = at_fake("stack", "4711")

    assert result.text.splitlines() == [
        "4711 python train.py",
        "  main thread: waiting: read from pipe:[123] (the other end is held by 4712)",
        "  37 threads: waiting: a lock or another thread (futex)",
        "  thread 4999 reader: running",
        "4712 [dd]",
        "  main thread: waiting, and no signal reaches it: in nfs_wait",
        "  not readable: syscall (kernel.yama.ptrace_scope forbids it on this node)",
    ]
    assert result.err == "jobmon: 2 threads more are not shown\n"
    assert asked(fake) == [{"verb": "stack", "arguments": {}}]


def test_json_has_each_thread_of_each_process(at_fake: Any, fake: Any) -> None:
    fake.answer("4711", (frames.RECORD, PROCESSES), (frames.RECORD, THREADS))

    rows = [json.loads(line) for line in at_fake("stack", "--json", "4711", "4711").text.splitlines()]

    assert [(row["pid"], len(row["waits"])) for row in rows] == [(4711, 39), (4712, 1)]
    assert asked(fake) == [{"verb": "stack", "arguments": {"pid": 4711}}]


@pytest.mark.parametrize(
    ("thread", "expected"),
    [
        ({"state": "S", "number": 61, "call": "wait4", "child": 7}, "waiting: the end of its child 7 (wait4)"),
        ({"state": "S", "number": 61, "call": "wait4"}, "waiting: wait4"),
        ({"state": "S", **READS, "held_by": []}, "read from pipe:[123] (no process of the job holds the other end)"),
        ({"state": "S", **READS, "pid": 5, "held_by": [5]}, "(the process alone holds the other end)"),
        ({"state": "S", **READS, "call": "flock", "file": "/l"}, "lock /l (the lock is held by 4712)"),
        ({"state": "S", **READS, "held_by": None, "file": None}, "waiting: read from descriptor 3"),
        ({"state": "S", "number": 999, "call": None}, "waiting: system call 999"),
        ({"state": "S", "number": None, "wchan": "do_exit"}, "waiting: in the kernel at do_exit"),
        ({"state": "?", "number": None}, "state ?"),
    ],
)
def test_what_a_thread_waits_for_is_a_sentence(thread: dict[str, Any], expected: str) -> None:
    assert told(thread).endswith(expected)


def test_a_tools_words_are_made_safe(at_fake: Any, fake: Any) -> None:
    fake.answer("4711", DUMPED, (frames.DATA, b"Thread 1\n#0 \x1b]52;c;x\x07 evil\n"))

    result = at_fake("stack", "4711", "4711", "--py-spy")

    assert result.text == "Thread 1\n#0 ␛]52;c;x␇ evil\n"
    assert asked(fake) == [{"verb": "dump", "arguments": {"pid": 4711, "tool": "py-spy"}}]


def test_a_signal_tells_where_the_dump_goes(at_fake: Any, fake: Any) -> None:
    fake.answer("4711", (frames.RECORD, {"tool": "signal", "pid": 4711, "signal": "USR1"}))

    result = at_fake("stack", "4711", "--signal")

    assert result.text.startswith("USR1 sent to 4711; ")
    assert "jobmon tail 4711 stderr" in result.text


@pytest.mark.promise(45)
def test_gdb_stops_nothing_without_a_yes(at_fake: Any, fake: Any) -> None:
    fake.answer("4711", DUMPED, (frames.DATA, b"#0\n"))

    result = at_fake("stack", "4711", "--gdb")

    assert result.status == 2
    assert "stops the process for about half a second" in result.err
    assert "--yes" in result.err
    assert not asked(fake)
    assert at_fake("stack", "4711", "--gdb", "--yes").text == "#0\n"
    assert asked(fake) == [{"verb": "dump", "arguments": {"tool": "gdb"}}]


@pytest.mark.promise(45)
@pytest.mark.parametrize(("typed", "status", "times"), [("y\n", 0, 1), ("\n", 2, 0), ("n\n", 2, 0), ("\x04", 2, 0)])
def test_a_person_is_told_that_gdb_stops_the_process_before_it_does(
    fake: Any, context: Any, clean_environment: None, typed: str, status: int, times: int
) -> None:
    fake.answer("4711", DUMPED, (frames.DATA, b"#0\n"))

    ended, seen = answer_prompt(["stack", "4711", "--gdb"], {"JOBMON_CREDENTIAL": context.credential}, b"[y/N] ", typed)

    assert ended == status
    assert "gdb stops the process for about half a second" in seen
    assert len(asked(fake)) == times


@pytest.mark.parametrize("words", [("--gdb", "--py-spy"), ("0",), ("1",), ("pear",)])
def test_what_cannot_be_asked_is_a_usage_error(at_fake: Any, fake: Any, words: tuple[str, ...]) -> None:
    assert at_fake("stack", "4711", *words).status == 2
    assert not asked(fake)
