"""A passphrase is typed without its being seen, and the terminal shows again what is typed however that ends."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from jobmon_console import prompt
from tests.console.prompts import PATIENCE, own_terminal, read_until

QUESTION = "Passphrase: "
PROGRAM = f"from jobmon_console.prompt import ask_unseen; print('it was', ask_unseen({QUESTION!r}))"


class Terminal(NamedTuple):
    """Both ends of a terminal, as descriptors."""

    person: int
    program: int

    @property
    def shows(self) -> bool:
        """What is typed is seen."""
        return bool(termios.tcgetattr(self.program)[3] & termios.ECHO)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal(*pty.openpty())
    yield made
    os.close(made.person)
    os.close(made.program)


@pytest.fixture
def asking(terminal: Terminal) -> Iterator[Any]:
    """A program that has asked; its errors are kept elsewhere."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=terminal.program,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=own_terminal,
    ) as program:
        read_until(terminal.person, QUESTION.encode())
        yield program
        program.kill()


def test_what_is_typed_is_not_seen_and_taken_whole(terminal: Terminal, asking: Any) -> None:
    assert not terminal.shows
    os.write(terminal.person, b" open sesame \n")

    assert asking.communicate(timeout=PATIENCE) == (b"it was  open sesame \n", b"")
    assert read_until(terminal.person, b"\n") == b"\r\n"
    assert terminal.shows


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_is_ended_while_it_asks_leaves_a_terminal_that_shows(
    terminal: Terminal, asking: Any, number: signal.Signals
) -> None:
    assert not terminal.shows
    asking.send_signal(number)

    asking.communicate(timeout=PATIENCE)
    assert asking.returncode == -number
    assert terminal.shows


def test_a_program_that_goes_on_after_a_stop_asks_again_unseen(terminal: Terminal, asking: Any) -> None:
    asking.send_signal(signal.SIGTSTP)  # the system has nobody stopped whom no shell could have go on

    read_until(terminal.person, QUESTION.encode())
    assert not terminal.shows
    os.write(terminal.person, b"sesame\n")
    assert asking.communicate(timeout=PATIENCE) == (b"it was sesame\n", b"")


def test_an_interrupt_just_before_a_passphrase_is_awaited_is_not_lost(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_wakeup_fd, wait = signal.set_wakeup_fd, select.select

    def interrupted(descriptor: int) -> int:
        before = set_wakeup_fd(descriptor)
        if descriptor >= 0:
            os.write(descriptor, bytes([signal.SIGINT]))  # as C's handler does, which Python has not looked at yet
        return before

    def patient(reading: list[Any], *others: Any) -> Any:
        if reading[1] in wait(reading, *others, PATIENCE)[0]:
            raise KeyboardInterrupt
        return reading, [], []

    def told(text: str) -> None:
        os.write(terminal.person, b"too late\n")  # who does not wait for both goes on with this

    with open(terminal.program, closefd=False) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr(signal, "set_wakeup_fd", interrupted)
        monkeypatch.setattr(select, "select", patient)
        monkeypatch.setattr(prompt, "_tell", told)
        with pytest.raises(KeyboardInterrupt):
            prompt.ask_unseen(QUESTION)
    assert terminal.shows
