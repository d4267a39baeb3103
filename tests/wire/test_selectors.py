"""A selector picks the jobs a person means, or says where it is wrong and what was expected."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_wire.matching import compile_selector
from jobmon_wire.selectors import SelectorError, parse_selector

NOW = 1_795_392_000.0  # 2026-11-23T00:00:00Z
ME = "/DC=org/OU=People/CN=alice"
JOB: dict[str, Any] = {
    "id": "8812.1",
    "uuid": "5f0c",
    "name": "train-fold-7",
    "owner": "alice",
    "owner_name": ME,
    "cluster": "caf-east",
    "node": "wn042",
    "state": "ended",
    "health": "ok",
    "exit": {"code": 3, "signal": None},
    "started": "2026-11-22T00:00:00.000Z",
    "ended": "2026-11-22T23:00:00.000Z",
    "last_seen": "2026-11-22T23:59:30.000Z",
    "cpu_percent": 3.0,
    "rss_bytes": 50 * 2**30,
    "batch": {"system": "slurm", "array": "1234_7"},
    "tags": {"project": "Apollo-11"},
    "command": "python3 train.py --fold 7",
}


def picks(selector: str, **changes: Any) -> bool:
    return compile_selector(parse_selector(selector), ME, lambda: NOW)({**JOB, **changes})


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "   ",
        "train",
        "TRAIN -node:wn043",
        "state:ended exit!=0 owner:me ended<2h",
        "mem>40G or cpu>5% state:running age>6h",
        "cluster:caf* array:1234",
        "tag.project:apollo*",
        'cmd:"--fold 7"',
        '"fold-7"',
        "id:8812.1,9",
        "id=8812.1",
        "node:wn0?2",
        "not (state:running or exit:TERM)",
        "-state:running",
        "state:end",
        "exit:3",
        "exit>=3",
        "silent>20s silent<1m",
        "age>23h59m",
        "started<2026-11-22T00:00:01Z",
        "ended>2026-11-22",
        "batch:slurm",
        "mem=50G",
        "mem!=3G,4G",
        "id:5f0c",
        "((((train))))",
        "train and fold and not wn043",
    ],
)
def test_the_job_is_picked(selector: str) -> None:
    assert picks(selector)


@pytest.mark.parametrize(
    "selector",
    [
        "validate",
        "-train",
        "state:running",
        "exit=0",
        "exit:TERM",
        "owner:bob",
        "owner!=me",
        "node=wn04",
        "mem<40G",
        "mem!=50G",
        "gpu>0",
        "ended>2h",
        "tag.project=apollo",
        "tag.other:x",
        "wn042 wn043",
    ],
)
def test_the_job_is_not_picked(selector: str) -> None:
    assert not picks(selector)


def test_death_by_a_signal_is_a_failure_and_an_unknown_end_is_neither() -> None:
    killed = {"code": None, "signal": "TERM"}
    unknown = {"code": None, "signal": None}

    assert picks("exit!=0", exit=killed)
    assert picks("exit:SIGTERM", exit=killed)
    assert not picks("exit=0 or exit!=0", exit=unknown)
    assert picks("exit:unknown", exit=unknown)
    assert not picks("exit!=0", exit=None)


def test_me_is_the_whole_name_not_a_common_name() -> None:
    assert not picks("owner:me", owner_name="/DC=com/OU=People/CN=alice")


def test_what_is_not_known_matches_no_number() -> None:
    assert not picks("cpu<5", cpu_percent=None)
    assert not picks("ended<2h", ended=None)


@pytest.mark.parametrize(
    ("selector", "position", "expected"),
    [
        ("foo:1", 0, "no field 'foo'"),
        ("train foo:1", 6, "no field 'foo'"),
        ("mem>x", 4, "512M"),
        ("cpu>5%%", 4, "a number"),
        ("age>", 4, "a value for age"),
        ("age>5", 4, "90s, 2h"),
        ("ended<yesterday", 6, "2026-11-23"),
        ("ended>2026-02-30", 6, "2026-11-23"),
        ("node>wn3", 4, "is text"),
        ("state:zzz", 6, "starting running"),
        ("(a or b", 0, "not closed"),
        ("a)", 1, "no parenthesis is open"),
        ('node:"wn', 5, "quote"),
        ("or", 0, "was expected"),
        ("a or", 4, "was expected"),
        ("not", 3, "was expected"),
        ("()", 1, "was expected"),
        ("tag.:x", 0, "no field"),
        ("exit>TERM", 5, "a number"),
        ("x" * 1025, 1024, "1024 characters"),
        ("(" * 40 + "a" + ")" * 40, 33, "nested"),
    ],
)
def test_a_wrong_selector_names_the_place_and_what_was_expected(selector: str, position: int, expected: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_selector(selector)

    assert (caught.value.position, expected in caught.value.expected) == (position, True), caught.value


@given(st.text(max_size=60) | st.text(alphabet='ab:()<>=!-"*, ', max_size=60))
def test_any_text_is_a_selector_or_an_error_with_a_position_in_it(text: str) -> None:
    try:
        compile_selector(parse_selector(text), ME, lambda: NOW)(JOB)
    except SelectorError as error:
        position = error.position
    else:
        position = 0
    assert 0 <= position <= len(text)


def test_a_hostile_glob_costs_no_more_than_its_length() -> None:
    predicate = compile_selector(parse_selector("name:" + "*a" * 200), ME, lambda: NOW)
    spent = time.process_time()

    assert not predicate({**JOB, "name": "a" * 150 + "b" * 4000})
    assert time.process_time() - spent < 2.0  # a backtracking matcher would take longer than the universe
