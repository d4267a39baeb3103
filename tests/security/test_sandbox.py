"""No file outside a job's directory is read, however the job changes its directories meanwhile.

The races are run against a reader that checks the path and then opens it as
well: it must leak, or the race is none and the test proves nothing.
"""

import contextlib
import os
import re
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent import sandbox
from jobmon_agent.job import Job, VerbFailure
from jobmon_wire import frames
from jobmon_wire.credential import TITLE
from tests.agent.trees import Yard, a_yard, answer, data
from tests.pythons import PYTHONS, Python
from tests.security import hung, races
from tests.security.asking import ask_in

VERSIONS = [python.version for python in PYTHONS]
OWN = ("/proc/", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group")  # of the agent and of the C library
LOOKING = re.compile(r"AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH")


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


def confined(job: Job, path: str) -> bytes:
    descriptor = sandbox.open_file(job, path)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


@pytest.mark.promise(40)
@pytest.mark.parametrize("part", races.PARTS, ids=["directory", "file"])
@pytest.mark.parametrize("python", PYTHONS, ids=VERSIONS)
def test_no_read_ends_outside_while_parts_of_the_path_are_exchanged(python: Python, part: str, tmp_path: Path) -> None:
    tries = races.TRIES // len(PYTHONS)  # tests/soak has all of them on each Python

    outcome = races.race(python, tmp_path, part, tries)

    races.assert_nothing_leaked(outcome, tries)


# A path, the outcome of reading it, and of listing it where that is another.
ASTRAY = [
    ("..", "outside-sandbox", ""),
    ("../", "outside-sandbox", ""),
    ("../outside/file", "outside-sandbox", ""),
    ("../outside/*", "outside-sandbox", ""),
    ("../*", "outside-sandbox", ""),
    ("../inside/dir/file", "outside-sandbox", ""),
    ("dir/../../outside/file", "outside-sandbox", ""),
    ("./dir/./../..//outside/file", "outside-sandbox", ""),
    ("d*/../../outside/file", "no-such-file", ""),
    ("dir/../..", "outside-sandbox", ""),
    ("/", "outside-sandbox", ""),
    ("//", "outside-sandbox", ""),
    ("/*", "outside-sandbox", ""),
    ("/etc", "outside-sandbox", ""),
    ("/etc/passwd", "outside-sandbox", ""),
    ("//etc/passwd", "outside-sandbox", ""),
    ("/etc/pass*", "outside-sandbox", ""),
    ("/etc/shadow", "outside-sandbox", ""),
    ("/dev/zero", "outside-sandbox", ""),
    ("/dev/stdin", "outside-sandbox", ""),
    ("/dev/fd/0", "outside-sandbox", ""),
    ("/proc/self/environ", "outside-sandbox", ""),
    ("/proc/self/mem", "outside-sandbox", ""),
    ("/proc/self/root/etc/passwd", "outside-sandbox", ""),
    ("/proc/self/cwd/file", "outside-sandbox", ""),
    ("/proc/self/fd/0", "outside-sandbox", ""),
    ("/proc/1/environ", "outside-sandbox", ""),
    ("/sys/kernel/version", "outside-sandbox", ""),
    ("{sandbox}/..", "outside-sandbox", ""),
    ("{sandbox}/../outside/file", "outside-sandbox", ""),
    ("{sandbox}/../outside/*", "outside-sandbox", ""),
    ("{sandbox}x/file", "outside-sandbox", ""),
    ("{sandbox}/to-outside", "outside-sandbox", ""),
    ("to-parent", "outside-sandbox", ""),
    ("to-parent/outside/file", "outside-sandbox", ""),
    ("to-par*/outside/file", "no-such-file", ""),
    ("to-parent/*", "outside-sandbox", ""),
    ("to-outside", "outside-sandbox", ""),
    ("to-outsid?", "outside-sandbox", "done"),  # a pattern lists the link itself
    ("to-root/etc/passwd", "outside-sandbox", ""),
    ("to-root/etc/passw[d]", "outside-sandbox", ""),
    ("to-proc/self/environ", "outside-sandbox", ""),
    ("to-magic", "outside-sandbox", ""),
    ("to-magic/etc/passwd", "outside-sandbox", ""),
    ("to-descriptor", "outside-sandbox", ""),
    ("chain", "outside-sandbox", ""),
    ("dir/further", "outside-sandbox", ""),
    ("**/further", "outside-sandbox", "done"),
    ("loop", "file-refused", ""),
    ("loop/file", "file-refused", ""),
    ("ping", "file-refused", ""),
    ("links-0", "file-refused", ""),
    (".d/" + "d/" * 299, "file-refused", ""),
    ("dangling", "no-such-file", ""),
    ("dangling/file", "no-such-file", ""),
    ("none", "no-such-file", ""),
    ("none/..", "no-such-file", ""),
    ("none*", "no-such-file", ""),
    ("**/none", "no-such-file", ""),
    ("dir/file/x", "no-such-file", ""),
    ("dir/file/*", "no-such-file", ""),
    ("x" * 256, "no-such-file", ""),
    ("x/" * 2000, "no-such-file", ""),
    ("\u00e9" * 4000, "no-such-file", ""),
    ("*" * 4000 + "none", "no-such-file", ""),
    ("*/" * 2000, "no-such-file", ""),
    ("[" * 4000, "no-such-file", ""),
    (chr(0xD800), "no-such-file", ""),
    ("\udcff", "no-such-file", ""),
    ("\n\x1b[2J", "no-such-file", ""),
    ("x" * 5000, "bad-request", ""),
    ("nul\0", "bad-request", ""),
    ("", "bad-request", ""),
    ("dir/file/..", "not-a-file", "done"),
    ("{sandbox}", "not-a-file", "done"),
    (".", "not-a-file", "done"),
    ("dir", "not-a-file", "done"),
    ("di?", "not-a-file", "done"),
    ("fifo", "not-a-file", "done"),
    ("f?fo", "not-a-file", "done"),
    ("to-fifo", "not-a-file", "done"),
    ("socket", "not-a-file", "done"),
    ("zero", "not-a-file", "done"),
    ("block", "not-a-file", "done"),
]
READING: list[tuple[str, dict[str, Any]]] = [
    ("cat", {}),
    ("cat", {"offset": 5, "length": 5}),
    ("head", {}),
    ("head", {"bytes": 5}),
    ("tail", {}),
    ("tail", {"bytes": 5}),
]


@pytest.mark.promise(40)
@pytest.mark.parametrize("python", PYTHONS, ids=VERSIONS)
def test_no_path_leads_out_and_nothing_but_files_and_directories_is_opened(
    python: Python, job: Job, inside: Path, tmp_path: Path
) -> None:
    make_traps(inside)
    asked, wanted = [], []
    for path, code, listed in ASTRAY:
        path = path.replace("{sandbox}", job.sandbox_path)
        for verb, arguments in READING:
            asked.append((verb, {"file": path, **arguments}))
            wanted.append(code)
        asked.append(("ls", {"path": path}))
        wanted.append(listed or code)

    outcomes, calls = ask_in(python, inside, asked, tmp_path / "trace")

    assert len(ASTRAY) >= 60
    for question, outcome, code in zip(asked, outcomes, wanted, strict=True):
        what = f"{question[0]} {str(question[1])[:200]}: {outcome.message}"
        assert outcome.code == code, what
        assert outcome.length == 0, what
        assert outcome.seconds < 1, what
        assert "secret" not in outcome.message, what
        assert len(outcome.message) < 400, what
    if calls is None:
        pytest.skip("strace is missing or may not trace here: what is opened was not looked at")
    assert_only_what_may_be_is_opened(calls, inside)


def assert_only_what_may_be_is_opened(calls: list[str], inside: Path) -> None:
    """Names one at a time and by O_PATH; for reading only what is a file or a directory of the sandbox."""
    opened = set()
    for call in calls:
        path = re.search(r'\((?:AT_FDCWD<[^>]*>|\d+<[^>]*>)?(?:, )?"((?:[^"\\]|\\.)*)"', call)
        assert path, call
        name = path[1]
        if name.startswith(OWN):
            found = re.search(r"= \d+<(.*)>$", call)
            if found and "O_PATH" not in call and not found[1].startswith(OWN):
                opened.add(found[1].replace("(deleted)", ""))
            continue
        assert "/" not in name, call
        assert name != "..", call
        assert "/outside" not in call.split('"')[0], call
        assert "O_PATH" in call or call.split()[1].startswith("readlinkat(") or LOOKING.search(call), call
    assert opened, "nothing was opened: the trace shows nothing"
    for each in opened:
        status = os.lstat(each)
        assert stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode), each
        assert Path(each) == inside or inside in Path(each).parents, each


def make_traps(inside: Path) -> None:
    links = {
        "to-parent": "..",
        "to-outside": "../outside/file",
        "to-root": "/",
        "to-proc": "/proc",
        "loop": "loop",
        "dangling": "none",
        "to-magic": "/proc/self/root",
        "to-descriptor": "/proc/self/fd/0",
        "to-fifo": "fifo",
        "ping": "pong",
        "pong": "ping",
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
    for name, kind, number in (("zero", stat.S_IFCHR, (1, 5)), ("block", stat.S_IFBLK, (7, 0))):
        try:
            os.mknod(inside / name, kind | 0o666, os.makedev(*number))
        except PermissionError:  # without root, another pipe stands in for the device
            os.mkfifo(inside / name)
    deep = os.open(inside, os.O_RDONLY)
    for name in [".d"] + ["d"] * 299:
        os.mkdir(name, dir_fd=deep)
        deeper = os.open(name, os.O_RDONLY, dir_fd=deep)
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
    _, first = next(found), next(found)

    log.unlink()
    log.symlink_to("../outside/file")
    yard.reap(job)
    rest = list(found)

    assert first[1] == b"mine\n"
    assert [payload["kind"] for _, payload in rest] == ["unlinked", "ended"]


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


CREDENTIAL = TITLE + "\nServer: https://head:8443\nsecret\n"


@pytest.mark.parametrize("verb", ["cat", "head", "tail"])
def test_a_credential_in_the_sandbox_is_not_shown_under_any_name(job: Job, inside: Path, verb: str) -> None:
    """An administrator may read a job's files, and must not become its owner by that."""
    (inside / "notes.txt").write_text(CREDENTIAL)
    (inside / "linked").hardlink_to(inside / "notes.txt")
    (inside / "link").symlink_to("notes.txt")
    (inside / "control.txt").write_text("about " + TITLE)
    ranges = [{"offset": 1}, {"offset": len(TITLE), "length": 20}] if verb == "cat" else [{"bytes": 10}, {"lines": 1}]

    for file in ("notes.txt", "linked", "link", "note[s].txt", "d?r/../linke?", "**/notes.*"):
        for arguments in [{}, *ranges]:
            with pytest.raises(VerbFailure, match="is a credential") as caught:
                list(data(job, verb, file=file, **arguments))
            assert caught.value.code == "file-refused"

    several = list(answer_until_refused(job, verb, file="*"))
    assert data(job, verb, file="control.txt") == b"about " + TITLE.encode()
    assert b"secret" not in b"".join(payload for type_, payload in several if type_ == frames.DATA)
    assert [payload["code"] for _, payload in several if _ == frames.NOTE and payload["kind"] == "refused"].count(
        "file-refused"
    ) == 3


def answer_until_refused(job: Job, verb: str, **arguments: Any) -> Iterator[tuple[int, Any]]:
    with contextlib.suppress(VerbFailure):
        yield from answer(job, verb, **arguments)


@pytest.mark.parametrize("python", PYTHONS, ids=VERSIONS)
def test_what_the_job_may_not_read_is_refused_and_listed_without_its_facts(
    python: Python, job: Job, inside: Path
) -> None:
    if os.geteuid():
        pytest.skip("making files of another user needs root")
    (inside / "mine").write_text("secret")
    (inside / "mine").chmod(0o600)
    (inside / "linked").hardlink_to(inside / "mine")
    for name, mode in (("closed", 0o700), ("names", 0o744)):
        (inside / name).mkdir()
        (inside / name / "file").write_text("secret")
        (inside / name).chmod(mode)
    asked = [
        *((verb, {"file": file}) for verb in ("cat", "head", "tail") for file in ("mine", "linked", "closed/file")),
        ("ls", {"path": "closed"}),
        ("ls", {"path": "closed/*"}),
        ("ls", {"path": "mine"}),
        ("ls", {"path": "names"}),
    ]
    for directory in (inside, inside.parent, *inside.parents):
        if str(directory).startswith(tempfile.gettempdir() + "/"):
            directory.chmod(0o755)

    outcomes, _ = ask_in(python, inside, asked, AS_NOBODY="1")

    assert [outcome.code for outcome in outcomes] == ["file-refused"] * 11 + ["done"] * 2
    assert [outcome.length for outcome in outcomes] == [0] * 13
    assert [outcome.names for outcome in outcomes[-2:]] == [["mine"], ["file"]]


@pytest.mark.parametrize("source", ["outside", "inside"])
@pytest.mark.parametrize("python", PYTHONS, ids=VERSIONS)
def test_a_directory_bound_into_the_sandbox_is_refused(
    python: Python, source: str, job: Job, inside: Path, tmp_path: Path
) -> None:
    """It has the device of the sandbox: only the kernel's number of the mount tells it apart."""
    (inside / "bound").mkdir()
    (inside / "bound-file").touch()
    bound = tmp_path / "outside" if source == "outside" else inside / "dir"
    asked = [
        *((verb, {"file": file}) for verb in ("cat", "tail") for file in ("bound/file", "bound-file", "boun[d]/file")),
        *(("ls", {"path": path}) for path in ("bound", "bound/file", "bound/../bound/file")),
        ("ls", {"path": "."}),
        ("cat", {"file": "dir/file"}),
    ]
    mount = f"mount --bind {bound} {inside}/bound && mount --bind {bound}/file {inside}/bound-file"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("a mount namespace of one's own needs root")

    outcomes, _ = ask_in(python, inside, asked, prefix=["unshare", "-m", "sh", "-c", mount + ' && exec "$@"', "sh"])

    patterns = (2, 5)  # a pattern does not match what it cannot reach
    assert [outcomes[at].code for at in patterns] == ["no-such-file"] * 2
    assert {outcome.code for at, outcome in enumerate(outcomes[:9]) if at not in patterns} == {"outside-sandbox"}
    assert [outcome.code for outcome in outcomes[9:]] == ["done"] * 2
    assert {"bound", "bound-file"} < set(outcomes[9].names)


@pytest.mark.parametrize("python", PYTHONS, ids=VERSIONS)
def test_a_file_system_that_hangs_in_the_sandbox_holds_up_nobody(python: Python, job: Job, inside: Path) -> None:
    (inside / "hung").mkdir()
    with hung.file_system(inside / "hung") as server:
        outcomes, _ = ask_in(
            python,
            inside,
            [
                ("ls", {"path": "."}),
                ("ls", {"path": "hung"}),
                ("ls", {"path": "**/file"}),
                ("cat", {"file": "hung/file"}),
                ("tail", {"file": "hung/file"}),
            ],
        )

        assert not server.was_asked()

    assert [outcome.code for outcome in outcomes] == ["done", "outside-sandbox", "done"] + ["outside-sandbox"] * 2
    assert "hung" in outcomes[0].names
    assert outcomes[2].names == ["dir/file"]
    assert max(outcome.seconds for outcome in outcomes) < 1
