"""Every state looks as it was last looked at, in three sizes; themes change colours and not one character."""

import re
from typing import Any

import pytest

from jobmon_console.appearance import THEME_NAMES, Appearance
from jobmon_console.tui.feed import Feed
from tests.console.tui import screens
from tests.console.tui.scenes import Scene, Stage, change, playing, resize
from tests.console.tui.stages import STAGES, found, kill, live, retrying, states

SIZES = {"160x48": (160, 48), "80x24": (80, 24), "60x20": (60, 20)}
STYLED = "80x24"  # the size whose styles are golden, too
DARK = "dark"  # how a console is drawn that nobody has told anything else
GOLDEN = (DARK, "light", "high-contrast")  # themes whose styles are
NO_COLOR = "no-color"
THEMED = [live, states, retrying, kill, found]  # in every size in all themes, and without colours
STARTED = [found]  # anew in each size: where a person has gone to stays in view when the terminal changes


@pytest.fixture(autouse=True)
def no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """How often a server is tried would depend on how long the picture takes."""

    async def pause(self: Feed) -> None:
        self._wake.clear()
        await self._wake.wait()

    monkeypatch.setattr(Feed, "_pause", pause)


def without_what_is_behind(text: str, whole: str) -> str:
    """The whole text, if each row of the text is a part of its row: sixteen colours cannot be dimmed.

    Behind a dialog nothing is seen then.
    """
    rows = list(zip(text.split("\n"), whole.split("\n"), strict=True))
    return whole if all(row.strip() in behind for row, behind in rows) else text


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
async def test_a_state_looks_as_it_did_in_every_size_and_theme(
    make_source: Any, make_record: Any, stage: Stage
) -> None:
    pictures: dict[str, dict[str, screens.Picture]] = {}
    for sizes in [[size] for size in SIZES] if stage in STARTED else [list(SIZES)]:
        scene = Scene(make_source, make_record, Appearance())
        async with playing(scene, stage, SIZES[sizes[0]]) as console:
            for size in sizes:
                if size != sizes[0]:
                    await change(console, DARK)
                    await resize(console, scene, SIZES[size])
                pictures[size] = {DARK: screens.picture(console)}
                for theme in THEME_NAMES[1:] if size == STYLED or stage in THEMED else ():
                    await change(console, theme)
                    pictures[size][theme] = screens.picture(console)

    for size, themes in pictures.items():
        expected = themes[DARK].text
        for theme, picture in themes.items():
            text = without_what_is_behind(picture.text, expected) if theme == "ansi" else picture.text
            assert text.split("\n") == expected.split("\n"), theme
        drawn = screens.drawn({theme: themes[theme] for theme in GOLDEN}) if size == STYLED else expected + "\n"
        screens.check(drawn, f"{stage.__name__}-{size}")


@pytest.mark.parametrize("theme", GOLDEN[1:])
async def test_a_console_that_starts_in_a_theme_looks_as_one_that_changes_to_it(
    make_source: Any, make_record: Any, theme: str
) -> None:
    async with playing(Scene(make_source, make_record, Appearance()), kill, SIZES[STYLED]) as console:
        await change(console, theme)
        changed = screens.drawn({theme: screens.picture(console)})
    async with playing(Scene(make_source, make_record, Appearance(theme)), kill, SIZES[STYLED]) as console:
        started = screens.drawn({theme: screens.picture(console)})

    assert changed.splitlines() == started.splitlines()


@pytest.mark.parametrize("stage", THEMED, ids=lambda stage: stage.__name__)
async def test_a_console_that_starts_in_a_size_without_colours_looks_as_it_did(
    make_source: Any, make_record: Any, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    for size in SIZES:
        monkeypatch.setenv("NO_COLOR", "1")  # each console takes it out of the environment
        async with playing(Scene(make_source, make_record, Appearance()), stage, SIZES[size]) as console:
            picture = screens.picture(console)
        styles = screens.styles({NO_COLOR: picture})
        colours = re.findall(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", styles)

        assert picture.text == screens.golden_text(f"{stage.__name__}-{size}")
        assert colours
        assert all(red == green == blue for red, green, blue in colours)
        if size == STYLED:
            screens.check(styles, f"{stage.__name__}-{size}-{NO_COLOR}")


@pytest.mark.parametrize("stage", THEMED, ids=lambda stage: stage.__name__)
async def test_ascii_alone_shows_every_word(make_source: Any, make_record: Any, stage: Stage) -> None:
    expected = screens.golden_text(f"{stage.__name__}-160x48")

    async with playing(Scene(make_source, make_record, Appearance(is_ascii=True)), stage, SIZES["160x48"]) as console:
        text = screens.text_of(console)

    assert text.isascii()
    # But for the last line: a key that is spelled needs more room there.
    words, wanted = (re.findall(r"[a-z]{3,}", each.rstrip().rpartition("\n")[0]) for each in (text, expected))
    assert words == wanted
