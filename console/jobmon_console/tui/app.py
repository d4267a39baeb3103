"""The full-screen console: it owns the terminal, and gives it back.

What a person sees is in ``screens``; what comes from the servers arrives by one
task per context.
"""

import asyncio
import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.app import App
from textual.binding import BindingType
from textual.events import Event, Key, Paste
from textual.filter import LineFilter
from textual.screen import Screen

from jobmon_console import keys
from jobmon_console.appearance import Appearance
from jobmon_console.preferences import Keeper, Preferences
from jobmon_console.safe import safe
from jobmon_console.tui.bindings import APP_KEYS, bindings
from jobmon_console.tui.board import Board
from jobmon_console.tui.farewell import BY_SIGNAL, Farewell
from jobmon_console.tui.feed import Feed
from jobmon_console.tui.filters import AsciiFilter, ControlFilter
from jobmon_console.tui.keystrokes import Keystrokes
from jobmon_console.tui.palette import Actions, GoToJob, Themes, Views
from jobmon_console.tui.screens.jobs import JobsScreen
from jobmon_console.tui.shots import Volley
from jobmon_console.tui.site import Site
from jobmon_console.tui.source import Source
from jobmon_console.tui.suspending import has_shell, stop_group
from jobmon_console.tui.theme import DARK, THEMES

STOPPING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
WELCOME = "Welcome.  ? shows every key, / filters, Enter opens a job, Ctrl-Q leaves."
VOLLEY_TICK = 0.25  # s between looks at signals on their way


class Console(App[None]):
    """The console.

    Args:
        sources: name and client of each context, or its feed, which may run already.
        select: the filter to begin with.
        read_only: nothing may act on a job.
        now: s since 1970.
        steady: a clock that is never set back, s.
        chance: gives 0 to 1.
        keeper: keeps how it is left; None: nothing is kept.
        look: how it is drawn.
        typed: words of the command line that chose the contexts.
    """

    TITLE = "JobMon"
    CSS_PATH = "jobmon.tcss"
    # None of Textual's own: a screenshot would write what is secret to a file that all can read.
    COMMANDS: ClassVar[set[Any]] = {Actions, Views, Themes, GoToJob}
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(APP_KEYS)]
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = ""  # the table of keys has it; this one would go before every other binding

    def __init__(
        self,
        sources: Sequence[tuple[str, Source] | Feed],
        select: str = "",
        read_only: bool = False,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        keeper: Keeper | None = None,
        look: Appearance = Appearance(),  # noqa: B008 - a value that never changes
        typed: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._look = look
        keys.spell(look.is_ascii)
        self.animation_level = "none" if look.is_still else self.animation_level
        self._keeper = keeper
        self._net = ControlFilter()
        self.feeds = [each if isinstance(each, Feed) else Feed(*each, steady, chance) for each in sources]
        self.site = Site(Board(self.feeds, now), Volley(), now, steady, read_only, tuple(typed))
        self.jobs = JobsScreen(self.site, select)
        self.farewell: Farewell | None = None  # of a console that has a process of its own
        self._keystrokes = Keystrokes(self, lambda: self.focused or self.screen, super().on_event)
        for theme in THEMES.values():
            self.register_theme(theme)
        kept = keeper.load() if keeper is not None else Preferences()
        left = kept.theme if kept.theme in self.available_themes else DARK.name
        self.theme = THEMES[look.theme].name if look.theme else left
        self._given, self._left = self.theme if look.theme else "", left
        self.jobs.adopt(kept, select)
        self._has_helped = kept.has_helped or keeper is None

    def get_default_screen(self) -> Screen[None]:
        """The jobs."""
        return self.jobs

    def on_mount(self) -> None:
        """Connect to every context, and hear when to stop."""
        for feed in self.feeds:
            feed.start()
        self.set_interval(VOLLEY_TICK, self._look_at_shots)
        if self._keeper is not None and self._keeper.trouble:
            self.jobs.say(self._keeper.trouble)
        if not self._has_helped:
            self.jobs.say(WELCOME)
        loop = asyncio.get_running_loop()
        for number in STOPPING:
            loop.add_signal_handler(number, self._stop, int(number))
        if self._driver is not None and self._driver.can_suspend:  # in place of the driver's own handlers
            loop.add_signal_handler(signal.SIGTSTP, self.action_suspend_process)
            loop.add_signal_handler(signal.SIGCONT, self._take_terminal_again)
        if self.farewell is not None:
            self.farewell.heed(STOPPING)

    async def on_unmount(self) -> None:
        """End every task: the terminal is given back by Textual."""
        loop = asyncio.get_running_loop()
        for number in (*STOPPING, signal.SIGTSTP, signal.SIGCONT):
            loop.remove_signal_handler(number)
        if self._keeper is not None:
            theme = self._left if self.theme == self._given else self.theme  # one of the command line is for once
            self._keeper.keep(self.jobs.preferences()._replace(theme=theme))
        self.jobs.detail.stop()
        for feed in self.feeds:
            await feed.stop()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's, and the net for control characters last."""
        drawn = [AsciiFilter()] if self._look.is_ascii else []
        return [*super().get_line_filters(), *drawn, self._net]

    async def on_event(self, event: Event) -> None:
        """Keys and pasted text one after the other; all else as Textual does."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            await self._keystrokes.take(event)
        else:
            await super().on_event(event)

    def action_do(self, id_: str) -> None:
        """The keys that mean the same everywhere, dialogs included."""
        self.jobs.action_do(id_)

    def action_suspend_process(self) -> None:
        """Stop, and with it what it was started with, as ``make``; but not where nobody could have it go on."""
        if self._driver is None or not self._driver.can_suspend or self._is_leaving:
            return
        if not has_shell():
            self.jobs.say("no shell is behind this terminal; Ctrl-Q leaves")
            return
        with self.suspend():  # the terminal is given back first: once make has stopped, it is the shell's
            stop_group()

    def _take_terminal_again(self) -> None:
        """After a stop that nobody can hear: a shell has set the line and used the screen since.

        Given back first, or what is given back in the end is what was taken now.
        """
        if not self._is_leaving:
            with self.suspend():
                pass

    @property
    def _is_leaving(self) -> bool:
        """The terminal is given back for good: whoever takes it again reads keys for ever."""
        return self._exit or not self._running

    def _stop(self, number: int) -> None:
        self.exit(return_code=BY_SIGNAL + number)

    def _look_at_shots(self) -> None:
        for shot in self.site.volley.tick():
            if isinstance(self.screen, JobsScreen):  # no dialog shows it
                name = safe(str(shot.target.row.get("id") or shot.target.uuid))
                self.notify(f"{name}: {shot.outcome.text}", markup=False)

    def _fatal_error(self) -> None:
        """As Textual's, without the values of variables: they would land in the scrollback."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        self._exit_renderables.append(Segments(self.console.render(Traceback(width=None), self.console.options)))
        self._close_messages_no_wait()
