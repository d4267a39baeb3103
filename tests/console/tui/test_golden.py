"""Every state looks as it was last looked at, in three sizes; themes change colours and not one character."""

import re
from typing import Any

import pytest

from jobmon_console.appearance import THEME_NAMES, Appearance
from jobmon_console.tui.feed import Feed
from tests.console.tui import screens
from tests.console.tui.scenes import Scene, Stage, play
from tests.console.tui.stages import STAGES, found, kill, live, retrying, states

SIZES = {"160x48": (160, 48), "80x24": (80, 24), "60x20": (60, 20)}
STYLED = "80x24"  # the size whose styles are golden, too
GOLDEN = ("dark", "light", "high-contrast")  # themes whose styles are
NO_COLOR = "no-color"
THEMED = [live, states, retrying, kill, found]


@pytest.fixture(autouse=True)
def no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """How often a server is tried would depend on how long the picture takes."""

    async def pause(self: Feed) -> None:
        self._wake.clear()
        await self._wake.wait()

    monkeypatch.setattr(Feed, "_pause", pause)


def without_what_is_behind(text: str, whole: str) -> str:
    """The whole text, if each row of the text is a part of its row."""
    rows = list(zip(text.split("\n"), whole.split("\n"), strict=True))
    return whole if all(row.strip() in behind for row, behind in rows) else text


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
async def test_a_state_looks_as_it_did_and_themes_change_not_one_character(
    make_source: Any, make_record: Any, stage: Stage, size: str
) -> None:
    themes = THEME_NAMES if size == STYLED or stage in THEMED else THEME_NAMES[:1]
    pictures = await play(Scene(make_source, make_record, Appearance()), stage, SIZES[size], themes)

    texts = {theme: picture.text for theme, picture in pictures.items()}
    for theme, text in texts.items():
        if theme == "ansi":  # sixteen colours cannot be dimmed: the list is not seen behind a dialog
            text = without_what_is_behind(text, texts["dark"])
        assert text.split("\n") == texts["dark"].split("\n"), theme
    is_styled = size == STYLED
    drawn = screens.drawn({theme: pictures[theme] for theme in GOLDEN}) if is_styled else texts["dark"] + "\n"
    screens.check(drawn, f"{stage.__name__}-{size}")


@pytest.mark.parametrize("theme", GOLDEN[1:])
async def test_a_console_that_starts_in_a_theme_looks_as_one_that_changes_to_it(
    make_source: Any, make_record: Any, theme: str
) -> None:
    scenes = [Scene(make_source, make_record, Appearance(name)) for name in ("", theme)]

    changed = await play(scenes[0], kill, SIZES[STYLED], [theme])
    started = await play(scenes[1], kill, SIZES[STYLED])

    assert screens.drawn(changed).splitlines() == screens.drawn({theme: started[""]}).splitlines()


@pytest.mark.parametrize("stage", THEMED, ids=lambda stage: stage.__name__)
async def test_without_colours_a_state_looks_as_it_did(
    make_source: Any, make_record: Any, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    for size in (STYLED, "160x48"):
        monkeypatch.setenv("NO_COLOR", "1")  # each console takes it out of the environment
        pictures = await play(Scene(make_source, make_record, Appearance()), stage, SIZES[size])
        styles = screens.styles({NO_COLOR: pictures[""]})
        colours = re.findall(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", styles)

        assert pictures[""].text == screens.golden_text(f"{stage.__name__}-{size}")
        assert colours
        assert all(red == green == blue for red, green, blue in colours)
        if size == STYLED:
            screens.check(styles, f"{stage.__name__}-{size}-{NO_COLOR}")


@pytest.mark.parametrize("stage", THEMED, ids=lambda stage: stage.__name__)
async def test_ascii_alone_shows_every_word(make_source: Any, make_record: Any, stage: Stage) -> None:
    expected = screens.golden_text(f"{stage.__name__}-160x48")

    pictures = await play(Scene(make_source, make_record, Appearance(is_ascii=True)), stage, SIZES["160x48"])

    assert pictures[""].text.isascii()
    assert re.findall(r"[a-z]{3,}", pictures[""].text) == re.findall(r"[a-z]{3,}", expected)
