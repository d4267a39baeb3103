"""Files are read byte for byte, without end only as long as they have none, and listings are whole."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon_agent.job import Job, VerbFailure
from jobmon_wire import frames, limits
from tests.agent.trees import Yard, a_yard, answer, data, record


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """Where jobs are started; whatever of them is left is killed after the test."""
    with a_yard(tmp_path) as jobs:
        yield jobs


@pytest.fixture
def job(yard: Yard) -> Job:
    return yard.start(["sleep", "300"])


@pytest.fixture
def sandbox(job: Job) -> Path:
    return Path(job.sandbox_path)


def code_of(job: Job, verb: str, **arguments: object) -> str:
    with pytest.raises(VerbFailure) as failure:
        list(answer(job, verb, **arguments))
    return failure.value.code


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"one", b"a\nb\nc\n", bytes(range(256)) * 3, b"\0" * 100, "zwölf\n".encode() * 9, b"x" * 200_000],
    ids=["empty", "newline", "one", "lines", "binary", "nul", "utf-8", "long line"],
)
def test_cat_gives_the_bytes_of_the_file(job: Job, sandbox: Path, content: bytes) -> None:
    (sandbox / "file").write_bytes(content)

    assert data(job, "cat", file="file") == content


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 10, 100_000])
@pytest.mark.parametrize("content", [b"", b"\n", b"a", b"a\nb", b"a\nb\n", b"\n\n\n", b"line\n" * 50_000])
def test_head_and_tail_cut_where_lines_end(job: Job, sandbox: Path, content: bytes, lines: int) -> None:
    (sandbox / "file").write_bytes(content)
    all_lines = content.splitlines(keepends=True)

    assert data(job, "head", file="file", lines=lines) == b"".join(all_lines[:lines])
    assert data(job, "tail", file="file", lines=lines) == b"".join(
        all_lines[len(all_lines) - lines :] if lines < len(all_lines) else all_lines
    )


@pytest.mark.parametrize("count", [0, 1, 65536, 65537, 150_000, 10**9])
def test_head_and_tail_cut_at_bytes(job: Job, sandbox: Path, count: int) -> None:
    content = os.urandom(150_000)
    (sandbox / "file").write_bytes(content)

    assert data(job, "head", file="file", bytes=count) == content[:count]
    assert data(job, "tail", file="file", bytes=count) == content[max(0, len(content) - count) :]


def test_stdout_is_read_without_moving_the_jobs_own_place(yard: Yard) -> None:
    job = yard.start("echo one; echo two; while [ ! -e go ]; do sleep 0.02; done; echo three")
    while data(job, "cat") != b"one\ntwo\n":
        pass

    Path(job.sandbox_path, "go").touch()
    yard.reap(job)

    assert data(job, "cat", file="stdout") == b"one\ntwo\nthree\n"
    assert data(job, "tail", lines=1) == b"three\n"


def test_a_stream_that_is_no_file_is_said_to_be_none(yard: Yard) -> None:
    job = yard.start(["sleep", "300"], output=False)

    for verb in ("cat", "head", "tail"):
        assert code_of(job, verb, file="stdout") == "no-stream"
        assert code_of(job, verb, file="stderr") == "no-stream"


def test_a_file_called_stdout_is_read_by_its_path(job: Job, sandbox: Path) -> None:
    (sandbox / "stdout").write_bytes(b"mine")

    assert data(job, "cat", file="./stdout") == b"mine"
    assert data(job, "cat", file="stdout") == b""


def test_what_is_no_file_is_never_opened(job: Job, sandbox: Path) -> None:
    os.mkfifo(sandbox / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(sandbox, os.O_PATH)
        listener.bind(f"/proc/self/fd/{here}/socket")  # a path of a socket is short
        os.close(here)
        for name in ("fifo", "socket", "."):
            for verb in ("cat", "head", "tail"):
                assert code_of(job, verb, file=name) == "not-a-file"
    with pytest.raises(OSError, match="No such device"):  # nobody ever opened the pipe for reading
        os.open(sandbox / "fifo", os.O_WRONLY | os.O_NONBLOCK)


def test_a_device_is_no_file(job: Job, sandbox: Path) -> None:
    if os.geteuid():
        pytest.skip("making a device needs root")
    try:
        os.mknod(sandbox / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this container makes no devices")

    assert code_of(job, "cat", file="zero") == "not-a-file"


def test_the_last_lines_of_a_huge_hole_are_searched_within_bounds(job: Job, sandbox: Path) -> None:
    with open(sandbox / "sparse", "wb") as sparse:
        sparse.truncate(10 * 2**30)

    found = list(answer(job, "tail", file="sparse", lines=10))

    assert found[0] == (frames.NOTE, {"kind": "skipped", "bytes": 10 * 2**30 - limits.TAIL_BYTES})
    assert sum(len(payload) for type_, payload in found if type_ == frames.DATA) == limits.TAIL_BYTES


def test_ls_tells_what_each_entry_is(job: Job, sandbox: Path) -> None:
    (sandbox / "file").write_bytes(b"12345")
    (sandbox / "file").chmod(0o640)
    (sandbox / "directory").mkdir()
    (sandbox / "link").symlink_to("/etc/passwd")
    os.mkfifo(sandbox / "fifo")

    answered = record(job, "ls", path=".")
    entries = {entry["name"]: entry for entry in answered["entries"]}

    assert answered["path"] == "."
    assert [entry["name"] for entry in answered["entries"]] == sorted(os.listdir(sandbox))
    assert {name: entry["kind"] for name, entry in entries.items()} == {
        "file": "file",
        "directory": "directory",
        "link": "link",
        "fifo": "fifo",
        "out.log": "file",
    }
    status = (sandbox / "file").stat()
    assert entries["file"] == {
        "name": "file",
        "kind": "file",
        "size": 5,
        "modified": status.st_mtime,
        "mode": 0o640,
        "owner": (sandbox / "file").owner(),
        "target": None,
    }
    assert entries["link"]["target"] == "/etc/passwd"


def test_ls_of_a_file_lists_it_and_of_nothing_fails(job: Job, sandbox: Path) -> None:
    (sandbox / "deep").mkdir()
    (sandbox / "deep" / "file").write_bytes(b"x")

    (entry,) = record(job, "ls", path="deep/file")["entries"]

    assert (entry["name"], entry["kind"], entry["size"]) == ("file", "file", 1)
    assert code_of(job, "ls", path="deep/none") == "no-such-file"
    assert record(job, "ls", path="deep")["entries"] == [entry]


def test_names_that_are_no_text_go_there_and_back(job: Job, sandbox: Path) -> None:
    Path(os.fsdecode(os.fsencode(sandbox) + b"/\xff\xfe\n")).write_bytes(b"odd")

    (name,) = [entry["name"] for entry in record(job, "ls")["entries"] if entry["name"] != "out.log"]

    assert name == "\udcff\udcfe\n"
    assert data(job, "cat", file=name) == b"odd"


def test_a_listing_of_very_many_files_is_cut_and_says_so(
    job: Job, sandbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIST_ENTRIES", 1000)
    for number in range(1203):
        (sandbox / f"{number:05}{'x' * 100}").touch()

    found = list(answer(job, "ls"))

    entries = [entry["name"] for type_, payload in found if type_ == frames.RECORD for entry in payload["entries"]]
    assert entries == sorted(os.listdir(sandbox))[:1000]
    assert len(found) > 2
    assert found[-1] == (frames.NOTE, {"kind": "more", "entries": 204})


def test_an_empty_directory_is_a_listing_of_nothing(job: Job, sandbox: Path) -> None:
    (sandbox / "empty").mkdir()

    assert record(job, "ls", path="empty") == {"path": "empty", "entries": []}


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="only a tmpfs has such files, and /dev/shm is missing")
def test_a_file_larger_than_the_wire_can_count_is_listed() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, a_yard(Path(folder)) as yard:
        job = yard.start(["sleep", "300"])
        vast = Path(job.sandbox_path, "vast")
        vast.touch()
        os.truncate(vast, 2**62)

        sizes = {entry["name"]: entry["size"] for entry in record(job, "ls")["entries"]}

    assert sizes["vast"] == limits.INTEGER


def test_no_descriptor_is_left_open(job: Job, sandbox: Path) -> None:
    (sandbox / "deep").mkdir()
    (sandbox / "deep" / "file").write_bytes(b"x\n" * 100_000)
    (sandbox / "loop").symlink_to("loop")
    before = os.listdir("/proc/self/fd")

    for verb, path in [("cat", "deep/file"), ("tail", "deep/../deep/file"), ("head", "deep/file")]:
        data(job, verb, file=path)
        unfinished = answer(job, verb, file=path, lines=99_999) if verb != "cat" else answer(job, verb, file=path)
        next(unfinished)
        unfinished.close()  # type: ignore[attr-defined]
    for path in ("loop", "deep/none", "../x", "deep"):
        code_of(job, "cat", file=path)
    record(job, "ls", path="deep")

    assert os.listdir("/proc/self/fd") == before
