"""Whatever a peer is called or says, one event is one line of plain ASCII JSON."""

import json
import logging
import sys

import pytest

from jobmon_server.journal import LONGEST, JournalFormatter

EVIL = 'x\n{"level":"info"}\r\x1b]0;owned\x07\x9b31m\u202e\u2028\ud800\'"\\'


def _line(text: str, *arguments: object, facts: object = None, exc_info: object = None) -> str:
    record = logging.LogRecord("jobmon.server", logging.WARNING, "", 0, text, arguments, exc_info)  # type: ignore[arg-type]
    if facts is not None:
        record.facts = facts
    return JournalFormatter().format(record)


@pytest.mark.parametrize(
    "line",
    [
        _line(EVIL),
        _line("the peer said %s", EVIL),
        _line("a fixed sentence", facts={"name": EVIL}),
        _line("a fixed sentence", facts={EVIL: 1}),
        _line("a fixed sentence", facts={"cause": ValueError(EVIL)}),
    ],
)
def test_control_characters_never_reach_the_terminal(line: str) -> None:
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["part"] == "jobmon.server"


def test_the_facts_stand_beside_the_sentence_and_cannot_replace_it() -> None:
    line = json.loads(_line("a sentence", facts={"number": 3, "ratio": 0.5, "text": "another", "level": "info"}))

    assert (line["number"], line["ratio"], line["text"], line["level"]) == (3, 0.5, "a sentence", "warning")


def test_a_long_value_is_cut() -> None:
    line = json.loads(_line("a sentence", facts={"name": "x" * 100_000}))

    assert len(line["name"]) == LONGEST


def test_a_traceback_stays_on_the_line() -> None:
    try:
        raise ValueError(EVIL)
    except ValueError:
        line = _line("it failed", exc_info=sys.exc_info())

    assert "\n" not in line
    assert "ValueError" in json.loads(line)["traceback"]
