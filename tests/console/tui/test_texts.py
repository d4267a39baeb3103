"""A sentence that is longer than a row goes on below, whole, in whatever writing it came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from jobmon_console.tui.texts import NOTHING, span, wrap


@given(st.text(alphabet="ab 日本é"), st.integers(2, 30))
def test_a_sentence_that_is_wrapped_is_whole_and_fits(text: str, width: int) -> None:
    lines = wrap(text, width)

    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(0 < cell_len(line) <= width for line in lines)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 10, []),
        ("one line", 8, ["one line"]),
        ("a bb ccc", 5, ["a bb", "ccc"]),
        ("supercalifragilistic", 10, ["supercalif", "ragilistic"]),
        ("the supercalifragilistic", 10, ["the", "supercalif", "ragilistic"]),
    ],
)
def test_it_is_broken_between_words_and_within_one_that_is_longer(text: str, width: int, lines: list[str]) -> None:
    assert wrap(text, width) == lines


@pytest.mark.parametrize("seconds", [None, float("inf"), float("-inf"), float("nan")])
def test_a_time_that_is_none_is_said_to_be_unknown(seconds: float | None) -> None:
    assert span(seconds) == NOTHING
    assert span(93784.0) == "1d 02:03"
