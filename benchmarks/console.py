"""The console before 100,000 jobs of which 1,000 change every second.

Run after ``make``; it brings up the fleet of ``benchmarks/fleet.py`` and the
console on it, in a terminal of its own that types and reads::

    .venv/bin/python benchmarks/console.py

The time from a key to its paint is taken at the terminal: from writing the key
to reading the colour of the cursor with another line behind it.  A key is also
answered by Textual's own table, with as many rows and as many changes, in the
same run and the same kind of terminal: what it takes stands as the limit.
"""

import argparse
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.table import Row, at_most, show

HERE = Path(__file__).parent
SIZE = (36, 120)  # rows and columns
JOBS, RATE = 100_000, 1_000  # jobs, and changes a second
KEYS = 100  # presses of a key
PAUSE = 0.1  # s between two of them: faster than a person who reads
PATIENCE = 900.0  # s for the fleet to be there; each certificate takes a millisecond
SOON = 60.0  # s for anything of the console's
WINDOW = 20.0  # s over which a processor's share is taken
CURSOR = b"48;2;44;64;92"  # the cursor's colour in the dark theme, as a terminal is told it
_READY = re.compile(r"JOBMON_CONFIG=(\S+) jobmon console --context (\S+)")
_COLOUR = re.compile(rb"48;2;44;64;92m[^\x1b]*([A-Za-z0-9_.\[\]-]{3,})")


class Terminal:
    """A program in a terminal of its own.

    Attributes:
        seen: what it has written since the last ``forget``.
    """

    def __init__(self, command: list[str], **environment: str) -> None:
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        kept |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"} | environment
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=kept, start_new_session=True
        )
        os.close(slave)
        self.seen = bytearray()

    def type(self, text: bytes) -> None:
        """Press keys."""
        os.write(self._master, text)

    def forget(self) -> None:
        """Read what is there, and look only at what comes from now on."""
        self.read(0.0)
        self.seen.clear()

    def read(self, seconds: float) -> None:
        """Read for so long."""
        end = time.monotonic() + seconds
        while select.select([self._master], [], [], max(0.0, end - time.monotonic()))[0]:
            self.seen += os.read(self._master, 1 << 16)
            if time.monotonic() >= end:
                return

    def wait_for(self, claim: Callable[[bytes], object], patience: float = SOON) -> float:
        """Read until what was seen is as claimed; the moment (s, monotonic)."""
        end = time.monotonic() + patience
        while not claim(bytes(self.seen)):
            if not select.select([self._master], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError(bytes(self.seen[-2000:]).decode("utf-8", "replace"))
            self.seen += os.read(self._master, 1 << 16)
        return time.monotonic()

    def close(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        end = time.monotonic() + 5.0
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def cpu(self) -> float:
        """Seconds of processor it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        """MiB it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def terminal(command: list[str], **environment: str) -> Iterator[Terminal]:
    """A program, ended at the end."""
    opened = Terminal(command, **environment)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def fleet(*options: str) -> Iterator[tuple[str, str]]:
    """A server with its jobs; configuration and context of one who sees all of them."""
    command = [sys.executable, str(HERE / "fleet.py"), *options, "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := _READY.search(line):
                break
        else:
            raise TimeoutError("the fleet ended before it was ready")
        # Nobody may wait for this program to read what else it reports.
        drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        yield found[1], found[2]
        drain.kill()
        drain.wait()
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        process.wait()


def keys(screen: Terminal, key: bytes, keys_: int = KEYS) -> list[float]:
    """Milliseconds from a key that moves the cursor to the cursor on another line."""
    took = []
    line = b""
    for _ in range(keys_):
        screen.read(PAUSE)
        screen.forget()
        begun = time.monotonic()
        screen.type(key)

        def moved(seen: bytes, old: bytes = line) -> bool:
            found = _COLOUR.findall(seen)
            return bool(found) and found[-1] != old

        took.append((screen.wait_for(moved) - begun) * 1000)
        line = _COLOUR.findall(bytes(screen.seen))[-1]
    return took


def share(screen: Terminal) -> float:
    """Percent of a core while nobody types."""
    before, begun = screen.cpu(), time.monotonic()
    screen.read(WINDOW)
    return 100 * (screen.cpu() - before) / (time.monotonic() - begun)


def quantile(values: list[float], part: float) -> float:
    """The value below which that part of them lies."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def table_rows(jobs: int, rate: int) -> Iterator[Row]:
    """The list of jobs."""
    with fleet("--jobs", str(jobs), "--seeded", "1", "--rate", str(rate), "--real", "0") as (config, context):
        stock = _stock("table", jobs, rate)
        command = [str(Path(sys.executable).with_name("jobmon")), "console", "--context", context, "--theme", "dark"]
        with terminal(command, JOBMON_CONFIG=config, JOBMON_HOLDER="off") as screen:
            first = screen.wait_for(lambda seen: b"running" in seen and CURSOR in seen) - screen.started
            whole = screen.wait_for(lambda seen: f"{jobs:,} jobs".encode() in seen) - screen.started
            screen.read(5.0)
            took = keys(screen, b"j")
            busy, held = share(screen), screen.resident()
            typed = _filter(screen)
        yield Row(f"console: first rows of {jobs:,}", [first], "s", at_most(1.0))
        yield Row(f"console: all {jobs:,}", [whole], "s", at_most(5.0))
        yield Row("console: key to paint, median", took, "ms", at_most(20.0), stock["keys"])
        yield Row(
            "console: key to paint, 95 %", [quantile(took, 0.95)], "ms", at_most(50.0), [quantile(stock["keys"], 0.95)]
        )
        yield Row(f"console: share of a core, {rate:,} changes/s", [busy], "%", at_most(15.0), stock["busy"])
        yield Row("console: memory", [held], "MiB", at_most(250.0), stock["held"])
        yield Row("console: a letter of a filter", typed, "ms", at_most(60.0))


def _filter(screen: Terminal) -> list[float]:
    """Milliseconds from a letter of a filter to the number of jobs that match."""
    screen.type(b"/")
    screen.read(0.5)
    took = []
    for letter in b"node:wn00":
        screen.forget()
        begun = time.monotonic()
        screen.type(bytes([letter]))
        screen.wait_for(lambda seen: b" of " in seen or b"^" in seen or b"Tab takes" in seen)
        took.append((time.monotonic() - begun) * 1000)
        screen.read(0.3)
    return took


def _stock(what: str, count: int, rate: int) -> dict[str, list[float]]:
    """The same by Textual's own widget."""
    with terminal([sys.executable, str(HERE / "inside" / "stock.py"), what, str(count), str(rate)]) as screen:
        screen.wait_for(lambda seen: CURSOR in seen, 600.0)
        took = keys(screen, b"\x1b[B", KEYS // 5)
        return {"keys": took, "busy": [share(screen)], "held": [screen.resident()]}


def rows(jobs: int = JOBS, rate: int = RATE) -> Iterator[Row]:
    """Every row."""
    yield from table_rows(jobs, rate)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--rate", type=int, default=RATE, help="changes a second")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    show(rows(arguments.jobs, arguments.rate))


if __name__ == "__main__":
    main()
