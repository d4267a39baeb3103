"""Textual's own widgets in the console's place: a table with as many rows and changes, a log with as many lines.

    python stock.py table ROWS CHANGES_A_SECOND
    python stock.py log LINES_A_SECOND

They are used as their documentation says, in the quicker of its ways: fixed
widths, rows and lines in bulk, four times a second as the console does.
"""

import random
import sys
from collections.abc import Callable
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import DataTable, Label, RichLog

from jobmon_console.tui.theme import DARK

CURSOR = DARK.variables["cursor-background"]  # as the console's, by which a cursor is found on both screens
COLUMNS = ("JOB", "STATE", "NAME", "OWNER", "NODE", "CPU%", "MEM", "ELAPSED", "PROGRESS")
TICK = 0.25  # s between changes
KEPT = 10_000  # lines
LINE = "{:>12} event a line as a job prints one, of seventy-one characters"


class Table(App[None]):
    """The table, and how many rows it has."""

    CSS = f"""
    DataTable > .datatable--cursor, DataTable:focus > .datatable--cursor {{ background: {CURSOR}; }}
    DataTable {{ height: 1fr; }}
    #title {{ height: 1; width: 100%; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [("j", "down", "Down"), ("slash", "narrow", "Narrow")]

    def __init__(self, rows: int, rate: int) -> None:
        super().__init__()
        self._rows, self._rate = rows, rate
        self._chance = random.Random(1)
        self._keys: list[str] = []

    def compose(self) -> ComposeResult:
        """The table below its title."""
        yield Label("", id="title")
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        """Fill it, and begin to change it."""
        table = self.query_one(DataTable)
        for title in COLUMNS:
            table.add_column(title, key=title, width=12)
        self._fill(range(self._rows))
        table.focus()
        self.set_interval(TICK, self._change)

    def action_down(self) -> None:
        """As an arrow."""
        self.query_one(DataTable).action_cursor_down()

    def action_narrow(self) -> None:
        """Show the rows of half of the nodes."""
        self._fill(row for row in range(self._rows) if row % 500 < 250)

    def _fill(self, rows: "range | object") -> None:
        table = self.query_one(DataTable)
        table.clear()
        self._keys = []
        for row in rows:  # type: ignore[attr-defined]
            cells = (f"job-{row:06d}", "running", "train", "alice", f"wn{row % 500:04d}", "0", "1.0G", "00:01", "")
            table.add_row(*cells, key=cells[0])
            self._keys.append(cells[0])
        self.query_one("#title", Label).update(f"{len(self._keys):,} rows")

    def _change(self) -> None:
        table = self.query_one(DataTable)
        for _ in range(int(self._rate * TICK)):
            table.update_cell(self._chance.choice(self._keys), "CPU%", str(self._chance.randrange(100)))


class Log(App[None]):
    """The log below what it does at the moment."""

    BINDINGS: ClassVar[list[BindingType]] = [("f", "follow", "Follow")]

    def __init__(self, rate: int) -> None:
        super().__init__()
        self._rate, self._lines = rate, 0

    def compose(self) -> ComposeResult:
        """The log, following."""
        yield Label("following", id="title")
        yield RichLog(max_lines=KEPT, wrap=False)

    def on_mount(self) -> None:
        """Begin to write."""
        self.set_interval(TICK, self._write)

    def action_follow(self) -> None:
        """Stay at the end, or stop there."""
        log = self.query_one(RichLog)
        log.auto_scroll = not log.auto_scroll
        self.query_one("#title", Label).update("following" if log.auto_scroll else "f follows")

    def _write(self) -> None:
        log = self.query_one(RichLog)
        for _ in range(int(self._rate * TICK)):
            log.write(LINE.format(self._lines))
            self._lines += 1


APPS: dict[str, Callable[..., App[None]]] = {"table": Table, "log": Log}

if __name__ == "__main__":
    APPS[sys.argv[1]](*map(int, sys.argv[2:])).run()
