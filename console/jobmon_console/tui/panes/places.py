"""Going to a place of the output: a share of the file, a byte of it, or when a line came.

Where the place is among the lines that are here, they are scrolled; else the
part of the file around it is asked for.  What cannot be reached is said, and
nothing is changed then.
"""

import time
from collections.abc import Callable
from typing import Protocol

from jobmon_console.errors import UsageError
from jobmon_console.places import Moment, Spot, read_place
from jobmon_console.safe import safe
from jobmon_console.tui.panes.paging import Paging
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.panes.part import Part
from jobmon_console.tui.panes.stream import Stream
from jobmon_wire.jobs import ENDED

NOTHING = "nothing is here yet to go to"
NO_TIMES = "no line that is here has a time: only those have one that came while the console followed"
PART_TIMES = "the lines of a part have no times; End goes to those that have"
NEAREST = "the job has ended and the place was not kept: this is the nearest line"
EARLIER = "this is the first line with a time: those before it came earlier"
ALL_SEEN = "all of it is on the screen"
OFFLINE = "not connected"
HERE = "; only what is here can be reached"


class View(Protocol):
    """What shows a stream."""

    target: Target | None
    stream: Stream

    @property
    def line(self) -> int:
        """The first line that is seen."""

    @property
    def height(self) -> int:
        """Lines that are seen."""

    def count(self) -> int:
        """Lines there are."""

    def nobody(self, target: Target) -> str:
        """Why a job that does not run cannot be asked."""

    def see_row(self, row: int) -> None:
        """Let a row be the first that is seen, and stay there."""

    def turn_back(self, row: int | None = None) -> None:
        """From a part of the file to the stream that was followed: its end, or a row of it."""

    def to_end(self) -> None:
        """Show the end of the file, and follow it."""

    def tell(self, text: str) -> None:
        """Say something, safe text."""


class Places:
    """The way to them.

    Args:
        view: what shows the stream.
        paging: what asks for parts of it.
        now: s since 1970.
    """

    def __init__(self, view: View, paging: Paging, now: Callable[[], float]) -> None:
        self._view = view
        self._paging = paging
        self._now = now

    def go(self, text: str) -> str:
        """Go to what a person typed; give why that cannot be, safe text: nothing has changed then."""
        try:
            place = read_place(text, self._now())
        except UsageError as error:
            return str(error)
        if not self._view.stream.buffer.rows:
            return NOTHING
        return self._go_to_time(place.at) if isinstance(place, Moment) else self._go_to_byte(place)

    # Bytes

    def _go_to_byte(self, where: Spot) -> str:
        shown = self._view.stream
        size = shown.size if isinstance(shown, Part) else shown.buffer.end
        place = where.within(size)
        if place >= size and not (isinstance(shown, Part) and self._can_ask()):
            self._paging.go_to_end(where, size)  # of a part, the file may have grown since
            return ""
        row, is_here = shown.buffer.find(place)
        if is_here and self._is_followed_by_enough(row):
            self._see(row)
            return ""
        if isinstance(shown, Part) and self._is_in_followed(shown.followed, place):
            return ""
        return self._go_beyond(where, place, size)

    def _is_followed_by_enough(self, row: int) -> bool:
        """The lines from a row on fill the view, or there are no more."""
        shown = self._view.stream
        if not isinstance(shown, Part) or not shown.has_more(1) or not self._can_ask():
            return True
        return self._view.count() - shown.folding.line_of(row) >= self._view.height

    def _is_in_followed(self, followed: Stream, place: int) -> bool:
        row, is_here = followed.buffer.find(place)
        if is_here:
            self._view.turn_back(row)
        return is_here

    def _go_beyond(self, where: Spot, place: int, size: int) -> str:
        """The place is not here: ask for it, or go to the nearest that there will ever be, or say why not."""
        shown, target = self._view.stream, self._view.target
        has_ended = target is not None and target.row.get("state") == ENDED
        is_out = shown.earlier.is_out and place < shown.buffer.before
        if has_ended and (is_out or not self._paging.can_be_had()):
            self._see(shown.buffer.find(place)[0])
            self._view.tell(NEAREST)
            return ""
        why = self._why_not()
        if why or not self._paging.reach(where, size):
            return safe(why or OFFLINE) + HERE
        return ""

    def _can_ask(self) -> bool:
        return self._paging.can_be_had() and not self._why_not()

    def _why_not(self) -> str:
        """Why nobody can be asked for a part now."""
        target = self._view.target
        if target is None or not target.feed.link.is_usable:
            return OFFLINE
        return "" if self._paging.can_be_had() else self._view.nobody(target)

    # Times

    def _go_to_time(self, at: float) -> str:
        shown = self._view.stream
        if isinstance(shown, Part):
            return PART_TIMES
        lines = ((row, each.at) for row, each in enumerate(shown.buffer.rows) if not each.is_note)
        times = [(row, came) for row, came in lines if came is not None]
        if not times:
            return NO_TIMES
        row = next((row for row, came in times if came >= at), None)
        first, began = times[0]
        if row is None:
            self._paging.stop()
            self._view.to_end()
            self._view.tell(f"no line has come since {time.strftime('%H:%M:%SZ', time.gmtime(at))}")
            return ""
        self._see(row)
        if row == first and at < began and (first or shown.buffer.before):
            self._view.tell(EARLIER)
        return ""

    def _see(self, row: int) -> None:
        self._paging.stop()
        shown = self._view.stream
        if not isinstance(shown, Part) and not shown.buffer.before and self._view.count() <= self._view.height:
            self._view.tell(ALL_SEEN)
        else:
            self._view.see_row(row)
