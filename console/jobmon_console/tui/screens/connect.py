"""The page of connections: which servers, as whom, in which state, and what to do about it."""

from collections.abc import Callable

from jobmon_console import link
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.explain import FIRST_JOB
from jobmon_console.tui.feed import Feed
from jobmon_console.tui.glossary import entry
from jobmon_console.tui.screens.page import Page
from jobmon_console.tui.states import link_look
from jobmon_console.tui.widgets.lines import Lines, Span

COMMAND = 44  # cells of a command
NAMES = 14  # cells before a fact
_HELP = (
    ("jobmon config list", "the servers and credentials this machine knows"),
    ("jobmon config add NAME --credential FILE", "one more of them"),
    ("jobmon config use NAME [NAME …]", "which of them this console shows"),
    ("jobmon doctor", "looks for what is wrong with a connection, step by step"),
    (FIRST_JOB, "starts a job here that can be watched"),
    ("jobmon credential --id NAME", "makes what a batch job needs to be watched"),
)


class ConnectRows(Lines):
    """Every context, and the commands that change them."""

    def __init__(self, feeds: list[Feed], steady: Callable[[], float]) -> None:
        super().__init__("connect")
        self._feeds = feeds
        self._steady = steady
        self._rows: list[list[Span]] = []

    def take(self) -> None:
        """Look anew."""
        self._rows = [row for feed in self._feeds for row in self._feed(feed)]
        self._rows += [[(" Commands", "heading")]]
        for command, meaning in _HELP:
            self._rows += entry(command, "accent", meaning, COMMAND, self.size.width)

    def on_resize(self) -> None:
        """Facts are wrapped at another width."""
        self.take()
        self.resize_rows()
        self.refresh()

    def count(self) -> int:
        """Rows."""
        return len(self._rows)

    def spans(self, index: int) -> list[Span]:
        """One row."""
        return self._rows[index]

    def _feed(self, feed: Feed) -> list[list[Span]]:
        now, look = self._steady(), link_look(feed.link, self._steady())
        rows: list[list[Span]] = [[(f" {safe(feed.name)}", "heading"), (f"  {look.glyph} {look.word}", look.style)]]
        facts = [
            ("as", f"{safe(feed.me)} ({safe(feed.role)})" if feed.me else "not known yet"),
            ("server", feed.release.version or "not known yet"),
            ("jobs", f"{len(feed.mirror):,}"),
            ("last word", f"{texts.short_span(feed.link.silence(now))} ago"),
        ]
        if not feed.release.is_understood:
            facts.append(("but", feed.release.remedy))
        if feed.link.state in (link.RETRYING, link.REFUSED):
            facts.append(("why", safe(feed.link.why)))
        if feed.link.state == link.REFUSED:
            facts.append(("then", "mend it and press R: it is not tried again by itself"))
        for name, text in facts:
            lines = texts.wrap(text, max(texts.LEAST, self.size.width - NAMES - 1))
            rows += [
                [(f"   {'' if at else name:10} ", "dim"), (line, "plain")] for at, line in enumerate(lines or [""])
            ]
        return [*rows, []]


class Connect(Page):
    """All connections.

    Args:
        feeds: one per context.
        steady: a steady clock, s.
    """

    ID = "connect"

    def __init__(self, feeds: list[Feed], steady: Callable[[], float]) -> None:
        self._list = ConnectRows(feeds, steady)
        super().__init__(self._list)
        self._feeds = feeds

    def title_spans(self) -> list[Span]:
        """How many answer."""
        usable = sum(feed.link.is_usable for feed in self._feeds)
        return [(" Connections ", "bar-strong"), (f"{usable} of {len(self._feeds)} answer", "bar")]

    def keys(self) -> str:
        """What keys do."""
        return "R connects again now"

    def renew(self) -> None:
        """Look anew."""
        self._list.take()

    def reload(self) -> None:
        """Connect again now."""
        for feed in self._feeds:
            feed.retry()
