"""ls shows what a user expects of ls: orders, hidden names, space on disk, links; and JSON that gives names back."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from jobmon_wire import frames

Run = Callable[..., Any]


def entry(name: str, **facts: Any) -> dict[str, Any]:
    usual = {"kind": "file", "size": 5, "allocated": 4096, "modified": 1e9, "mode": 0o640, "links": 1}
    return {"name": name, **usual, "owner": "alice", "group": "users", "target": None, **facts}


ENTRIES = [
    entry("a", size=1, modified=3e8),
    entry("b", size=10 * 2**30, modified=2e8),
    entry("c", size=None, modified=None, mode=None, kind="mount", links=None, owner=None, group=None, allocated=None),
    entry("d", kind="directory", mode=0o1777, links=3, modified=1e8),
    entry("e", size=1, kind="link", target="../x", modified=2e8),
]


def list_(path: str | None, *entries: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return frames.RECORD, {"path": path, "entries": list(entries)}


@pytest.mark.parametrize(
    ("flags", "order"),
    [("", "abcde"), ("-r", "edcba"), ("-t", "abedc"), ("-tr", "cdeba"), ("-S", "bdaec"), ("-Sr", "ceadb")],
)
def test_entries_stand_in_the_order_that_is_wanted(at_fake: Run, fake: Any, flags: str, order: str) -> None:
    fake.answer("j", list_(".", *ENTRIES[:2]), list_(".", *ENTRIES[2:]))

    plain = at_fake("ls", *flags.split(), "j").text
    as_json = at_fake("ls", "--json", *flags.split(), "j").text

    assert "".join(line[0] for line in plain.splitlines()) == order
    assert "".join(json.loads(line)["name"] for line in as_json.splitlines()) == order


def test_the_long_form_lines_up_and_shows_a_sparse_file(at_fake: Run, fake: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("TZ", "UTC")
    fake.answer("j", list_(".", *ENTRIES))

    assert at_fake("ls", "-l", "j").text.splitlines() == [
        "4.0K  -rw-r-----  1  alice  users            1  1979-07-05 05:20  a",
        "4.0K  -rw-r-----  1  alice  users  10737418240  1976-05-03 19:33  b",
        "   -  ??????????  -  -      -                -  -                 c",
        "4.0K  drwxrwxrwt  3  alice  users            5  1973-03-03 09:46  d",
        "4.0K  lrw-r-----  1  alice  users            1  1976-05-03 19:33  e -> ../x",
    ]


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("ls j", {"path": ".", "directory": False, "hidden": False}),
        ("ls -a j out", {"path": "out", "directory": False, "hidden": True}),
        ("ls -ld j o*", {"path": "o*", "directory": True, "hidden": False}),
    ],
)
def test_the_agent_is_asked_what_was_typed(at_fake: Run, fake: Any, words: str, asked: dict[str, Any]) -> None:
    fake.answer("j", list_("."))

    assert at_fake(*words.split()).status == 0
    assert json.loads(fake.asked[-1][1]) == {"verb": "ls", "arguments": asked}


def test_several_directories_stand_apart_under_their_names(at_fake: Run, fake: Any) -> None:
    fake.answer("j", list_(None, entry("x")), list_("\x1b[2J", entry("y")), list_("\x1b[2J", entry("z")), list_("q"))

    result = at_fake("ls", "j", "*")

    assert result.text == "x\n\n␛[2J:\ny\nz\n\nq:\n"


def test_json_gives_every_name_and_path_back_as_it_is(at_fake: Run, fake: Any) -> None:
    odd = "\udcff\n\x1b é"
    fake.answer("j", list_(None, entry(odd), entry("stdout")), list_(odd, entry(odd)), list_(".", entry("stderr")))

    lines = [json.loads(line) for line in at_fake("ls", "--json", "j").out.splitlines()]

    assert os.fsencode(lines[0]["name"]) == b"\xff\n\x1b \xc3\xa9"
    assert [line["path"] for line in lines] == [odd, "./stdout", f"{odd}/{odd}", "./stderr"]


def test_what_came_before_a_refusal_is_printed_and_what_is_left_out_is_said(at_fake: Run, fake: Any) -> None:
    fake.answer(
        "j",
        list_("out", entry("x")),
        (frames.NOTE, {"kind": "more", "entries": 7}),
        (frames.NOTE, {"kind": "unsearched", "entries": 9}),
        (frames.NOTE, {"kind": "refused", "code": "file-refused", "message": "cannot read y"}),
        end={"status": "failed", "code": "file-refused", "message": "1 of the 2 files that match * cannot be read"},
    )

    result = at_fake("ls", "j", "out")

    assert (result.status, result.text) == (1, "x\n")
    assert [line.split(":")[0] for line in result.err.splitlines()] == ["jobmon"] * 4
    for part in ("7 more are not listed", "after 9 names", "cannot read y", "1 of the 2 files"):
        assert part in result.err
