"""A cursor names a place in a file so that whoever reads on there notices another file or other bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_wire.cursor import FINGERPRINT, NOWHERE, Cursor, CursorError, Trail

PLACE = Cursor.at(0xFD00, 2**63, 1000, b"x" * FINGERPRINT)


@given(st.binary(max_size=200), st.lists(st.binary(max_size=90), max_size=12))
def test_a_reader_finds_the_place_behind_all_it_read(before: bytes, pieces: list[bytes]) -> None:
    trail = Trail(Cursor.at(1, 2, len(before), before[-FINGERPRINT:]))
    for piece in pieces:
        trail.feed(piece)
    file = before + b"".join(pieces)

    cursor = Cursor.read(trail.cursor().text())

    assert cursor.offset == trail.offset == len(file)
    assert cursor.fits(file[cursor.offset - cursor.length :])
    assert cursor.length >= min(len(file), FINGERPRINT)


@given(st.binary(min_size=1, max_size=FINGERPRINT), st.integers(0, FINGERPRINT - 1), st.integers(1, 255))
def test_another_byte_before_the_place_does_not_fit(before: bytes, at: int, change: int) -> None:
    cursor = Cursor.at(1, 2, 500, before)
    other = bytearray(before)
    other[at % len(before)] ^= change

    assert cursor.fits(before)
    assert not cursor.fits(bytes(other))
    assert not cursor.fits(before[1:])


def test_it_travels_as_text_also_where_the_inode_takes_all_bits() -> None:
    assert Cursor.read(PLACE.text()) == PLACE
    assert Cursor.read(NOWHERE.text()) == NOWHERE
    assert "x" not in PLACE.text(), "no byte of the file travels"


@pytest.mark.parametrize(
    "text",
    ["", "1:2:3:4", "1:2:3:0:0000000", "1:2:3:4:00000000", f"1:2:{2**53 + 1}:0:00000000", "1:2:999:200:00000000", 7],
)
def test_what_is_none_is_refused(text: object) -> None:
    with pytest.raises(CursorError):
        Cursor.read(text)
