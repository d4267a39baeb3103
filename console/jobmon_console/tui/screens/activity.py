"""The page of activity: who did what to the jobs one may see, newest first."""

from collections.abc import Callable
from functools import partial
from typing import Any

from jobmon_console import calls
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.feed import Feed
from jobmon_console.tui.screens.page import Page
from jobmon_console.tui.source import Reading, once
from jobmon_console.tui.widgets.lines import Lines, Span
from jobmon_wire.moments import write_moment

LAST = 500  # rows asked of each server
AGAIN = 10.0  # s between two questions

_DECISIONS = {"allowed": "good", "refused": "bad"}


class ActivityRows(Lines):
    """The trail of every context."""

    HAS_CURSOR = True
    HEADS = 1
    HAS_TITLES = True

    def __init__(self, feeds: list[Feed]) -> None:
        super().__init__("activity")
        self.rows: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.is_asking = False
        self._feeds = feeds
        self._readings: list[tuple[Feed, Reading[list[dict[str, Any]]]]] = []

    def ask(self) -> None:
        """Ask every server that answers."""
        if self._readings:
            return
        self.problems = []
        for feed in self._feeds:
            if feed.link.is_usable:
                self._readings.append((feed, once(partial(_trail, feed))))
            else:
                self.problems.append(f"{safe(feed.name)} is not connected")
        self.is_asking = bool(self._readings)

    def take(self) -> None:
        """Take what came; when all have answered, show it."""
        if not self._readings:
            return
        if not all(reading.is_over for _, reading in self._readings):
            return
        found = [row for _, reading in self._readings for rows in reading.take() for row in rows]
        for feed, reading in self._readings:
            if reading.error is not None:
                self.problems.append(f"{safe(feed.name)}: {safe(str(reading.error))}")
        found.sort(key=lambda row: texts.moment(row.get("at")) or 0.0, reverse=True)
        under = _action(self.rows[self.cursor]) if self.cursor < len(self.rows) else None
        self.rows, self._readings, self.is_asking = found, [], False
        places = [at for at, row in enumerate(found) if _action(row) == under]
        self.cursor = places[0] if places else max(0, min(self.cursor, len(found) - 1))

    def stop(self) -> None:
        """Nobody looks any more."""
        for _, reading in self._readings:
            reading.cancel()

    def count(self) -> int:
        """Rows of the trail."""
        return len(self.rows)

    def breadth(self) -> int:
        """Outcome and arguments may be long."""
        long = (len(_text(row.get("outcome"))) + len(_text(row.get("arguments"))) for row in self.rows)
        return 72 + max(long, default=0)

    def head(self, y: int) -> list[Span]:
        """Titles."""
        titles = (("TIME", 15), ("WHO", 14), ("VERB", 10), ("JOB", 20), ("DECISION", 10))
        return [(" " + "".join(texts.fit(title, width) for title, width in titles) + "OUTCOME", "dim")]

    def spans(self, index: int) -> list[Span]:
        """One action; the year goes without saying, and leaves room for the outcome on 80 columns."""
        row = self.rows[index]
        at = texts.moment(row.get("at"))
        when = (write_moment(at) or "")[5:19].replace("T", " ") if at is not None else ""
        decision = safe(str(row.get("decision") or ""))
        outcome, arguments = (safe(_text(row.get(key))) for key in ("outcome", "arguments"))
        return [
            (" " + texts.fit(when, 15), "dim"),
            (texts.fit(safe(_person(str(row.get("who") or ""))), 13) + " ", "plain"),
            (texts.fit(safe(str(row.get("verb") or "")), 9) + " ", "accent"),
            (texts.fit(safe(str(row.get("id") or row.get("job") or "-")), 19) + " ", "plain"),
            (texts.fit(decision, 10), _DECISIONS.get(decision, "warn")),
            (outcome, "plain"),
            (f"  {arguments}" if arguments else "", "dim"),
        ]

    def emptiness(self) -> list[list[Span]]:
        """Nothing, or not yet."""
        if self.is_asking:
            return [[], [("  asking …", "dim")]]
        rows: list[list[Span]] = [[], *([("  " + problem, "warn")] for problem in self.problems)]
        return rows if self.problems else [[], [("  Nobody has done anything to your jobs yet.", "dim")]]


class Activity(Page):
    """The trail, asked for again from time to time.

    Args:
        feeds: one per context.
        steady: a steady clock, s.
    """

    ID = "activity"

    def __init__(self, feeds: list[Feed], steady: Callable[[], float]) -> None:
        self._activity = ActivityRows(feeds)
        super().__init__(self._activity)
        self._steady = steady
        self._next = float("-inf")  # s, when to ask again

    def title_spans(self) -> list[Span]:
        """How many, and who did not answer."""
        spans: list[Span] = [(" Activity ", "bar-strong"), (f"last {len(self._activity.rows):,}", "bar")]
        if self._activity.rows and self._activity.problems:
            spans.append(("  " + "; ".join(self._activity.problems), "bar-warn"))
        return spans

    def renew(self) -> None:
        """Take what came; ask again after a while."""
        now = self._steady()
        if now >= self._next:
            self._activity.ask()
            self._next = now + AGAIN
        self._activity.take()

    @property
    def is_waiting(self) -> bool:
        """Somebody has been asked."""
        return self._activity.is_asking

    def reload(self) -> None:
        """Ask now."""
        self._activity.ask()

    def on_unmount(self) -> None:
        """Cancel what is under way."""
        self._activity.stop()


async def _trail(feed: Feed) -> list[dict[str, Any]]:
    return [row async for row in feed.source.rows(calls.audit("", LAST))]


def _action(row: dict[str, Any]) -> tuple[Any, ...]:
    """What does not change of an action while its outcome does."""
    return tuple(str(row.get(key)) for key in ("at", "who", "verb", "job"))


def _person(name: str) -> str:
    """The common name of a distinguished name: the rest is the same for all whom one sees."""
    return name.rpartition("/CN=")[2]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={each}" for key, each in value.items())
    return "" if value is None else str(value)
