"""Textual's own table with as many rows and changes as the console is measured with: what ``console.py`` compares to.

python stock.py table ROWS CHANGES_A_SECOND
"""

import random
import sys

from textual.app import App, ComposeResult
from textual.widgets import DataTable

COLUMNS = ("JOB", "STATE", "NAME", "OWNER", "NODE", "CPU%", "MEM", "ELAPSED", "PROGRESS")
TICK = 0.25  # s between changes, as in the console


class Stock(App[None]):
    """Nothing but the table."""

    CSS = "DataTable > .datatable--cursor { background: #2c405c; }"

    def __init__(self, rows: int, rate: int) -> None:
        super().__init__()
        self._rows, self._rate = rows, rate
        self._chance = random.Random(1)

    def compose(self) -> ComposeResult:
        """The table."""
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        """Fill it, and begin to change it."""
        table = self.query_one(DataTable)
        for title in COLUMNS:
            table.add_column(title, key=title, width=12)
        table.add_rows(
            (f"job-{row:06d}", "running", "train", "alice", f"wn{row % 500:04d}", "0", "1.0G", "00:00:01", "")
            for row in range(self._rows)
        )
        table.focus()
        self.set_interval(TICK, self._change)

    def _change(self) -> None:
        table = self.query_one(DataTable)
        keys = list(table.rows)
        for _ in range(int(self._rate * TICK)):
            table.update_cell(self._chance.choice(keys), "CPU%", str(self._chance.randrange(100)))


if __name__ == "__main__":
    Stock(int(sys.argv[2]), int(sys.argv[3])).run()
