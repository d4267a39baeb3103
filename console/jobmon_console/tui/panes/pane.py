"""A tab of the detail pane: it asks about one job and shows what comes.

At most one request of a pane is under way.  Another job, or another tab,
cancels it.  What comes is taken on the screen's tick.  When nobody answers, the
pane says so and asks again after a while, as long as that can help; what came
before stays, and how old it is is told with it.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from jobmon_console.errors import JobMonError
from jobmon_console.following import passes
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.feed import Feed
from jobmon_console.tui.source import Reading, Source
from jobmon_console.tui.widgets.lines import Lines, Span
from jobmon_wire.jobs import ALIVE, ENDED, LOST
from jobmon_wire.verbs import ArgumentError

LEAST = 16  # cells; in a pane that is narrower the end of a line is not seen
ASK_AGAIN = 3.0  # s after nobody answered


class Target(NamedTuple):
    """The job a pane is about, or a signal; of a signal perhaps one of its processes alone."""

    feed: Feed
    uuid: str
    row: Mapping[str, Any]
    process: Mapping[str, Any] | None = None  # as the job's agent told it

    @property
    def source(self) -> Source:
        """Whom to ask."""
        return self.feed.source

    @property
    def is_alive(self) -> bool:
        """Somebody may answer for it."""
        return self.row.get("state") in ALIVE


class Pane(Lines):
    """A list of rows about one job."""

    IS_SELECTABLE = True
    FOLLOWS = False  # while the answer goes on, what is shown is all there is, also when nothing comes

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.target: Target | None = None
        self.reading: Reading[Any] | None = None
        self.problem = ""  # safe text: why there is nothing, or nothing newer
        self.is_shown = False
        self._came: float | None = None  # s, when what is shown was so; None: nobody has answered
        self._has_asked = False
        self._is_answered = False  # something came of what was asked last
        self._again: float | None = None  # s, when to ask again
        self._now = 0.0  # s, of the last tick

    # What a pane says of itself

    def ask(self, target: Target) -> Reading[Any] | None:
        """Begin to ask; None: there is nobody to ask, and ``problem`` says so."""
        return None

    def take(self, item: Any) -> None:
        """One item of the answer."""

    def clear(self) -> None:
        """Forget what was shown: the next rows are another job's."""

    def taken(self) -> None:
        """Items were taken, or the answer ended: draw them."""
        self.resize_rows()
        self.refresh()

    # What the detail pane asks of it

    def select(self, target: Target | None) -> None:
        """Be about this job from now on."""
        old, self.target = self.target, target
        if old is not None and target is not None and old.uuid == target.uuid and old.feed is target.feed:
            if old.row.get("state") != target.row.get("state"):
                self.changed(old, target)
            return
        self.stop()
        self.problem = ""
        self.empty()
        self.taken()
        self.scroll_to(x=0, y=0, animate=False)

    def empty(self) -> None:
        """Nothing is shown, and nobody has answered."""
        self.clear()
        self._came = None

    def changed(self, old: Target, new: Target) -> None:
        """The job's state is another: somebody answers again, or nobody does any more."""
        if self.reading is None or self.nobody(old) != self.nobody(new):
            self.ask_now()

    def ask_now(self) -> None:
        """What was said of the last answer does not hold any more; what is shown stays, and goes on."""
        self.stop()
        self.problem = ""
        self.refresh()

    def show(self, is_shown: bool) -> None:
        """The tab is on the screen now, or not any more."""
        self.is_shown = is_shown
        if not is_shown:
            self.stop()

    def tick(self, now: float) -> None:
        """Ask, if it is time; show what came."""
        self._now = now
        if self.is_shown and self.target is not None and self.reading is None and self._is_time(now):
            self._begin(self.target)
        if self.reading is not None:
            self._empty(self.reading)

    def renew(self) -> None:
        """Ask again now; what is shown stays until the answer is another."""
        self.stop()

    def stop(self) -> None:
        """Nobody looks at this any more."""
        if self.reading is not None:
            self.reading.cancel()
            self.reading = None
        self._again = None
        self._has_asked = False

    def later(self, seconds: float) -> None:
        """Ask again after so long."""
        self._again = self._now + seconds

    def came(self) -> None:
        """What is shown is so now: somebody answers."""
        self._came, self._is_answered, self.problem = self._now, True, ""

    @property
    def age(self) -> str:
        """How old what is shown is."""
        return texts.short_span(self._now - (self._now if self._came is None else self._came))

    def troubles(self) -> list[str]:
        """Why nothing newer than what is shown comes, and how old that is; where nothing is shown, rows say why."""
        problem = self.problem or self._unheard()
        if not problem or not self.count() or self.target is None:
            return []
        is_given_up = self.reading is None and self._again is None and not self.nobody(self.target)
        since = f"as it was {self.age} ago; " if self._came is not None else ""
        return [f"{since}{problem}{' (R asks again)' if is_given_up else ''}"]

    def emptiness(self) -> list[list[Span]]:
        """Why there are no rows."""
        if self.target is None:
            return self.sentence("No job is chosen", "dim")
        if self.problem:
            return self.sentence(self.problem, "warn")
        return self.sentence(f"asking {safe(str(self.target.row.get('node') or 'the node'))} …", "dim")

    def sentence(self, text: str, style: str) -> list[list[Span]]:
        """A sentence in place of rows; it is seen whole in a narrow pane."""
        lines = texts.wrap(text, max(LEAST, self.size.width - 3))
        return [[], *([("  " + line, style)] for line in lines)]

    def nobody(self, target: Target) -> str:
        """Why a job that does not run cannot be asked."""
        if target.row.get("state") == LOST:
            return "the job is lost: its agent does not answer any more"
        return "the job has ended: there is nobody to ask" if target.row.get("state") == ENDED else ""

    def _is_time(self, now: float) -> bool:
        return not self._has_asked if self._again is None else now >= self._again

    def _begin(self, target: Target) -> None:
        self._has_asked, self._again, self._is_answered = True, None, False
        if not target.feed.link.is_usable:
            self.problem = "not connected: asks when the server answers again"
            self.later(ASK_AGAIN)
        else:
            try:
                self.reading = self.ask(target)
            except ArgumentError as error:  # a file's name that no verb can carry
                self.problem = safe(str(error))
        if self.reading is None:
            self.taken()

    def _empty(self, reading: Reading[Any]) -> None:
        is_over, items = reading.is_over, reading.take()
        if items and self.target is not None:
            self.target.feed.answered()
        for item in items:
            self.take(item)
        if self.FOLLOWS and self._is_answered:
            self._came = self._heard()
        if is_over:
            self.reading = None
            self.ended(reading.error)
        if items or is_over:
            self.taken()

    def _unheard(self) -> str:
        """An answer may go on for a while after its server is gone: why nothing comes of it then."""
        is_due = self.target is not None and self.target.is_alive and not self.target.feed.link.is_usable
        return "no word from the server" if is_due else ""

    def _heard(self) -> float:
        """When the server last said anything, here or elsewhere, s; not before what is shown was so."""
        known = self._came or 0.0
        if self.target is None or not self.target.feed.link.is_usable:
            return known
        return max(known, self._now - self.target.feed.link.silence(self._now))

    def ended(self, error: JobMonError | None) -> None:
        """The answer ended, well or not."""
        self.problem = safe(str(error)) if error is not None else ""
        if passes(error):
            self.problem = _ASK.sub("; asks again by itself", self.problem)
            self.later(ASK_AGAIN)


_ASK = re.compile(r"; ask again\b[^;]*$")  # what an error tells those who have to
