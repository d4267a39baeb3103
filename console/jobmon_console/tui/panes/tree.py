"""The Tree tab: the job's processes, children under their parents."""

from typing import Any

from textual.geometry import Region

from jobmon_console import calls
from jobmon_console.errors import JobMonError
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.pane import Pane, Target
from jobmon_console.tui.source import Reading
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.frames import RECORD, Frame

AGAIN = 30.0  # s until the tree is asked for again; every request is a row of the audit trail
DEEPEST = 64  # levels drawn; a chain of more is drawn flat

Process = dict[str, Any]
_TITLES = (("PID", 8), ("S", 2), ("USER", 9), ("MEM", 7), ("CPU TIME", 10))


class Tree(Pane):
    """The process tree."""

    HEADS = 1
    HAS_TITLES = True

    def __init__(self) -> None:
        super().__init__("tree")
        self._coming: list[Process] = []
        self._rows: list[tuple[str, Process]] = []  # branches drawn before the name, process
        self._top: int | None = None  # the row to begin with, when it is drawn next

    def count(self) -> int:
        """Processes."""
        return len(self._rows)

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
            old, self._rows = self._rows, arrange(self._coming)
            self._top = _follow(old, self._rows, self.scroll_offset.y)
            self.later(AGAIN)

    def taken(self) -> None:
        """The processes that are looked at stay where they are on the screen."""
        super().taken()
        if self._top is not None:
            self.scroll_to(y=self._top, animate=False)
            self._top = None

    def clear(self) -> None:
        """Another job."""
        self._rows, self._coming = [], []

    def breadth(self) -> int:
        """A command line may be longer than the screen."""
        return max((60 + len(branches) + len(_command(process)) for branches, process in self._rows), default=0)

    def head(self, y: int) -> list[Span]:
        """Titles."""
        titles = "".join(texts.fit(title, width, right=_is_right(title)) + " " for title, width in _TITLES)
        spans: list[Span] = [(titles + "COMMAND", "dim")]
        if self._rows and not self.problem:  # that is told with the age of the list
            spans.append((f"   seen {self.age} ago, R asks again", "dim"))
        return spans

    def tick(self, now: float) -> None:
        """The age of the list grows, too."""
        super().tick(now)
        if self._rows:
            self.refresh(Region(0, 0, self.size.width, self.HEADS))

    def spans(self, index: int) -> list[Span]:
        """One process."""
        branches, process = self._rows[index]
        spent = process.get("cpu_seconds")
        cells = (
            str(process.get("pid", "")),
            str(process.get("state") or ""),
            str(process.get("user") or ""),
            texts.size(process.get("rss")),
            texts.span(spent if isinstance(spent, (int, float)) else None),
        )
        line = "".join(
            texts.fit(safe(cell), width, right=_is_right(title)) + " "
            for (title, width), cell in zip(_TITLES, cells, strict=True)
        )
        is_job = process.get("is_job") is True
        command = _command(process)
        if len(line) + len(branches) + len(command) > self.size.width:
            command = _short(command)
        return [(line, "plain"), (branches, "dim"), (command, "strong" if is_job else "plain")]


def arrange(processes: list[Process]) -> list[tuple[str, Process]]:
    """Processes with the branches before each, children after their parents.

    A process whose parent is not in the list is a root.  What an agent sends
    may go in circles: every process is drawn once.
    """
    known = {process.get("pid") for process in processes}
    children: dict[Any, list[Process]] = {}
    roots: list[Process] = []
    for process in sorted(processes, key=lambda process: str(process.get("pid", "")).zfill(10)):
        parent = process.get("ppid")
        is_root = parent not in known or parent == process.get("pid")
        (roots if is_root else children.setdefault(parent, [])).append(process)
    rows: list[tuple[str, Process]] = []
    drawn: set[int] = set()
    waiting = [(root, "", "", 0) for root in reversed(roots)]
    while waiting or len(rows) < len(processes):
        if not waiting:  # only circles are left: begin with any of them
            waiting.append((next(p for p in processes if id(p) not in drawn), "", "", 0))
        process, stem, branch, depth = waiting.pop()
        if id(process) in drawn:
            continue
        drawn.add(id(process))
        rows.append((stem + branch, process))
        below = children.get(process.get("pid"), [])
        under = stem + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch] if depth < DEEPEST else stem
        for at, child in reversed(list(enumerate(below))):
            waiting.append((child, under, "└─ " if at == len(below) - 1 else "├─ ", depth + 1))
    return rows


def _follow(old: list[tuple[str, Process]], new: list[tuple[str, Process]], top: int) -> int:
    """The first row to be seen of new rows: the first process seen of the old ones that is still there does not move.

    At the top one stays at the top: what comes there is seen.
    """
    rows = {_identity(process): at for at, (_, process) in enumerate(new)}
    for line, (_, process) in enumerate(old[top:] if top else ()):
        if _identity(process) in rows:
            return max(0, rows[_identity(process)] - line)
    return top


def _identity(process: Process) -> tuple[str, str]:
    return str(process.get("pid")), str(process.get("started"))


def _command(process: Process) -> str:
    return safe(str(process.get("command") or process.get("name") or "?"))


def _short(command: str) -> str:
    """Without the directory of the program, which is the same for many and leaves no room for what differs."""
    program, blank, rest = command.partition(" ")
    directory, slash, name = program.rpartition("/")
    return f"…/{name}{blank}{rest}" if slash and directory else command


def _is_right(title: str) -> bool:
    return title not in ("S", "USER")
