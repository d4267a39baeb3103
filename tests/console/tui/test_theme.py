"""Every theme can be read, tells states apart without colour, and ASCII alone suffices to draw it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from jobmon_console import appearance
from jobmon_console.appearance import THEME_NAMES, Appearance
from jobmon_console.tui import app
from jobmon_console.tui.app import Console
from jobmon_console.tui.filters import AsciiFilter
from jobmon_console.tui.states import _JOBS, _LINKS
from jobmon_console.tui.theme import STYLES, THEMES
from tests.console.tui import screens

READABLE = 4.5  # WCAG 2.1, level AA: contrast of text
ENHANCED = {"high-contrast": 7.0}  # themes of level AAA
SHEET = Path(app.__file__).with_name("jobmon.tcss").read_text()


def colours(theme: Any) -> dict[str, str]:
    named = {**theme.variables, "foreground": theme.foreground, "background": theme.background, "panel": theme.panel}
    named |= {"primary": theme.primary, "secondary": theme.secondary, "accent": theme.accent}
    return named | {"success": theme.success, "warning": theme.warning, "error": theme.error}


def contrast(one: str, other: str) -> float:
    """As WCAG 2.1 defines it: 1 to 21."""
    light, dark = sorted((_luminance(Color.parse(one)), _luminance(Color.parse(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Color) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.normalized]
    return sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def styles() -> dict[str, tuple[str, str | None]]:
    """Text and background colour of each style, by their names in the sheet."""
    found = {}
    for name, body in re.findall(r"\.line--([\w-]+) \{([^}]*)\}", SHEET):
        text = re.search(r"(?<!-)color: \$([\w-]+)", body)
        ground = re.search(r"background: \$([\w-]+)", body)
        if text:
            found[name] = (text[1], ground[1] if ground else None)
    return found


def front(runs: list[screens.Run]) -> list[screens.Run]:
    """Without what is dimmed behind a dialog, if there is one: there it is not meant to be read."""
    corners = {corner: run for run in runs for corner in "╭╮╰" if corner in run.text}
    if not corners:
        return runs
    first, last = corners["╭"], corners["╰"]
    edges = range(first.at, first.at + first.text.rindex("╮") + 1)
    return [run for run in runs if first.row <= run.row <= last.row and run.at in edges]


@pytest.mark.parametrize("path", sorted(screens.DIRECTORY.glob("*-80x24.txt")), ids=lambda path: path.stem)
def test_every_word_on_a_golden_screen_stands_out_in_every_theme(path: Path) -> None:
    words = [run for run in front(screens.golden_runs(path)) if re.search(r"[^\s─-▟]", run.text)]
    assert words
    for run in words:
        for theme, look in run.looks.items():
            text, _, ground, *_ = look.split()
            assert contrast(text, ground) >= ENHANCED.get(theme, READABLE), (theme, look, run.text)


def test_the_sheet_has_a_colour_for_every_style() -> None:
    assert set(styles()) == set(STYLES)


@pytest.mark.parametrize("name", [name for name in THEME_NAMES if not THEMES[name].ansi])
def test_text_stands_out_from_whatever_it_is_drawn_on(name: str) -> None:
    known = colours(THEMES[name])
    for style, (text, ground) in styles().items():
        least = ENHANCED.get(name, READABLE)
        for each in [ground] if ground else ["background", "cursor-background", "cursor-away"]:
            assert contrast(known[text], known[each]) >= least, (style, each)


@pytest.mark.parametrize("looks", [_JOBS, _LINKS], ids=["jobs", "links"])
def test_no_two_states_differ_by_colour_alone(looks: Any) -> None:
    assert len({(look.glyph, look.word) for look in looks.values()}) == len(looks)


def test_ascii_takes_as_many_cells_and_nothing_else() -> None:
    text = "● ok ▁▂▇ ╭─╮ 表é …"
    (drawn,) = AsciiFilter().apply([Segment(text)], Color.parse("black"))

    assert drawn.text.isascii()
    assert cell_len(drawn.text) == cell_len(text)


def test_in_ascii_nothing_that_textual_draws_is_a_question_mark_or_a_digit() -> None:
    drawn = "".join(chr(code) for code in (*range(0x2500, 0x2504), *range(0x2580, 0x2590), 0x2594, 0x2595))
    (found,) = AsciiFilter().apply([Segment(drawn.replace("▄", "").replace("▒", ""))], Color.parse("black"))

    assert set(found.text) <= set("-+|#_.:=*")


async def test_in_ascii_keys_are_spelled(make_source: Any, make_record: Any, settle: Any, screen_text: Any) -> None:
    console = Console([("caf", make_source([make_record(1)]))], look=Appearance(is_ascii=True))
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "Enter open" in screen_text(console))


async def test_the_palette_changes_the_theme(console: Console, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("colon", *"theme contrast")
        await settle(pilot, lambda: "theme high-contrast" in screen_text(console))
        await pilot.press("enter")

        await settle(pilot, lambda: console.theme == THEMES["high-contrast"].name)


@pytest.mark.parametrize("name", THEME_NAMES)
async def test_every_theme_draws_the_console(
    make_source: Any, make_record: Callable[..., Any], settle: Any, screen_text: Any, name: str
) -> None:
    console = Console([("caf", make_source([make_record(1)]))], look=Appearance(name))
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "running" in screen_text(console))

        assert console.theme == THEMES[name].name


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-256color", "LANG": "C.UTF-8"}, Appearance()),
        ({"TERM": "linux", "LANG": "C.UTF-8"}, Appearance("ansi")),
        ({"TERM": "linux", "COLORTERM": "truecolor"}, Appearance()),
        ({"TERM": "xterm"}, Appearance("ansi")),
        ({"TERM": "tmux-256color"}, Appearance()),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, Appearance(is_ascii=True)),
        ({"SSH_CONNECTION": "1 2 3 4"}, Appearance(is_still=True)),
        ({"NO_COLOR": "1"}, Appearance(is_still=True)),
    ],
)
def test_the_environment_says_what_the_terminal_can_do(environ: dict[str, str], expected: Appearance) -> None:
    assert appearance.appearance("", False, False, False, environ) == expected


def test_the_command_line_goes_before_the_environment() -> None:
    found = appearance.appearance("light", True, True, True, {"TERM": "linux"})

    assert found == Appearance("light", True, False, True)
