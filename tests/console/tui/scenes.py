"""Scenes: a console on servers that live in memory, played until a state is on the screen and nothing moves.

The clocks stand still, so that a screen is the same whenever it is looked at.
What the states are is in ``stages``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from jobmon_console.appearance import Appearance
from jobmon_console.tui.app import Console
from jobmon_console.tui.layout import SINGLE, layout
from jobmon_console.tui.screens.page import Page
from jobmon_console.tui.screens.view import REDRAW
from jobmon_console.tui.theme import THEMES
from tests.console.tui import screens

PATIENCE = 60.0  # s
PAUSE = 0.01  # s between two ticks
PAUSES = 2  # before each look: drawing the whole screen to look at it costs more than what is waited for
STILL = 4  # looks without a change after which nothing is under way
NOTICE = 600.0  # s that a notice stays: it is not to go while a slow machine looks at it

Stage = Callable[["Scene"], None]


def _nothing() -> None:
    """Happens where a stage says nothing else."""


class Scene:
    """A console on servers that a state is set up with.

    Args:
        make_source: makes a server from job records.
        make_record: makes a job record from its number and fields.
        look: how the console is drawn.
    """

    def __init__(self, make_source: Any, make_record: Any, look: Appearance) -> None:
        self.record = make_record
        self.caf = make_source([make_record(number) for number in range(1, 8)])
        self.cern = make_source([make_record(21, uuid="c21", id="991", cluster="cern", node="lx7", owner="bob")])
        self.contexts = [("caf", self.caf)]
        self.keys: list[str] = []
        self.awaited = "8812-0003"
        self.select, self.read_only = "", False
        self.has_jobs = True  # the list gets a row
        self.is_detail = False  # beside the list on a small terminal there is no room for it: Enter goes there first
        self.then: Callable[[], None] = _nothing  # when the jobs are there
        self.first = ""  # is seen before what happens at last
        self.at_last: Callable[[], None] = _nothing  # when the keys are pressed
        self.later = 0.0  # s that the steady clock goes on before the picture
        self.at = 1_795_400_000.0
        self.steady = 1000.0
        self._look = look

    def console(self) -> Console:
        """The console of the scene."""
        console = Console(
            self.contexts,
            self.select,
            self.read_only,
            now=lambda: self.at,
            steady=lambda: self.steady,
            chance=lambda: 0.5,
            look=self._look,
        )
        console.NOTIFICATION_TIMEOUT = NOTICE
        return console


@asynccontextmanager
async def playing(scene: Scene, stage: Stage, size: tuple[int, int]) -> AsyncIterator[Console]:
    """The console of a scene when what is awaited can be seen and nothing moves.

    Args:
        scene: played once.
        stage: what is set up.
        size: columns and rows of the terminal.
    """
    stage(scene)
    console = scene.console()
    async with console.run_test(size=size, notifications=True) as pilot:
        await _until(console, lambda: console.jobs.table.count() or not scene.has_jobs)
        await _stillness(console)
        scene.then()
        await see_detail(pilot, scene, size)
        for key in scene.keys:
            if len(key) == 1:  # as fast as a person pastes: the console keeps them in order
                console.post_message(Key(key, key))
            else:
                await pilot.press(key)
        await _until(console, lambda: scene.first in screens.text_of(console))
        scene.steady += scene.later
        scene.at_last()
        await _until(console, lambda: scene.awaited in screens.text_of(console))
        for field in console.screen.query(Input):
            field.cursor_blink = False
        scene.steady += REDRAW  # what is drawn once a second shows it, too
        await _stillness(console)
        yield console


async def see_detail(pilot: Pilot[None], scene: Scene, size: tuple[int, int]) -> None:
    """Go to the detail if the scene is about it and a terminal of that size has no room for it beside the list."""
    jobs = pilot.app.jobs
    if scene.is_detail and layout(*size) == SINGLE and not jobs.is_in_detail:
        await pilot.press("enter")
        await _until(pilot.app, lambda: jobs.is_in_detail)


async def resize(console: Console, scene: Scene, size: tuple[int, int]) -> None:
    """The terminal becomes as large as that."""
    pilot = Pilot(console)
    await see_detail(pilot, scene, size)
    await pilot.resize_terminal(*size)
    await _until(console, lambda: console.jobs.layout_name == layout(*size))
    await _stillness(console)


async def change(console: Console, theme: str) -> None:
    """To another theme, as the palette does it."""
    if console.theme == THEMES[theme].name:
        return
    is_changed = asyncio.Event()
    console.theme = THEMES[theme].name
    console.call_next(is_changed.set)  # comes behind the renewal of the sheet, which the theme has asked for
    async with asyncio.timeout(PATIENCE):
        await is_changed.wait()
    await _stillness(console, 1)


async def _stillness(console: Console, looks: int = STILL) -> None:
    """Go on until nothing changes any more; the servers answer at once, and no clock goes on."""
    texts: list[str] = []
    while len(texts) < looks or len(set(texts[-looks:])) > 1:
        for _ in range(PAUSES):
            console.jobs.tick()
            if isinstance(console.screen, Page):
                console.screen._look()  # as it does every second
            await asyncio.sleep(PAUSE)
        texts.append(screens.text_of(console))


async def _until(console: Console, claim: Callable[[], object]) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not claim():
                console.jobs.tick()
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        raise AssertionError(screens.text_of(console)) from None
