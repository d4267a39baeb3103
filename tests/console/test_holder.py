"""A command through the connection holder is what it is without, with less to start; other commands it leaves alone.

The server is the fake one, over real TLS.
"""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from jobmon_console import holding
from jobmon_wire import frames
from tests.console.holders import FRONT, PATIENCE, PS, Person

SCRIPT = Path(__file__).parents[2] / "console" / "jobmon"


def test_what_comes_through_the_holder_is_what_comes_without_over_one_connection(person: Person, fake: Any) -> None:
    cold = person.run("ps", "4711", JOBMON_HOLDER="off")
    person.hold()
    before = fake.connections

    held = [person.run("ps", "4711") for _ in range(2)]

    assert cold[0] == 0
    assert "train" in cold[1]
    assert held == [cold, cold]
    assert fake.connections == before, "the holder's one connection carries them all"


# The command's process, as on a busy machine: when it goes on behind its request the answer is out, and all is over.
LATE = """
import _socket, select, sys
class Late(_socket.socket):
    def sendmsg(self, *said):
        sent, gone = super().sendmsg(*said), select.poll()
        gone.register(self.fileno(), select.POLLHUP)
        while not any(event & select.POLLHUP for _, event in gone.poll()):
            pass
        return sent
_socket.socket = Late
from jobmon_console.front import main
sys.exit(main())
"""


def test_a_command_that_is_slower_than_its_answer_does_not_ask_again(person: Person, fake: Any) -> None:
    person.hold()
    before = fake.connections

    status, out, err = person.run("ps", "4711", front=(sys.executable, "-c", LATE))

    assert (status, out.count("train"), err) == (0, 1, "")
    assert fake.connections == before


def test_a_refusal_has_the_same_words_and_status_and_the_holder_goes_on(person: Person, fake: Any) -> None:
    cold = person.run("ps", "nobody", JOBMON_HOLDER="off")
    person.hold()
    before = fake.connections

    assert person.run("ps", "nobody") == cold
    assert person.run("ps", "4711")[0] == 0
    assert (cold[0], fake.connections) == (3, before)


def test_environment_directory_and_streams_are_the_commands_own(
    person: Person, fake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    person.hold(JOBMON_CREDENTIAL="alice.jobmon")  # which means something in that directory alone
    before, out = fake.connections, tmp_path / "out.txt"

    with out.open("wb") as file:
        done = subprocess.run(
            [*FRONT, "show", "4711", "--json"],
            stdout=file,
            stderr=subprocess.PIPE,
            env={**person.environ, "JOBMON_CREDENTIAL": "alice.jobmon"},
            check=False,
        )

    assert (done.returncode, done.stderr, fake.connections) == (0, b"", before)
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
        try:
            outs = [process.communicate(timeout=PATIENCE)[0] for process in (one, other)]
        finally:  # a server that answers neither would have both wait for ever
            one.kill()
            other.kill()

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
