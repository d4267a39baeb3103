"""The table of verbs says what each takes; everything else is refused in one sentence."""

import pytest

from jobmon_wire import verbs
from jobmon_wire.verbs import VERBS, ArgumentError, check_arguments


def test_every_verb_of_the_contract_is_there_with_a_permission() -> None:
    assert set(VERBS) == {"ps", "top", "ls", "head", "tail", "cat", "kill", "stack", "dump", "node", "shell"}
    assert {verb.permission for verb in VERBS.values()} == set(verbs.PERMISSIONS)
    assert [verb.name for verb in VERBS.values() if not verb.is_repeatable] == ["kill", "dump", "shell"]
    assert [verb.name for verb in VERBS.values() if verb.takes_input] == ["shell"]


def test_arguments_left_out_take_their_defaults() -> None:
    places = {"follow": False, "latest": None, "resume": None}
    assert check_arguments(VERBS["tail"], {}) == {"file": "stdout", "lines": 10, "bytes": None} | places
    assert check_arguments(VERBS["top"], {"delay": 1}) == {"delay": 1.0, "count": 0, "sort": None}


@pytest.mark.parametrize(
    ("verb", "given", "sentence"),
    [
        ("ps", {"x": 1}, "ps takes no argument 'x'"),
        ("tail", {"lines": "10"}, "lines must be an integer"),
        ("tail", {"lines": True}, "lines must be an integer"),
        ("tail", {"lines": -1}, "lines must be from 0 to 1e\\+06"),
        ("tail", {"follow": 1}, "follow must be true or false"),
        ("cat", {"file": ""}, "file must be 1 to 4096 characters"),
        ("cat", {"file": "a\0b"}, "none of them NUL"),
        ("cat", {"file": "x" * 4097}, "file must be 1 to 4096"),
        ("top", {"delay": 0.01}, "delay must be from 0.2 to 3600"),
        ("top", {"delay": float("nan")}, "delay must be from"),
        ("top", {"sort": "name"}, "sort must be one of cpu memory time"),
        ("top", {"sort": ["cpu"]}, "sort must be text"),
        ("kill", {"signal": "NOPE"}, "signal must be one of"),
        ("kill", {"grace": 601}, "grace must be from 0 to 600"),
        ("kill", {"pid": 1}, "pid must be from 2 to"),
        ("kill", {"pid": -1}, "pid must be from 2 to"),
        ("kill", {"pid": "7"}, "pid must be an integer"),
        ("kill", {"pid": 7, "started": 7}, "started must be text"),
        ("shell", {"rows": 0}, "rows must be from 1 to 4096"),
        ("shell", {"columns": 4097}, "columns must be from 1 to 4096"),
        ("shell", {"command": ["ls"]}, "command must be text"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_sentence(verb: str, given: dict[str, object], sentence: str) -> None:
    with pytest.raises(ArgumentError, match=sentence):
        check_arguments(VERBS[verb], given)


@pytest.mark.parametrize("text", ["TERM", "SIGTERM", "term", "sigterm", "15"])
def test_a_signal_may_be_named_in_every_usual_way(text: str) -> None:
    assert verbs.parse_signal(text) == "TERM"


@pytest.mark.parametrize("text", ["", "0", "99", "SIG", "TERMINATE", "-9", "x" * 999])
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="is no signal"):
        verbs.parse_signal(text)
