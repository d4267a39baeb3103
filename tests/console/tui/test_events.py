"""The Events tab has each event once, in order; it follows the end, and stands still where one reads."""

from typing import Any

import pytest

from jobmon_console.errors import CutOffError
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes import events
from jobmon_console.tui.panes.pane import ASK_AGAIN
from tests.console.tui.walk import MOVES, Answer, Walk, Window, drawn, page, room

STEPS = 300
KEPT = 70  # events, so that the oldest are dropped on the way


class Model(Window):
    """What a person may believe: the events told so far, and the place among them."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self.known = 0  # events that were told, of all those there are
        self.is_at_end = True

    @property
    def rows(self) -> range:
        """The numbers of the events that are kept."""
        return range(max(0, self.known - KEPT), self.known)

    def hear(self, number: int) -> None:
        """So many have been told; those that go take their rows with them."""
        before, self.known = self.rows, max(self.known, number)
        self.top -= self.rows.start - before.start

    def see(self, room: int) -> None:
        """At the end it stays at the end; anywhere else it stays on its events."""
        self.top = 10**6 if self.is_at_end else self.top
        self.fit(len(self.rows), room)
        self.is_at_end = self.top >= len(self.rows) - room


class EventsWalk(Walk):
    """A walk over the Events tab."""

    def __init__(self, seed: int) -> None:
        super().__init__("6", "log", seed, Model)
        self.logs = {job: self.chance.choice([0, 3, 50]) for job in self.server.jobs}  # events so far

    async def step(self) -> None:
        """One thing that may happen."""
        kinds = {self.answer: 8, self.key: 5, self.happen: 4, self.broken: 1, self.again: 0.7, self.leave: 0.7}
        kinds |= {self.other_job: 0.5, self.resize: 0.7}
        await self.chance.choices(list(kinds), list(kinds.values()))[0]()

    async def answer(self) -> None:
        """The server tells some of what it has not told in this answer."""
        answer = self.under_way()
        if answer is None:
            await self.settle(ASK_AGAIN)
            return
        before = len(answer.parts)
        self.tell(answer, self.chance.choice([1, 7, 20]))
        self.done.append(f"events {before} to {len(answer.parts)}")
        await self.settle()

    def tell(self, answer: Answer, most: int) -> None:
        """A log is told from its beginning in every answer."""
        first = len(answer.parts)
        found = [self.event(number) for number in range(first, min(first + most, self.logs[answer.job]))]
        answer.parts += found
        answer.tell(*found)
        self.model.hear(len(answer.parts))

    def event(self, number: int) -> dict[str, Any]:
        """As the server has it."""
        return {"seq": number + 1, "at": 1.7e9 + number, "kind": "progress", "text": f"event {number}"}

    async def happen(self) -> None:
        """Something happens to the job."""
        self.logs[self.job] += self.chance.choice([1, 1, 5])

    async def key(self) -> None:
        """The list is scrolled."""
        key = self.chance.choice(MOVES)
        pane, model = self.detail.events, self.model
        model.move(key, page(pane))
        model.fit(len(model.rows), room(pane))
        model.is_at_end = model.top >= len(model.rows) - room(pane)
        await self.press(key)

    async def broken(self) -> None:
        """The server is cut off: what is known stays, and is told again."""
        answer = self.under_way()
        if answer is not None:
            answer.end(CutOffError("broken off"))
        await self.settle()

    async def again(self) -> None:
        """Ask again."""
        await self.press("R")

    def claim(self) -> None:
        """The tab is as the model says."""
        pane, model = self.detail.events, self.model
        model.see(room(pane))
        assert pane.count() == len(model.rows)
        assert pane.scroll_offset.y == model.top
        seen = model.rows[model.top :][: room(pane)]
        assert [row.split("progress")[-1].strip() for row in drawn(pane)[: len(seen)]] == [
            f"event {number}" for number in seen
        ] or not seen


async def test_events_come_once_and_stand_still_unless_one_is_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEPT", KEPT)
    walk = EventsWalk(seed=6)

    await walk.run(STEPS, walk.step, walk.claim)


async def test_a_log_that_is_another_is_shown_as_it_is_told(console: Console, source: Any, settle: Any) -> None:
    def seen() -> list[str]:
        return [str(event["text"]) for event in console.jobs.detail.events._events]

    source.events = [{"seq": at, "at": 1.7e9, "kind": "progress", "text": text} for at, text in enumerate("abcd")]
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("6")
        await settle(pilot, lambda: seen() == [*"abcd"])

        for told in ("axyzw", "ax", ""):
            source.events = [{"seq": at, "at": 1.7e9, "kind": "progress", "text": text} for at, text in enumerate(told)]
            await pilot.press("R")
            await settle(pilot, lambda told=told: seen() == [*told])
