"""What a person types for a place in the output is the place she means, or a sentence says what was expected."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_console.errors import UsageError
from jobmon_console.places import DAY, Moment, Offset, Share, read_place

NOON = 1_795_392_000.0 + 12 * 3600  # 2026-11-23T12:00:00Z


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("45%", Share(45)),
        ("0%", Share(0)),
        ("99.95%", Share(99.95)),
        ("1234567", Offset(1234567)),
        ("12M", Offset(12 * 2**20)),
        ("1.5g", Offset(3 * 2**29)),
        ("9999999999999999", Offset(9999999999999999)),
        ("11:58", Moment(NOON - 120)),
        ("11:58:30", Moment(NOON - 90)),
        ("9:05Z", Moment(NOON - 3 * 3600 + 300)),
        ("12:00:00", Moment(NOON)),
        ("12:01", Moment(NOON + 60 - DAY)),
        ("-90s", Moment(NOON - 90)),
        ("-10m", Moment(NOON - 600)),
        ("-1h30m", Moment(NOON - 5400)),
        ("  45%  ", Share(45)),
    ],
)
def test_a_place_is_read_as_it_is_meant(text: str, place: object) -> None:
    assert read_place(text, NOON) == place


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "45%"),
        ("half", "45%"),
        ("12 M", "45%"),
        ("1e9", "45%"),
        ("٣", "45%"),
        ("#12", "45%"),
        ("100.1%", "from 0% to 100%"),
        ("-1%", "an age such as"),
        ("x%", "from 0% to 100%"),
        ("24:00", "a time of day"),
        ("12:60", "a time of day"),
        ("12:00:61", "a time of day"),
        ("1:2", "a time of day"),
        ("14:02:30:00", "a time of day"),
        ("-10", "an age such as"),
        ("-10M", "an age such as"),
        ("--1m", "an age such as"),
    ],
)
def test_what_is_no_place_is_refused_with_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        read_place(text, NOON)


@given(st.text() | st.from_regex(r"-?[0-9:.]{1,9}[%KMGTsmhdw]?", fullmatch=True), st.floats(0, 4e9))
def test_whatever_is_typed_is_a_place_or_refused(text: str, now: float) -> None:
    try:
        place = read_place(text, now)
    except UsageError:
        return

    assert place.at <= now if isinstance(place, Moment) else place.within(1000) >= 0


@given(st.integers(0, DAY - 1), st.floats(DAY, 4e9))
def test_a_time_of_day_is_of_the_last_day_that_has_had_it(second: int, now: float) -> None:
    text = time.strftime("%H:%M:%S", time.gmtime(second))

    place = read_place(text, now)

    assert isinstance(place, Moment)
    assert place.at % DAY == second
    assert now - DAY < place.at <= now


@given(st.floats(0, 100), st.floats(0, 100), st.integers(0, 2**50))
def test_a_larger_share_is_no_earlier_and_all_of_it_is_the_end(one: float, other: float, size: int) -> None:
    less, more = sorted((one, other))

    assert 0 <= Share(less).within(size) <= Share(more).within(size) <= size
    assert Share(100).within(size) == size
