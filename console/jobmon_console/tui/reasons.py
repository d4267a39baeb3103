"""Why a filter matches nothing: what each of its parts does by itself.

To find out takes a look at every job for each part, so that of a long list it
is left for a moment in which nobody types.  Nothing here draws.
"""

from collections.abc import Iterable

from jobmon_console.selectors import Clause


class Reasons:
    """What is known of it.

    Attributes:
        clauses: of the filter; empty: it is not known, or it has one part alone.
        are_wanted: it is to be found out.
    """

    def __init__(self) -> None:
        self.clauses: list[Clause] = []
        self.are_wanted = False
        self._filter = ""  # that the clauses are of

    def ask(self, idle_filter: str) -> None:
        """The list is arranged anew; what is known of this filter, which matches nothing, holds until ``give``."""
        self.are_wanted = bool(idle_filter)
        if idle_filter != self._filter:
            self.clauses = []
        self._filter = idle_filter

    def give(self, clauses: Iterable[Clause]) -> None:
        """It is found out."""
        self.clauses, self.are_wanted = list(clauses), False
