"""The Top tab: the job's processes and its node, sampled by the agent again and again.

The order is asked of the agent, which sends the first of so many; where it is
too old for that, what it sends is ordered here, and the pane says so.
"""

from typing import Any, NamedTuple

from jobmon_console import allowance, calls, ranking
from jobmon_console.errors import JobMonError
from jobmon_console.ranking import number
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.history import History, bars
from jobmon_console.tui.panes.pane import Pane, Target
from jobmon_console.tui.source import Reading
from jobmon_console.tui.widgets.lines import Span
from jobmon_wire.frames import RECORD, Frame
from jobmon_wire.verbs import ORDERS

DELAYS = (8.0, 4.0, 2.0, 1.0, 0.5)  # s between samples
DELAY = 2.0  # s, at first
OVERDUE = 3  # delays after which a sample is called old
GATHER = 0.3  # s after the last key until the agent is asked anew; every request is a row of the audit trail
TOO_OLD = "the agent, or the server, is too old to be asked for this order: only the busiest come, and are ordered here"
SPARK = 24  # cells of a line of bars
CORE = 100.0  # % of a core: what the highest bar of CPU stands for at the least
BAR = 12  # cells of a meter
_TITLES = (("PID", 8), ("S", 2), ("CPU%", 6), ("MEM", 7), ("THR", 5), ("CPU TIME", 10))
_ORDERS = {"CPU%": "cpu", "MEM": "memory", "CPU TIME": "time"}  # by title


class Asked(NamedTuple):
    """What the agent is asked for."""

    order: str
    delay: float  # s


class Top(Pane):
    """The first processes of the job in one of three orders.

    Attributes:
        order: one of ``verbs.ORDERS``.
        delay: seconds between samples.
    """

    HEADS = 4

    def __init__(self, history: History) -> None:
        super().__init__("top")
        self.order = ranking.USUAL
        self.delay = DELAY
        self._history = history
        self._asked = Asked(self.order, self.delay)  # of the answer that is under way, or was last
        self._older: set[str] = set()  # uuids of jobs whose agent knows of no order
        self._is_changed = False  # a key was pressed since the last tick
        self._due: float | None = None  # s, when the agent is asked for what was chosen
        self._sample: dict[str, Any] = {}
        self._processes: list[dict[str, Any]] = []

    def count(self) -> int:
        """Processes in the sample."""
        return len(self._processes)

    def ask(self, target: Target) -> Reading[Any] | None:
        """Have the agent call back again and again."""
        if not target.is_alive:
            self.problem = self.nobody(target)
            return None
        self._asked = self._wanted(target)
        arguments = {"delay": self._asked.delay} | ranking.asked(self._asked.order)
        source, call = target.source, calls.query(target.uuid, "top", arguments)
        return Reading[Frame](lambda: source.frames(call))

    def take(self, item: Any) -> None:
        """One sample."""
        if item.type == RECORD:
            self._sample = item.document()
            self._processes = [p for p in _list(self._sample.get("processes")) if isinstance(p, dict)]
            if self._asked.order != self.order:
                self._processes = ranking.in_order(self._processes, self.order)
            self.came()
            if self.target is not None:
                job = _object(self._sample.get("job"))
                self._history.add(self.target.uuid, self._now, job.get("cpu_percent"), job.get("rss"))

    def clear(self) -> None:
        """No sample yet."""
        self._sample, self._processes = {}, []

    def choose(self, order: str) -> None:
        """Another order: at once of what is here, soon of what the agent sends."""
        if order in ORDERS and order != self.order:
            self.order = order
            self._processes = ranking.in_order(self._processes, order)
            self._is_changed = True
            self.refresh()

    def hurry(self, step: int) -> None:
        """Sample more often by so many steps, or less."""
        at = DELAYS.index(self.delay) + step
        if 0 <= at < len(DELAYS):
            self.delay = DELAYS[at]
            self._is_changed = True
            self.refresh()

    def options(self) -> list[str]:
        """The same for ``jobmon top``."""
        order = ["--sort", self.order] if self.order != ranking.USUAL else []
        return order + (["-d", f"{self.delay:g}"] if self.delay != DELAY else [])

    def order_at(self, x: int, y: int) -> str:
        """The order whose title is there, in cells from the upper left corner; empty: there is none."""
        end = 0
        for title, width in _TITLES if y == self.HEADS - 1 else ():
            begin, end = end, end + width + 1
            if begin <= x < end:
                return _ORDERS.get(title, "")
        return ""

    def _wanted(self, target: Target) -> Asked:
        return Asked(ranking.USUAL if target.uuid in self._older else self.order, self.delay)

    def _gather(self, now: float) -> None:
        """Ask anew once nobody has pressed a key for a moment, unless that would be for the same."""
        if self._is_changed:
            self._is_changed, self._due = False, now + GATHER
        elif self._due is not None and now >= self._due:
            self._due = None
            if self.target is not None and self.reading is not None and self._asked != self._wanted(self.target):
                self.ask_now()

    def renew(self) -> None:
        """Ask again now, also whether the agent is another."""
        super().renew()
        if self.target is not None:
            self._older.discard(self.target.uuid)

    def tick(self, now: float) -> None:
        """The age of the sample grows, too."""
        self._gather(now)
        super().tick(now)
        if self._sample:
            self.refresh()

    def head(self, y: int) -> list[Span]:
        """The job, what it used lately, the node, the titles."""
        if y == 3:
            return self._title_line()
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
            texts.span(number(process.get("cpu_seconds"))),
        )
        busy = (number(process.get("cpu_percent")) or 0.0) >= 5.0
        spans: list[Span] = []
        for (title, width), cell in zip(_TITLES, cells, strict=True):
            style = "strong" if busy and title == "CPU%" else "plain"
            spans.append((texts.fit(cell, width, right=title != "S") + " ", style))
        return [*spans, (safe(str(process.get("name") or "")), "strong" if busy else "plain")]

    def ended(self, error: JobMonError | None) -> None:
        """Nothing newer comes: say why, for the last sample stays.  Of an older agent no order is wanted again."""
        target, is_refused = self.target, error is not None and not self._is_answered
        if target is not None and is_refused:
            if self._asked.order != ranking.USUAL and ranking.may_be_too_old(error):
                self._older.add(target.uuid)
                self.ask_now()
                return
            self._older.discard(target.uuid)
        super().ended(error)
        if not self.problem and self.target is not None:
            self.problem = self.nobody(self.target) or "the agent sends no more"

    def troubles(self) -> list[str]:
        """Also that the order is not quite what was wanted."""
        is_older = self.target is not None and self.target.uuid in self._older
        told = [TOO_OLD] if is_older and self.order != ranking.USUAL and self._processes else []
        return super().troubles() + told

    def _title_line(self) -> list[Span]:
        spans: list[Span] = []
        for title, width in _TITLES:
            is_order = _ORDERS.get(title) == self.order
            text = texts.fit(title + ("▼" if is_order else ""), width, right=title != "S")
            spans.append((text + " ", "accent" if is_order else "dim"))
        return [*spans, (f"NAME   every {self.delay:g} s", "dim")]

    def _job_line(self) -> list[Span]:
        job = _object(self._sample.get("job"))
        memory = allowance.memory(job, texts.size)
        is_new = self._now - (self._came or 0.0) < OVERDUE * self._asked.delay
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
        load = " ".join(f"{value:.2f}" for value in map(number, _list(node.get("load"))[:3]) if value is not None)
        whole, free = number(node.get("memory")), number(node.get("memory_available"))
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
