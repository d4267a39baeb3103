"""The console gives the terminal back, however it ends, says how it ended, and writes no more than it was asked to."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console.tui.hostile import leaked, seen

SCRIPT = """
import sys
import threading
from jobmon_console.appearance import Appearance
from jobmon_console.tui.app import Console
from jobmon_console.tui.farewell import Farewell
from jobmon_console.tui.filters import ControlFilter
from tests.console.tui.hostile import HostileSource, evil
words = sys.argv[1:]
if "careless" in words:  # the control: nobody makes text safe
    naive = lambda text, keep="", tabs=0: (text.encode("utf-8", "replace") if isinstance(text, str) else text).decode(
        "utf-8", "replace")
    safe = sys.modules["jobmon_console.safe"].safe
    for name, module in list(sys.modules.items()):
        if name.startswith("jobmon_console") and getattr(module, "safe", None) is safe:
            module.safe = naive
    ControlFilter.apply = lambda self, segments, background: segments
app = Console([("caf", HostileSource())], look=Appearance(is_ascii="ascii" in words))
if "crash" in words:
    app.jobs.do_wrap = lambda: 1 / 0
if "stuck" in words:
    app.jobs.do_wrap = lambda: threading.Event().wait()
app.farewell = Farewell()
app.run(mouse="no-mouse" not in words)
app.farewell.over()
sys.exit(app.return_code or 0)
"""
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"  # the alternate screen
MODES = {  # how a program takes what it must give back
    "the cursor": (b"\x1b[?25l", b"\x1b[?25h"),
    "the mouse": (b"\x1b[?1000h", b"\x1b[?1000l"),
    "the mouse's moves": (b"\x1b[?1003h", b"\x1b[?1003l"),
    "pasting": (b"\x1b[?2004h", b"\x1b[?2004l"),
    "the focus": (b"\x1b[?1004h", b"\x1b[?1004l"),
    "the screen": (ENTER, LEAVE),
}
# All that a terminal is sent besides text: cursor, erasing, colours, modes, questions about modes, the pointer's shape.
SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;]*[HJKABCDmq]|\[[?>=<]?[0-9;]*(?:\$p|[hluc])|[78=>]|\]22;[a-z-]*\x07)")
CLIPBOARD = re.compile(rb"\x1b\]52;c;[A-Za-z0-9+/=]*\x07")
COLOUR = re.compile(rb"\x1b\[(?:[0-9]*;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9]*)*m")
PATIENCE = 60.0  # s; an import of Textual on a busy machine takes several
STILL = 0.5  # s without a byte after which nothing more comes


def plain(written: bytes) -> str:
    """What was written as text, without sequences."""
    return SEQUENCE.sub(b"", written).decode("utf-8", "replace")


class Terminal:
    """A console on a terminal of its own.

    Attributes:
        written: everything that it wrote.
    """

    def __init__(self, *words: str, **environ: str) -> None:
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.written = b""
        whole = {name: text for name, text in os.environ.items() if name != "NO_COLOR"}
        whole |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "160", "LINES": "40", **environ}
        command = [sys.executable, "-c", SCRIPT, *words]
        if "below a shell" in words:
            command = ["sh", "-c", '"$@"; exit $?', "sh", *command]
        # A group of its own, as a shell does it: what stops it stops no test.
        where: dict[str, Any] = {"start_new_session": True} if "alone" in words else {"process_group": 0}
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=whole, **where)

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        os.close(self._theirs)
        os.close(self.ours)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.ours, keys)

    def until(self, is_there: Callable[[bytes], object]) -> None:
        """Read until a claim holds of what was written since the last call."""
        start, deadline = len(self.written), time.monotonic() + PATIENCE
        while not is_there(self.written[start:]) and time.monotonic() < deadline:
            self._read(0.05)
        assert is_there(self.written[start:]), self.written[start:][-2000:]

    def sees(self, text: str) -> None:
        """Read until a text is on the screen."""
        self.until(lambda written: text in plain(written))

    def end(self) -> int:
        """Its exit status, once it has ended and all it wrote has come."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.05)  # a terminal that nobody reads would hold it up
        while self._read(STILL):
            pass
        return self.process.wait(0)

    @property
    def modes(self) -> Any:
        """How the terminal's line is set."""
        return termios.tcgetattr(self._theirs)

    def set_line(self, modes: Any) -> None:
        """Set it, as a shell does."""
        termios.tcsetattr(self._theirs, termios.TCSANOW, modes)

    def _read(self, seconds: float) -> bool:
        if not select.select([self.ours], [], [], seconds)[0]:
            return False
        self.written += os.read(self.ours, 65536)
        return True


@pytest.fixture
def terminals() -> Iterator[Callable[..., Terminal]]:
    """Starts consoles; those that still run are ended."""
    begun: list[Terminal] = []

    def start(*words: str, **environ: str) -> Terminal:
        begun.append(Terminal(*words, **environ))
        return begun[-1]

    yield start
    for each in begun:
        each.close()


def assert_given_back(terminal: Terminal) -> None:
    """Every mode that was taken was given back last, and the line is set as it was."""
    taken = [name for name, (take, _) in MODES.items() if take in terminal.written]
    kept = [name for name in taken if terminal.written.rfind(MODES[name][0]) > terminal.written.rfind(MODES[name][1])]
    assert len(taken) >= 5
    assert kept == []
    assert terminal.modes == terminal.before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (None, 0)])
def test_the_terminal_is_given_back_and_the_exit_status_passed_on(
    terminals: Callable[..., Terminal], number: int | None, status: int
) -> None:
    terminal = terminals()
    terminal.sees(seen("stdout"))
    assert terminal.modes != terminal.before
    if number is None:
        terminal.type(b"\x11")  # ctrl+q
    else:
        terminal.process.send_signal(number)

    assert terminal.end() == status
    assert_given_back(terminal)
    behind = terminal.written.rpartition(LEAVE)[2]
    assert SEQUENCE.sub(b"", behind).strip() == b"", "nothing is written behind the screen"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_console_that_is_stuck_ends_all_the_same(terminals: Callable[..., Terminal], number: int) -> None:
    terminal = terminals("stuck")
    terminal.sees(seen("stdout"))
    terminal.type(b"w")
    while terminal._read(STILL):  # until the key was heard, and nothing is drawn any more
        pass

    terminal.process.send_signal(number)

    assert terminal.end() == 128 + number


def test_a_fault_of_the_console_gives_the_terminal_back_and_says_no_secret(terminals: Callable[..., Terminal]) -> None:
    terminal = terminals("crash")
    terminal.sees(seen("stdout"))
    terminal.type(b"w")

    assert terminal.end() == 1
    assert_given_back(terminal)
    shown = SEQUENCE.sub(b"", terminal.written.rpartition(LEAVE)[2]).decode()
    assert "ZeroDivisionError" in shown
    assert "locals" not in shown
    assert "]52" not in shown


def test_control_a_killed_console_gives_nothing_back(terminals: Callable[..., Terminal]) -> None:
    """Nobody can: it shows that the checks above can fail, and that ``reset`` is for this."""
    terminal = terminals()
    terminal.sees(seen("stdout"))
    terminal.process.kill()

    assert terminal.end() == -signal.SIGKILL
    with pytest.raises(AssertionError):
        assert_given_back(terminal)


TAKE_CURSOR = MODES["the cursor"][0]


def taken_again(written: bytes) -> bool:
    """The cursor is taken behind the screen and the line, which keeps a Ctrl+Q for itself until then."""
    return TAKE_CURSOR in written.partition(ENTER)[2]


@pytest.mark.parametrize("stop", ["ctrl+z", "SIGTSTP"])
def test_stopped_it_leaves_the_screen_and_continued_it_takes_it_again(
    terminals: Callable[..., Terminal], stop: str
) -> None:
    terminal = terminals()
    terminal.sees(seen("stdout"))
    if stop == "ctrl+z":
        terminal.type(b"\x1a")
    else:
        terminal.process.send_signal(signal.SIGTSTP)
    terminal.until(lambda written: LEAVE in written)
    _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)

    assert os.WIFSTOPPED(status)
    assert terminal.modes == terminal.before
    terminal.process.send_signal(signal.SIGCONT)
    terminal.until(taken_again)
    terminal.type(b"\x11")
    assert terminal.end() == 0
    assert_given_back(terminal)


@pytest.mark.parametrize("times", [1, 3])
def test_stopped_by_a_signal_that_nobody_can_hear_it_takes_the_terminal_again(
    terminals: Callable[..., Terminal], times: int
) -> None:
    """A shell has used the line and the screen meanwhile."""
    terminal = terminals()
    terminal.sees(seen("stdout"))
    for _ in range(times):
        terminal.process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        terminal.set_line(terminal.before)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(lambda written: taken_again(written) and seen("stdout") in plain(written))
        assert terminal.modes != terminal.before
    terminal.type(b"\x11")

    assert terminal.end() == 0
    assert_given_back(terminal)


@pytest.mark.parametrize("number", [signal.SIGCONT, signal.SIGTSTP])
def test_stopped_or_continued_while_it_leaves_it_leaves(
    terminals: Callable[..., Terminal], number: signal.Signals
) -> None:
    terminal = terminals()
    terminal.sees(seen("stdout"))
    terminal.type(b"\x11")
    terminal.until(lambda written: LEAVE in written)
    for _ in range(20):
        terminal.process.send_signal(number)
        terminal._read(0.005)
    terminal.process.send_signal(signal.SIGCONT)  # at its very end the kernel stops it, as it does any program

    assert terminal.end() == 0
    assert_given_back(terminal)


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_what_it_was_started_with_stops_with_it(terminals: Callable[..., Terminal]) -> None:
    """A shell waits until all of its job has stopped, as ``make demo`` is one."""
    terminal = terminals("below a shell")
    terminal.sees(seen("stdout"))
    terminal.type(b"\x1a")
    terminal.until(lambda written: LEAVE in written)
    _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)  # not the console: what started it

    assert os.WIFSTOPPED(status)
    console = _child(terminal.process.pid)
    while _state(console) != "T":  # the shell is told as soon as its own process has stopped
        time.sleep(0.01)
    os.killpg(terminal.process.pid, signal.SIGCONT)
    terminal.sees(seen("stdout"))  # all of the screen is drawn again
    terminal.type(b"\x11")
    assert terminal.end() == 0


def test_where_no_shell_is_it_does_not_stop_for_good(terminals: Callable[..., Terminal]) -> None:
    terminal = terminals("alone")
    terminal.sees(seen("stdout"))
    terminal.type(b"\x1a")
    terminal.sees("no shell is behind this terminal")
    terminal.type(b"\x11")

    assert terminal.end() == 0


def test_it_is_drawn_again_on_a_key(terminals: Callable[..., Terminal]) -> None:
    terminal = terminals()
    terminal.sees(seen("stdout"))
    terminal.type(b"\x0c")  # ctrl+l
    terminal.sees(seen("stdout"))
    terminal.type(b"\x11")

    assert terminal.end() == 0


def test_without_colours_without_mouse_in_ascii_it_writes_none_of_them(terminals: Callable[..., Terminal]) -> None:
    terminal = terminals("ascii", "no-mouse", NO_COLOR="1")
    terminal.sees("?]stdout")
    terminal.type(b"2")
    terminal.sees("?]pname")
    terminal.type(b"\x11")

    assert terminal.end() == 0
    assert b"\x1b[?1000h" not in terminal.written
    assert b"\x1b[?1003h" not in terminal.written
    assert terminal.written.isascii()
    assert {found.group() for found in COLOUR.finditer(terminal.written) if not _is_grey(found.group())} == set()


def test_control_with_colours_with_mouse_and_all_of_unicode_it_writes_them(terminals: Callable[..., Terminal]) -> None:
    terminal = terminals()
    terminal.sees(seen("stdout"))
    terminal.type(b"\x11")

    assert terminal.end() == 0
    assert b"\x1b[?1000h" in terminal.written
    assert not terminal.written.isascii()
    assert [found.group() for found in COLOUR.finditer(terminal.written) if not _is_grey(found.group())]


WALK = (  # keys, and a text of what they show; Esc goes back
    (b"2", "pname"),
    (b"3", "puser"),
    (b"4", "content"),
    (b"5", "id"),
    (b"6", "event"),
    (b"\x1bOQ", "cluster"),  # F2
    (b"\x1b", "event"),
    (b"\x1bOR", "who"),  # F3
    (b"\x1b", "event"),
    (b"\x1bOS", "me"),  # F4
    (b"\x1b", "event"),
    (b"x", "command"),
    (b"\x1b", "event"),
    (b"S", "id"),
    (b"\x1b", "event"),
    (b":]id", "id"),
    (b"\x1b", "event"),
    (b"/cluster:", "cluster"),
    (b"\x1b", "event"),
)


def walk(terminal: Terminal, shows: Callable[[str], str]) -> None:
    """Through the screens; each shows its text."""
    terminal.sees(shows("stdout"))
    for keys, brand in WALK:
        terminal.type(keys)
        terminal.sees(shows(brand))
    terminal.type(b"\x11")
    assert terminal.end() == 0


def test_on_a_walk_through_the_screens_no_byte_of_the_jobs_commands_the_terminal(
    terminals: Callable[..., Terminal],
) -> None:
    terminal = terminals()

    walk(terminal, seen)

    text = SEQUENCE.sub(b"", terminal.written)
    assert CLIPBOARD.findall(text) == [], "the clipboard is set on a key only"
    assert {character for character in text.decode() if not character.isprintable()} <= {"\r", "\n"}


def test_control_without_its_layers_it_would(terminals: Callable[..., Terminal]) -> None:
    terminal = terminals("careless")
    terminal.until(lambda written: leaked("stdout").encode() in written)

    assert CLIPBOARD.findall(terminal.written) != []


def test_the_clipboard_is_set_by_the_key_and_by_one_whole_sequence(terminals: Callable[..., Terminal]) -> None:
    terminal = terminals()
    terminal.sees(seen("stdout"))
    terminal.type(b"y")
    terminal.until(CLIPBOARD.search)
    terminal.type(b"\x11")

    assert terminal.end() == 0
    assert len(CLIPBOARD.findall(terminal.written)) == 1
    rest = CLIPBOARD.sub(b"", SEQUENCE.sub(b"", terminal.written)).decode()
    assert {character for character in rest if not character.isprintable()} <= {"\r", "\n"}


def _is_grey(sequence: bytes) -> bool:
    """A colour of 24 bits without any colour in it, as NO_COLOR leaves them."""
    parts = sequence[2:-1].split(b";")
    triples = [parts[at + 2 : at + 5] for at, part in enumerate(parts) if part in (b"38", b"48")]
    return bool(triples) and all(len(triple) == 3 and len(set(triple)) == 1 for triple in triples)
