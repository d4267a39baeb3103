"""The Top tab: the job's processes and its node, sampled by the agent again and again."""

from typing import Any

from jobmon_console import allowance, calls
from jobmon_console.errors import JobMonError
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.history import History, bars
from jobmon_console.tui.panes.pane import Pane, Target
from jobmon_console.tui.source import Reading
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.frames import RECORD, Frame

DELAY = 2.0  # s between samples
SPARK = 24  # cells of a line of bars
CORE = 100.0  # % of a core: what the highest bar of CPU stands for at the least
BAR = 12  # cells of a meter
_TITLES = (("PID", 8), ("S", 2), ("CPU%", 6), ("MEM", 7), ("THR", 5), ("CPU TIME", 10))


class Top(Pane):
    """The busiest processes of the job."""

    HEADS = 4

    def __init__(self, history: History) -> None:
        super().__init__("top")
        self._history = history
        self._sample: dict[str, Any] = {}
        self._processes: list[dict[str, Any]] = []

    def count(self) -> int:
        """Processes in the sample."""
        return len(self._processes)

    def ask(self, target: Target) -> Reading[Any] | None:
        """Have the agent call back every ``DELAY`` seconds."""
        if not target.is_alive:
            self.problem = self.nobody(target)
            return None
        source, call = target.source, calls.query(target.uuid, "top", {"delay": DELAY})
        return Reading[Frame](lambda: source.frames(call))

    def take(self, item: Any) -> None:
        """One sample."""
        if item.type == RECORD:
            self._sample = item.document()
            self._processes = [p for p in _list(self._sample.get("processes")) if isinstance(p, dict)]
            self.came()
            if self.target is not None:
                job = _object(self._sample.get("job"))
                self._history.add(self.target.uuid, self._now, job.get("cpu_percent"), job.get("rss"))

    def clear(self) -> None:
        """No sample yet."""
        self._sample, self._processes = {}, []

    def tick(self, now: float) -> None:
        """The age of the sample grows, too."""
        super().tick(now)
        if self._sample:
            self.refresh()

    def head(self, y: int) -> list[Span]:
        """The job, what it used lately, the node, the titles."""
        if y == 3:
            titles = "".join(texts.fit(title, width, right=title not in ("S",)) + " " for title, width in _TITLES)
            return [(titles + "NAME", "dim")]
        if not self._sample:
            return []
        return (self._job_line, self._history_line, self._node_line)[y]()

    def spans(self, index: int) -> list[Span]:
        """One process."""
        process = self._processes[index]
        cells = (
            safe(str(process.get("pid", ""))),
            safe(str(process.get("state") or "")),
            texts.percent(process.get("cpu_percent")),
            texts.size(process.get("rss")),
            safe(str(process.get("threads") or "")),
            texts.span(_number(process.get("cpu_seconds"))),
        )
        busy = (_number(process.get("cpu_percent")) or 0.0) >= 5.0
        spans: list[Span] = []
        for (title, width), cell in zip(_TITLES, cells, strict=True):
            style = "strong" if busy and title == "CPU%" else "plain"
            spans.append((texts.fit(cell, width, right=title != "S") + " ", style))
        return [*spans, (safe(str(process.get("name") or "")), "strong" if busy else "plain")]

    def ended(self, error: JobMonError | None) -> None:
        """Nothing newer comes: say why, for the last sample stays."""
        super().ended(error)
        if not self.problem and self.target is not None:
            self.problem = self.nobody(self.target) or "the agent sends no more"

    def _job_line(self) -> list[Span]:
        job = _object(self._sample.get("job"))
        memory = allowance.memory(job, texts.size)
        is_new = self._now - (self._came or 0.0) < 3 * DELAY
        return [
            (" job   ", "dim"),
            (f"CPU {texts.percent(job.get('cpu_percent'))}%", "strong"),
            (f"  MEM {safe(memory.text)}", "warn" if memory.is_bad else "strong"),
            (f"  {_counted(job, 'process', 'processes')}, {_counted(job, 'thread', 'threads')}", "dim"),
            (f"   sampled {self.age} ago", "dim" if is_new else "warn"),
            *(
                (f"  {safe(fact.text)}", "warn" if fact.is_bad else "plain")
                for fact in allowance.facts(job, texts.size)
            ),
        ]

    def _history_line(self) -> list[Span]:
        samples = self._history.of(self.target.uuid, self._now) if self.target is not None else []
        if len(samples) < 2:
            return [(" last  ", "dim"), ("a line of bars comes with the next samples", "dim")]
        cpu, memory = [sample.cpu for sample in samples], [sample.memory for sample in samples]
        span = texts.short_span(samples[-1].at - samples[0].at)
        return [
            (f" {texts.fit(span, 5)} ", "dim"),
            (f"CPU {bars(cpu, SPARK, CORE)}", "info"),
            (f" ≤ {texts.percent(max(cpu))}%  ", "dim"),
            (f"MEM {bars(memory, SPARK)}", "info"),
            (f" ≤ {texts.size(max(memory))}", "dim"),
        ]

    def _node_line(self) -> list[Span]:
        node = _object(self._sample.get("node"))
        load = " ".join(f"{value:.2f}" for value in map(_number, _list(node.get("load"))[:3]) if value is not None)
        whole, free = _number(node.get("memory")), _number(node.get("memory_available"))
        spans: list[Span] = [(" node  ", "dim"), (f"load {load or '-'}", "plain")]
        spans.append((f" of {safe(str(node.get('cpus', '-')))} CPUs  ", "dim"))
        if whole and free is not None:
            used = min(1.0, max(0.0, 1 - free / whole))
            spans.append((f"MEM {_bar(used)}", "warn" if used > 0.9 else "good"))
            spans.append((f" {texts.size(whole - free)} of {texts.size(whole)}", "dim"))
        return spans


def _counted(job: dict[str, Any], one: str, several: str) -> str:
    count = job.get(several)
    return f"{safe(str(count if count is not None else texts.NOTHING))} {one if count == 1 else several}"


def _bar(share: float) -> str:
    full = round(share * BAR)
    return "█" * full + "░" * (BAR - full)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
