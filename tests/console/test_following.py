"""A reader knows its place in a followed file, what it was told, and whether asking again may help."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_console.errors import CredentialRefusedError, CutOffError, RefusedError
from jobmon_console.following import Place, Rest, ending, passes, told
from jobmon_console.nuls import FEWEST, Nuls
from jobmon_console.replies import Kept
from jobmon_wire.cursor import Cursor
from jobmon_wire.documents import write_document
from jobmon_wire.frames import DATA, NOTE, Frame

OUTPUT = b"".join(b"line %d\n" % number for number in range(100))


def note(**facts: object) -> Frame:
    return Frame(NOTE, bytes(16), write_document(facts))


def place_at(offset: int, output: bytes = OUTPUT) -> Place:
    """A reader that was told its place 10 bytes before, and has read these."""
    place = Place()
    begin = offset - 10
    place.take(note(kind="at", cursor=Cursor.at(1, 2, begin, output[max(0, begin - 64) : begin]).text()))
    place.take(Frame(DATA, bytes(16), output[begin:offset]))
    return place


def test_the_place_is_behind_all_that_was_read() -> None:
    place = place_at(300)

    cursor = Cursor.read(place.cursor)
    assert (cursor.device, cursor.inode, cursor.offset, place.offset) == (1, 2, 300, 300)
    assert cursor.fits(OUTPUT[300 - cursor.length : 300])


def test_without_a_word_on_its_place_a_reader_cannot_go_on() -> None:
    place = Place()
    place.take(Frame(DATA, bytes(16), b"of an agent that tells no place"))
    assert place.cursor is None

    place.take(note(kind="at", cursor="nonsense"))
    assert place.cursor is None


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (0, Rest(OUTPUT[300:], 0, False)),
        (300, Rest(OUTPUT[300:], 0, False)),
        (290, Rest(OUTPUT[300:], 0, False)),
        (400, Rest(OUTPUT[400:], 100, False)),
    ],
)
def test_of_what_was_kept_of_an_ended_job_only_the_new_is_taken(start: int, rest: Rest) -> None:
    assert place_at(300).rest(Kept(OUTPUT[start:], start, len(OUTPUT))) == rest


def test_output_that_was_truncated_since_is_no_continuation() -> None:
    assert place_at(300).rest(Kept(b"new\n", 0, 4)) == Rest(b"new\n", 0, True)
    other = OUTPUT.replace(b"l", b"L")
    assert place_at(300).rest(Kept(other, 0, len(other))) == Rest(other, 0, True)


def test_a_silence_passes_and_a_refusal_does_not() -> None:
    assert passes(CutOffError("the server was restarted"))
    assert passes(RefusedError("job-silent", ""))
    assert passes(RefusedError("agent-gone", ""))
    for code in ("job-lost", "job-ended", "not-permitted", "no-such-file"):
        assert not passes(RefusedError(code, ""))
    assert not passes(CredentialRefusedError("revoked"))
    assert not passes(None)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"code": 3, "signal": None}, "the job has ended with exit 3"),
        ({"code": None, "signal": "SEGV", "core": True}, "the job has ended by signal SEGV, core dumped"),
        ({"code": None, "signal": None, "source": "unknown"}, "the job has ended, its exit status is unknown"),
        (None, "the job has ended"),
    ],
)
def test_how_a_job_ended_is_said(status: object, words: str) -> None:
    assert ending(status) == words
    assert told({"kind": "ended", "exit": status}, "stdout") == words


def test_a_gap_says_how_much_is_known_of_it() -> None:
    assert "1 file came and went unread" in told({"kind": "gap", "files": 1}, "log")
    assert "2 files came and went unread" in told({"kind": "gap", "files": 2}, "log")
    assert "may be missing" in told({"kind": "gap", "files": None}, "log")
    assert told({"kind": "at"}, "log") == ""


@given(st.lists(st.sampled_from([b"", b"a", b"\0", bytes(FEWEST - 1), bytes(FEWEST), bytes(100), b"\n", b"\xff"])))
def test_runs_of_nuls_are_counted_wherever_the_pieces_are_cut(pieces: list[bytes]) -> None:
    at_once, piecewise = Nuls(), Nuls()
    whole = b"".join(pieces)

    found = b"".join(map(piecewise.feed, pieces)) + piecewise.close()

    assert found == at_once.feed(whole) + at_once.close()
    assert bytes(FEWEST) not in found
    assert found.count(b" NUL bytes]") == sum(len(run) >= FEWEST for run in _runs(whole))


def _runs(data: bytes) -> list[bytes]:
    for byte in set(data) - {0}:
        data = data.replace(bytes([byte]), b"|")
    return data.split(b"|")


def test_a_long_run_is_a_few_words() -> None:
    nuls = Nuls()

    assert nuls.feed(b"a" + bytes(10001) + b"b") == b"a[10001 NUL bytes]b"
    nuls.skip(10 * 2**30)
    assert nuls.feed(b"\0c") == b"[%d NUL bytes]c" % (10 * 2**30 + 1)
