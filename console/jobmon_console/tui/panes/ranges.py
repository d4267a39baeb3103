"""A range of a file's bytes, asked for once, and which file that was.

A running job's file is read where the range begins; of an ended job's streams
the end was kept, and may hold some of it.  A verb that reads a range does not
say of which file: where nobody follows it, that is asked for behind the bytes,
so that those of another file are not taken for its own.  Nothing here draws or
keeps rows.
"""

from collections.abc import AsyncIterator
from typing import Any

from jobmon_console import calls
from jobmon_console.errors import JobMonError
from jobmon_console.replies import Kept
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.source import Reading, Source, once
from jobmon_wire.cursor import Cursor, CursorError
from jobmon_wire.frames import DATA, NOTE, Frame
from jobmon_wire.jobs import ENDED
from jobmon_wire.verbs import STREAMS


def can_be_had(target: Target | None, file: str) -> bool:
    """Somebody may have a range of the file."""
    return target is not None and (target.is_alive or (file in STREAMS and target.row.get("state") == ENDED))


class Range:
    """One range, on its way.

    Args:
        target: whose file it is.
        file: its path in the sandbox, or the name of a stream.
        asked: first byte, from the start of the file.
        end: one behind the last.
        is_identified: ask which file it was, and where that ends.

    Attributes:
        start: of the data, bytes from the start of the file; where the first were not kept, behind ``asked``.
        data: what came of it, from ``start`` on; less than asked for where the file ends.
        kept: of a job that has ended, all that was kept.
        place: the end of the file after the data was read; None: nobody was asked, or told.
        error: why it did not come; None: it did.
    """

    def __init__(self, target: Target, file: str, asked: int, end: int, is_identified: bool = False) -> None:
        self.asked = self.start = asked
        self.end = end
        self.data = b""
        self.kept: Kept | None = None
        self.place: Cursor | None = None
        self.error: JobMonError | None = None
        self._reading: Reading[Any]
        source = target.source
        if not target.is_alive:
            kept = calls.output(target.uuid, file)
            self._reading = once(lambda: source.content(kept))
            return
        cat = calls.query(target.uuid, "cat", {"file": file, "offset": asked, "length": end - asked})
        tail = calls.query(target.uuid, "tail", {"file": file, "bytes": 0, "follow": True}) if is_identified else None
        self._reading = Reading[Any](lambda: _frames(source, cat, tail))

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self._reading.cancel()

    def take(self) -> bool:
        """Take what came; whether that is all, or nothing more comes."""
        is_over = self._reading.is_over
        for item in self._reading.take():
            self._gather(item)
        if not is_over and len(self.data) <= self.end - self.asked:
            return False
        self._reading.cancel()
        self.error = self._reading.error
        return True

    def _gather(self, item: Any) -> None:
        if isinstance(item, Kept):
            self.kept = item
            self.start = min(max(item.start, self.asked), self.end)
            self.data = item.data[self.start - item.start : max(0, self.end - item.start)]
        elif isinstance(item, Frame) and item.type == DATA:
            self.data += item.payload
        elif isinstance(item, Frame) and item.type == NOTE and "cursor" in (note := item.document()):
            try:
                self.place = Cursor.read(note["cursor"])
            except CursorError:  # an agent's nonsense: as if it had told nothing
                self.place = None


async def _frames(source: Source, cat: calls.Call, tail: calls.Call | None) -> AsyncIterator[Frame]:
    """The frames of a range, and the first word of a follow that begins at the file's end: the place."""
    async for each in source.frames(cat):
        yield each
    if tail is None:
        return
    follow = source.frames(tail)
    try:
        async for each in follow:
            yield each
            break
    finally:
        close = getattr(follow, "aclose", None)
        if close is not None:
            await close()
