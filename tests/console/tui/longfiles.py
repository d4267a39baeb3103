"""A job that has printed a file of any size, made where it is asked for, and the Output tab on it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.earlier import PIECE
from jobmon_console.tui.panes.output import FIRST, Output
from jobmon_console.tui.panes.part import Part
from jobmon_console.tui.panes.scrollback import KEPT, SLACK
from jobmon_wire.cursor import Cursor
from jobmon_wire.frames import DATA, NOTE, Frame
from tests.console.tui.conftest import frame

WIDTH = 100  # bytes of a line, its newline too
LINES = 10_000_000  # a file of 1 GB
PAGE = PIECE // WIDTH  # whole lines of a piece


def line(number: int) -> str:
    """A line of the file."""
    return f"event {number:08d} of the run".ljust(WIDTH - 1, ".")


class Job:
    """A job that has printed more than anybody holds: lines are made where they are asked for.

    Attributes:
        lines: how many there are.
        inode: which file has the name; 0: none.
        words: other lines, by number.
        trouble: raised by ``cat``.
        gate: ``cat`` answers when it is open.
    """

    def __init__(self, source: Any, lines: int = LINES) -> None:
        self.lines = lines
        self.inode = 2
        self.words: dict[int, str] = {}
        self.trouble: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.ranges: list[tuple[int, int]] = []  # asked of it: offset and length
        self.resumed: list[int] = []  # offsets
        source._answer = self._answer

    def read(self, start: int, end: int) -> bytes:
        """Bytes of the file."""
        first, last = start // WIDTH, min(self.lines, -(-end // WIDTH))
        text = "".join(self.words.get(at, line(at)).ljust(WIDTH - 1) + "\n" for at in range(first, last)).encode()
        return text[start - first * WIDTH : max(0, end - first * WIDTH)]

    async def _answer(self, verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        size = self.lines * WIDTH
        if verb == "cat":
            self.ranges.append((arguments["offset"], arguments["length"]))
            await self.gate.wait()
            if self.trouble is not None:
                raise self.trouble
            yield frame(DATA, self.read(arguments["offset"], arguments["offset"] + arguments["length"]))
        elif arguments.get("bytes") == 0:
            kind = "at" if self.inode else "waiting"
            yield frame(NOTE, {"kind": kind, "cursor": at(size if self.inode else 0, self.inode)})
            await asyncio.Event().wait()
        elif verb == "tail":
            start = max(0, size - arguments.get("lines", 0) * WIDTH)
            if "resume" in arguments:
                start = Cursor.read(arguments["resume"]).offset
                self.resumed.append(start)
            yield frame(NOTE, {"kind": "at", "cursor": at(start)})
            if start < size:
                yield frame(DATA, self.read(start, size))
            await asyncio.Event().wait()


def at(offset: int, inode: int = 2) -> str:
    """A cursor."""
    return Cursor.at(1 if inode else 0, inode, offset, b"").text()


def top_of(output: Output) -> str:
    """The line under the eye: the first that is seen."""
    return output.stream.text(output.stream.row_at(output.line))


def head_of(output: Output) -> str:
    """The first row."""
    return "".join(text for text, _ in output.head(0))


def part_of(output: Output) -> Part:
    """What is shown is a part of the file."""
    assert isinstance(output.stream, Part)
    return output.stream


def is_whole(part: Part) -> None:
    """The window has the file's lines from its start to its end, and no more than it may."""
    first, last = part.start // WIDTH, part.end // WIDTH
    assert [part.text(row) for row in range(len(part.buffer.rows))] == [line(number) for number in range(first, last)]
    assert len(part.buffer.rows) <= KEPT + SLACK


async def begin(pilot: Any, settle: Any, output: Output, *keys: str) -> None:
    """The end of the file is on the screen, and the pane has the keys; or a part is, after the first of some."""
    await settle(pilot, lambda: output.count() >= FIRST and output.reading)
    await pilot.press("enter", *keys[:1])
    if keys:
        await settle(pilot, lambda: output.is_part)
        await pilot.press(*keys[1:])


async def fill(pilot: Any, settle: Any, output: Output) -> None:
    """Go up until there is no room for more before the lines of the stream."""
    while output.stream.buffer.room:
        rows = output.count()
        output.see(0)
        output.move("page_up")
        await settle(pilot, lambda rows=rows: output.count() > rows)
    output.see(0)


async def jump(pilot: Any, text: str) -> None:
    """Name a place."""
    await pilot.press("ctrl+g", *text, "enter")
    await pilot.pause()


def is_typing(console: Console) -> bool:
    """The field is there and has the keys."""
    field = console.jobs.detail.jump
    return field.display and console.jobs.focused is field.input


def told(console: Console, screen_text: Any) -> str:
    """All that is said, wherever a line of the screen ends."""
    return " ".join(screen_text(console).split()) + " ".join(each.message for each in console._notifications)
