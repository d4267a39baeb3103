"""No file outside a job's directory is read, however the job changes its directories meanwhile.

The races are run against a reader that checks the path and then opens it as
well: it must leak, or the race is none and the test proves nothing.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobmon_agent import sandbox
from jobmon_agent.job import Job, VerbFailure
from jobmon_wire.credential import TITLE
from tests.agent.trees import Yard, a_yard, answer, data

TRIES = 20_000  # of each reader; the naive one leaks in 2 to 7 of 100
SECONDS = 12.0  # at most, on a busy machine

# Exchanges two names as fast as it can until it is killed.
SWAPPER = """
import ctypes, os, sys
library = ctypes.CDLL(None)
here, there = (os.fsencode(path) for path in sys.argv[1:])
print("ready", flush=True)
while True:
    library.syscall(316 if os.uname().machine == "x86_64" else 276, -100, here, -100, there, 2)
"""


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """Where jobs are started; whatever of them is left is killed after the test."""
    with a_yard(tmp_path) as jobs:
        yield jobs


@pytest.fixture
def job(yard: Yard, tmp_path: Path) -> Job:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("secret")
    job = yard.start(["sleep", "300"])
    Path(job.sandbox_path, "dir").mkdir()
    Path(job.sandbox_path, "dir", "file").write_text("public")
    return job


@pytest.fixture
def inside(job: Job) -> Path:
    return Path(job.sandbox_path)


def naive(job: Job, path: str) -> bytes:
    """What must not be done: check the path, then open it."""
    whole = os.path.realpath(os.path.join(job.sandbox_path, path))
    if os.path.commonpath([whole, job.sandbox_path]) != job.sandbox_path:
        return b""
    with open(os.path.join(job.sandbox_path, path), "rb") as file:
        return file.read()


def confined(job: Job, path: str) -> bytes:
    descriptor = sandbox.open_file(job, path)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def outcomes(reader: Callable[[Job, str], bytes], job: Job, enough: int = TRIES) -> dict[bytes, int]:
    """How often each content was read; stops when the secret was read ``enough`` times."""
    found = {b"public": 0, b"secret": 0, b"": 0}
    end = time.monotonic() + SECONDS
    for _ in range(TRIES):
        try:
            found[reader(job, "dir/file")] += 1
        except (OSError, VerbFailure):
            found[b""] += 1
        if found[b"secret"] >= enough or time.monotonic() > end:
            break
    return found


@pytest.mark.parametrize("what", ["dir", "dir/file"], ids=["directory", "file"])
def test_a_link_exchanged_for_a_directory_or_file_leads_nowhere(
    job: Job, inside: Path, tmp_path: Path, what: str
) -> None:
    (inside / "trap").symlink_to(tmp_path / "outside" / what[4:])
    before = len(os.listdir("/proc/self/fd"))
    swapper = [sys.executable, "-I", "-S", "-c", SWAPPER, str(inside / what), str(inside / "trap")]
    with subprocess.Popen(swapper, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            control = outcomes(naive, job, enough=5)
            found = outcomes(confined, job)
        finally:
            process.kill()

    assert control[b"secret"] > 0, "the race was never lost: it proves nothing"
    assert found[b"secret"] == 0
    assert found[b"public"] > 1000
    assert found[b""] > 1000
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("..", "outside-sandbox"),
        ("../outside/file", "outside-sandbox"),
        ("dir/../../outside/file", "outside-sandbox"),
        ("./dir/./../..//outside/file", "outside-sandbox"),
        ("/etc/passwd", "outside-sandbox"),
        ("/", "outside-sandbox"),
        ("//etc/passwd", "outside-sandbox"),
        ("/proc/self/environ", "outside-sandbox"),
        ("/proc/self/root/etc/passwd", "outside-sandbox"),
        ("{sandbox}/../outside/file", "outside-sandbox"),
        ("{sandbox}x/file", "outside-sandbox"),
        ("{sandbox}", "not-a-file"),
        ("to-parent/outside/file", "outside-sandbox"),
        ("to-outside", "outside-sandbox"),
        ("to-root/etc/passwd", "outside-sandbox"),
        ("to-proc/self/environ", "outside-sandbox"),
        ("chain", "outside-sandbox"),
        ("loop", "file-refused"),
        ("links-0", "file-refused"),
        ("dangling", "no-such-file"),
        ("none", "no-such-file"),
        ("dir/file/x", "no-such-file"),
        ("dir/file/..", "not-a-file"),
        ("x" * 256, "no-such-file"),
        ("x/" * 2000, "no-such-file"),
        ("nul\0", "no-such-file"),
        (chr(0xD800), "no-such-file"),
        ("\udcff", "no-such-file"),
        ("deep", "file-refused"),
        ("fifo", "not-a-file"),
        ("socket", "not-a-file"),
        ("dir", "not-a-file"),
        (".", "not-a-file"),
        ("", "not-a-file"),
    ],
)
def test_no_path_leads_out(job: Job, inside: Path, path: str, code: str) -> None:
    make_traps(inside)
    path = path.replace("{sandbox}", job.sandbox_path)

    with pytest.raises(VerbFailure) as failure:
        confined(job, "d/" * 300 if path == "deep" else path)

    assert failure.value.code == code
    assert "secret" not in failure.value.message
    assert len(failure.value.message) < 400


def make_traps(inside: Path) -> None:
    links = {
        "to-parent": "..",
        "to-outside": "../outside/file",
        "to-root": "/",
        "to-proc": "/proc",
        "loop": "loop",
        "dangling": "none",
        "chain": "dir/further",
        "dir/further": "../to-outside",
    }
    links.update({f"links-{number}": f"links-{number + 1}" for number in range(41)})
    for name, target in links.items():
        (inside / name).symlink_to(target)
    (inside / "links-41").write_text("too far")
    os.mkfifo(inside / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(inside, os.O_PATH)
        listener.bind(f"/proc/self/fd/{here}/socket")  # a path of a socket is short
        os.close(here)
    deep = os.open(inside, os.O_RDONLY)
    for _ in range(300):  # by descriptors: the path is longer than the kernel takes
        os.mkdir("d", dir_fd=deep)
        deeper = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = deeper
    os.close(deep)


@pytest.mark.parametrize(
    "path",
    [
        "dir/file",
        "./dir//file",
        "dir/../dir/file",
        "{sandbox}/dir/file",
        "relative",
        "absolute",
        "up-and-down",
        "directory/file",
        "forty-0",
        "dir/file/",
    ],
)
def test_links_and_paths_that_stay_inside_are_followed(job: Job, inside: Path, path: str) -> None:
    (inside / "relative").symlink_to("dir/file")
    (inside / "absolute").symlink_to(inside / "dir" / "file")
    (inside / "up-and-down").symlink_to("dir/../dir/./file")
    (inside / "directory").symlink_to("dir")
    for number in range(sandbox.LINKS):
        (inside / f"forty-{number}").symlink_to(f"forty-{number + 1}" if number < sandbox.LINKS - 1 else "dir/file")

    assert confined(job, path.replace("{sandbox}", job.sandbox_path)) == b"public"


def test_every_verb_that_reads_is_confined(job: Job, inside: Path) -> None:
    (inside / "link").symlink_to("../outside/file")
    (inside / "folder").symlink_to("../outside")

    for verb, name in [("cat", "file"), ("head", "file"), ("tail", "file"), ("ls", "path")]:
        for path in ("link", "folder", "folder/file", "../outside/file", "/etc"):
            with pytest.raises(VerbFailure) as failure:
                list(answer(job, verb, **{name: path}))
            assert failure.value.code == "outside-sandbox"
    with pytest.raises(VerbFailure):
        list(answer(job, "tail", file="link", follow=True))


def test_a_follower_does_not_turn_to_a_link_that_leads_out(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("secret")
    job = yard.start("sleep 0.5")
    log = Path(job.sandbox_path, "log")
    log.write_text("mine\n")
    found = answer(job, "tail", file="log", follow=True)
    first = next(found)

    log.unlink()
    log.symlink_to("../outside/file")
    yard.reap(job)
    rest = list(found)

    assert first[1] == b"mine\n"
    assert [payload["kind"] for _, payload in rest] == ["ended"]


def test_a_file_system_mounted_inside_is_refused(job: Job, inside: Path) -> None:
    (inside / "mounted").mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "none", str(inside / "mounted")], capture_output=True)
    if mount.returncode:
        pytest.skip("mounting needs root")
    try:
        (inside / "mounted" / "file").write_text("elsewhere")

        for path in ("mounted/file", "mounted"):
            with pytest.raises(VerbFailure) as failure:
                list(answer(job, "ls", path=path))
            assert failure.value.code == "outside-sandbox"
    finally:
        subprocess.run(["umount", str(inside / "mounted")], check=True)


def test_the_sandbox_stays_the_same_directory_when_its_name_is_given_to_another(
    job: Job, inside: Path, tmp_path: Path
) -> None:
    inside.rename(tmp_path / "moved")
    inside.symlink_to(tmp_path / "outside")

    with pytest.raises(VerbFailure):
        data(job, "cat", file="file")
    assert data(job, "cat", file="dir/file") == b"public"

    inside.unlink()
    (tmp_path / "moved").rename(inside)


@pytest.mark.parametrize("verb", ["cat", "head", "tail"])
def test_a_credential_in_the_sandbox_is_not_shown_under_any_name(job: Job, inside: Path, verb: str) -> None:
    """An administrator may read a job's files, and must not become its owner by that."""
    (inside / "notes.txt").write_text(TITLE + "\nServer: https://head:8443\n")
    (inside / "control.txt").write_text("about " + TITLE)

    with pytest.raises(VerbFailure, match="is a credential") as caught:
        list(data(job, verb, file="notes.txt"))

    assert caught.value.code == "file-refused"
    assert data(job, verb, file="control.txt").startswith(b"about")
