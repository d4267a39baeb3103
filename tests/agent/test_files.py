"""Files are read byte for byte, without end only as long as they have none, and listings are whole."""

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from jobmon_agent.job import Job, VerbFailure
from jobmon_wire import frames, limits
from tests.agent.trees import Yard, a_yard, answer, data, record


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


@pytest.mark.parametrize("offset", [0, 1, 65536, 149_999, 150_000, 10**9])
@pytest.mark.parametrize("length", [None, 0, 1, 65537, 150_000, 2**53])
def test_cat_gives_any_range(job: Job, sandbox: Path, offset: int, length: int | None) -> None:
    content = os.urandom(150_000)
    (sandbox / "file").write_bytes(content)
    end = len(content) if length is None else offset + length

    assert data(job, "cat", file="file", offset=offset, length=length) == content[offset:end]


def test_a_range_that_is_gone_when_it_is_read_is_said_to_be_cut(job: Job, sandbox: Path) -> None:
    (sandbox / "file").write_bytes(bytes(200_000))
    found = answer(job, "cat", file="file", offset=10)

    first = next(found)
    os.truncate(sandbox / "file", 70_000)
    rest = list(found)

    sent = len(first[1]) + sum(len(payload) for type_, payload in rest if type_ == frames.DATA)
    assert sent == 69_990
    assert rest[-1] == (frames.NOTE, {"kind": "cut", "bytes": sent, "size": 200_000})


def test_holes_are_given_as_the_zeros_they_are(job: Job, sandbox: Path) -> None:
    with open(sandbox / "sparse", "wb") as sparse:
        sparse.seek(2**20)
        sparse.write(b"end")
        sparse.truncate(2**21)

    assert data(job, "cat", file="sparse") == bytes(2**20) + b"end" + bytes(2**20 - 3)
    (entry,) = record(job, "ls", path="sparse")["entries"]
    assert entry["size"] == 2**21
    assert entry["allocated"] < 2**20


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

    (first, overlong), (_, hole) = found
    assert (first, overlong["kind"], overlong["bytes"]) == (frames.NOTE, "overlong", 10 * 2**30 - limits.TAIL_BYTES)
    assert (hole["kind"], hole["bytes"]) == ("hole", limits.TAIL_BYTES)


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
        "allocated": status.st_blocks * 512,
        "mode": 0o640,
        "links": 1,
        "owner": (sandbox / "file").owner(),
        "group": (sandbox / "file").group(),
        "target": None,
    }
    assert entries["link"]["target"] == "/etc/passwd"


def test_ls_of_a_file_lists_it_and_of_nothing_fails(job: Job, sandbox: Path) -> None:
    (sandbox / "deep").mkdir()
    (sandbox / "deep" / "file").write_bytes(b"x")

    alone = record(job, "ls", path="deep/file")
    within = record(job, "ls", path="deep")

    (entry,) = alone["entries"]
    assert (alone["path"], entry["name"], entry["kind"], entry["size"]) == (None, "deep/file", "file", 1)
    assert within == {"path": "deep", "entries": [dict(entry, name="file")]}
    assert code_of(job, "ls", path="deep/none") == "no-such-file"


def test_ls_lists_a_directory_itself_and_leaves_hidden_names_out(job: Job, sandbox: Path) -> None:
    (sandbox / "deep").mkdir()
    for name in (".hidden", "deep/.hidden", "deep/seen"):
        (sandbox / name).touch()
    (sandbox / "link").symlink_to("deep")
    (sandbox / "out").symlink_to("/etc")

    def names(path: str, **arguments: object) -> list[tuple[str, str]]:
        return [(entry["kind"], entry["name"]) for entry in record(job, "ls", path=path, **arguments)["entries"]]

    assert names("deep") == [("file", ".hidden"), ("file", "seen")]
    assert names("deep", hidden=False) == names("link", hidden=False) == [("file", "seen")]
    assert names("deep", directory=True) == [("directory", "deep")]
    assert names("deep/.hidden", hidden=False) == [("file", "deep/.hidden")]
    assert names(".", directory=True) == [("directory", ".")]
    assert names("link", directory=True) == [("link", "link")]
    assert names("out", directory=True) == [("link", "out")]
    assert code_of(job, "ls", path="out") == "outside-sandbox"


def test_ls_tells_the_longest_paths_and_targets(job: Job, sandbox: Path) -> None:
    directory, path = os.open(sandbox, os.O_RDONLY), ""
    for _ in range(15):
        part = "\udcff" * 255
        os.mkdir(part, dir_fd=directory)
        deeper = os.open(part, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory, path = deeper, path + part + "/"
    for number in range(9):
        os.symlink("\udcff" * 4095, f"{number}" + "\udcff" * 254, dir_fd=directory)
    os.close(directory)

    entries = [entry for type_, payload in answer(job, "ls", path=path) for entry in payload["entries"]]
    (entry,) = record(job, "ls", path=path + "0*")["entries"]

    assert [len(os.fsencode(entry["target"])) for entry in entries] == [4095] * 9
    assert entry["name"] == path + "0" + "\udcff" * 254


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
