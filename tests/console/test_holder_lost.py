"""A connection holder that is killed or hangs stops no command; and who leaves it takes its child along."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from jobmon_wire import frames
from tests.console.holders import PATIENCE, PS, Person, asked, is_gone, wait_for


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
        assert go_on.wait(4 * PATIENCE)  # longer than anybody waits for what is to come before
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
        assert command.stdout is not None
        assert command.stdout.readline() == "half of it\n"  # from now on it only waits
        (child,) = children(holder)
        command.send_signal(number)
        status = command.wait(PATIENCE)
        wait_for(lambda: is_gone(child))
    go_on.set()

    assert status == (130 if number == signal.SIGINT else -signal.SIGKILL)
    fake.answer("4711", PS)
    assert "train" in person.run("ps", "4711")[1], "and the holder goes on"
    assert not is_gone(holder)
