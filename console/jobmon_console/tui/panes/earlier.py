"""What a file has before the part that is shown: it is asked for a piece at a time, when somebody goes above the top.

Nothing here draws or keeps rows.
"""

from jobmon_console.errors import AnswerError, JobMonError
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.panes.ranges import Range, can_be_had
from jobmon_wire.limits import CREDIT_WINDOW

PIECE = CREDIT_WINDOW  # bytes asked for at once: they come in one go, and are some 5,000 lines of a log
PIECES = 16  # asked for after one key at most: 4 MiB, for which a slow link takes a few seconds

STAY, TOP, FIND = "stay", "top", "find"  # what it is wanted for: to scroll on, to see its first line, to look through
JUMP = "jump"  # to see a place that somebody named


class Earlier:
    """The pieces before one part of a file.

    Attributes:
        purpose: what the piece under way is wanted for.
        left: pieces that may still be asked for.
        is_out: nobody has any more of it.
        error: why the last piece did not come; None: it came, or none was asked for.
    """

    def __init__(self) -> None:
        self.purpose = STAY
        self.left = 0
        self.is_out = False
        self.error: JobMonError | None = None
        self._range: Range | None = None

    @property
    def is_under_way(self) -> bool:
        """A piece is on its way."""
        return self._range is not None

    def stop(self) -> None:
        """Nobody waits for it any more."""
        if self._range is not None:
            self._range.cancel()
        self._range, self.left = None, 0

    def can_be_had(self, target: Target | None, file: str) -> bool:
        """Somebody may have it."""
        return not self.is_out and can_be_had(target, file)

    def want(self, purpose: str) -> None:
        """So many pieces may come as one key brings; one, where it is read on from where it was."""
        self.purpose, self.left, self.error = purpose, 1 if purpose == STAY else PIECES, None

    def ask(self, target: Target, file: str, before: int) -> bool:
        """Begin to ask for the last piece of so many bytes; whether one may still be asked for."""
        if self.left <= 0 or not before or not self.can_be_had(target, file):
            return False
        self.left -= 1
        self._range = Range(target, file, max(0, before - PIECE), before)
        return True

    def take(self, before: int) -> bytes | None:
        """The bytes right before the part, when all of a piece has come; else None.

        Args:
            before: bytes that stand before the part now; another file may have come since.
        """
        came = self._range
        if came is None or not came.take():
            return None
        self._range = None
        self.error = came.error
        self.is_out = self.is_out or came.kept is not None  # that is all of it that is left
        if before != came.end:
            self.left = 0
            return None
        if self.error is None and len(came.data) != came.end - came.start:
            self.error = AnswerError("it is not there any more")
        if self.error is None:
            return came.data
        self.left = 0
        return None
