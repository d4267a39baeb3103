"""Patterns match what a shell's do, inside the sandbox alone, and say when they stopped looking."""

import fnmatch
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_agent import patterns
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.patterns import Part, expand
from jobmon_wire import frames
from tests.agent.trees import Yard, answer, data

FILES = (
    "run.log",
    "log.1",
    "log.10",
    "log.2",
    "out/a.log",
    "out/b.log",
    "out/c.txt",
    "out/deep/a.log",
    "out/deep/er/a.log",
    "out/.hidden/a.log",
    ".dot.log",
    "odd/a[1].log",
    "odd/a1.log",
    "odd/grün.log",
    "odd/\udcff.log",
    "odd/-.log",
    "odd/].log",
    "odd/new\nline.log",
    "core.1/x",
    "core.2/x",
    "core.2/y",
)


@pytest.fixture
def job(yard: Yard) -> Job:
    job = yard.start(["sleep", "300"], output=False)
    sandbox = Path(job.sandbox_path)
    (sandbox / "out.log").unlink()
    for name in FILES:
        (sandbox / name).parent.mkdir(parents=True, exist_ok=True)
        (sandbox / name).write_bytes(os.fsencode(name) + b"\n")
    (sandbox / "link").symlink_to("out")
    (sandbox / "out" / "round").symlink_to("..")
    return job


@pytest.fixture
def sandbox(job: Job) -> Path:
    return Path(job.sandbox_path)


def in_a_shell(pattern: str, directory: Path) -> list[str]:
    """What bash makes of it."""
    script = 'shopt -s globstar nullglob; LC_ALL=C; printf "%s\\0" ' + pattern
    ran = subprocess.run(["bash", "-c", script], cwd=directory, capture_output=True, check=True)
    return [os.fsdecode(name) for name in ran.stdout.split(b"\0") if name]


@pytest.mark.parametrize(
    "pattern",
    [
        "*", "*.log", "log.*", "log.?", "log.??", "log.[0-9]", "log.[!1]", "log.[^1]", "?og.*", "out/*.log", "out/*/*",
        "*/*.log", "*/a.log", "**/a.log", "out/**/a.log", "out/**/er/*", "**/er/**/a.log", ".*.log", "out/.*/*",
        "o*/a*", "odd/[]].log", "odd/[!]a-g]*", "odd/[a-]*", "odd/a[[]1].log", "odd/*\n*", "odd/?.log", "core.*/x",
        "link/*.log", "l*/a.log", "out/../log.*", "./log.*", "out//*.log", "**/c*", "[a-z]*.log", "*.[tl][xo][tg]",
        "**/round", "nothing*", "out/[z-a]*", "*g", "l*g*1*0",
    ],
)  # fmt: skip
def test_a_pattern_matches_what_it_matches_in_a_shell(job: Job, sandbox: Path, pattern: str) -> None:
    wanted = [os.path.normpath(name) for name in in_a_shell(pattern.replace("\n", "$'\\n'"), sandbox)]

    found, refusal = [], ("", "")
    try:
        found = expand(job, pattern).paths
    except VerbFailure as failure:
        refusal = (failure.code, failure.message)

    assert [os.path.normpath(name) for name in found] == sorted(wanted, key=os.fsencode)
    assert refusal == (("", "") if wanted else ("no-such-file", f"no file matches {pattern}"))


@given(st.text("ab.*?[]!-^", max_size=12), st.text("ab.-]\n", min_size=1, max_size=12))
def test_a_part_agrees_with_the_standard_library(part: str, name: str) -> None:
    if name.startswith(".") or re.search(r"\[\^|\[[^]]*\[|\[.?[^]]*-[^]]*-", part):
        return  # it knows neither hidden names nor ^, and warns of sets in sets

    assert Part(part).matches(name) == bool(re.match(fnmatch.translate(part), name))


def test_a_name_that_exists_is_no_pattern(job: Job, sandbox: Path) -> None:
    assert expand(job, "odd/a[1].log").paths == ["odd/a[1].log"]
    assert data(job, "cat", file="odd/a[1].log") == b"odd/a[1].log\n"
    (sandbox / "odd" / "a[1].log").unlink()
    assert data(job, "cat", file="odd/a[1].log") == b"odd/a1.log\n"


def test_any_depth_follows_no_links_and_ends(job: Job, sandbox: Path) -> None:
    found = expand(job, "**").paths

    everything = subprocess.run(
        ["find", ".", "-mindepth", "1", "-not", "-path", "*/.*"], cwd=sandbox, capture_output=True, check=True
    ).stdout
    assert {os.fsencode(path) for path in found} >= {b"out/round", b"out/deep/er/a.log"}
    assert len(found) == everything.replace(b"new\nline", b"").count(b"\n")


def test_the_bytes_of_several_files_stand_behind_their_names(job: Job) -> None:
    found = list(answer(job, "head", file="core.*/?"))

    assert found == [
        (frames.NOTE, {"kind": "file", "name": "core.1/x"}),
        (frames.DATA, b"core.1/x\n"),
        (frames.NOTE, {"kind": "file", "name": "core.2/x"}),
        (frames.DATA, b"core.2/x\n"),
        (frames.NOTE, {"kind": "file", "name": "core.2/y"}),
        (frames.DATA, b"core.2/y\n"),
    ]
    for verb in ("cat", "head", "tail"):
        assert list(answer(job, verb, file="core.1/*")) == [(frames.DATA, b"core.1/x\n")]


def until_refused(job: Job, verb: str, **arguments: object) -> tuple[list[tuple[int, Any]], tuple[str, str]]:
    """The frames, and the code and message that the answer ends with."""
    found = []
    try:
        for item in answer(job, verb, **arguments):
            found.append(item)
    except VerbFailure as failure:
        return found, (failure.code, failure.message)
    return found, ("", "")


def test_what_matches_and_is_no_file_is_told_and_the_others_are_read(job: Job, sandbox: Path) -> None:
    (sandbox / "core.2" / "empty").touch()
    os.mkfifo(sandbox / "core.2" / "fifo")

    found, refusal = until_refused(job, "cat", file="core.2/*")

    notes = [payload for type_, payload in found if type_ == frames.NOTE]
    assert [note.get("name") or note["message"] for note in notes] == [
        "core.2/empty",
        "core.2/x",
        "core.2/y",
        "core.2/fifo is a pipe, no regular file",
    ]
    assert refusal == ("not-a-file", "1 of the 4 files that match core.2/* cannot be read")


def test_one_file_is_followed_and_not_several(job: Job, sandbox: Path) -> None:
    with pytest.raises(VerbFailure) as several:
        list(answer(job, "tail", file="log.*", follow=True))
    with pytest.raises(VerbFailure) as none:
        list(answer(job, "tail", file="lag.*", follow=True))
    followed = answer(job, "tail", file="log.1?", follow=True)

    assert (several.value.code, none.value.code) == ("bad-request", "no-such-file")
    assert several.value.message == "only one file can be followed, and log.* matches 3; name one"
    assert next(part for part in followed if part[0] == frames.DATA) == (frames.DATA, b"log.10\n")
    followed.close()  # type: ignore[attr-defined]


def test_matches_are_listed_files_first_and_then_what_directories_hold(job: Job) -> None:
    found = [payload for _, payload in answer(job, "ls", path="[lo]*")]
    themselves = [payload for _, payload in answer(job, "ls", path="[lo]*", directory=True)]

    assert [(each["path"], [entry["name"] for entry in each["entries"]]) for each in found] == [
        (None, ["link", "log.1", "log.10", "log.2"]),
        ("odd", sorted(os.listdir(Path(job.sandbox_path, "odd")), key=os.fsencode)),
        ("out", [".hidden", "a.log", "b.log", "c.txt", "deep", "round"]),
    ]
    assert [entry["name"] for entry in themselves[0]["entries"]] == ["link", "log.1", "log.10", "log.2", "odd", "out"]


@pytest.mark.parametrize(
    ("bound", "value"), [("ENTRIES", 3), ("MATCHES", 2), ("CHARACTERS", 12), ("DEPTH", 1), ("PATIENCE", -1.0)]
)
def test_a_search_that_stops_early_says_so(job: Job, bound: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, bound, value)
    monkeypatch.setattr(patterns, "_CLOCK", 1)

    found, refusal = until_refused(job, "ls", path="**/[a-z]*", directory=True)

    if bound == "PATIENCE":
        assert refusal[1] == "none of the first 1 names matches **/[a-z]*, and the search ended there"
        return
    names = [entry["name"] for entry in found[0][1]["entries"]]
    assert 0 < len(names) < len(FILES) + 6
    assert found[-1][1]["kind"] == "unsearched"
    assert found[-1][1]["entries"] >= len(names)


def test_no_descriptor_is_left_open_by_a_search(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.listdir("/proc/self/fd")

    for _ in range(2):
        list(answer(job, "ls", path="**/*"))
        unfinished = answer(job, "cat", file="**/*.log")
        next(unfinished)
        unfinished.close()  # type: ignore[attr-defined]
        monkeypatch.setattr(patterns, "MATCHES", 2)  # and from where it stops in the middle

    assert os.listdir("/proc/self/fd") == before
