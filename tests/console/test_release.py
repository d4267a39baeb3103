"""Who speaks another protocol is looked at, and not acted upon; another version alone is nobody's concern."""

from typing import Any

import pytest

from jobmon_console import __version__
from jobmon_console.release import read_release
from jobmon_wire import PROTOCOL


@pytest.mark.parametrize("about", [{"protocol": PROTOCOL, "version": "9.9"}, {"version": "0.0.1"}, {}])
def test_the_same_protocol_is_understood_whatever_the_version(about: dict[str, Any]) -> None:
    release = read_release(about)

    assert release.is_understood
    assert release.difference == release.remedy == ""


@pytest.mark.parametrize(
    ("protocol", "old"),
    [(PROTOCOL + 1, "console"), (PROTOCOL - 1, "server"), ("2", "console"), (True, "console"), (None, "console")],
)
def test_another_one_is_not_and_it_is_said_what_to_update(protocol: Any, old: str) -> None:
    release = read_release({"protocol": protocol, "version": "9.9"})

    assert not release.is_understood
    assert release.difference == f"server 9.9, console {__version__}"
    assert f"update the {old}" in release.remedy


def test_a_version_is_shown_short_and_without_what_a_terminal_would_obey() -> None:
    version = read_release({"version": "\x1b[2J" + "9" * 1000}).version

    assert len(version) <= 24
    assert "\x1b" not in version
