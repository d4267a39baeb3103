"""jobmon top asks for the order that was typed, and says so where the far end is too old to give it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from jobmon_console import ranking
from jobmon_console.errors import CutOffError, RefusedError
from jobmon_wire import frames
from jobmon_wire.verbs import ORDERS

Run = Callable[..., Any]
ROWS = [
    {"pid": 11, "name": "busy", "cpu_percent": 99.0, "rss": 2**20, "cpu_seconds": 5.0},
    {"pid": 12, "name": "large", "cpu_percent": 2.0, "rss": 2**40, "cpu_seconds": 1.0},
    {"pid": 13, "name": "old", "cpu_percent": 1.0, "rss": 2**10, "cpu_seconds": 9e5},
]
TICK = {"at": 1.0, "job": {"processes": 3}, "node": {"cpus": 2}, "processes": ROWS}


def tell_older(fake: Any, code: str) -> None:
    """An agent, or a server, that has not heard of `sort`."""
    if code == "unsupported":
        fake.answer("j", end={"status": "failed", "code": code, "message": "the agent is older than that"})
    else:
        fake.refuse("POST /v1/jobs/j/query", code, "the server is older than that")
    refuse = fake.routes["POST /v1/jobs/j/query"]
    fake.answer("j", (frames.RECORD, TICK))
    answer = fake.routes["POST /v1/jobs/j/query"]
    has_sort = lambda: "sort" in json.loads(fake.asked[-1][1])["arguments"]  # noqa: E731
    fake.routes["POST /v1/jobs/j/query"] = lambda handler: (refuse if has_sort() else answer)(handler)


def names(text: str) -> list[str]:
    """Of the processes, in the order of the table."""
    return [line.split()[-1] for line in text.splitlines() if line.split() and line.split()[0] in ("11", "12", "13")]


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("top j", {"delay": 2.0, "count": 0}),
        ("top --sort cpu j", {"delay": 2.0, "count": 0}),
        ("top --sort memory -d 4 j", {"delay": 4.0, "count": 0, "sort": "memory"}),
        ("top --sort time -n 1 j", {"delay": 2.0, "count": 1, "sort": "time"}),
    ],
)
def test_the_agent_is_asked_for_the_order_and_of_the_usual_one_nothing_that_is_new(
    at_fake: Run, fake: Any, words: str, asked: dict[str, Any]
) -> None:
    fake.answer("j", (frames.RECORD, TICK))

    ran = at_fake(*words.split())

    assert json.loads(fake.asked[-1][1]) == {"verb": "top", "arguments": asked}
    assert (names(ran.text), ran.err) == (["busy", "large", "old"], ""), "as the agent sent them"


def test_an_order_that_there_is_not_is_refused(at_fake: Run) -> None:
    ran = at_fake("top", "--sort", "name", "j")

    assert ran.status == 2
    assert all(order in ran.err for order in ORDERS)


@pytest.mark.parametrize("code", ["unsupported", "bad-request"])
@pytest.mark.parametrize(("sort", "first"), [("memory", "large"), ("time", "old")])
def test_what_an_older_end_sends_is_ordered_here_and_it_is_said_that_the_rest_is_missing(
    at_fake: Run, fake: Any, code: str, sort: str, first: str
) -> None:
    tell_older(fake, code)

    ran, as_json = at_fake("top", "--sort", sort, "j"), at_fake("top", "--json", "--sort", sort, "j")

    assert (ran.status, names(ran.text)[0]) == (0, first)
    assert ran.err.count("too old for --sort " + sort) == 1
    assert json.loads(as_json.text)["processes"][0]["name"] == first
    assert "too old" in as_json.err


@pytest.mark.parametrize("code", ["not-permitted", "job-ended", "bad-request"])
def test_what_is_refused_for_another_reason_is_not_asked_for_again_and_again(
    at_fake: Run, fake: Any, code: str
) -> None:
    fake.refuse("POST /v1/jobs/j/query", code, "for a reason of its own")

    ran = at_fake("top", "--sort", "memory", "j")

    assert ran.status != 0
    assert "for a reason of its own" in ran.err
    assert "too old" not in ran.err
    assert len(fake.asked) == (2 if code == "bad-request" else 1)


def test_what_is_no_number_comes_last_and_equal_ones_stay_as_they_were() -> None:
    odd: list[Any] = [None, "9", [1], {"a": 1}, True, float("inf"), 5, 7.5, 5]
    processes = [{"pid": at, "rss": value} for at, value in enumerate(odd)]

    found = [process["pid"] for process in ranking.in_order(processes, "memory")]

    assert found == [7, 6, 8, 0, 1, 2, 3, 4, 5]


def test_a_connection_that_breaks_is_no_sign_of_an_older_end() -> None:
    assert ranking.may_be_too_old(RefusedError("unsupported", "no"))
    assert not ranking.may_be_too_old(CutOffError("broken"))
    assert not ranking.may_be_too_old(None)
