"""Huge files, directories and lines cost the agent no memory and the asker no patience, and what is cut is said."""

import os
from pathlib import Path

import pytest

from jobmon_wire import limits
from tests.pythons import PYTHONS, Python
from tests.security.asking import Outcome, ask_in

ENDS = [PYTHONS[0], PYTHONS[-1]]  # the oldest and the newest
GROWTH = 32 * 2**20  # bytes of memory that one answer may take
CPU = 3.0  # s; a pattern over so many entries takes 0.4 to 1.0
ENTRIES = 2**17
FILL = "0" * 240  # of names; all of them together are more than the memory
HOLE = 8 * 2**40  # bytes, all of them a hole


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sandbox of what weighs most."""
    sandbox = tmp_path_factory.mktemp("heavy") / "sandbox"
    (sandbox / "many").mkdir(parents=True)
    directory = os.open(sandbox / "many", os.O_RDONLY)
    for number in range(ENTRIES):
        os.close(os.open(f"n{number:06}{FILL}{number % 10}", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
    os.close(directory)
    with open(sandbox / "hole", "wb") as hole:
        try:
            hole.truncate(HOLE)
        except OSError:
            pytest.skip("this file system has no files of 8 TiB")
    for name, length in (("line-2", 2 * 2**20), ("line-64", 64 * 2**20)):
        (sandbox / name).write_bytes(b"x" * length + b"\nshort\n")
    return sandbox


@pytest.mark.parametrize("python", ENDS, ids=[python.version for python in ENDS])
def test_what_weighs_most_is_answered_in_little_memory_and_little_time(python: Python, heavy: Path) -> None:
    bound = limits.TAIL_BYTES
    asked = {
        "hole by lines": ("head", {"file": "hole"}),
        "hole by bytes": ("head", {"file": "hole", "bytes": 10}),
        "end of the hole": ("tail", {"file": "hole"}),
        "hole": ("cat", {"file": "hole"}),
        "in the hole": ("cat", {"file": "hole", "offset": HOLE - 10}),
        "2 MB": ("head", {"file": "line-2", "lines": 2}),
        "64 MB": ("head", {"file": "line-64", "lines": 2}),
        "end of 64 MB": ("tail", {"file": "line-64", "lines": 2}),
        "many": ("ls", {"path": "many"}),
        "many named": ("ls", {"path": "many/n*7"}),
        "many at any depth": ("ls", {"path": "**/no*ne"}),
        "worst pattern": ("ls", {"path": "many/" + "*0" * 20 + "*none*"}),
        "directory": ("ls", {"path": "many", "directory": True}),
    }

    outcomes, _ = ask_in(python, heavy, list(asked.values()))

    found = dict(zip(asked, outcomes, strict=True))
    assert {name: outcome.growth for name, outcome in found.items() if outcome.growth > GROWTH} == {}
    assert {name: outcome.cpu for name, outcome in found.items() if outcome.cpu > CPU} == {}
    lengths = {name: outcome.length for name, outcome in found.items() if outcome.length}
    assert lengths == {
        "hole by lines": bound,
        "hole by bytes": 10,
        "hole": 64 * 2**20,  # nobody asked for more
        "in the hole": 10,
        "2 MB": 2 * 2**20 + 7,
        "64 MB": bound,
        "end of 64 MB": bound,
    }
    assert said(found["hole by lines"]) == {"kind": "cut", "bytes": bound, "size": HOLE}
    assert said(found["64 MB"]) == {"kind": "cut", "bytes": bound, "size": 64 * 2**20 + 7}
    assert found["2 MB"].objects == []
    assert said(found["many"]) == {"kind": "more", "entries": ENTRIES - limits.LIST_ENTRIES}
    assert said(found["many named"])["kind"] == "unsearched"
    assert found["many at any depth"].message == "no file matches **/no*ne"
    assert found["worst pattern"].code == "no-such-file"
    assert found["directory"].names == ["many"]


def said(outcome: Outcome) -> dict[str, object]:
    """The one note of an answer."""
    (note,) = outcome.objects
    return note
