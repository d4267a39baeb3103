"""Under every Python a tail is prompt, cheap, and tells whatever it could not read."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent.verbs import VERBS
from tests.pythons import PYTHONS, Python

AGENT = Path(VERBS["tail"].__code__.co_filename).parent.parent
SCRIPT = Path(__file__).with_name("tail_script.py")
SEED = 1000  # apart from each other, so that no two Pythons live through the same
SCHEDULES = 125  # of each Python: a thousand of all eight

PATIENCE = 120.0  # s

Told = dict[str, Any]


def start(python: Python, sandbox: Path, part: str) -> subprocess.Popen[bytes]:
    seed = SEED * PYTHONS.index(python)
    return subprocess.Popen(
        [python.path, "-I", "-S", "-B", str(SCRIPT), str(AGENT), str(sandbox), str(seed), part],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )


def finish(process: subprocess.Popen[bytes]) -> Told:
    out, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, b"")
    found: Told = json.loads(out)
    return found


@pytest.fixture(scope="module")
def all_lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Python, Told]]:
    """What logs live through, under all Pythons at once: they wait for the disk most of the time."""
    directory = tmp_path_factory.mktemp("lives")
    started = {python: start(python, directory / python.version, "lives") for python in PYTHONS}
    try:
        yield {python: finish(process) for python, process in started.items()}
    finally:
        for process in started.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module", params=PYTHONS, ids=[python.version for python in PYTHONS])
def lives(request: pytest.FixtureRequest, all_lives: dict[Python, Told]) -> Told:
    """What logs live through under one Python."""
    return all_lives[request.param]


@pytest.fixture(scope="module", params=PYTHONS, ids=[python.version for python in PYTHONS])
def measures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What is measured under one Python, alone."""
    return finish(start(request.param, tmp_path_factory.mktemp("measures") / "sandbox", "measures"))


@pytest.mark.promise(35)
def test_what_is_written_is_there_in_a_moment(measures: Told) -> None:
    assert measures["told"]["median"] < 0.01
    assert measures["told"]["most"] < 0.05


@pytest.mark.promise(35)
def test_without_an_inotify_instance_it_takes_a_glance_more(measures: Told) -> None:
    if measures["blind"] is None:
        pytest.skip("this needs user namespaces, to take away all inotify instances")
    assert measures["told"]["most"] < measures["blind"]["most"] < 0.4


@pytest.mark.promise(36)
@pytest.mark.parametrize(
    ("change", "notes", "lines"),
    [
        ("rotate_slowly", ["rotated"], [3, 4, 5]),
        ("rotate_twice", ["rotated", "rotated"], [3, 4, 5, 6, 7]),
        ("blind", ["rotated", "rotated"], [3, 4, 5, 6, 7]),
        ("rotate_away", ["gap", "rotated"], [5, 6, 7]),
        ("truncate", ["truncated"], [3]),
        ("regrow", ["truncated"], [3, 4, 5, 6, 7]),
        ("recreate", ["rotated"], [3]),
        ("replace", ["rotated"], [3]),
        ("unlink_and_write", ["unlinked"], [3, 4, 5]),
    ],
)
def test_what_happened_to_the_file_is_told(lives: Told, change: str, notes: list[str], lines: list[int]) -> None:
    found = lives["scenarios"][change]

    assert found["kinds"] == notes
    assert found["data"] == "".join(f"line {number:07}\n" for number in lines)


@pytest.mark.promise(36)
def test_bytes_come_as_they_are(lives: Told) -> None:
    last = "line 0000003\n"
    found = {
        change: lives["scenarios"][change]["data"].encode("latin-1") for change in ("split", "binary", "write_far")
    }

    assert found["split"] == "zwölf Boxkämpfer 文字\n".encode() + last.encode()
    assert found["binary"] == bytes(range(256)) * 300 + last.encode()
    assert found["write_far"] == bytes(10001) + b"far\n" + last.encode()


@pytest.mark.promise(36)
def test_a_hole_of_ten_gigabytes_is_told_and_not_sent(lives: Told) -> None:
    found = lives["scenarios"]["big_hole"]

    (hole,) = found["notes"]
    assert hole["kind"] == "hole"
    assert 39 + hole["bytes"] + len(found["data"]) == 10 * 2**30 + len("far\nline 0000003\n")
    assert len(found["data"]) < 2 * 65536


@pytest.mark.promise(36)
def test_in_any_order_of_changes_no_line_is_missed_without_a_word_or_repeated(lives: Told) -> None:
    assert len(lives["wrong"]) == SCHEDULES
    assert [each for each in lives["wrong"] if each] == []


@pytest.mark.promise(36)
def test_no_gap_is_told_where_there_is_none(lives: Told) -> None:
    assert [kinds for kinds in lives["spurious"] if kinds] == []


@pytest.mark.promise(37)
@pytest.mark.parametrize(("file", "size"), [("sparse", 50), ("one_line", 8 * 2**20), ("hole", 4)])
def test_the_last_lines_of_a_huge_file_cost_next_to_nothing(measures: Told, file: str, size: int) -> None:
    assert measures[file]["bytes"] == size
    assert measures[file]["seconds"] < 0.02


@pytest.mark.promise(36)
def test_a_reader_that_is_cut_off_again_and_again_misses_nothing(lives: Told) -> None:
    found = lives["disconnects"]

    assert found["lines"] > 100_000
    assert found["is_equal"]
    assert set(found["kinds"]) == {"rotated"}
    assert found["descriptors"] == 0
