"""Codes, HTTP statuses and exit statuses are one table; moments are one form."""

import pytest

from jobmon_wire import answers
from jobmon_wire.jobs import command_text, exit_text
from jobmon_wire.moments import read_moment, write_moment


def test_the_exit_statuses_of_the_contract() -> None:
    statuses = {code: answers.exit_status(code) for code in ("no-such-job", "not-permitted", "job-silent", "job-ended")}

    assert statuses == {"no-such-job": 3, "not-permitted": 4, "job-silent": 6, "job-ended": 6}
    assert answers.exit_status("credential-refused") == 7
    assert answers.exit_status("timeout") == 124
    assert answers.exit_status("of a newer server") == 1


def test_a_moment_goes_to_text_and_back() -> None:
    assert write_moment(1795392000.5) == "2026-11-23T00:00:00.500Z"
    assert read_moment("2026-11-23T00:00:00.500Z") == 1795392000.5
    assert read_moment("2026-11-23") == 1795392000
    assert write_moment(None) is None
    # More than C can count, more than a year can be, and no number.
    assert [write_moment(moment) for moment in (6.8e16, -6.8e16, 1e300, float("inf"), float("nan"))] == [None] * 5


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13-01", "2026-02-30", "2026-11-23T25:00", "2026-11-23T00:00:00+01:00"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a moment|no such"):
        read_moment(text)


def test_an_exit_and_a_command_line_as_people_write_them() -> None:
    assert [exit_text(status) for status in (None, {"code": 3}, {"signal": "KILL"}, {"code": None})] == [
        "",
        "3",
        "KILL",
        "unknown",
    ]
    assert command_text(("sh", "-c", "echo it's", "")) == "sh -c 'echo it'\\''s' ''"
