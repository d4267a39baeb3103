"""The console comes back as it was left, and never spoils a file it does not understand."""

from pathlib import Path
from typing import Any

import pytest

from jobmon_console.preferences import Keeper, Preferences

LEFT = Preferences(
    "state:running",
    "cpu",
    True,
    ("cluster",),
    "full",
    "top",
    "jobmon-light",
    ("owner",),
    {"mine": "x"},
    ("a", "b"),
    top_order="memory",
)


def test_what_was_kept_comes_back_for_its_contexts_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "console.json"
    Keeper(path, ["caf", "cern"]).keep(LEFT)
    Keeper(path, ["fnal"]).keep(Preferences(sort="name"))

    assert Keeper(path, ["cern", "caf"]).load() == LEFT
    assert Keeper(path, ["fnal"]).load() == Preferences(sort="name")
    assert Keeper(path, ["caf"]).load() == Preferences()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["console.json"]


@pytest.mark.parametrize("content", ["{", "[]", "\xff", '"x"', "x" * (2**20 + 1)])
def test_a_file_that_cannot_be_read_is_said_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "console.json"
    path.write_text(content, "latin-1")
    keeper = Keeper(path, ["caf"])

    assert keeper.load() == Preferences()
    assert str(path) in keeper.trouble
    keeper.keep(LEFT)
    assert path.read_text("latin-1") == content


@pytest.mark.parametrize("value", [None, 7, ["x", 1], {"x": 1}, "text", True])
@pytest.mark.parametrize("field", Preferences._fields)
def test_a_value_of_another_kind_is_passed_over(tmp_path: Path, field: str, value: Any) -> None:
    import json

    path = tmp_path / "console.json"
    path.write_text(json.dumps({"caf": LEFT._asdict() | {field: value}}))

    found = Keeper(path, ["caf"]).load()

    for name, kept in LEFT._asdict().items():
        assert name == field or getattr(found, name) == kept
    assert type(getattr(found, field)) is type(getattr(LEFT, field)) or getattr(found, field) is None
    keeper = Keeper(path, ["caf"])
    keeper.keep(found)
    assert keeper.load() == found


def test_a_place_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    keeper = Keeper(tmp_path / "file" / "console.json", ["caf"])

    keeper.keep(LEFT)

    assert "console.json" in keeper.trouble
