"""What a file has before the part that is shown: it is asked for a piece at a time, when somebody goes above the top.

A running job's file is read where the part begins; of an ended job's streams
the end was kept, and may hold some of it.  Nothing here draws or keeps rows.
"""

from typing import Any

from jobmon_console import calls
from jobmon_console.errors import AnswerError, JobMonError
from jobmon_console.replies import Kept
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.source import Reading, once
from jobmon_wire.frames import DATA, Frame
from jobmon_wire.jobs import ENDED
from jobmon_wire.limits import CREDIT_WINDOW
from jobmon_wire.verbs import STREAMS

PIECE = CREDIT_WINDOW  # bytes asked for at once: they come in one go, and are some 5,000 lines of a log
PIECES = 16  # asked for after one key at most: 4 MiB, for which a slow link takes a few seconds

STAY, TOP, FIND = "stay", "top", "find"  # what it is wanted for: to scroll on, to see its first line, to look through


class Earlier:
    """The pieces before one part of a file.

    Attributes:
        purpose: what the piece under way is wanted for.
        is_out: nobody has any more of it.
        error: why the last piece did not come; None: it came, or none was asked for.
    """

    def __init__(self) -> None:
        self.purpose = STAY
        self.is_out = False
        self.error: JobMonError | None = None
        self._left = 0  # pieces that may still be asked for
        self._reading: Reading[Any] | None = None
        self._start = self._end = 0  # of the piece under way, bytes from the start of the file
        self._data = b""

    @property
    def is_under_way(self) -> bool:
        """A piece is on its way."""
        return self._reading is not None

    def stop(self) -> None:
        """Nobody waits for it any more."""
        if self._reading is not None:
            self._reading.cancel()
        self._reading, self._left = None, 0

    def can_be_had(self, target: Target | None, file: str) -> bool:
        """Somebody may have it."""
        if target is None or self.is_out:
            return False
        return target.is_alive or (file in STREAMS and target.row.get("state") == ENDED)

    def want(self, purpose: str) -> None:
        """So many pieces may come as one key brings; one, where it is read on from where it was."""
        self.purpose, self._left, self.error = purpose, 1 if purpose == STAY else PIECES, None

    def ask(self, target: Target, file: str, before: int) -> bool:
        """Begin to ask for the last piece of so many bytes; whether one may still be asked for."""
        if self._left <= 0 or not before or not self.can_be_had(target, file):
            return False
        self._left -= 1
        source, uuid = target.source, target.uuid
        self._start, self._end, self._data = max(0, before - PIECE), before, b""
        if target.is_alive:
            arguments = {"file": file, "offset": self._start, "length": self._end - self._start}
            call = calls.query(uuid, "cat", arguments)
            self._reading = Reading[Any](lambda: source.frames(call))
        else:
            kept = calls.output(uuid, file)
            self._reading = once(lambda: source.content(kept))
        return True

    def take(self, before: int) -> bytes | None:
        """The bytes right before the part, when all of a piece has come; else None.

        Args:
            before: bytes that stand before the part now; another file may have come since.
        """
        reading = self._reading
        if reading is None:
            return None
        is_over = reading.is_over
        for item in reading.take():
            self._gather(item)
        if not is_over and len(self._data) <= PIECE:
            return None
        reading.cancel()
        self._reading = None
        self.error = reading.error
        if before != self._end:
            self._left = 0
            return None
        if self.error is None and len(self._data) != self._end - self._start:
            self.error = AnswerError("it is not there any more")
        if self.error is None:
            return self._data
        self._left = 0
        return None

    def _gather(self, item: Any) -> None:
        if isinstance(item, Frame) and item.type == DATA:
            self._data += item.payload
        elif isinstance(item, Kept):
            self.is_out = True  # all of it that is left
            self._start = min(max(item.start, self._start), self._end)
            self._data = item.data[self._start - item.start : max(0, self._end - item.start)]
