"""A program in a terminal of its own, and what stands on its screen.

A ``Terminal`` starts a program behind a pseudo-terminal, types, and reads.  A
``Screen`` understands as much of what is written as Textual writes: text,
places, colours.  So a measurement ends when a person could see the answer: not
when the program thinks that it has drawn, and not when half of it is there.
"""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from benchmarks.simulation.throwaway import cpu_of

SIZE = (40, 120)  # rows and columns
SOON = 60.0  # s for anything to appear
FAREWELL = 5.0  # s to give the terminal back
READ = 1 << 16  # bytes
_PARTS = re.compile(
    rb"\x1b\[([0-9;?<=>]*)([ -/]*[@-~])|\x1b[\]P_^][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[^\x1b]+"
)
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-9;?<=>]*[ -/]*|[\]P_^][^\x07\x1b]*\x1b?)?\Z")
_BACKGROUND = re.compile(r"(?:^|;)48;2;(\d+;\d+;\d+)")


class Answer(NamedTuple):
    """How long something took to be seen, ms."""

    wall: float
    alone: float  # less the time in which the program waited for a processor
    cpu: float  # of the program


class Screen:
    """The cells of a terminal: characters, and the background behind each."""

    def __init__(self) -> None:
        rows, columns = SIZE
        self._cells = [[" "] * columns for _ in range(rows)]
        self._behind = [[""] * columns for _ in range(rows)]
        self._row = self._column = 0
        self._background = ""
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take what the program has written."""
        data = self._rest + data
        cut = _whole(data)
        self._rest = data[cut:]
        for part in _PARTS.finditer(data[:cut]):
            if part[2] is not None:
                self._control(part[1].decode(), part[2].decode())
            elif not part[0].startswith(b"\x1b"):
                self._write(part[0].decode("utf-8", "replace"))

    def row(self, number: int) -> str:
        """The text of a row."""
        return "".join(self._cells[number])

    def rows(self) -> list[str]:
        """The text of every row."""
        return ["".join(row) for row in self._cells]

    def lit(self, colour: str) -> int | None:
        """The first row with that background (``R;G;B``) behind most of a word; None: there is none."""
        return next((number for number, row in enumerate(self._behind) if row.count(colour) > 3), None)

    def _control(self, numbers: str, what: str) -> None:
        if what == "m":
            found = _BACKGROUND.search(numbers)
            self._background = found[1] if found else "" if numbers in ("", "0") else self._background
        elif what == "H":
            row, _, column = numbers.partition(";")
            self._row, self._column = int(row or 1) - 1, int(column or 1) - 1

    def _write(self, text: str) -> None:
        for character in text:
            if character == "\n":
                self._row, self._column = self._row + 1, 0
            elif character == "\r":
                self._column = 0
            elif self._row < SIZE[0] and self._column < SIZE[1]:
                self._cells[self._row][self._column] = character
                self._behind[self._row][self._column] = self._background
                self._column += 1


class Terminal:
    """A program in a terminal; leaving the block ends it.

    Args:
        command: of the program.
        environment: over this program's own.

    Attributes:
        screen: what stands on it.
        started: s (monotonic), when the program was started.
    """

    def __init__(self, command: list[str], **environment: str) -> None:
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        kept |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"} | environment
        self.screen = Screen()
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=kept, start_new_session=True
        )
        os.close(slave)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        end = time.monotonic() + FAREWELL
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def read(self, seconds: float) -> None:
        """Read for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self._take(left):
            pass

    def wait_for(self, claim: Callable[[Screen], object], patience: float = SOON) -> float:
        """Read until the screen is as claimed; the moment, s (monotonic).

        Raises:
            TimeoutError: it is not, or the program has ended.
        """
        end = time.monotonic() + patience
        while not claim(self.screen):
            if not self._take(max(0.0, end - time.monotonic())):
                raise TimeoutError("what was waited for did not appear:\n" + "\n".join(self.screen.rows()))
        return time.monotonic()

    def answer(self, key: str, claim: Callable[[Screen], object]) -> Answer:
        """From writing a key to a screen that is as claimed."""
        queued, used, begun = self._queued(), self.cpu(), time.monotonic()
        self.type(key)
        wall = self.wait_for(claim) - begun
        return Answer(wall * 1e3, (wall - self._queued() + queued) * 1e3, (self.cpu() - used) * 1e3)

    def _queued(self) -> float:
        """Seconds that the program's first thread, which draws, has waited for a processor."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[1]) / 1e9

    def cpu(self) -> float:
        """Seconds of CPU it has used, all threads."""
        return cpu_of(self.process.pid)

    def share(self, seconds: float) -> float:
        """Percent of a core over so many seconds in which nobody types."""
        before, begun = self.cpu(), time.monotonic()
        self.read(seconds)
        return 100 * (self.cpu() - before) / (time.monotonic() - begun)

    def resident(self) -> float:
        """MiB of memory it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def _take(self, patience: float) -> bool:
        """Read what is there; false where nothing comes, or the program has ended."""
        if not select.select([self._master], [], [], patience)[0]:
            return False
        try:
            data = os.read(self._master, READ)
        except OSError:  # a terminal whose other end was closed
            return False
        self.screen.feed(data)
        return bool(data)


def _whole(data: bytes) -> int:
    """Up to where the bytes are whole: no sequence and no character is cut in two."""
    unfinished = _UNFINISHED.search(data)
    if unfinished:
        return unfinished.start()
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if length > back else len(data)
        if byte < 0x80:
            break
    return len(data)
