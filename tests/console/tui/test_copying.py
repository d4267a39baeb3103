"""The command that is copied from the screen answers as the screen does."""

import shlex
from typing import Any

import pytest

from jobmon_console.cli.parser import build_parser
from jobmon_console.contexts import Flags
from jobmon_console.tui.app import Console
from jobmon_console.tui.order import SORTS
from jobmon_console.tui.screens import commands


@pytest.mark.parametrize("filter_", ["", "state:running", "-node:wn042", "a or (b c)", 'name:"it\'s"'])
def test_a_filter_arrives_whole(filter_: str) -> None:
    words = shlex.split(commands.jobs(filter_, "cpu_percent-", ["--context", "caf"]))

    read = build_parser("jobs").parse_args(words[1:])

    assert " ".join(read.selector) == filter_
    assert (read.sort, read.context) == ("cpu_percent-", ["caf"])


@pytest.mark.parametrize("tab", commands._VERBS)
def test_a_tab_is_about_the_same_job_of_the_same_context(tab: str) -> None:
    words = shlex.split(
        commands.detail(tab, "job 1", "out.log" if tab in ("output", "files") else "", ["--context", "b"])
    )

    read = build_parser(words[1]).parse_args(words[1:])

    assert (read.job, read.context) == ("job 1", ["b"])


def test_what_chose_the_contexts_is_typed_as_it_was() -> None:
    assert Flags(("a", "b"), ca="c.pem").words() == ["--context", "a", "--context", "b", "--ca", "c.pem"]
    assert Flags().words() == []


async def test_the_order_of_the_list_is_copied_unless_it_is_the_usual_one(source: Any, settle: Any) -> None:
    console = Console([("caf", source)], typed=("--context", "caf"))
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("Y")
        await settle(pilot, lambda: console.clipboard == "jobmon jobs --context caf")
        console.jobs._sort("cpu")
        await pilot.press("Y")
        await settle(pilot, lambda: console.clipboard == "jobmon jobs --context caf --sort cpu_percent-")


def test_an_arrow_says_how_the_values_go_and_the_word_how_the_field_does() -> None:
    assert [SORTS[id_].arrow(False) for id_ in ("id", "cpu", "elapsed")] == ["▲", "▼", "▲"]
    assert [SORTS[id_].arrow(True) for id_ in ("id", "cpu", "elapsed")] == ["▼", "▲", "▼"]
    assert [SORTS[id_].word(False) for id_ in ("id", "cpu", "elapsed")] == ["id", "cpu_percent-", "started-"]
