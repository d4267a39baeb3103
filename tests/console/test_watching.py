"""What goes on as things happen, `jobs --watch` and `log -f`: each change once, also over a server that was away."""

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
Make = Callable[..., dict[str, Any]]


def test_jobs_watch_tells_what_a_new_snapshot_does_not_name(at_fake: Run, fake: Any, record: Make) -> None:
    sync = {"kind": "sync", "epoch": "e", "total": 2, "counts": {}}
    fake.watch(
        [
            sync,
            {"kind": "jobs", "jobs": [record(uuid="a", id="1"), record(uuid="b", id="2")]},
            {"kind": "live", "seq": 1},
            sync,
            {"kind": "jobs", "jobs": [record(uuid="b", id="2")]},
            {"kind": "live", "seq": 9},
        ]
    )

    lines = [json.loads(line) for line in at_fake("jobs", "--watch", "--json").out.splitlines()]

    assert sorted((line["uuid"], line.get("gone", False)) for line in lines) == [
        ("a", False),
        ("a", True),
        ("b", False),
    ]


def test_jobs_json_watch_prints_a_line_a_change(at_fake: Run, fake: Any, record: Make) -> None:
    fake.watch(
        [
            {"kind": "jobs", "jobs": [record()]},
            {"kind": "live"},
            {"kind": "alive", "now": 1.0},
            {"kind": "jobs", "jobs": [record(state="ended")]},
            {"kind": "gone", "uuids": [record()["uuid"], "never-seen"]},
        ]
    )

    lines = [json.loads(line) for line in at_fake("jobs", "--watch", "--json").out.splitlines()]

    assert [line["state"] for line in lines] == ["running", "ended", "ended"]
    assert [line.get("gone") for line in lines] == [None, None, True]


def test_jobs_watch_prints_a_job_again_when_a_cell_is_another_and_not_for_time_alone(
    at_fake: Run, fake: Any, record: Make
) -> None:
    """Every beat changes when a job was heard of last; a log of that would be of nothing else."""
    uuid = record()["uuid"]
    changes = [record(), record(last_seen="2026-11-27T21:00:00Z"), record(last_seen="2026-11-27T21:00:25Z")]
    told = [
        {"kind": "live"},
        *({"kind": "jobs", "jobs": [job]} for job in [*changes, record(rss_bytes=2**40), record(state="ended")]),
        {"kind": "gone", "uuids": [uuid]},
        {"kind": "jobs", "jobs": [record(state="ended")]},
    ]

    fake.watch(told)
    lines = at_fake("jobs", "--watch", "--columns", "id,state,mem,time", "--no-header").text.splitlines()

    assert [line.split()[:3] for line in lines] == [
        ["4711.0", "running", "1.0G"],
        ["4711.0", "running", "1.0T"],
        ["4711.0", "ended", "1.0G"],
        ["4711.0", "gone", "1.0G"],
        ["4711.0", "ended", "1.0G"],
    ]
    fake.watch(told)
    assert len(at_fake("jobs", "--watch", "--json").out.splitlines()) == 7, "a script gets every change"


def test_a_watch_that_breaks_off_goes_on_with_what_has_changed_since(at_fake: Run, fake: Any, record: Make) -> None:
    sync = {"kind": "sync", "epoch": "e", "total": 2, "counts": {}}
    first, second = record(uuid="a", id="1"), record(uuid="b", id="2")
    fake.watch(
        [sync, {"kind": "jobs", "jobs": [first, second], "seq": 6}, {"kind": "live", "seq": 7}],
        [{"kind": "resumed", "epoch": "e"}, {"kind": "jobs", "jobs": [dict(first, state="ended")], "seq": 9}],
        [dict(sync, epoch="f"), {"kind": "jobs", "jobs": [dict(first, state="ended")]}, {"kind": "live", "seq": 1}],
    )

    result = at_fake("jobs", "--watch", "--columns", "id,state", "--no-header")

    assert [line.split()[:2] for line in result.text.splitlines()] == [
        ["1", "running"],
        ["2", "running"],
        ["1", "ended"],
        ["2", "gone"],
    ]
    asked = [line for line, _ in fake.asked if "/watch" in line]
    assert [line.partition("resume=")[2] for line in asked] == ["", "e%3A7", "e%3A9", "f%3A1"]
    assert result.err.splitlines()[:-1] == ["jobmon: the list broke off; going on with it when it can be had"] * 3
    assert (result.status, "no; that is how it is" in result.err.splitlines()[-1]) == (4, True)


def test_the_titles_of_a_watch_stand_above_their_columns(at_fake: Run, fake: Any, record: Make) -> None:
    short, long = record(uuid="a", id="1", name="n"), record(uuid="b", id="1234567890123", name="name")
    fake.watch([{"kind": "jobs", "jobs": [short, long]}, {"kind": "live"}])

    head, *rows = at_fake("jobs", "--watch", "--columns", "id,state,name").text.splitlines()

    assert [row.split() for row in rows] == [["1", "running", "n"], ["1234567890123", "running", "name"]]
    assert {row.index("running") for row in rows} == {head.index("STATE")}
    assert {row.rindex(" n") + 1 for row in rows} == {head.index("NAME")}


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "jobs", "jobs": ["no job", {"uuid": ["a list"]}]},
        {"kind": "jobs", "jobs": 7},
        {"kind": "gone", "uuids": [["a list"]]},
        {"kind": "sync", "total": [], "counts": "none"},
    ],
)
def test_a_watch_whose_server_says_nonsense_ends_or_goes_on_and_never_hangs(
    at_fake: Run, fake: Any, line: dict[str, Any]
) -> None:
    fake.watch([{"kind": "live"}, line])

    result = at_fake("jobs", "--watch", "--no-header")

    assert result.status in (1, 4)
    assert result.text == ""
    assert "Traceback" not in result.err


def test_a_watch_that_never_began_is_not_waited_for(at_fake: Run, fake: Any) -> None:
    fake.watch([{"kind": "sync", "epoch": "e", "total": 2, "counts": {}}])

    result = at_fake("jobs", "--watch")

    assert (result.status, len(fake.asked)) == (5, 1)
    assert "ended the list" in result.err


def test_a_followed_log_goes_on_after_a_restart_of_the_server_and_says_nothing_twice(at_fake: Run, fake: Any) -> None:
    route, events = "GET /v1/jobs/j/log", [{"seq": seq, "kind": "progress", "text": f"{seq}%"} for seq in range(1, 5)]
    fake.in_turn(
        route,
        lambda: fake.rows(route, *events[:2]),
        lambda: fake.refuse(route, "draining"),
        lambda: fake.rows(route, *events[:3]),
        lambda: fake.rows(route, *events),
    )
    job = "GET /v1/jobs/j"
    states = [functools.partial(fake.document, job, {"id": "j", "state": state}) for state in ("running", "ended")]
    fake.in_turn(job, states[0], *states)

    result = at_fake("log", "-f", "j")

    assert (result.status, [line.split()[-1] for line in result.text.splitlines()]) == (0, ["1%", "2%", "3%", "4%"])
    assert result.err.splitlines() == ["jobmon: the log broke off; going on with it when it can be had"] * 2
