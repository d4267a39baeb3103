"""The Tree tab: the job's processes, children under their parents, what is below one folded away or not.

The cursor and the folds are held by process: when a new list comes the cursor
stays on its process, and that where it is on the screen.
"""

from typing import Any

from textual.geometry import Region

from jobmon_console import calls
from jobmon_console.errors import JobMonError
from jobmon_console.ranking import number
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes import pstree
from jobmon_console.tui.panes.pane import Pane, Target
from jobmon_console.tui.panes.pstree import Identity, Process, Row
from jobmon_console.tui.source import Reading
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.frames import RECORD, Frame

AGAIN = 30.0  # s until the tree is asked for again; every request is a row of the audit trail
ROOMY = 76  # cells from which on what each has with all below it stands in columns of its own

_OWN = (("PID", 7), ("S", 1), ("USER", 8), ("MEM", 5), ("CPU TIME", 10))
_WHOLE = (("TREE MEM", 8), ("TREE TIME", 10))  # of a process with all below it


class Tree(Pane):
    """The process tree."""

    HAS_CURSOR = True
    HEADS = 1
    HAS_TITLES = True

    def __init__(self) -> None:
        super().__init__("tree")
        self._coming: list[Process] = []
        self._rows: list[Row] = []
        self._seen: list[int] = []  # places in them, of those that are not folded away
        self._folded: set[Identity] = set()
        self._top: int | None = None  # the row to begin with, when it is drawn next

    def count(self) -> int:
        """Processes that are not folded away."""
        return len(self._seen)

    @property
    def chosen(self) -> Row | None:
        """The process under the cursor."""
        return self._rows[self._seen[self.cursor]] if self.cursor < len(self._seen) else None

    def ask(self, target: Target) -> Reading[Any] | None:
        """One list; it comes in parts."""
        if not target.is_alive:
            self.problem = self.nobody(target)
            return None
        self._coming = []
        source, call = target.source, calls.query(target.uuid, "ps")
        return Reading[Frame](lambda: source.frames(call))

    def take(self, item: Any) -> None:
        """A part of the list."""
        if item.type == RECORD:
            found = item.document().get("processes")
            self._coming += [p for p in found if isinstance(p, dict)] if isinstance(found, list) else []

    def ended(self, error: JobMonError | None) -> None:
        """The list is whole: draw it, and ask again in a while."""
        super().ended(error)
        if error is None:
            self.came()
            self._show(pstree.arrange(self._coming))
            self.later(AGAIN)

    def taken(self) -> None:
        """The processes that are looked at stay where they are on the screen."""
        top, self._top = self._top, None
        is_seen = top is not None and top <= self.cursor < top + self.room
        super().taken()  # which may bring a scroll bar that takes a row
        if top is not None:
            self.scroll_to(y=top, animate=False)
            if is_seen:  # there may be less to scroll than that
                self.reveal()

    def clear(self) -> None:
        """Another job."""
        self._rows, self._seen, self._coming, self.cursor = [], [], [], 0
        self._folded.clear()

    # Keys

    def fold(self) -> bool:
        """Fold what is below the process under the cursor, or unfold it; False: there is nothing below it."""
        row = self.chosen
        if row is None or not row.below:
            return False
        self._folded ^= {row.identity}
        self._show(self._rows)
        self.taken()
        return True

    def _show(self, rows: list[Row]) -> None:
        """Other rows: the cursor stays on its process, and that, or what is looked at elsewhere, on its line."""
        old, top = [self._rows[at].identity for at in self._seen], self.scroll_offset.y
        self._rows = rows
        self._folded &= {row.identity for row in rows}
        self._seen = pstree.unfolded(rows, self._folded)
        new = pstree.places(rows, self._seen)
        is_at_home = self.cursor == 0 and top == 0  # what comes before the first is seen
        looked_at = self.cursor if top <= self.cursor < top + self.room else top
        place, step = pstree.nearest(old, looked_at, new)
        is_same = self.cursor < self.count() and self.cursor < len(old) and self._is_at(self.cursor, old[self.cursor])
        self.cursor = self.cursor if is_same else pstree.nearest(old, self.cursor, new)[0]
        self._top = 0 if is_at_home else max(0, place - (looked_at + step - top))

    def _is_at(self, place: int, identity: Identity) -> bool:
        """Also of several that say they are the same."""
        return self._rows[self._seen[place]].identity == identity

    # Drawing

    def on_resize(self) -> None:
        """There is room for other columns."""
        self.resize_rows()
        super().on_resize()

    def breadth(self) -> int:
        """A command line may be longer than the screen."""
        before = sum(width + 1 for _, width in self._titles)
        rows = (self._rows[at] for at in self._seen)
        return max((before + len(row.branches + self._mark(row) + _command(row.process)) for row in rows), default=0)

    @property
    def _titles(self) -> tuple[tuple[str, int], ...]:
        return _OWN + (_WHOLE if self.size.width >= ROOMY else ())

    def head(self, y: int) -> list[Span]:
        """Titles."""
        titles = "".join(texts.fit(title, width, right=_is_right(title)) + " " for title, width in self._titles)
        spans: list[Span] = [(titles + "COMMAND", "dim")]
        if self._rows and not self.problem:  # that is told with the age of the list
            room = self.size.width - len(titles + "COMMAND")
            told, more = f"   seen {self.age} ago", ", R asks again"
            spans.append((told + more if len(told + more) <= room else told, "dim"))
        return spans

    def tick(self, now: float) -> None:
        """The age of the list grows, too."""
        super().tick(now)
        if self._rows:
            self.refresh(Region(0, 0, self.size.width, self.HEADS))

    def spans(self, index: int) -> list[Span]:
        """One process; of one that is folded, what it has with all below it."""
        row = self._rows[self._seen[index]]
        process, mark = row.process, self._mark(row)
        whole = (texts.size(row.rss), texts.span(row.cpu))
        own = (texts.size(number(process.get("rss"))), texts.span(number(process.get("cpu_seconds"))))
        cells = [str(process.get("pid", "")), str(process.get("state") or ""), str(process.get("user") or "")]
        cells += [*(whole if mark else own), *(whole if row.below else ("", ""))]
        fitted = [
            texts.fit(safe(cell), width, right=_is_right(title)) + " "
            for (title, width), cell in zip(self._titles, cells, strict=False)
        ]
        command, line = _command(process), "".join(fitted)
        if len(line + row.branches + mark + command) > self.size.width:
            command = _short(command)
        return [
            ("".join(fitted[:3]), "plain"),
            ("".join(fitted[3:5]), "info" if mark else "plain"),
            ("".join(fitted[5:]), "plain"),
            (row.branches, "dim"),
            (mark, "accent"),
            (command, "strong" if process.get("is_job") is True else "plain"),
        ]

    def _mark(self, row: Row) -> str:
        """Before the command of one that is folded: how many it hides."""
        return f"▸ +{row.below:,} " if row.below and row.identity in self._folded else ""


def _command(process: Process) -> str:
    return safe(str(process.get("command") or process.get("name") or "?"))


def _short(command: str) -> str:
    """Without the directory of the program, which is the same for many and leaves no room for what differs."""
    program, blank, rest = command.partition(" ")
    directory, slash, name = program.rpartition("/")
    return f"…/{name}{blank}{rest}" if slash and directory else command


def _is_right(title: str) -> bool:
    return title not in ("S", "USER")
