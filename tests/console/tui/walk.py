"""A random walk over one tab of a real console: keys, sizes, other jobs, and answers that come when the walk says so.

The walk knows the console and its server; what a person may believe of a tab is
a model in the test of that tab.  A walk is repeated by its seed, which is said
when it fails.  Time is moved by hand.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jobmon_console.errors import JobMonError
from jobmon_console.keys import KEYS
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.detail import Detail
from jobmon_console.tui.widgets.lines import Lines
from jobmon_wire.frames import Frame
from tests.console.tui.conftest import Clock, FakeSource, record

JOBS = 3
SIZES = ((120, 36), (120, 28), (90, 30), (80, 24), (140, 44), (70, 20))  # every layout that shows a tab
MOVES = ("up", "down", "pageup", "pagedown", "home", "end")
STILL = 5  # turns of the loop without a message
MEANINGS = {key: each.id for each in KEYS for key in each.keys}
GATED = ("ls", "ps", "top", "log")  # verbs whose answers wait for the walk


class Answer:
    """One answer under way, as the far end sees it."""

    def __init__(self, verb: str, job: str, arguments: dict[str, Any]) -> None:
        self.verb, self.job, self.arguments = verb, job, arguments
        self.is_open = True
        self.parts: list[Any] = []  # what is still to be told, for the walk to keep
        self.has_begun = False
        self._items: asyncio.Queue[Any] = asyncio.Queue()

    def tell(self, *items: Any) -> None:
        """The next items of the answer."""
        for item in items:
            self._items.put_nowait(item)

    def end(self, error: JobMonError | None = None) -> None:
        """It is complete, or breaks off."""
        self.is_open = False
        self._items.put_nowait(error)

    async def items(self) -> AsyncIterator[Any]:
        """What the console reads."""
        try:
            while True:
                item = await self._items.get()
                if item is None:
                    return
                if isinstance(item, JobMonError):
                    raise item
                yield item
        finally:
            self.is_open = False


class Server(FakeSource):
    """A server whose agents answer when the walk says so.

    Attributes:
        answers: those to the gated verbs, oldest first.
        contents: gives the first bytes of a file of a job.
    """

    def __init__(self) -> None:
        super().__init__([record(number) for number in range(1, JOBS + 1)])
        self.answers: list[Answer] = []
        self.contents: Callable[[str, str], bytes | JobMonError] = lambda job, file: b""

    def lives(self) -> None:
        """A sign of life, so that the link stays what it is while time goes on."""
        self._lines.put_nowait({"kind": "alive"})

    async def rows(self, call: Any) -> AsyncIterator[dict[str, Any]]:
        job = call.path.split("/")[3] if call.path.endswith("/log") else ""
        rows = self._begin("log", job, dict(call.query)) if job else super().rows(call)
        async for row in rows:
            yield row

    async def _answer(self, verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        if verb == "head":
            found = self.contents(self.asked[-1][1]["job"], arguments["file"])
            if isinstance(found, JobMonError):
                raise found
            if not found:  # no bytes, no frame
                return
            self.output = found
        gated = verb in GATED
        items = self._begin(verb, self.asked[-1][1]["job"], arguments) if gated else super()._answer(verb, arguments)
        async for item in items:
            yield item

    def _begin(self, verb: str, job: str, arguments: dict[str, Any]) -> AsyncIterator[Any]:
        self.answers.append(Answer(verb, job, arguments))
        return self.answers[-1].items()


class Walk:
    """A console on which a walk goes on.

    Args:
        tab: the key of the tab.
        verb: what the tab asks.
        seed: of the chance.
        begin: gives the model of the tab about a job that was chosen just now.
    """

    def __init__(self, tab: str, verb: str, seed: int, begin: Callable[[str], Any]) -> None:
        self.tab, self.verb, self.seed = tab, verb, seed
        self._begin, self._about = begin, ""
        self.model = begin("")
        self.chance = random.Random(seed)
        self.server = Server()
        self.clock = Clock()
        self.console = Console([("caf", self.server)], now=self.clock, steady=self.clock, chance=lambda: 0.5)
        self.pilot: Any = None
        self.done: list[str] = []  # what was done, in order

    @property
    def detail(self) -> Detail:
        """The tabs."""
        return self.console.jobs.detail

    @property
    def job(self) -> str:
        """The uuid of the job that is looked at."""
        target = self.detail.target
        return "" if target is None else target.uuid

    async def run(self, steps: int, step: Callable[[], Awaitable[None]], claim: Callable[[], None]) -> None:
        """Go so many steps, and claim after each."""
        async with self.console.run_test(size=SIZES[0]) as self.pilot:
            await self.settle()
            await self.press(self.tab)
            self.follow()
            for number in range(steps):
                with self.noted(number):
                    await step()
                    self.follow()
                    claim()

    def follow(self) -> None:
        """Another job begins with another model."""
        if self._about != self.job:
            self._about, self.model = self.job, self._begin(self.job)

    @contextmanager
    def noted(self, number: int) -> Iterator[None]:
        """A failure names the way that led to it."""
        try:
            yield
        except Exception as error:
            error.add_note(f"seed {self.seed}, step {number}, after: {', '.join(self.done[-12:])}")
            raise

    async def settle(self, seconds: float = 0.0) -> None:
        """Let time go on, and all that is on its way be done and drawn."""
        self.clock.at += seconds
        self.server.lives()
        await self._quiet()
        for _ in range(3):  # a list that came moves the cursor, that asks for a file, and the file comes at once
            self.console.jobs.tick()
            await self._quiet()

    async def _quiet(self) -> None:
        """No message waits, and what is done after the next drawing is done."""
        for _ in range(2):
            still = 0
            while still < STILL:
                await asyncio.sleep(0)
                nodes = (self.console, self.console.screen, *self.detail.walk_children(with_self=True))
                still = 0 if any(node.message_queue_size for node in nodes) else still + 1
            self.console.screen._on_timer_update()

    async def press(self, key: str) -> None:
        """What a key means where the tab has the focus; how keys find their meaning is tested with the keys."""
        self.done.append(key)
        self.console.jobs.set_focus(self.detail.lines)
        self.console.jobs.action_do(MEANINGS[key])
        await self.settle()

    async def resize(self) -> None:
        """Another size of the terminal."""
        size = self.chance.choice(SIZES)
        self.done.append("{}x{}".format(*size))
        await self.pilot.resize_terminal(*size)
        await self.press(self.tab)  # a small terminal shows one pane: this one

    async def other_job(self) -> None:
        """The cursor of the table is on another job."""
        uuid = self.chance.choice(sorted(self.server.jobs))
        self.done.append(uuid)
        self.console.jobs.reveal(uuid)
        await self.settle()

    async def leave(self, key: str = "5") -> None:
        """To another tab, and back to this one."""
        await self.press(key)
        await self.press(self.tab)

    def under_way(self) -> Answer | None:
        """The answer the tab reads; there is one at most, and it is about the job that is looked at."""
        found = [answer for answer in self.server.answers if answer.is_open and answer.verb == self.verb]
        assert len(found) <= 1, "two requests of one tab"
        assert all(answer.job == self.job for answer in found), "a request about another job"
        return found[0] if found else None


class Window:
    """Which rows of a list without a cursor a person sees: the model of a scroll."""

    def __init__(self) -> None:
        self.top = 0

    def move(self, key: str, page: int) -> None:
        """A key scrolls; how far it can is known to ``fit``."""
        self.top += {"up": -1, "down": 1, "pageup": -page, "pagedown": page, "home": -(10**6), "end": 10**6}[key]

    def fit(self, rows: int, room: int) -> None:
        """There is nothing before the first row, and no air behind the last."""
        self.top = max(0, min(self.top, rows - room))


def room(pane: Lines) -> int:
    """Rows of a pane that are seen at once, a scroll bar below them apart."""
    return max(1, pane.size.height - pane.HEADS - pane.scrollbar_size_horizontal)


def page(pane: Lines) -> int:
    """Rows that a page is: one less than fit, a scroll bar taken for a row."""
    return max(1, pane.size.height - pane.HEADS - 1)


def drawn(pane: Lines) -> list[str]:
    """The rows a person sees, as they are drawn."""
    return [pane.render_line(y).text.rstrip() for y in range(pane.HEADS, pane.HEADS + room(pane))]
