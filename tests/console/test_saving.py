"""A file saved from a job replaces nothing, is private, and is there whole or not at all."""

import os
from pathlib import Path

import pytest

from jobmon_console import hexdump, saving
from jobmon_console.errors import SavingError
from jobmon_console.saving import SavedFile, name_for


def test_a_saved_file_is_whole_private_and_alone(tmp_path: Path) -> None:
    saved = SavedFile(str(tmp_path / "out.log"))
    saved.write(b"one ")
    assert not (tmp_path / "out.log").exists()
    saved.write(b"two")
    saved.finish()

    assert (tmp_path / "out.log").read_bytes() == b"one two"
    assert (tmp_path / "out.log").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["out.log"]


def test_what_is_there_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    for name in ("here", "link"):
        with pytest.raises(SavingError, match="is there already"):
            SavedFile(str(tmp_path / name))

    late = SavedFile(str(tmp_path / "late"))
    late.write(b"theirs")
    (tmp_path / "late").write_text("mine")
    with pytest.raises(SavingError, match="cannot write"):
        late.finish()
    assert (tmp_path / "late").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["here", "late", "link"]


def test_a_part_that_somebody_put_there_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "out.part").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SavingError, match="left of an earlier try"):
        SavedFile(str(tmp_path / "out"))
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_is_too_large_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "MOST", 10)
    saved = SavedFile(str(tmp_path / "out"))
    saved.write(bytes(10))

    with pytest.raises(SavingError, match="more than"):
        saved.write(b"x")
    saved.abort()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("job", "file", "name"),
    [
        ("8812_3", "stdout", "8812_3-stdout"),
        ("8812", "../../etc/passwd", "8812-..-..-etc-passwd"),
        (".ssh", "a\nb c\x1b[2J", "ssh-a_b_c__2J"),
        ("日本", "", "output"),
    ],
)
def test_names_have_no_directory_and_nothing_a_terminal_obeys(job: str, file: str, name: str) -> None:
    assert name_for(job, file) == name


def test_bytes_that_are_no_text_are_told_from_text() -> None:
    texts = [b"", b"plain\n", "größer als ∑\n".encode() * 9, b"\x1b[31mred\x1b[0m\n" * 9]
    binaries = [b"\x7fELF\x02\x01\x01\0", bytes(range(128, 256)) * 4, os.urandom(4096)]

    assert [hexdump.is_binary(data) for data in texts] == [False] * len(texts)
    assert [hexdump.is_binary(data) for data in binaries] == [True] * len(binaries)


def test_a_dump_shows_every_byte_and_nothing_raw() -> None:
    dump = hexdump.lines(b"\x7fELF\x00\x1b]52;c;" + bytes(range(16)), room=78)

    assert dump[0] == "00000000  7f 45 4c 46 00 1b 5d 35  32 3b 63 3b 00 01 02 03  |.ELF..]52;c;....|"
    assert all(line.isprintable() and line.isascii() for line in dump)


def test_a_dump_has_half_as_many_bytes_a_line_where_sixteen_have_no_room() -> None:
    dump = hexdump.lines(b"\x7fELF\x00\x1b]52;c;", room=77)

    assert dump == [
        "00000000  7f 45 4c 46 00 1b 5d 35  |.ELF..]5|",
        "00000008  32 3b 63 3b              |2;c;|",
    ]
