"""Colours of a job's output are styles of the console's; whatever else a terminal could obey is made visible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_console.safe import is_safe, safe
from jobmon_console.sgr import PLAIN, Run, cover, read_line


def shown(data: bytes) -> list[tuple[str, str]]:
    line = read_line(data, 8)
    return [(line.text[run.start : run.end], run.style) for run in cover(line.runs, 0, len(line.text))]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"no colour", [("no colour", PLAIN)]),
        (b"\x1b[31mred\x1b[0m, \x1b[92mgreen\x1b[39m", [("red", "bad"), (", ", PLAIN), ("green", "good")]),
        (b"\x1b[1mbold \x1b[33;44mwarm\x1b[m rest", [("bold ", "strong"), ("warm", "warn"), (" rest", PLAIN)]),
        (b"\x1b[2mfaint\x1b[22m \x1b[90mgrey", [("faint", "dim"), (" ", PLAIN), ("grey", "dim")]),
        (b"\x1b[38;5;9mred\x1b[38;2;1;31;1mof parts\x1b[48;5;1mground", [("red", "bad"), ("of partsground", PLAIN)]),
        (b"\x1b[30;40mhidden\x1b[8mconcealed", [("hiddenconcealed", PLAIN)]),
        (b"\x1b[;31mred", [("red", "bad")]),
        ("ü\x1b[36mü\xff".encode("latin-1"), [("\\xfc", PLAIN), ("\\xfc\\xff", "info")]),
    ],
)  # fmt: skip
def test_a_colour_is_a_style_and_its_sequence_is_not_shown(data: bytes, expected: list[tuple[str, str]]) -> None:
    merged: list[tuple[str, str]] = []
    for text, style in shown(data):
        if merged and merged[-1][1] == style:
            text = merged.pop()[0] + text
        merged.append((text, style))
    assert merged == expected


@pytest.mark.parametrize(
    "data",
    [
        *(b"\x1b]52;c;AAAA\x07", b"\x1b[2J", b"\x1b[?25l", b"\x1b[31"),
        *(b"\x1b[31;" + b"1;" * 40 + b"m", b"\x9b31m", b"\x1b[3:1m"),
    ],
)  # fmt: skip
def test_every_other_sequence_is_made_visible(data: bytes) -> None:
    line = read_line(b"a" + data + b"b", 8)

    assert line.text == safe(b"a" + data + b"b")
    assert line.runs == ()


def test_tabs_go_to_the_same_stops_with_colours_and_without() -> None:
    assert read_line(b"ab\x1b[31m\tc\x1b[0md\te", 8).text == read_line(b"ab\tcd\te", 8).text == "ab      cd      e"


@given(
    st.lists(st.sampled_from([b"\x1b[31m", b"\x1b[0m", b"\x1b[1;38;5;3m", b"\x1b", b"[", b"\t", b"m", b"\xff", b"x"]))
)
def test_whatever_a_line_holds_is_safe_and_every_character_has_one_style(parts: list[bytes]) -> None:
    line = read_line(b"".join(parts), 8)

    assert is_safe(line.text)
    covered = list(cover(line.runs, 0, len(line.text)))
    assert [run.start for run in covered] == [0, *[run.end for run in covered]][: len(covered)]
    assert "".join(line.text[run.start : run.end] for run in covered) == line.text


def test_a_part_of_a_line_is_covered_alike() -> None:
    runs = (Run(2, 5, "bad"), Run(5, 7, "good"))

    assert list(cover(runs, 3, 9)) == [Run(3, 5, "bad"), Run(5, 7, "good"), Run(7, 9, PLAIN)]
    assert list(cover((), 3, 3)) == []
