"""The connection holder: for its user and context alone, never in the way, gone when what it holds is no good.

Each command is a process of its own, as a person starts it; the server is the
fake one, over real TLS.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from jobmon_console import holding
from jobmon_console.contexts import Context
from jobmon_wire import frames
from jobmon_wire.credential import Credential
from tests.console.prompts import answer_prompt

PATIENCE = 15.0  # s
FRONT = (sys.executable, "-c", "import sys; from jobmon_console.front import main; sys.exit(main())")
SCRIPT = Path(__file__).parents[2] / "console" / "jobmon"
PEER = {"name": "alice", "role": "owner", "cluster": "caf"}
PS = (frames.RECORD, {"processes": [{"pid": 4711, "ppid": 1, "user": "alice", "command": "train"}]})


class Person:
    """Somebody at a shell: starts commands, and has holders afterwards.

    Attributes:
        environ: of the commands.
        directory: where the holders' sockets are.
    """

    def __init__(self, tmp_path: Path, runtime: Path, context: Context) -> None:
        self.runtime = runtime
        self.directory = self.runtime / "jobmon"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JOBMON_", "XDG_"))}
        self.environ = {
            **kept,
            "HOME": str(tmp_path),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "JOBMON_CONFIG": str(tmp_path / "config.toml"),
            "JOBMON_CREDENTIAL": context.credential,
        }

    def begin(self, *words: str, **environ: str) -> "subprocess.Popen[str]":
        """Start ``jobmon WORDS``."""
        return subprocess.Popen(
            [*FRONT, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environ, **environ},
        )

    def run(self, *words: str, **environ: str) -> tuple[int, str, str]:
        """Run ``jobmon WORDS``; its exit status, output and errors."""
        with self.begin(*words, **environ) as process:
            out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    def sockets(self) -> list[Path]:
        """Where holders are, or were."""
        return sorted(self.directory.glob("*" + holding.SUFFIX))

    def holders(self) -> list[int]:
        """The holders' processes; their children apart."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                words = (path.parent / "cmdline").read_bytes().split(b"\0")
                is_child = int(path.read_text().rsplit(")", 1)[1].split()[1]) in found
                if any(word.startswith(os.fsencode(self.directory)) for word in words) and not is_child:
                    found.append(int(path.parent.name))
        return found

    def hold(self, *words: str, **environ: str) -> int:
        """Run a command that leaves a holder behind; its process, once it listens."""
        before = self.sockets()
        status, _, err = self.run(*(words or ("show", "4711")), **environ)
        assert status == 0, err
        wait_for(lambda: [path for path in self.sockets() if path not in before])
        return self.holders()[-1]


def wait_for(what: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)
    return found


def is_gone(pid: int) -> bool:
    """The process has ended; a zombie, which nobody may have reaped here, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture
def person(tmp_path: Path, fake: Any, context: Context) -> Iterator[Person]:
    fake.document("GET /v1/whoami", PEER)
    fake.document("GET /v1/jobs/4711", {"id": "4711", "owner": "alice"})
    fake.answer("4711", PS)
    runtime = Path(tempfile.mkdtemp(prefix="jobmon-run-"))  # a socket's name is short, pytest's directories are not
    person = Person(tmp_path, runtime, context)
    yield person
    shutil.rmtree(runtime)
    for pid in person.holders():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def asked(fake: Any, what: str) -> int:
    return sum(line.startswith(what) for line, _ in fake.asked)


# What it is for


def test_what_comes_through_the_holder_is_what_comes_without_over_one_connection(person: Person, fake: Any) -> None:
    cold = person.run("ps", "4711", JOBMON_HOLDER="off")
    person.hold()
    before = fake.connections

    held = [person.run("ps", "4711") for _ in range(2)]

    assert cold[0] == 0
    assert "train" in cold[1]
    assert held == [cold, cold]
    assert fake.connections == before, "the holder's one connection carries them all"


def test_a_refusal_has_the_same_words_and_status_and_the_holder_goes_on(person: Person, fake: Any) -> None:
    cold = person.run("ps", "nobody", JOBMON_HOLDER="off")
    person.hold()
    before = fake.connections

    assert person.run("ps", "nobody") == cold
    assert person.run("ps", "4711")[0] == 0
    assert (cold[0], fake.connections) == (3, before)


def test_environment_directory_and_streams_are_the_commands_own(person: Person, tmp_path: Path) -> None:
    person.hold()
    out = tmp_path / "out.txt"

    with out.open("wb") as file:
        done = subprocess.run(
            [*FRONT, "show", "4711", "--json"],
            stdout=file,
            stderr=subprocess.PIPE,
            env={**person.environ, "JOBMON_CREDENTIAL": "alice.jobmon"},
            cwd=tmp_path,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, b"")
    assert b'"id":"4711"' in out.read_bytes()


def test_two_commands_at_once_are_both_answered(person: Person, fake: Any) -> None:
    person.hold()
    before = fake.connections
    both = threading.Barrier(2)

    def wait() -> bytes:
        both.wait(PATIENCE)
        end = frames.write_object(frames.END, bytes(16), {"status": "done"})
        return frames.write_object(PS[0], bytes(16), PS[1]) + end

    fake.chunks("POST /v1/jobs/4711/query", wait)
    with person.begin("ps", "4711") as one, person.begin("ps", "4711") as other:
        outs = [process.communicate(timeout=PATIENCE)[0] for process in (one, other)]

    assert ["train" in out for out in outs] == [True, True]
    assert fake.connections == before + 1, "the second has a connection of its own"


def test_megabytes_come_byte_for_byte(person: Person, fake: Any) -> None:
    every = bytes(range(256)) * 64
    fake.answer("4711", *[(frames.DATA, every)] * 256)
    person.hold()
    before = fake.connections

    done = subprocess.run([*FRONT, "cat", "4711"], stdout=subprocess.PIPE, env=person.environ, check=True)

    assert done.stdout == every * 256
    assert fake.connections == before


def test_nothing_heavy_is_imported_on_the_way_to_the_holder(person: Person) -> None:
    person.hold()

    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", str(SCRIPT), "ps", "4711"],
        capture_output=True,
        text=True,
        env=person.environ,
        check=True,
    )

    assert "train" in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    own = {name for name in imported if name.startswith("jobmon_")}
    assert own == {"jobmon_console", "jobmon_console.front", "jobmon_console.holding"}
    # Python's own start and what site-packages add to it are not ours.
    bare = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", "-c", ""], capture_output=True, text=True, check=True
    )
    begun = {line.rsplit("|", 1)[-1].strip() for line in bare.stderr.splitlines()}
    assert imported - begun - own == {"_socket", "_blake2"}


# Whom it is for


def test_socket_and_directory_are_the_users_alone(person: Person) -> None:
    person.hold()

    (path,) = person.sockets()
    modes = [found.stat().st_mode & 0o777 for found in (person.directory, path)]
    assert modes == [0o700, 0o600]


def test_no_holder_is_started_where_others_may_look(person: Person) -> None:
    person.directory.mkdir(mode=0o755)

    assert person.run("show", "4711")[0] == 0

    assert (person.sockets(), person.holders()) == ([], [])


def test_a_holder_where_others_may_look_is_not_used(person: Person, fake: Any) -> None:
    person.hold()
    before = fake.connections
    person.directory.chmod(0o755)

    assert person.run("show", "4711")[0] == 0

    assert fake.connections == before + 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
@pytest.mark.parametrize(("user", "is_heard"), [(0, True), (65534, False)])
def test_another_user_is_not_heard(person: Person, user: int, is_heard: bool) -> None:
    person.hold()
    (path,) = person.sockets()
    for place in (*path.parents, path):
        if place.is_relative_to(person.runtime):
            place.chmod(0o777)  # what the directory's mode forbids is tried all the same
    program = (
        "import os, socket, sys\n"
        "os.setuid(int(sys.argv[2]))\n"
        "client = socket.socket(socket.AF_UNIX); client.settimeout(10); client.connect(sys.argv[1])\n"
        "try: print(client.recv(1))\n"
        "except ConnectionResetError: print(b'')\n"
    )

    found = subprocess.run(
        [sys.executable, "-c", program, str(path), str(user)],
        capture_output=True,
        text=True,
        env=person.environ,
        stdin=subprocess.DEVNULL,
        check=True,
    )

    assert found.stdout.splitlines()[-1] == repr(holding.TAKEN if is_heard else b"")


def test_contexts_have_holders_of_their_own(
    person: Person, fake: Any, other_fake: Any, credential_file: Callable[..., str]
) -> None:
    other_fake.document("GET /v1/whoami", PEER)
    other_fake.document("GET /v1/jobs/4711", {"id": "4711", "owner": "bob"})
    other = credential_file(other_fake.url, "other")
    person.hold()
    person.hold(JOBMON_CREDENTIAL=other)

    found = [
        person.run("show", "4711", JOBMON_CREDENTIAL=path)[1] for path in (other, person.environ["JOBMON_CREDENTIAL"])
    ]

    assert ["bob" in text for text in found] == [True, False]
    assert len(person.sockets()) == 2


def test_a_holder_found_under_anothers_name_carries_out_nothing(
    person: Person, fake: Any, other_fake: Any, credential_file: Callable[..., str]
) -> None:
    """Even if two contexts had one hash: the holder compares the context itself."""
    other_fake.document("GET /v1/whoami", PEER)
    other_fake.document("GET /v1/jobs/4711", {"id": "4711", "owner": "bob"})
    other = credential_file(other_fake.url, "other")
    person.hold()
    (ours,) = person.sockets()
    theirs = holding.socket_path(["show"], {**person.environ, "JOBMON_CREDENTIAL": other})
    os.link(ours, theirs)
    before = asked(fake, "GET /v1/jobs/4711")

    status, out, _ = person.run("show", "4711", JOBMON_CREDENTIAL=other)

    assert (status, "bob" in out) == (0, True)
    assert asked(fake, "GET /v1/jobs/4711") == before


def test_a_changed_choice_of_context_is_heeded_at_once(
    person: Person, fake: Any, other_fake: Any, credential_file: Callable[..., str]
) -> None:
    other_fake.document("GET /v1/whoami", PEER)
    other_fake.document("GET /v1/jobs/4711", {"id": "4711", "owner": "bob"})
    other = credential_file(other_fake.url, "other")
    del person.environ["JOBMON_CREDENTIAL"]
    config = Path(person.environ["JOBMON_CONFIG"])
    contexts = f'[context.one]\ncredential = "{config.parent}/alice.jobmon"\n[context.two]\ncredential = "{other}"\n'
    config.write_text('current = "one"\n' + contexts)
    config.chmod(0o600)
    holder = person.hold()

    config.write_text('current = "two"\n' + contexts)

    assert "bob" in person.run("show", "4711")[1]
    wait_for(lambda: is_gone(holder))


def test_a_holder_of_another_version_is_not_looked_for(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    person.hold()
    (path,) = person.sockets()
    assert holding.socket_path(["show", "4711"], person.environ) == str(path)

    monkeypatch.setattr(holding, "__version__", "0.0.9")

    assert holding.socket_path(["show", "4711"], person.environ) != str(path)


# What is not its affair


@pytest.mark.parametrize(
    "words",
    [["tail", "-f", "4711"], ["log", "--follow", "4711"], ["kill", "4711", "--yes"], ["top", "-n", "1", "4711"]],
)
def test_what_acts_or_goes_on_is_carried_out_by_the_command_itself(words: list[str]) -> None:
    assert not holding.is_held(words, {})
    assert holding.is_held(["tail", "4711"], {})


def test_there_is_none_where_the_sockets_name_would_be_too_long(person: Person, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir(mode=0o700)

    assert person.run("show", "4711", XDG_RUNTIME_DIR=str(deep))[0] == 0

    assert (list(deep.iterdir()), person.holders()) == ([], [])


def test_it_can_be_switched_off_by_variable_and_by_configuration(person: Person) -> None:
    assert person.run("show", "4711", JOBMON_HOLDER="off")[0] == 0
    config = Path(person.environ["JOBMON_CONFIG"])
    config.write_text("holder = false\n")
    config.chmod(0o600)
    assert person.run("show", "4711")[0] == 0

    assert (person.directory.exists(), person.holders()) == (False, [])


def test_a_command_that_failed_leaves_none_behind(person: Person) -> None:
    assert person.run("show", "nobody")[0] == 3

    assert person.holders() == []


# When it is over


def test_it_ends_when_the_credential_changes(person: Person, fake: Any) -> None:
    holder = person.hold()
    credential = Path(person.environ["JOBMON_CREDENTIAL"])
    before = fake.connections

    os.utime(credential)
    status, _, _ = person.run("show", "4711")

    assert (status, fake.connections > before) == (0, True), "the command read the credential itself"
    wait_for(lambda: is_gone(holder))


def test_it_ends_when_the_server_refuses_the_credential(person: Person, fake: Any) -> None:
    holder = person.hold()
    fake.refuse("GET /v1/jobs/4711", "credential-refused", "the certificate was revoked; get a new one")

    status, _, err = person.run("show", "4711")

    assert (status, "revoked" in err) == (7, True)
    wait_for(lambda: is_gone(holder))
    assert person.sockets() == []


def test_it_ends_when_the_server_ends_the_connection(person: Person, fake: Any) -> None:
    def answer_and_go(handler: Any) -> None:
        body = b'{"name":"alice"}'
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True  # without a word of it, as after a revocation

    fake.routes["GET /v1/whoami"] = answer_and_go

    assert person.run("show", "4711")[0] == 0

    (holder,) = wait_for(person.holders)
    wait_for(lambda: is_gone(holder))
    assert person.sockets() == []


def test_logout_ends_them_all_also_one_that_hangs(
    person: Person, fake: Any, credential_file: Callable[..., str]
) -> None:
    pids = [person.hold(), person.hold(JOBMON_CREDENTIAL=credential_file(fake.url, "second"))]
    os.kill(pids[0], signal.SIGSTOP)

    status, out, _ = person.run("logout")

    assert (status, out) == (0, "2 connection holders ended\n")
    assert person.sockets() == []
    for pid in pids:
        wait_for(lambda pid=pid: is_gone(pid))


# When it is killed, or hangs


def test_a_socket_that_nobody_listens_at_is_passed_over_and_replaced(person: Person) -> None:
    first = person.hold()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: is_gone(first))
    (stale,) = person.sockets()
    number = stale.stat().st_ino

    status, out, err = person.run("ps", "4711")

    assert (status, "train" in out, err) == (0, True, "")
    wait_for(lambda: stale.stat().st_ino != number)
    assert len(person.holders()) == 1


def test_a_holder_that_hangs_is_not_waited_for(person: Person) -> None:
    holder = person.hold()
    os.kill(holder, signal.SIGSTOP)

    status, out, err = person.run("ps", "4711")

    assert (status, "train" in out, err) == (0, True, "")


def midway(fake: Any, first: bytes) -> tuple[threading.Event, threading.Event]:
    """Have the next answer stop in the middle: events that it has, and that it may go on."""
    reached, go_on = threading.Event(), threading.Event()
    end = frames.write_object(frames.END, bytes(16), {"status": "done"})

    def rest() -> bytes:
        reached.set()
        assert go_on.wait(PATIENCE)
        return end

    fake.chunks("POST /v1/jobs/4711/query", first, rest)
    return reached, go_on


def test_killed_in_the_middle_of_an_answer_it_is_said_and_the_answer_is_asked_for_again(
    person: Person, fake: Any
) -> None:
    holder = person.hold()
    reached, go_on = midway(fake, frames.write_object(PS[0], bytes(16), PS[1]))

    with person.begin("ps", "4711") as command:
        assert reached.wait(PATIENCE)
        fake.answer("4711", PS)
        os.kill(holder, signal.SIGKILL)
        out, err = command.communicate(timeout=PATIENCE)
    go_on.set()

    assert (command.returncode, out.count("train")) == (0, 1)
    assert err == "jobmon: the connection that was held open broke off; asking again over a new one\n"
    assert asked(fake, "POST /v1/jobs/4711/query") == 2


def test_killed_after_something_was_printed_nothing_is_printed_twice(person: Person, fake: Any) -> None:
    holder = person.hold()
    reached, go_on = midway(fake, frames.write_frame(frames.DATA, bytes(16), b"half of it\n"))

    with person.begin("cat", "4711") as command:
        assert reached.wait(PATIENCE)
        assert command.stdout is not None
        assert command.stdout.readline() == "half of it\n"
        os.kill(holder, signal.SIGKILL)
        out, err = command.communicate(timeout=PATIENCE)
    go_on.set()

    assert (command.returncode, out) == (5, "")
    assert err == "jobmon: the connection that was held open broke off; ask again\n"


def test_killed_with_its_children_the_command_goes_on_by_itself(person: Person, fake: Any) -> None:
    holder = person.hold()
    reached, go_on = midway(fake, frames.write_object(PS[0], bytes(16), PS[1]))

    with person.begin("ps", "4711") as command:
        assert reached.wait(PATIENCE)
        fake.answer("4711", PS)
        os.killpg(holder, signal.SIGKILL)
        out, err = command.communicate(timeout=PATIENCE)
    go_on.set()

    assert (command.returncode, out.count("train")) == (0, 1)
    assert err == "jobmon: the connection holder was lost before it answered; going on without it\n"


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_who_leaves_takes_the_holders_child_along(person: Person, fake: Any, number: int) -> None:
    holder = person.hold()
    reached, go_on = midway(fake, frames.write_frame(frames.DATA, bytes(16), b"half of it\n"))

    with person.begin("cat", "4711") as command:
        assert reached.wait(PATIENCE)
        (child,) = children(holder)
        command.send_signal(number)
        status = command.wait(PATIENCE)
        wait_for(lambda: is_gone(child))
    go_on.set()

    assert status == (130 if number == signal.SIGINT else -signal.SIGKILL)
    fake.answer("4711", PS)
    assert "train" in person.run("ps", "4711")[1], "and the holder goes on"
    assert not is_gone(holder)


# The passphrase


@pytest.fixture
def locked(credential_file: Callable[..., str], fake: Any, alice: Credential) -> str:
    key = serialization.load_pem_private_key(alice.key.encode(), None)
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    return credential_file(fake.url, "locked", key=text.decode())


def test_a_passphrase_is_asked_once_and_held_by_the_holder_alone(person: Person, fake: Any, locked: str) -> None:
    environ = {**person.environ, "JOBMON_CREDENTIAL": locked}
    prompt = f"Passphrase of {locked}: ".encode()

    assert answer_prompt(["show", "4711"], environ, prompt, "open sesame\n", program=FRONT)[0] == 0
    wait_for(person.sockets)

    with person.begin("show", "4711", JOBMON_CREDENTIAL=locked) as second:
        out, err = second.communicate(timeout=PATIENCE)
    assert (second.returncode, "alice" in out, err) == (0, True, "")
    (holder,) = person.holders()
    said = Path(f"/proc/{holder}/cmdline").read_bytes() + Path(f"/proc/{holder}/environ").read_bytes()
    assert b"sesame" not in said
    assert "Max core file size        0 " in Path(f"/proc/{holder}/limits").read_text()

    person.run("logout")
    status, _, err = person.run("show", "4711", JOBMON_CREDENTIAL=locked)
    assert (status, "passphrase" in err) == (7, True)
