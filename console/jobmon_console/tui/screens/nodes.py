"""The page of nodes: what runs where, how busy it is, and where agents are silent."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.board import Board
from jobmon_console.tui.listing import Entry
from jobmon_console.tui.order import natural
from jobmon_console.tui.screens.page import Page
from jobmon_console.tui.widgets.lines import Lines, Span
from jobmon_wire.jobs import ALIVE, LOST, RUNNING, SILENT

_TITLES = (("JOBS", 6), ("RUN", 6), ("SILENT", 7), ("LOST", 6), ("CPU%", 7), ("MEM", 7), ("UDP", 6), ("TCP", 6))
LEAST_NAME, MOST_NAME = 14, 32  # cells
HEARD = 12  # cells: how long ago


class Node:
    """What is known of one node from its jobs."""

    def __init__(self, cluster: str, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.jobs = self.running = self.silent = self.lost = self.udp = self.tcp = 0
        self.cpu, self.memory = 0.0, 0
        self.heard: float | None = None  # s since 1970, of the last word of any of its agents

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one of its jobs."""
        state = row.get("state")
        self.jobs += 1
        self.running += state == RUNNING
        self.silent += state == SILENT
        self.lost += state == LOST
        self.udp += row.get("callback") == "udp"
        self.tcp += row.get("callback") == "tcp"
        if state in ALIVE:
            self.cpu += _number(row.get("cpu_percent"))
            self.memory += int(_number(row.get("rss_bytes")))
        heard = texts.moment(row.get("last_seen"))
        if heard is not None:
            self.heard = max(heard, self.heard or heard)


def nodes_of(entries: Iterable[Entry]) -> list[Node]:
    """Every node that jobs name, by cluster and name."""
    found: dict[tuple[str, str], Node] = {}
    for entry in entries:
        key = str(entry.row.get("cluster") or ""), str(entry.row.get("node") or "")
        found.setdefault(key, Node(*key)).add(entry.row)
    return sorted(found.values(), key=lambda node: (node.cluster, natural(node.name)))


class NodeRows(Lines):
    """One row for each node."""

    HAS_CURSOR = True
    HEADS = 1

    def __init__(self, board: Board, now: Callable[[], float]) -> None:
        super().__init__("nodes")
        self.nodes: list[Node] = []
        self._board = board
        self._now = now

    def take(self) -> None:
        """Count anew; the cursor stays on its node."""
        old = self.nodes[self.cursor] if self.cursor < len(self.nodes) else None
        self.nodes = nodes_of(self._board.entries.values())
        keys = [(node.cluster, node.name) for node in self.nodes]
        if old is not None and (old.cluster, old.name) in keys:
            self.cursor = keys.index((old.cluster, old.name))
        self.cursor = max(0, min(self.cursor, len(self.nodes) - 1))

    def count(self) -> int:
        """Nodes."""
        return len(self.nodes)

    def head(self, y: int) -> list[Span]:
        """Titles."""
        name, shown = self._layout()
        titles = "".join(texts.fit(title, width, right=True) for title, width in _TITLES[:shown])
        return [(" " + texts.fit("NODE", name) + titles + "   HEARD", "dim")]

    def spans(self, index: int) -> list[Span]:
        """One node."""
        node = self.nodes[index]
        name = f"{safe(node.cluster) or '-'}  {safe(node.name) or '(no node)'}"
        cells = (
            (f"{node.jobs:,}", "plain"),
            (f"{node.running:,}", "good" if node.running else "dim"),
            (f"{node.silent:,}", "warn" if node.silent else "dim"),
            (f"{node.lost:,}", "bad" if node.lost else "dim"),
            (texts.percent(node.cpu), "strong" if node.cpu >= 100 else "plain"),
            (texts.size(node.memory), "plain"),
            (f"{node.udp:,}", "dim"),
            (f"{node.tcp:,}", "dim"),
        )
        room, shown = self._layout()
        spans: list[Span] = [(" " + texts.fit(name, room), "strong")]
        for (text, style), (_, width) in zip(cells[:shown], _TITLES[:shown], strict=True):
            spans.append((texts.fit(text, width, right=True), style))
        age = "-" if node.heard is None else texts.short_span(self._now() - node.heard) + " ago"
        return [*spans, ("   " + age, "dim")]

    def _layout(self) -> tuple[int, int]:
        """Cells of the name, and how many columns fit behind it."""
        shown = len(_TITLES)
        while shown and self.size.width - 1 - HEARD - sum(width for _, width in _TITLES[:shown]) < LEAST_NAME:
            shown -= 1
        left = self.size.width - 1 - HEARD - sum(width for _, width in _TITLES[:shown])
        return max(LEAST_NAME, min(MOST_NAME, left)), shown

    def emptiness(self) -> list[list[Span]]:
        """No job, no node."""
        return [[], [("  No node is known: nodes are those of the jobs that you may see.", "dim")]]


class Nodes(Page):
    """All nodes; Enter shows the jobs of one.

    Args:
        choose: told the selector of the node's jobs.
    """

    ID = "nodes"

    def __init__(self, board: Board, now: Callable[[], float], choose: Callable[[str], None]) -> None:
        self._table = NodeRows(board, now)
        super().__init__(self._table)
        self._choose = choose

    def title_spans(self) -> list[Span]:
        """How many."""
        return [(" Nodes ", "bar-strong"), (f"{len(self._table.nodes):,}", "bar")]

    def keys(self) -> str:
        """What keys do."""
        return "Enter shows the node's jobs"

    def renew(self) -> None:
        """Count anew."""
        self._table.take()

    def confirm(self) -> None:
        """To the node's jobs."""
        if self._table.cursor < len(self._table.nodes):
            node = self._table.nodes[self._table.cursor]
            self.dismiss(None)
            self._choose(" ".join(f"{field}={_word(value)}" for field, value in _named(node) if value))


def _named(node: Node) -> tuple[tuple[str, str], ...]:
    return ("cluster", node.cluster), ("node", node.name)


def _word(value: str) -> str:
    return value if value.replace("-", "").replace(".", "").replace("_", "").isalnum() else f'"{value}"'


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0
