"""What a job writes to JOBMON_LOG becomes lines: each once, in order, bounded."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon_agent.progress import BURST, Progress
from jobmon_wire import limits


class File:
    """A progress file and its reader; every look is a second later."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "log"
        self.path.touch()
        self.descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        self.progress = Progress(self.descriptor, "log")
        self.now = 0.0

    def look(self) -> list[str]:
        self.now += 1.0
        return self.progress.lines(self.now)

    def append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    file = File(tmp_path)
    yield file
    os.close(file.descriptor)


def test_appended_lines_come_once(file: File) -> None:
    file.append(b"1%\n2%\n")
    assert file.look() == ["1%", "2%"]
    assert file.look() == []
    file.append(b"3%\n")
    assert file.look() == ["3%"]


def test_a_line_of_equal_length_written_anew_is_seen(file: File) -> None:
    file.path.write_bytes(b"37% event 12k\n")
    assert file.look() == ["37% event 12k"]
    file.path.write_bytes(b"38% event 13k\n")
    assert file.look() == ["38% event 13k"]


def test_a_longer_file_written_anew_is_read_from_its_start(file: File) -> None:
    file.path.write_bytes(b"9%\n")
    assert file.look() == ["9%"]
    file.path.write_bytes(b"10% done\nmore\n")
    assert file.look() == ["10% done", "more"]


def test_a_file_in_place_of_the_first_is_read(file: File) -> None:
    file.append(b"1%\n")
    assert file.look() == ["1%"]
    other = file.path.with_name("other")
    other.write_bytes(b"2%\n3%\n")
    other.rename(file.path)
    assert file.look() == ["2%", "3%"]


def test_half_a_line_waits_for_its_end_but_not_for_ever(file: File) -> None:
    file.append(b"50")
    assert file.look() == []
    file.append(b"%\n60%")
    assert file.look() == ["50%"]
    assert file.look() == ["60%"]
    assert file.look() == []


def test_long_and_odd_lines_are_cut_and_made_text(file: File) -> None:
    file.append(b"x" * 5000 + b"\n\xff\xfe\n\n \n")
    lines = file.look()
    assert lines == ["x" * limits.LOG_LINE, "\ufffd\ufffd"]


def test_a_flood_is_thinned_out_and_says_so(file: File) -> None:
    file.append(b"line\n" * 5000)
    first = file.look()
    assert len(first) == BURST
    file.append(b"last\n")
    assert any("left out" in line for line in file.look())


def test_a_huge_backlog_is_passed_over(file: File) -> None:
    file.append(b"old\n")
    with file.path.open("r+b") as hole:
        hole.truncate(10 * 2**30)
        hole.seek(0, os.SEEK_END)
        hole.write(b"\nnew\n")
    assert "new" in file.look()


@pytest.mark.parametrize("kind", ["fifo", "link", "directory", "nothing"])
def test_what_is_no_file_is_never_read(file: File, kind: str) -> None:
    file.path.unlink()
    secret = file.path.with_name("secret")
    secret.write_text("secret\n")
    if kind == "fifo":
        os.mkfifo(file.path)
    elif kind == "link":
        file.path.symlink_to(secret)
    elif kind == "directory":
        file.path.mkdir()

    assert file.look() == []
