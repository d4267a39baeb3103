"""Every state looks as it was last looked at, in three sizes; themes change colours and not one character."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from textual.widgets import Input

from jobmon_console.appearance import THEME_NAMES, Appearance
from jobmon_console.errors import CredentialRefusedError, RefusedError, UnreachableError
from jobmon_console.tui.app import Console
from jobmon_console.tui.feed import Feed
from tests.console.tui import screens

SIZES = {"160x48": (160, 48), "80x24": (80, 24), "60x20": (60, 20)}
STYLED = "80x24"  # the size whose styles are golden, too
PATIENCE = 60.0  # s
STILL = 8  # looks without a change after which nothing is under way

Stage = Callable[["Scene"], None]


class Scene:
    """A console on servers that a state is set up with; the clocks stand still."""

    def __init__(self, make_source: Any, make_record: Any, look: Appearance) -> None:
        self.record = make_record
        self.caf = make_source([make_record(number) for number in range(1, 8)])
        self.cern = make_source([make_record(21, uuid="c21", id="991", cluster="cern", node="lx7", owner="bob")])
        self.contexts = [("caf", self.caf)]
        self.keys: list[str] = []
        self.awaited = "8812-0003"
        self.select, self.read_only = "", False
        self.then: Callable[[], None] = lambda: None  # happens when the jobs are there
        self.later = 0.0  # s that the steady clock goes on before the picture
        self.at = 1_795_400_000.0
        self.steady = 1000.0
        self._look = look

    def console(self) -> Console:
        """The console of the scene."""
        return Console(
            self.contexts,
            self.select,
            self.read_only,
            now=lambda: self.at,
            steady=lambda: self.steady,
            chance=lambda: 0.5,
            look=self._look,
        )


def live(scene: Scene) -> None:
    """Jobs, and the output of one."""
    scene.awaited = "step 39"


def loading(scene: Scene) -> None:
    """The list is not complete."""
    scene.caf.is_slow, scene.caf.jobs = True, {}
    scene.awaited = "loading"


def stale(scene: Scene) -> None:
    """No word for a while."""
    scene.later = 12.0


def retrying(scene: Scene) -> None:
    """The server is away; its jobs stay."""
    why = UnreachableError("nobody listens on caf:8443; is the server up?")
    scene.then = lambda: scene.caf.breaks(why, for_good=True)
    scene.awaited = "next in"


def partial(scene: Scene) -> None:
    """One of two servers is away."""
    scene.contexts.append(("cern", scene.cern))
    scene.cern.trouble = UnreachableError("no route to cern")
    scene.awaited = "↻ try"


def two_contexts(scene: Scene) -> None:
    """Both answer."""
    scene.contexts.append(("cern", scene.cern))
    scene.awaited = "8 jobs"


def certificate(scene: Scene) -> None:
    """The credential is not taken."""
    scene.caf.trouble = CredentialRefusedError("the server does not take this credential: it has expired; renew it")
    scene.awaited = "certificate problem"


def nothing_registered(scene: Scene) -> None:
    """The first day."""
    scene.caf.jobs = {}
    scene.awaited = "No job is registered"


def nothing_matches(scene: Scene) -> None:
    """A filter that is too narrow."""
    scene.select, scene.awaited = "state:running node:wn9", "Nothing matches"


def wrong_filter(scene: Scene) -> None:
    """A filter with a mistake."""
    scene.keys, scene.awaited = ["slash", *"state:runing"], "^ state is one of"


def completing(scene: Scene) -> None:
    """A filter being typed."""
    scene.keys, scene.awaited = ["slash", *"node:w"], "Tab takes the first"


def read_only(scene: Scene) -> None:
    """Nothing may act."""
    scene.read_only = True


def not_permitted(scene: Scene) -> None:
    """The agent or the server says no."""

    async def refuse(verb: str, arguments: dict[str, Any]) -> Any:
        raise RefusedError("not-permitted", "only the owner may read its files", {})
        yield

    scene.caf._answer = refuse
    scene.awaited = "only the owner may"


def notes(scene: Scene) -> None:
    """What happened to the stream."""
    scene.caf.notes = [{"kind": "rotated"}, {"kind": "truncated"}, {"kind": "skipped", "bytes": 1 << 20}]
    scene.awaited = "were skipped"


def array(scene: Scene) -> None:
    """A job array, folded."""
    scene.caf.jobs = {
        f"uuid-{at}": scene.record(at, node="wn1", name="sweep", batch={"array": f"77_{at}"}) for at in range(6)
    }
    scene.awaited = "6 tasks"


def states(scene: Scene) -> None:
    """Every state a job can be in."""
    kinds = {"starting": None, "running": None, "silent": None, "lost": None}
    rows = [scene.record(at, node="wn1", state=state, exit=status) for at, (state, status) in enumerate(kinds.items())]
    for at, status in enumerate(
        [{"code": 0, "signal": None}, {"code": 3, "signal": None}, {"code": None, "signal": "KILL"}, None], len(rows)
    ):
        rows.append(scene.record(at, node="wn1", state="ended", ended="2026-11-23T01:00:00.000Z", exit=status))
    rows.append(scene.record(9, node="wn1", health="stuck", health_reason="no output for 30 min"))
    scene.caf.jobs = {row["uuid"]: row for row in rows}
    scene.awaited = "9 jobs"


def kill(scene: Scene) -> None:
    """The dialog before a signal."""
    scene.keys, scene.awaited = ["x"], "Send a signal to"


def kill_many(scene: Scene) -> None:
    """More than a handful: the number is typed."""
    scene.keys, scene.awaited = ["A", "x"], "to confirm"


def helping(scene: Scene) -> None:
    """The keys."""
    scene.keys, scene.awaited = ["question_mark"], "Keys"


def found(scene: Scene) -> None:
    """A text found in the output."""
    scene.keys, scene.awaited = ["enter", "slash", *"step 3", "enter"], "lines with step 3"


def nodes(scene: Scene) -> None:
    """The page of nodes."""
    scene.keys, scene.awaited = ["f2"], "HEARD"


def connections(scene: Scene) -> None:
    """The page of connections."""
    scene.keys, scene.awaited = ["f4"], "Connections"


def top(scene: Scene) -> None:
    """Processes."""
    scene.keys, scene.awaited = ["2"], "CPU 812%"


def files(scene: Scene) -> None:
    """The sandbox."""
    scene.keys, scene.awaited = ["4"], "out.log"


def info(scene: Scene) -> None:
    """Everything known."""
    scene.keys, scene.awaited = ["5", "z"], "progress"


STAGES = [
    live, loading, stale, retrying, partial, two_contexts, certificate, nothing_registered, nothing_matches,
    wrong_filter, completing, read_only, not_permitted, notes, array, states, kill, kill_many, helping, found, nodes,
    connections, top, files, info,
]  # fmt: skip
# On a small terminal the detail is not seen beside the list: Enter goes there first.
IN_DETAIL = {live, not_permitted, notes, top, files, info}
WITHOUT_JOBS = {loading, certificate, nothing_registered, nothing_matches}
THEMED = [live, states, retrying, kill, found]
OTHERS = ("high-contrast",)  # themes whose styles are golden beside those of the first
NO_COLOR = "no-color"


async def play(scene: Scene, stage: Stage, size: tuple[int, int]) -> tuple[str, str]:
    """Set the stage, wait until what is awaited can be seen; the text, and the text with its styles."""
    stage(scene)
    console = scene.console()
    keys = ["enter", *scene.keys] if stage in IN_DETAIL and size[0] < 80 else scene.keys
    async with console.run_test(size=size) as pilot:
        await _until(console, lambda: console.jobs.table.count() or stage in WITHOUT_JOBS)
        await _stillness(console)
        for field in console.jobs.query(Input):
            field.cursor_blink = False
        scene.then()
        await pilot.press(*keys)
        scene.steady += scene.later
        await _until(console, lambda: scene.awaited in screens.text_of(console))
        await _stillness(console)
        return screens.text_of(console), screens.drawn(console)


async def _stillness(console: Console) -> None:
    """Go on until nothing changes any more; the servers answer at once, and no clock goes on."""
    texts: list[str] = []
    while len(texts) < STILL or len(set(texts[-STILL:])) > 1:
        console.jobs.tick()
        await asyncio.sleep(0.01)
        texts.append(screens.text_of(console))


async def _until(console: Console, claim: Callable[[], object]) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not claim():
                console.jobs.tick()
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(screens.text_of(console)) from None


@pytest.fixture(autouse=True)
def no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """How often a server is tried would depend on how long the picture takes."""

    async def pause(self: Feed) -> None:
        self._wake.clear()
        await self._wake.wait()

    monkeypatch.setattr(Feed, "_pause", pause)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
async def test_a_state_looks_as_it_did(make_source: Any, make_record: Any, stage: Stage, size: str) -> None:
    text, styled = await play(Scene(make_source, make_record, Appearance()), stage, SIZES[size])

    screens.check(styled if size == STYLED else text + "\n", f"{stage.__name__}-{size}")


@pytest.mark.parametrize("theme", [*OTHERS, NO_COLOR])
@pytest.mark.parametrize("stage", THEMED, ids=lambda stage: stage.__name__)
async def test_a_theme_looks_as_it_did(
    make_source: Any, make_record: Any, monkeypatch: pytest.MonkeyPatch, stage: Stage, theme: str
) -> None:
    if theme == NO_COLOR:
        monkeypatch.setenv("NO_COLOR", "1")
    look = Appearance("" if theme == NO_COLOR else theme)
    _, styled = await play(Scene(make_source, make_record, look), stage, SIZES[STYLED])

    screens.check(styled, f"{stage.__name__}-{STYLED}-{theme}")


@pytest.mark.parametrize("stage", THEMED, ids=lambda stage: stage.__name__)
async def test_themes_change_colours_and_not_one_character(
    make_source: Any, make_record: Any, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    expected = (screens.DIRECTORY / f"{stage.__name__}-160x48.txt").read_text(encoding="utf-8")
    for theme in THEME_NAMES:
        if theme == "ansi" and stage is kill:  # sixteen colours cannot be dimmed: the list is not seen behind a dialog
            continue
        text, _ = await play(Scene(make_source, make_record, Appearance(theme)), stage, SIZES["160x48"])
        assert text + "\n" == expected
    monkeypatch.setenv("NO_COLOR", "1")
    text, styled = await play(Scene(make_source, make_record, Appearance()), stage, SIZES["160x48"])
    assert text + "\n" == expected
    colours = re.findall(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", styled)
    assert colours
    assert all(red == green == blue for red, green, blue in colours)


@pytest.mark.parametrize("stage", THEMED, ids=lambda stage: stage.__name__)
async def test_ascii_alone_shows_every_word(make_source: Any, make_record: Any, stage: Stage) -> None:
    expected = (screens.DIRECTORY / f"{stage.__name__}-160x48.txt").read_text(encoding="utf-8")

    text, _ = await play(Scene(make_source, make_record, Appearance(is_ascii=True)), stage, SIZES["160x48"])

    assert text.isascii()
    assert re.findall(r"[a-z]{3,}", text) == re.findall(r"[a-z]{3,}", expected)
