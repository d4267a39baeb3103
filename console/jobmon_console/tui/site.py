"""What the screens share: the board of every context, the clocks, the signals on their way."""

from collections.abc import Callable
from typing import NamedTuple

from jobmon_console.tui.board import Board
from jobmon_console.tui.shots import Volley


class Site(NamedTuple):
    """The console's state that outlives a screen."""

    board: Board
    volley: Volley
    now: Callable[[], float]  # s since 1970
    steady: Callable[[], float]  # s, never set back
    read_only: bool  # nothing may act on a job
    typed: tuple[str, ...] = ()  # words of the command line that chose the contexts
