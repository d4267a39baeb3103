"""Nothing a job says acts on the terminal or on the console, whichever screen shows it.

Two layers stop it: ``safe`` at the door, and the net that every row passes on
its way to the terminal.  Each surface is looked at with either layer alone; and
with neither, when what it shows must leak, or the test would prove nothing.
"""

import asyncio
import base64
import shlex
import string
import sys
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.events import Paste
from textual.widgets import Static

from jobmon_console.errors import CredentialRefusedError, RefusedError
from jobmon_console.safe import safe
from jobmon_console.tui import filters
from jobmon_console.tui.app import Console
from jobmon_console.tui.filters import ControlFilter
from tests.console.tui.hostile import (
    CORPUS,
    LURE,
    HostileSource,
    brief,
    evil,
    evil_bytes,
    evil_name,
    evil_record,
    leaked,
    seen,
)

ALL = " ".join(CORPUS)
SIZE = (160, 40)
LOOKS = 300  # at a screen until it shows what it has to; each LOOK seconds later
LOOK = 0.04
SCROLLBAR = "▁▂▃▄▅▆▇█▉▊▋▌▍▎▏ "  # what one is drawn with, beside a row
DOOR, NET, NONE = "the door", "the net", "neither"

Stage = Callable[[Console, HostileSource], None]


def nothing(app: Console, source: HostileSource) -> None:
    """What a server says is enough."""


class Surface(NamedTuple):
    """A place on the screen that shows text from outside."""

    name: str
    where: str  # selector of the widget
    brands: tuple[str, ...]  # texts it shows
    keys: tuple[str, ...] = ()  # that lead there
    before: Stage = nothing
    then: Stage = nothing  # after the keys
    size: tuple[int, int] = SIZE
    has_door: bool = True  # a field of text holds what was typed as it is: for it there is the net alone
    later: tuple[str, ...] = ()  # keys after ``then``


def _list(app: Console, source: HostileSource) -> None:
    app.jobs.board.grouping = ()


def _states(app: Console, source: HostileSource) -> None:
    _list(app, source)
    source.jobs = {
        "uuid-1": evil_record(1) | {"state": evil("state")},
        "uuid-2": evil_record(2) | {"state": "ended", "exit": {"signal": evil("x")}},
    }


def _array(app: Console, source: HostileSource) -> None:
    source.jobs = {f"uuid-{n}": evil_record(n, batch={"array": f"{evil('array')}_{n}"}) for n in range(4)}


def _gone(app: Console, source: HostileSource) -> None:
    source.remove("uuid-1")


def _ended(app: Console, source: HostileSource) -> None:
    source.jobs = {"uuid-1": evil_record(state="ended", exit={"code": 0})}


def _refuses(app: Console, source: HostileSource) -> None:
    async def refuse(verb: str, arguments: dict[str, Any]) -> Any:
        raise RefusedError("not-permitted", evil("denied"), {})
        yield

    source._answer = refuse  # type: ignore[method-assign]


def _is_refused(app: Console, source: HostileSource) -> None:
    source.trouble = CredentialRefusedError(evil("reason"))


def _filter(app: Console, source: HostileSource) -> None:
    app.jobs.use_filter(f'name:x "{evil("sought").replace(chr(34), "")}"')


def _find(app: Console, source: HostileSource) -> None:
    app.jobs.detail.output.find(evil("sought")[:150])


def _follow_a_file(app: Console, source: HostileSource) -> None:
    app.jobs.detail.output.choose(evil_name("tailed"))


def _views(app: Console, source: HostileSource) -> None:
    app.jobs.views = {evil("view")[:12]: evil("selector")}


def _keep_view(app: Console, source: HostileSource) -> None:
    app.jobs.use_filter(f'"{evil("sought")}"')


def _brief(app: Console, source: HostileSource) -> None:
    source.jobs = {"uuid-1": brief(evil_record())}


def _kill_fails(app: Console, source: HostileSource) -> None:
    source.kill_answer = RefusedError("not-permitted", evil("denied"))


SENDING = ("x", "shift+tab", "1", "tab", "tab", "enter")

SURFACES = (
    Surface("columns", "#jobs", ("id", "name", "health", "owner", "node", "progress"), before=_list, size=(200, 40)),
    Surface("states", "#jobs", ("state", "x"), before=_states, size=(200, 40)),
    Surface("headings", "#jobs", ("cluster", "node"), size=(100, 40)),
    Surface("an array", "#jobs", ("array",), before=_array),
    Surface("a job that left", "#jobs", ("id", "name"), before=_list, then=_gone),
    Surface("clusters", "#clusters", ("cluster", "node")),
    Surface("header", "#header", ("context",)),
    Surface("a server that refuses", "#jobs", ("context", "reason"), before=_is_refused),
    Surface("filter's field", "#filter-input", ("sought",), then=_filter, has_door=False),
    Surface("filter in the title", "#jobs", ("sought",), then=_filter),
    Surface("completion", "#filter-complaint", ("cluster",), ("slash", *"cluster:")),
    Surface("completed", "#filter-input", ("cluster",), ("slash", *"cluster:", "tab"), has_door=False),
    Surface("tabs", "#tabs", ("id", "node"), before=_brief),
    Surface("output", "#output", ("stdout", "note", "refusal")),
    Surface("output with times, a mark, folded", "#output", ("stdout",), ("enter", "T", "m", "w")),
    Surface("output found", "#output", ("stdout", "sought"), then=_find),
    Surface("another file's output", "#output", ("tailed", "stdout"), then=_follow_a_file),
    Surface("output refused", "#output", ("denied",), before=_refuses),
    Surface("output of an ended job", "#output", ("kept",), before=_ended),
    Surface("top", "#top", ("pname", "count", "threads"), ("2",), size=(300, 40)),
    Surface("tree", "#tree", ("pid", "puser", "pcommand"), ("3",)),
    Surface("files", "#file-list", ("file", "dir", "other"), ("4",)),
    Surface("a link's target", "#file-list", ("target",), ("4",), size=(600, 40)),
    Surface("a directory", "#file-list", ("dir",), ("4", "tab"), later=("down", "enter"), size=(100, 40)),
    Surface("preview", "#file-preview", ("file", "content"), ("4", "tab")),
    Surface("info", "#info", ("id", "command", "fact", "inner", "part", "survivors", "hardware", "kernel"), ("5", "z")),
    Surface("events", "#events", ("event", "text"), ("6",)),
    Surface("nodes", "#nodes", ("cluster",), ("f2",)),
    Surface("activity", "#activity", ("who", "verb", "id", "verdict", "outcome", "key", "value"), ("f3",)),
    Surface("connections", "#connect", ("context", "me", "role"), ("f4",), size=(600, 40)),
    Surface("why not connected", "#connect", ("reason",), ("f4",), before=_is_refused),
    Surface("kill", "#kill", ("id", "node", "owner", "command"), ("x",), _brief),
    Surface("killed", "#kill", ("signal",), SENDING),
    Surface("not killed", "#kill", ("denied",), SENDING, before=_kill_fails),
    Surface("save", "#save", ("id",), ("S",)),
    Surface("views", "#menu", ("view", "selector"), ("V",), _views, size=(300, 40)),
    Surface("remove a view", "#menu", ("view",), ("V", "end", "enter"), _views),
    Surface("name of a view", "#ask", ("sought",), then=_keep_view, later=("V", "end", "enter")),
    Surface("palette: job", "CommandList", ("id",), ("colon", *"]id")),
    Surface("palette: view", "CommandList", ("view",), ("colon", *"view", "space", *"]view"), _views),
    Surface("notice", "Toast", ("id",), ("y",)),
)


def _naive(outside: str | bytes, keep: str = "", tabs: int = 0) -> str:
    """A door that stands open."""
    data = outside if isinstance(outside, bytes) else outside.encode("utf-8", "replace")
    return data.decode("utf-8", "replace")


@pytest.fixture
def layers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the two layers there are."""
    which = str(request.param)
    if which in (NET, NONE):
        for name, module in list(sys.modules.items()):
            if name.startswith("jobmon_console.") and module is not filters and getattr(module, "safe", None) is safe:
                monkeypatch.setattr(module, "safe", _naive)
    if which in (DOOR, NONE):
        monkeypatch.setattr(ControlFilter, "apply", lambda self, segments, background: segments)
    return which


def _strips(app: Console, where: str) -> list[Any]:
    """The rows of a widget as they go to the terminal."""
    strips = app.screen._compositor.render_strips()
    regions = [widget.region for widget in app.screen.query(where)]
    return [strips[y].crop(region.x, region.right) for region in regions for y in range(region.y, region.bottom)]


def _text(strips: list[Any]) -> str:
    return "\n".join("".join(segment.text for segment in strip if not segment.control) for strip in strips)


def _shows(app: Console, surface: Surface) -> bool:
    text = _text(_strips(app, surface.where))
    return all(seen(brand) in text or leaked(brand) in text for brand in surface.brands)


async def _until(app: Console, claim: Callable[[], object]) -> None:
    for _ in range(LOOKS):
        app.jobs.tick()
        if claim():
            return
        await asyncio.sleep(LOOK)
    raise AssertionError(_text(_strips(app, "Screen")))


def _cells(text: str) -> int:
    """Columns of a terminal, counted without the library that drew them."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me") else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text
    )


async def _look(app: Console, surface: Surface) -> str:
    """The surface's text, once it shows what it has to. Nothing of it may have acted on the console."""
    await _until(app, lambda: _shows(app, surface))
    styles = [segment.style for strip in app.screen._compositor.render_strips() for segment in strip if segment.style]
    assert not any("@click" in style.meta for style in styles)
    assert not app._exit
    return _text(_strips(app, surface.where))


async def _visit(surface: Surface) -> str:
    source = HostileSource()
    app = Console([(evil("context"), source)])
    surface.before(app, source)
    async with app.run_test(size=surface.size, notifications=True) as pilot:
        await _until(app, lambda: app.jobs.target or app.jobs.table.count() or source.trouble)
        await pilot.press(*surface.keys)
        surface.then(app, source)
        if surface.later and surface.where == "#file-list":  # there must be something to go down to
            await _until(app, app.jobs.detail.files.list.count)
        await pilot.press(*surface.later)
        return await _look(app, surface)


async def _tour() -> dict[str, str]:
    """One console on which a person goes from surface to surface, as far as keys lead there and back; their texts."""
    texts = {}
    app = Console([(evil("context"), HostileSource())])
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await _until(app, lambda: app.jobs.target)
        for surface in filter(_is_on_tour, SURFACES):
            await pilot.press(*surface.keys)
            texts[surface.name] = await _look(app, surface)
            while app.screen is not app.jobs or app.jobs.focused is not app.jobs.table:
                await pilot.press("escape")
            await pilot.press("1")
    return texts


def _is_on_tour(surface: Surface) -> bool:
    leaves_nothing = "slash" not in surface.keys
    return leaves_nothing and (surface.before, surface.then, surface.size) == (nothing, nothing, SIZE)


_toured: dict[
    str, dict[str, str]
] = {}  # by the layers there were; a tour is taken when the first of its texts is wanted


async def _text_of(surface: Surface, layers: str) -> str:
    if not _is_on_tour(surface):
        return await _visit(surface)
    if layers not in _toured:
        _toured[layers] = await _tour()
    return _toured[layers][surface.name]


CASES = [pytest.param(DOOR if each.has_door else NET, each, id=each.name) for each in SURFACES]
CONTROLS = [pytest.param(NONE, each, id=each.name) for each in SURFACES]


@pytest.mark.parametrize(("layers", "surface"), CASES, indirect=["layers"])
async def test_one_layer_alone_keeps_each_surface_harmless(layers: str, surface: Surface) -> None:
    text = await _text_of(surface, layers)

    assert [brand for brand in surface.brands if seen(brand) not in text] == []
    assert all(line.isprintable() for line in text.split("\n"))
    assert len({_cells(line) for line in text.split("\n")}) == 1


@pytest.mark.parametrize(("layers", "surface"), CONTROLS, indirect=["layers"])
async def test_control_without_both_layers_each_surface_leaks(layers: str, surface: Surface) -> None:
    text = await _text_of(surface, layers)

    assert [brand for brand in surface.brands if leaked(brand) not in text] == []


async def test_control_a_widget_that_nobody_sanitised_leaks_and_takes_markup_for_its_own() -> None:
    class Leaky(App[None]):
        def compose(self) -> ComposeResult:
            yield Static(CORPUS[0] + CORPUS[1], markup=False)
            yield Static(LURE + "x")

    async with Leaky().run_test() as pilot:
        segments = [segment for strip in pilot.app.screen._compositor.render_strips() for segment in strip]

        assert "\x1b" in "".join(segment.text for segment in segments)
        assert any("@click" in segment.style.meta for segment in segments if segment.style)


async def test_the_net_catches_what_a_careless_widget_draws(console: Console, settle: Any) -> None:
    async with console.run_test(size=(100, 30)) as pilot:
        await console.jobs.mount(Static(ALL.replace("\n", ""), markup=False), before=0)
        await settle(pilot, lambda: True)
        text = _text(console.screen._compositor.render_strips())

        assert "␛]52" in text
        assert all(line.isprintable() for line in text.split("\n"))


def test_the_net_passes_the_terminals_own_control_segments_by() -> None:
    own = Segment("\x1b[1m", None, [(1,)])  # type: ignore[list-item]

    assert ControlFilter().apply([own, Segment("a\x1bb")], None) == [own, Segment("a␛b")]  # type: ignore[arg-type]


async def test_a_click_on_a_hostile_name_does_nothing_but_move_the_cursor() -> None:
    console = Console([(evil("context"), HostileSource())])
    async with console.run_test(size=(160, 50)) as pilot:
        await _until(console, lambda: console.jobs.target)
        for x in range(2, 120, 6):
            await pilot.click("#jobs", offset=(x, 4))

        assert not console._exit


async def test_a_file_that_is_no_text_is_shown_as_ascii() -> None:
    source = HostileSource()
    source.content_of_a_file = evil_bytes("content") + bytes(range(256))
    console = Console([("caf", source)])
    async with console.run_test(size=(160, 50)) as pilot:
        await _until(console, lambda: console.jobs.target)
        await pilot.press("4", "tab")
        await _until(console, lambda: "|.]conten|" in _text(_strips(console, "#file-preview")))
        rows = _text(_strips(console, "#file-preview")).split("\n")[1:]

        assert not [row for row in rows if not row.strip(SCROLLBAR).isascii()]


COPIES: tuple[tuple[tuple[str, ...], Stage, str], ...] = (
    (("y",), nothing, "id"),
    (("enter", "Y"), nothing, "id"),
    (("4", "tab", "Y"), nothing, "id"),
    (("Y",), _keep_view, "sought"),
)


@pytest.mark.parametrize(("keys", "stage", "brand"), COPIES)
async def test_what_is_copied_neither_ends_the_sequence_nor_acts_where_it_is_pasted(
    keys: tuple[str, ...], stage: Stage, brand: str
) -> None:
    source, written = HostileSource(), list[str]()
    app = Console([(evil("context"), source)])
    async with app.run_test(size=SIZE) as pilot:
        await _until(app, lambda: app.jobs.target)
        stage(app, source)
        assert app._driver is not None
        app._driver.write = written.append  # type: ignore[method-assign]
        await pilot.press(*keys)

    (sequence,) = [text for text in written if text.startswith("\x1b]52;c;")]
    assert set(sequence[7:-1]) <= set(string.ascii_letters + string.digits + "+/=")
    copied = base64.b64decode(sequence[7:-1]).decode()
    assert seen(brand) in copied
    assert all(line.isprintable() for line in copied.split("\n"))
    if "Y" in keys:
        assert shlex.split(copied)[0] == "jobmon"
        assert len(shlex.split(copied)) <= 5, "no word of the job's is one of the command's"


async def test_pasted_text_is_shown_and_does_not_act() -> None:
    console = Console([("caf", HostileSource())])
    async with console.run_test(size=SIZE) as pilot:
        await _until(console, lambda: console.jobs.target)
        await pilot.press("slash")
        console.jobs.filter.input.post_message(Paste(evil("pasted")))
        await _until(console, lambda: console.jobs.filter.input.value)

        assert console.jobs.filter.input.value.startswith(seen("pasted"))
        assert console.jobs.filter.input.value.isprintable()
