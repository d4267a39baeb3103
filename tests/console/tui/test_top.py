"""The Top tab shows the last sample, each process once and in the agent's order, and never scrolls by itself."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobmon_console.errors import CutOffError, RefusedError
from jobmon_console.preferences import Preferences
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.pane import ASK_AGAIN
from jobmon_console.tui.panes.top import DELAY, DELAYS, GATHER, OVERDUE, TOO_OLD
from jobmon_console.tui.screens.jobs import JobsScreen
from jobmon_wire.frames import RECORD
from tests.console.tui.conftest import frame
from tests.console.tui.walk import MOVES, Walk, Window, drawn, page, room

STEPS = 300
NAME = 44  # the column in which names begin


class Model(Window):
    """What a person may believe: the sample that came last, and the place in it."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self.pids: list[int] = []
        self.at = 0.0  # s, when the sample came


class TopWalk(Walk):
    """A walk over the Top tab."""

    def __init__(self, seed: int) -> None:
        super().__init__("2", "top", seed, Model)
        self.pids = list(range(100, 160))

    async def step(self) -> None:
        """One thing that may happen."""
        kinds = {self.sample: 8, self.key: 6, self.broken: 1, self.again: 1, self.leave: 0.7}
        kinds |= {self.other_job: 0.5, self.resize: 0.5, self.wait: 1}
        await self.chance.choices(list(kinds), list(kinds.values()))[0]()

    async def sample(self) -> None:
        """The agent calls back: the busiest first, which are others each time."""
        answer = self.under_way()
        if answer is None:
            await self.settle(ASK_AGAIN)
            return
        pids = self.chance.sample(self.pids, self.chance.choice([0, 1, 20, 50, 60]))
        self.done.append(f"{len(pids)} processes")
        for _ in range(self.chance.choice([1, 1, 3])):  # several between two ticks, as over a slow link
            self.chance.shuffle(pids)
            answer.tell(frame(RECORD, {"job": {"cpu_percent": 1.0, "rss": 1}, "processes": self.records(pids)}))
        await self.settle()
        self.model.pids, self.model.at = pids, self.clock.at

    def records(self, pids: list[int]) -> list[dict[str, Any]]:
        """As the wire has them."""
        return [{"pid": pid, "state": "R", "name": f"run-{pid}", "cpu_percent": 9.0, "threads": 1} for pid in pids]

    async def key(self) -> None:
        """The list is scrolled."""
        key = self.chance.choice(MOVES)
        self.model.move(key, page(self.detail.top))
        await self.press(key)

    async def broken(self) -> None:
        """The agent is cut off, or refuses: the last sample stays, with its age."""
        answer = self.under_way()
        if answer is not None:
            answer.end(self.chance.choice([CutOffError("broken off"), RefusedError("not-permitted", "not for you")]))
        await self.settle()

    async def again(self) -> None:
        """Ask again; the last sample stays until another comes."""
        await self.press("R")

    async def wait(self) -> None:
        """Time goes on."""
        await self.settle(self.chance.choice([1.0, 30.0]))

    def claim(self) -> None:
        """The tab is as the model says."""
        pane, model = self.detail.top, self.model
        model.fit(len(model.pids), room(pane))
        assert pane.count() == len(model.pids)
        assert pane.scroll_offset.y == model.top
        seen = model.pids[model.top :][: room(pane)]
        rows = [(row[:8].strip(), row[NAME:]) for row in drawn(pane)[: len(seen)]]
        assert rows == [(str(pid), f"run-{pid}") for pid in seen] or not seen
        if model.at:
            self.claim_age(f"sampled {round(self.clock.at - model.at)}")

    def claim_age(self, text: str) -> None:
        """How old the sample is."""
        assert text in self.detail.top.render_line(0).text


async def test_the_last_sample_is_shown_and_never_scrolls_by_itself() -> None:
    walk = TopWalk(seed=3)

    await walk.run(STEPS, walk.step, walk.claim)


ROWS = [
    {"pid": 11, "name": "busy", "cpu_percent": 99.0, "rss": 2**20, "cpu_seconds": 5.0},
    {"pid": 12, "name": "large", "cpu_percent": 2.0, "rss": 2**40, "cpu_seconds": 1.0},
    {"pid": 13, "name": "old", "cpu_percent": 1.0, "rss": 2**10, "cpu_seconds": 9e5},
]
IDLE = {"pid": 14, "name": "hidden", "cpu_percent": 0.0, "rss": 2**41, "cpu_seconds": 0.0}


class TopStage(Walk):
    """A console whose Top tab is told what a test says, when it says so."""

    def __init__(self) -> None:
        super().__init__("2", "top", 1, Model)

    async def begin(self, pilot: Any) -> None:
        """The tab is open, and its first sample is there."""
        self.pilot = pilot
        await self.settle()
        await self.press("2")
        await self.tell(ROWS)

    async def tell(self, rows: list[dict[str, Any]]) -> None:
        """One sample."""
        answer = self.under_way()
        assert answer is not None
        answer.tell(frame(RECORD, {"job": {"cpu_percent": 1.0, "rss": 1}, "processes": rows}))
        await self.settle()

    async def do(self, *ids: str) -> None:
        """Keys, one right behind the other."""
        for id_ in ids:
            self.console.jobs.action_do(id_)
        await self.settle()

    @property
    def asked(self) -> list[dict[str, Any]]:
        """What the agent was asked for, in order."""
        return [answer.arguments for answer in self.server.answers if answer.verb == "top"]

    @property
    def names(self) -> list[str]:
        """Of the processes, as they are drawn."""
        return [row[NAME:] for row in drawn(self.detail.top) if row]

    def head(self, y: int) -> str:
        return self.detail.top.render_line(y).text


@pytest.mark.parametrize(
    ("key", "order", "first", "title"),
    [("order_memory", "memory", "large", " MEM▼"), ("order_time", "time", "old", "CPU TIME▼")],
)
async def test_another_order_is_there_at_once_and_the_agent_is_asked_for_it_once(
    key: str, order: str, first: str, title: str
) -> None:
    stage = TopStage()
    async with stage.console.run_test(size=(120, 36)) as pilot:
        await stage.begin(pilot)
        assert (stage.asked, stage.names[0]) == ([{"delay": DELAY, "count": 0}], "busy")
        assert " CPU%▼" in stage.head(3)

        await stage.do(key)
        assert stage.names[0] == first
        assert title in stage.head(3)
        assert "CPU%▼" not in stage.head(3)
        assert len(stage.asked) == 1
        await stage.settle(GATHER)
        assert stage.asked[1:] == [{"delay": DELAY, "count": 0, "sort": order}]

        await stage.tell([IDLE, ROWS[0]])
        assert stage.names == ["hidden", "busy"], "what the agent knows of more processes goes before"


async def test_quick_repeats_are_gathered_and_what_comes_back_to_what_it_was_is_not_asked_for() -> None:
    stage = TopStage()
    async with stage.console.run_test(size=(120, 36)) as pilot:
        await stage.begin(pilot)

        await stage.do("order_memory", "order_time", "faster", "faster")
        await stage.settle(GATHER - 0.1)
        await stage.do("slower")
        await stage.settle(GATHER - 0.1)
        assert len(stage.asked) == 1
        await stage.settle(GATHER)
        assert stage.asked[1:] == [{"delay": 1.0, "count": 0, "sort": "time"}]
        assert [answer.is_open for answer in stage.server.answers if answer.verb == "top"] == [False, True]

        await stage.do("order_cpu", "order_time", "slower", "faster")
        await stage.settle(10 * GATHER)
        assert len(stage.asked) == 2


async def test_the_delay_is_told_has_its_bounds_and_the_warning_follows_it() -> None:
    stage = TopStage()
    async with stage.console.run_test(size=(80, 24)) as pilot:
        await stage.begin(pilot)
        assert "every 2 s" in stage.head(3)

        await stage.do(*["slower"] * 5)
        assert "every 8 s" in stage.head(3)
        await stage.settle(GATHER)
        assert stage.asked[-1]["delay"] == max(DELAYS) == 8.0
        await stage.tell(ROWS)
        await stage.settle(OVERDUE * 8.0 - 1)
        assert ("sampled 23s ago", "dim") in _said(stage)
        await stage.settle(2)
        assert ("sampled 25s ago", "warn") in _said(stage)

        await stage.do(*["faster"] * 9)
        assert "every 0.5 s" in stage.head(3)
        await stage.settle(GATHER)
        assert stage.asked[-1]["delay"] == min(DELAYS) == 0.5
        await stage.tell(ROWS)
        await stage.settle(2)
        assert ("sampled 2s ago", "warn") in _said(stage)


def _said(stage: TopStage) -> list[tuple[str, str]]:
    return [(text.strip(), style) for text, style in stage.detail.top.head(0)]


@pytest.mark.parametrize("code", ["unsupported", "bad-request"])
async def test_of_an_older_agent_what_it_sends_is_ordered_here_and_the_pane_says_so(code: str) -> None:
    stage = TopStage()
    async with stage.console.run_test(size=(120, 36)) as pilot:
        await stage.begin(pilot)
        await stage.do("order_memory")
        await stage.settle(GATHER)
        answer = stage.under_way()
        assert answer is not None
        answer.end(RefusedError(code, "older than the option 'sort'"))
        await stage.settle()
        assert [asked.get("sort") for asked in stage.asked] == [None, "memory", None]

        await stage.tell(ROWS)
        assert stage.names == ["large", "busy", "old"]
        assert stage.detail.top.troubles() == [TOO_OLD]
        await stage.do("order_time")
        await stage.settle(GATHER)
        assert stage.names == ["old", "busy", "large"]
        assert len(stage.asked) == 3, "it is not asked again for what it does not know"

        await stage.do("order_cpu")
        await stage.settle(GATHER)
        assert stage.detail.top.troubles() == []
        await stage.do("order_memory", "reconnect")
        assert stage.asked[-1].get("sort") == "memory", "R asks whether the agent is another by now"


@pytest.mark.parametrize("code", ["not-permitted", "bad-request"])
async def test_what_is_refused_for_another_reason_is_said_and_not_asked_for_again_and_again(code: str) -> None:
    stage = TopStage()
    async with stage.console.run_test(size=(120, 36)) as pilot:
        await stage.begin(pilot)
        await stage.do("order_memory")
        await stage.settle(GATHER)
        for _ in range(3):
            answer = stage.under_way()
            if answer is not None:
                answer.end(RefusedError(code, "not for you"))
            await stage.settle(ASK_AGAIN)

        assert len(stage.asked) <= 3
        assert [text for text in stage.detail.top.troubles() if "not for you" in text]
        assert TOO_OLD not in stage.detail.top.troubles()


async def test_a_click_on_a_title_orders_by_it() -> None:
    stage = TopStage()
    async with stage.console.run_test(size=(120, 36)) as pilot:
        await stage.begin(pilot)
        for title, order in (("MEM", "memory"), ("CPU TIME", "time"), ("CPU%", "cpu"), ("NAME", "cpu"), ("PID", "cpu")):
            await pilot.click("#top", offset=(stage.head(3).index(title) + 1, 3))
            await stage.settle()
            assert stage.detail.top.order == order


async def test_the_order_is_kept_and_the_same_is_copied_as_a_command(source: Any, settle: Any) -> None:
    console = Console([("caf", source)])
    console.jobs.adopt(Preferences(top_order="memory", tab="top"), "")
    async with console.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: console.jobs.detail.top.count())
        asked = [arguments.get("sort") for verb, arguments in source.asked if verb == "top"]
        await pilot.press("tab", "minus", "Y")

        assert asked == ["memory"]
        assert console.clipboard.startswith("jobmon top --sort memory -d 4 8812-")
        await pilot.press("P")
        assert console.jobs.preferences().top_order == "cpu"


@pytest.mark.parametrize("kept", ["", "name", "sort; rm"])
def test_an_order_that_there_is_not_is_not_taken_from_a_file(source: Any, kept: str) -> None:
    jobs: JobsScreen = Console([("caf", source)]).jobs

    jobs.adopt(Preferences(top_order=kept), "")

    assert jobs.detail.top.order == "cpu"


async def test_figures_that_are_no_numbers_end_nothing(console: Console, source: Any, settle: Any) -> None:
    odd: list[Any] = [float("inf"), "9", [1], None, True, {"a": 1}]
    names = ("cpu_percent", "rss", "cpu_seconds", "threads", "state", "name", "pid")
    sample = {
        "job": {"cpu_percent": float("inf"), "rss": float("inf"), "processes": [1], "memory_limit": float("inf")},
        "node": {"load": odd, "cpus": [1], "memory": float("inf"), "memory_available": float("inf")},
        "processes": [*(dict.fromkeys(names, value) for value in odd), "x", None],
    }

    class Said:
        type = RECORD

        def document(self) -> dict[str, Any]:
            return sample

    async def frames(call: Any) -> AsyncIterator[Any]:
        for _ in range(3):
            yield Said()
        await asyncio.Event().wait()

    source.frames = frames
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("2", "M", "T", "P")
        await settle(pilot, lambda: console.jobs.detail.top.count() == len(odd))

        assert len(drawn(console.jobs.detail.top)) >= len(odd)
