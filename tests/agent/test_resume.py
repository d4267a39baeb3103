"""A follow that was cut off goes on where it was: nothing is lost, nothing repeated, and what cannot be had is told."""

from pathlib import Path

import pytest

from jobmon_agent.job import Job, VerbFailure
from jobmon_wire import frames
from jobmon_wire.cursor import NOWHERE, Cursor, Trail
from tests.agent.follows import OLD, Tail, append, cut_off, stop
from tests.agent.trees import answer, until


def resumed(job: Job, cursor: str) -> Tail:
    """What a reader sees that asks again."""
    return Tail(job, "log", resume=cursor)


@pytest.fixture
def cursor(job: Job, log: Path) -> str:
    """Where a reader was cut off: behind the old lines."""
    data, cursor = cut_off(job, len(OLD), file="log")
    assert data == OLD
    return cursor


def test_what_was_written_meanwhile_comes_and_nothing_before_it(job: Job, log: Path, cursor: str) -> None:
    append(log, b"meanwhile\n")

    tail = resumed(job, cursor)
    tail.shows(b"meanwhile\n")
    append(log, b"then\n")
    tail.shows(b"meanwhile\nthen\n")
    stop(job)

    tail.end()
    assert tail.kinds == ["ended"]


def test_a_file_that_was_renamed_meanwhile_is_read_to_its_end_first(job: Job, log: Path, cursor: str) -> None:
    append(log, b"last of the old\n")
    log.rename(log.with_suffix(".1"))
    append(log, b"first of the new\n")

    tail = resumed(job, cursor)
    tail.shows(b"last of the old\nfirst of the new\n")
    stop(job)

    tail.end()
    assert tail.kinds == ["rotated", "ended"]


def test_a_follow_by_pattern_goes_on_by_the_name_of_what_was_found(job: Job, log: Path) -> None:
    found, place, answered = b"", {}, answer(job, "tail", file="lo*", follow=True)
    while found != OLD:
        type_, payload = next(answered)
        found += payload if type_ == frames.DATA else b""
        place = place or payload
    answered.close()  # type: ignore[attr-defined]
    trail = Trail(Cursor.read(place["cursor"]))
    trail.feed(found)
    append(log, b"last of the old\n")
    log.rename(log.with_suffix(".1"))
    append(log, b"first of the new\n")

    with pytest.raises(VerbFailure, match="only one file can be followed"):
        list(answer(job, "tail", file="lo*", follow=True, resume=trail.cursor().text()))
    tail = Tail(job, place["file"], resume=trail.cursor().text())
    tail.shows(b"last of the old\nfirst of the new\n")
    stop(job)

    tail.end()
    assert tail.kinds == ["rotated", "ended"]


def test_a_follow_by_name_is_not_told_its_name(job: Job, log: Path) -> None:
    _, place = next(answer(job, "tail", file="log", follow=True))

    assert place.keys() == {"kind", "cursor"}


def test_a_file_that_is_gone_is_a_gap(job: Job, log: Path, cursor: str) -> None:
    append(log, b"never seen\n")
    log.rename(Path(job.sandbox_path, "elsewhere"))
    append(log, b"first of the new\n")

    tail = resumed(job, cursor)
    tail.shows(b"first of the new\n")
    stop(job)

    tail.end()
    assert tail.kinds == ["gap", "ended"]


@pytest.mark.parametrize("new", [b"new\n", b"new line\n" * 20], ids=["shorter", "grown past the old end"])
def test_a_file_that_was_truncated_meanwhile_is_told(job: Job, log: Path, cursor: str, new: bytes) -> None:
    log.write_bytes(new)

    tail = resumed(job, cursor)
    tail.shows(new)
    stop(job)

    tail.end()
    assert tail.kinds == ["truncated", "ended"]


def test_a_reader_who_was_waiting_gets_the_whole_file(job: Job, log: Path) -> None:
    log.unlink()
    data, cursor = cut_off(job, 0, file="log")
    assert (data, cursor) == (b"", NOWHERE.text())
    append(log, b"".join(b"%d\n" % number for number in range(100)))

    tail = resumed(job, cursor)
    until(lambda: tail.bytes.endswith(b"99\n"))
    stop(job)

    tail.end()
    assert tail.bytes.startswith(b"0\n1\n")
    assert tail.kinds == ["ended"]


@pytest.mark.parametrize(
    "text", ["", " ", "0", "1:2:3:4", "1:2:3:4:zzzzzzzz", "1:2:3:9:00000000", NOWHERE.text() + "0"]
)
def test_what_is_no_cursor_is_refused(job: Job, log: Path, text: str) -> None:
    with pytest.raises((VerbFailure, ValueError), match=r"resume|cursor"):
        list(answer(job, "tail", file="log", follow=True, resume=text))


def test_a_cursor_opens_nothing_that_a_name_would_not(job: Job, log: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_bytes(OLD)
    status = outside.stat()
    log.unlink()
    log.symlink_to(outside)

    with pytest.raises(VerbFailure) as refused:
        list(answer(job, "tail", file="log", follow=True, resume=f"{status.st_dev:x}:{status.st_ino:x}:0:0:00000000"))

    assert refused.value.code == "outside-sandbox"
