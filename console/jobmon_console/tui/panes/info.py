"""The Info tab: everything known of a job, and of the node it runs on."""

from collections.abc import AsyncIterator
from typing import Any

from jobmon_console import calls
from jobmon_console.errors import JobMonError
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.pane import Pane, Target
from jobmon_console.tui.source import Reading
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.frames import RECORD
from jobmon_wire.jobs import FIELDS, exit_text
from jobmon_wire.moments import write_moment

AGAIN = 60.0  # s until it is asked for again; every request is a row of the audit trail
LABEL = 16  # cells of a field's name
DEEPEST = 3  # objects within objects that are opened out
_SIZES = frozenset(
    ["rss_bytes", "memory_limit", "output_bytes", "memory", "memory_available", "swap", "swap_free", "size", "free"]
) | {
    "peak_rss",
    "stdout_bytes",
    "stderr_bytes",
}
_SPANS = frozenset(["uptime", "cpu_seconds"])


class Info(Pane):
    """Fields and values."""

    def __init__(self) -> None:
        super().__init__("info")
        self._job: dict[str, Any] = {}
        self._node: dict[str, Any] = {}
        self._rows: list[list[Span]] = []

    def count(self) -> int:
        """Fields."""
        return len(self._rows)

    def spans(self, index: int) -> list[Span]:
        """A heading, or a field with its value."""
        return self._rows[index]

    def breadth(self) -> int:
        """A command line may be longer than the screen."""
        return max((sum(len(text) for text, _ in row) for row in self._rows), default=0)

    def ask(self, target: Target) -> Reading[Any] | None:
        """The job's record from the server, then the node's state from the agent."""

        async def both() -> AsyncIterator[tuple[str, Any]]:
            yield "job", await target.source.fetch(calls.job(target.uuid))
            if not target.is_alive:
                yield "node", {}  # what was known of it is old, and nobody says what is new
                return
            async for frame in target.source.frames(calls.query(target.uuid, "node")):
                if frame.type == RECORD:
                    yield "node", frame.document()

        return Reading(both)

    def take(self, item: Any) -> None:
        """One of the two."""
        what, document = item
        if isinstance(document, dict):
            if not self._rows:
                self.came()
            setattr(self, "_job" if what == "job" else "_node", document)
            self._rows = self._lay_out()

    def ended(self, error: JobMonError | None) -> None:
        """The two came whole, or what did not is asked for again."""
        super().ended(error)
        if error is None:
            self.came()
            self.later(AGAIN)

    def clear(self) -> None:
        """Another job."""
        self._job, self._node, self._rows = {}, {}, []

    def _lay_out(self) -> list[list[Span]]:
        rows: list[list[Span]] = []
        if self._job:
            order = [field.name for field in FIELDS]
            known = {name: self._job[name] for name in order if name in self._job}
            rows += [[(" Job", "heading")], *_fields(known, 0)]
            for part in ("registration", "end"):
                if isinstance(self._job.get(part), dict):
                    rows += [[], [(" " + part.capitalize(), "heading")], *_fields(self._job[part], 0)]
        if self._node:
            rows += [[], [(" Node", "heading")], *_fields(self._node, 0)]
        return rows


def _fields(record: dict[str, Any], depth: int) -> list[list[Span]]:
    rows: list[list[Span]] = []
    for name, value in record.items():
        label = "  " + "  " * depth + texts.fit(safe(str(name)).replace("_", " "), LABEL - 2 * depth)
        if isinstance(value, dict) and name != "exit":
            if value and depth < DEEPEST:
                rows.append([(label, "dim")])
                rows += _fields(value, depth + 1)
        elif value not in (None, "", {}, []):
            rows.append([(label + " ", "dim"), (_value(name, value), "plain")])
    return rows


def _value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "exit" and isinstance(value, dict):
        known = exit_text(value)
        return safe(f"{known}{', core dumped' if value.get('core') else ''} (known by {value.get('source')})")
    if name in _SIZES and isinstance(value, int):
        return f"{texts.size(value)}  ({value:,} bytes)"
    if name in _SPANS and isinstance(value, (int, float)):
        return texts.span(value)
    if name in ("started", "ended") and isinstance(value, (int, float)):
        return write_moment(value) or safe(str(value))
    if isinstance(value, list):
        return safe(" ".join(str(part) for part in value))
    return safe(str(value))
