"""Nothing that came from outside can command a terminal, and nothing of it is hidden."""

import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobmon_console.safe import is_safe, safe

CORPUS = {
    "set the clipboard": "\x1b]52;c;Y3VybCBldmlsfHNo\x07",
    "rename the window": "\x1b]0;root@prod\x07",
    "clear the screen": "\x1b[2J\x1b[H",
    "C1 control sequence": "\x9b31m\x9d0;x\x9c",
    "turn the direction": "a\u202egnp.exe\u202c \u2066x\u2069 \u200f \u061c",
    "zero width": "ad\u200bmin\u200d\u2060\ufeff\u00ad",
    "line separators": "one\u2028two\u2029three\x85four",
    "backspace and return": "rm -rf /\b\b\b\rls",
    "surrogates": "\ud800 \udfff \udcff",
    "private use": "\ue000\U000f0000\U0010fffd",
    "unassigned and noncharacters": "\ufdd0\uffff\U0001ffff\U000e0378",
    "tag characters": "\U000e0041\U000e007f",
    "delete": "\x7f",
    "NUL": "\0",
}
DANGEROUS = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])


def assert_harmless(text: str, kept: str = "") -> None:
    left = {character for character in text if unicodedata.category(character) in DANGEROUS} - set(kept)
    assert not left, ascii(left)


@pytest.mark.parametrize("hostile", CORPUS.values(), ids=CORPUS)
def test_hostile_text_is_shown_and_does_not_act(hostile: str) -> None:
    assert not is_safe(hostile), "the control: as it came it would act"

    shown = safe(hostile)

    assert_harmless(shown)
    assert len(shown) >= len(hostile)


def test_each_kind_of_character_is_shown_in_its_own_way() -> None:
    assert safe("\x1b[0m\x7f") == "␛[0m␡"
    assert safe(b"ok \xff\xc3") == "ok \\xff\\xc3"
    assert safe("\u202e\x9b\U000e0041") == "\\u202e\\u009b\\U000e0041"
    assert safe("a\u00a0b\u3000c") == "a b c"


def test_letters_of_every_script_stay_as_they_are() -> None:
    for text in ("plain", "Größe", "данные", "数据", "بيانات", "e\u0301", "🙂"):
        assert safe(text) == text
        assert safe(text.encode()) == text


def test_layout_is_kept_only_where_it_is_asked_for() -> None:
    assert safe("a\n\tb") == "a␊␉b"
    assert safe("a\n\tb", keep="\n\t") == "a\n\tb"
    assert safe("a\tb", tabs=8) == "a       b"
    with pytest.raises(ValueError, match="newline and tab"):
        safe("\x1b", keep="\x1b")


@given(st.text(st.characters(codec=None), max_size=300))
@settings(max_examples=300)
def test_any_text_becomes_printable(noise: str) -> None:
    assert safe(noise).isprintable()
    assert_harmless(safe(noise, keep="\n\t"), "\n\t")
    assert safe(safe(noise)) == safe(noise)


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_any_bytes_become_printable(noise: bytes) -> None:
    assert safe(noise).isprintable()


def test_no_code_point_gets_through() -> None:
    """All 1,114,112, and 100,000 random strings of those that are dangerous."""
    every = "".join(map(chr, range(0x110000)))
    assert_harmless(safe(every))
    dangerous = [character for character in every if not character.isprintable()]
    choose = random.Random(4711)
    for _ in range(100_000):
        assert safe("".join(choose.choices(dangerous, k=6))).isprintable()
