"""Standard output and standard error, for people and for pipes.

Whoever prints text from outside passes it through ``safe`` first; this module
knows whether there is a terminal, how wide it is, and whether it wants colour.
"""

import codecs
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from jobmon_console.nuls import Nuls
from jobmon_console.safe import safe

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "magenta": "35", "dim": "2", "bold": "1"}
_ZEROS = 64 * 1024  # bytes of a hole that are written at once
_NARROWEST = 40  # columns; below it nothing lines up anyway


def is_terminal() -> bool:
    """Standard output is a terminal."""
    return sys.stdout.isatty()


def can_ask() -> bool:
    """There is a person to ask, who sees the question and can answer."""
    return bool(sys.stdin) and sys.stdin.isatty() and sys.stderr.isatty()


def width() -> int:
    """Columns to fill on a terminal; a pipe has no edge."""
    return max(_NARROWEST, size()[0]) if is_terminal() else 0


def height() -> int:
    """Lines of the terminal."""
    return size()[1]


def size() -> tuple[int, int]:
    """Columns and lines, as shutil.get_terminal_size finds them, without the archives that shutil imports."""
    try:
        found = os.get_terminal_size(1)
    except OSError:
        found = os.terminal_size((80, 24))
    told = [os.environ.get(name, "") for name in ("COLUMNS", "LINES")]
    columns, lines = (int(text) if text.isdecimal() else 0 for text in told)
    return columns or found.columns or 80, lines or found.lines or 24


def has_colour(environ: Mapping[str, str] = os.environ) -> bool:
    """Colour is wanted here: a terminal, and nobody said NO_COLOR."""
    return is_terminal() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def paint(text: str, colour: str) -> str:
    """The text in a colour, where colours are wanted."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if colour and has_colour() else text


def draws_lines() -> bool:
    """The terminal's or the pipe's encoding has box drawing."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def put(line: str = "") -> None:
    """One line to standard output."""
    sys.stdout.write(line + "\n")


def put_json(value: Any) -> None:
    """One JSON value on one line; whatever is not plain ASCII is escaped."""
    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")


def flush() -> None:
    """What was put is out now."""
    sys.stdout.flush()


def note(text: str) -> None:
    """One line to standard error, beside the output."""
    sys.stdout.flush()
    sys.stderr.write(f"jobmon: {safe(text)}\n")
    sys.stderr.flush()


class Bytes:
    """Bytes of a job's file to standard output, each piece at once.

    Args:
        is_raw: exactly as the job wrote them; else control characters are made
            visible, all but newline and tab, and runs of NULs are counted.
    """

    def __init__(self, is_raw: bool) -> None:
        self._is_raw = is_raw
        self._nuls = Nuls()
        # A character may be cut by the end of a piece.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.written = 0  # bytes
        self._is_first = True  # of the files

    def write(self, data: bytes) -> None:
        """Write and flush."""
        self.written += len(data)
        if self._is_raw:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            self._show(self._nuls.feed(data))

    def skip(self, count: int) -> None:
        """Bytes of a hole: NULs that were not sent."""
        if not self._is_raw:
            self._nuls.skip(count)
            return
        while count > 0:
            self.write(bytes(min(count, _ZEROS)))
            count -= _ZEROS

    def title(self, name: str) -> None:
        """Say which of several files follows, on a line of its own."""
        self.close()
        sys.stdout.write(f"{'' if self._is_first else chr(10)}==> {safe(name)} <==\n")
        sys.stdout.flush()
        self._is_first = False

    def close(self) -> None:
        """Write what waits for the rest of a run or a character."""
        if not self._is_raw:
            self._show(self._nuls.close(), is_last=True)

    def _show(self, data: bytes, is_last: bool = False) -> None:
        sys.stdout.write(safe(self._decoder.decode(data, final=is_last), keep="\n\t"))
        sys.stdout.flush()
