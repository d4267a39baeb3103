"""The Top tab shows the last sample, each process once and in the agent's order, and never scrolls by itself."""

from typing import Any

from jobmon_console.errors import CutOffError, RefusedError
from jobmon_console.tui.panes.pane import ASK_AGAIN
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
