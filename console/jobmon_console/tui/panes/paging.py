"""Going on above and below the lines that are here, and looking for a text there.

Earlier lines of a stream that is followed are put before the others as long as
there is room.  Beyond that, and where more stands before them than would fit, a
part of the file is shown instead, whose window slides over it.  A text is
looked for in a part of its own, and what is seen stays until it is found.
"""

from typing import Protocol

from jobmon_console.errors import AnswerError, JobMonError
from jobmon_console.places import Offset, Spot
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.earlier import FIND, JUMP, PIECE, PIECES, STAY, TOP
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.panes.part import Part
from jobmon_console.tui.panes.ranges import Range, can_be_had
from jobmon_console.tui.panes.stream import Stream

LOOKS = 3  # for a place that is a share: the file may have grown since its size was known
FIRST_KEPT = "this is the first that was kept of the job's output"
WALK = PIECES * PIECE  # bytes before the first line that Home walks through: more than one key brings are passed over


class View(Protocol):
    """What shows a stream."""

    target: Target | None
    stream: Stream

    @property
    def line(self) -> int:
        """The first line that is seen."""

    def came(self) -> None:
        """What is shown is so now."""

    def taken(self) -> None:
        """Rows came or went: draw them."""

    def turn_to(self, stream: Stream, row: int) -> None:
        """Show another stream, from a row on."""

    def came_before(self, lines: int) -> None:
        """So many lines came before the others: stay on the line that is being read."""

    def see(self, line: int) -> None:
        """Let a line be the first that is seen."""

    def go_to(self, row: int) -> None:
        """Let a row be seen, as one that holds the text."""

    def is_seen(self, row: int) -> bool:
        """It is."""

    def to_end(self) -> None:
        """Show the end of the file, and follow it."""

    def tell(self, text: str) -> None:
        """Say something, safe text, that is not so where somebody looks already."""


class Paging:
    """The piece that is under way, and what it is wanted for.

    Attributes:
        purpose: what that is.
        step: in which direction: behind what is here (1), or before it (-1).
        sought: as far as the text was looked for beyond what is shown, without success; None: it was not.
        error: why the last piece did not come; None: it came, or none was asked for.
    """

    def __init__(self, view: View) -> None:
        self.purpose = STAY
        self.step = -1
        self.sought: Part | None = None
        self.error: JobMonError | None = None
        self._view = view
        self._range: Range | None = None
        self._part: Part | None = None  # that it is for
        self._left = 0  # pieces that may still be asked for
        self._where: Spot = Offset(0)  # that is to be gone to
        self._aim = 0  # the byte of it that was asked for

    @property
    def is_under_way(self) -> bool:
        """A piece is on its way."""
        return self._range is not None or self._view.stream.earlier.is_under_way

    @property
    def is_looking(self) -> bool:
        """A text is looked for beyond what is shown."""
        earlier = self._view.stream.earlier
        return (self._range is not None and self.purpose == FIND) or (earlier.is_under_way and earlier.purpose == FIND)

    @property
    def why(self) -> str:
        """Why the last piece did not come, safe text."""
        return "" if self.error is None else safe(str(self.error))

    def stop(self) -> None:
        """Nobody waits for it any more."""
        self._view.stream.earlier.stop()
        if self._range is not None:
            self._range.cancel()
        self._range, self._left = None, 0

    def forget(self) -> None:
        """Another stream is shown, or its end."""
        self.stop()
        self.sought, self.error = None, None

    def forget_sought(self) -> None:
        """Another text is looked for."""
        if self.is_looking:
            self.stop()
        self.sought = None

    def can_be_had(self) -> bool:
        """Somebody may have what is not here of the file."""
        return can_be_had(self._view.target, self._view.stream.file)

    # What a key asks for

    def above(self, purpose: str) -> bool:
        """Ask for what stands before the first row; whether there is such, and it can be had."""
        stream = self._view.stream
        if isinstance(stream, Part):
            return self._beyond(stream, -1, purpose)
        before, earlier = stream.buffer.before, stream.earlier
        if not before or not earlier.can_be_had(self._view.target, stream.file):
            return False
        stream.follows = False
        earlier.want(purpose)
        if purpose == TOP and not _is_walked(stream):
            self._ask(Part(stream, 0), 1, TOP, 1)
        elif not stream.buffer.room:
            self._go_on_in_part(stream)
        elif not earlier.is_under_way:
            self._ask_earlier(stream)
        return True

    def below(self) -> None:
        """Ask for what stands behind the last row of a part."""
        stream = self._view.stream
        if isinstance(stream, Part):
            self._beyond(stream, 1, STAY)

    def find(self, step: int) -> None:
        """To the next row of a part that holds the text, or on beyond the part."""
        part = self._view.stream
        if not isinstance(part, Part) or not part.search:
            return
        top = part.row_at(self._view.line)
        is_at_match = part.row in part.search.rows and self._view.is_seen(part.row)
        row = part.row if is_at_match else top - (step > 0)
        found = part.search.beyond(row, step)
        if found is not None:
            self.stop()
            self._view.go_to(found)
        else:
            self._beyond(part, step, FIND)

    def reach(self, where: Spot, size: int) -> bool:
        """Ask for the part of the file around a place; whether there is somebody to be asked.

        Args:
            where: the place.
            size: bytes of the file, as far as that is known.
        """
        self.stop()
        self._where, shown = where, self._view.stream
        self._aim = min(where.within(size), size)
        step = 1 if isinstance(shown, Part) and self._aim >= shown.end else -1
        return self._ask(Part(shown.followed, 0), step, JUMP, LOOKS)

    def go_to_end(self, where: Spot, size: int) -> None:
        """Show the end of the file, which has so many bytes: the place is there, or beyond it."""
        self._view.to_end()
        if isinstance(where, Offset):
            self._view.tell(f"this is the end: {safe(self._view.stream.file)} has {texts.size(size)}")

    def _beyond(self, part: Part, step: int, purpose: str) -> bool:
        """Go on behind a part, or before it; whether there may be something."""
        if purpose == TOP and part.has_more(-1):
            return self._ask(Part(part.followed, 0), 1, TOP, 1)
        if purpose == FIND:
            return self._look(part, step, PIECES)
        is_growing = step > 0 and self._view.target is not None and self._view.target.is_alive
        return (part.has_more(step) or is_growing) and self._ask(part, step, STAY, 1)

    def _look(self, shown: Stream, step: int, pieces: int) -> bool:
        """Look for the text beyond what is shown, or was looked through already."""
        if self._range is not None and self.purpose == FIND and self.step == step:
            return True
        self.stop()
        if self.sought is None or self.step != step or self.sought.followed is not shown.followed:
            self.sought = shown.beside(step) if isinstance(shown, Part) else Part(shown, shown.buffer.before)
            self.sought.look_for(shown.search.text)
        self.step = step
        if not self.sought.has_more(step):
            self._view.taken()  # the head says so
            return False
        return self._ask(self.sought, step, FIND, pieces)

    def _ask(self, part: Part, step: int, purpose: str, pieces: int) -> bool:
        """Ask for the next piece of a part; whether there is somebody to be asked."""
        target = self._view.target
        if target is None or not self.can_be_had():
            return False
        if self._range is not None:
            if (self.step, self.purpose) == (step, purpose):
                return True  # a key that is held brings one piece after the other
            self._range.cancel()
        if purpose != FIND:
            self.sought = None
        self._part, self.step, self.purpose, self._left, self.error = part, step, purpose, pieces - 1, None
        start, end = self._wanted(part, step)
        self._range = Range(target, part.followed.place.file or part.file, start, end, is_identified=True)
        self._view.taken()
        return True

    def _wanted(self, part: Part, step: int) -> tuple[int, int]:
        """The bytes to ask for: start and end."""
        if self.purpose == JUMP:
            return part.about(self._aim)
        return part.around() if self.purpose == STAY and part is not self._view.stream else part.next(step)

    # What comes

    def tick(self) -> None:
        """Take what came."""
        stream = self._view.stream
        if stream.earlier.is_under_way:
            self._take_earlier(stream)
        came, part = self._range, self._part
        if came is None or part is None or not came.take():
            return
        self._range, self.error = None, came.error
        if self.error is None:
            try:
                self._put(part, came)
            except AnswerError as error:
                self.error = error
        if self.error is not None and self.purpose == JUMP:
            self._view.tell(self.why)
        self._view.taken()

    def _put(self, part: Part, came: Range) -> None:
        """A piece is here: show it, or look through it."""
        view = self._view
        if self.purpose == FIND:
            self._look_through(part, came)
        elif self.purpose == JUMP:
            self._arrive(part, came)
        elif part is view.stream:
            lines = part.take(came, self.step)
            view.came()
            view.came_before(lines)
        elif self.purpose == TOP:
            part.take(came, self.step)
            view.turn_to(part, 0)
        else:
            view.turn_to(part, part.surround(came))

    def _look_through(self, part: Part, came: Range) -> None:
        part.take(came, self.step)
        rows = part.search.rows
        if rows:
            found = rows[0 if self.step > 0 else -1]
            self.sought = None
            self._view.turn_to(part, 0)
            self._view.go_to(found)
        elif self._left and part.has_more(self.step):
            self._ask(part, self.step, FIND, self._left)

    def _arrive(self, part: Part, came: Range) -> None:
        """What stands around a place is here, as far as the file's size was known; else it is asked for again."""
        part.check(came)
        where, kept = self._where, came.kept
        place = where.within(part.size)
        if place >= part.size:
            self.go_to_end(where, part.size)
        elif kept is not None and place < kept.start:
            part.take(came, 1)
            self._view.turn_to(part, 0)
            self._view.tell(FIRST_KEPT)
        elif self._left and not came.start <= place < came.start + len(came.data):
            self._aim = place
            self._ask(part, self.step, JUMP, self._left)
        else:
            row = part.reach(came, place if self._left else self._aim)
            self._view.turn_to(part, row)

    # Earlier lines of a stream that is followed

    def _ask_earlier(self, stream: Stream) -> None:
        target = self._view.target
        is_asked = False
        if target is not None and stream.buffer.room:
            is_asked = stream.earlier.ask(target, stream.place.file or stream.file, stream.buffer.before)
        if not is_asked and stream.earlier.error is None and stream.earlier.purpose != STAY:
            self._go_on_in_part(stream)
        self._view.taken()

    def _go_on_in_part(self, stream: Stream) -> None:
        """There is no room for more before the lines of a stream: go on beside it."""
        before, earlier = stream.buffer.before, stream.earlier
        if not before or not earlier.can_be_had(self._view.target, stream.file):
            return
        if earlier.purpose == FIND:
            if earlier.left:
                self._look(stream, -1, earlier.left)
        elif earlier.purpose == TOP:
            self._ask(Part(stream, 0), 1, TOP, 1)
        else:
            self._ask(Part(stream, before), -1, STAY, 1)

    def _take_earlier(self, stream: Stream) -> None:
        """A piece came: the line under the eye stays where it is, unless what came is to be seen."""
        data, earlier = stream.earlier.take(stream.buffer.before), stream.earlier
        if data is None:
            if not earlier.is_under_way:
                self._view.taken()
            return
        self._view.came_before(stream.prepend(data))
        if earlier.purpose == TOP:
            self._view.see(0)
        found = stream.search.next(stream.row, -1) if earlier.purpose == FIND else None
        if found is not None and found < stream.row:
            self._view.go_to(found)
        else:
            self._ask_earlier(stream)


def _is_walked(stream: Stream) -> bool:
    """The whole rest is brought before the lines that are here: as far as can be told, there is room for it."""
    buffer = stream.buffer
    mean = buffer.kept_bytes / max(1, buffer.kept_lines)  # bytes of a line
    return buffer.before <= min(WALK, mean * buffer.room)
