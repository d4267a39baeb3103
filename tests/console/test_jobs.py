"""The mirror holds what the server last said, counts it, and tells what changed."""

from collections.abc import Callable
from typing import Any

import pytest

from jobmon_console.jobs import COUNTED, Mirror, Position, compile_filter, total
from jobmon_wire.selectors import SelectorError

Make = Callable[..., dict[str, Any]]


def jobs(*records: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "jobs", "jobs": list(records)}


def recount(mirror: Mirror) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {field: {} for field in COUNTED}
    for row in mirror.rows.values():
        for field in COUNTED:
            value = str(row.get(field) or "")
            counts[field][value] = counts[field].get(value, 0) + 1
    return counts


def test_a_snapshot_then_changes_give_the_uuids_they_touched(record: Make) -> None:
    mirror = Mirror("caf")

    assert mirror.apply(jobs(record(uuid="a"), record(uuid="b"))) == {"a", "b"}
    assert not mirror.is_live
    assert mirror.apply({"kind": "live"}) == set()
    assert mirror.is_live
    assert mirror.apply(jobs(record(uuid="a", state="ended"), record(uuid="b"))) == {"a"}
    assert mirror.apply({"kind": "gone", "uuids": ["b", "c"]}) == {"b"}
    assert mirror.apply({"kind": "alive", "now": "2026-11-23T00:00:00.000Z"}) == set()
    assert mirror.server_now == "2026-11-23T00:00:00.000Z"
    assert set(mirror.rows) == {"a"}


def test_counts_follow_every_change(record: Make) -> None:
    mirror = Mirror("caf")
    for i in range(60):
        state, node = ("running", "silent", "ended")[i % 3], f"n{i % 4}"
        mirror.apply(jobs(record(uuid=str(i % 25), state=state, node=node)))
        if i % 7 == 0:
            mirror.apply({"kind": "gone", "uuids": [str(i % 11)]})

        assert {field: dict(counter) for field, counter in mirror.counts.items()} == recount(mirror)
    assert total([mirror, mirror], "state")["ended"] == 2 * mirror.counts["state"]["ended"]


def test_after_a_new_connection_what_the_snapshot_does_not_name_leaves(record: Make) -> None:
    mirror = Mirror("caf")
    mirror.apply(jobs(record(uuid="a"), record(uuid="b")))
    mirror.apply({"kind": "live"})

    assert mirror.apply({"kind": "sync", "epoch": "e", "total": 1, "counts": {"state": {"running": 1}}}) == set()
    assert (mirror.is_live, mirror.expected, mirror.announced["state"]["running"]) == (False, 1, 1)
    assert mirror.apply(jobs(record(uuid="b"))) == set()
    assert set(mirror.rows) == {"a", "b"}, "what was known stays until the snapshot is complete"
    assert mirror.apply({"kind": "live"}) == {"a"}
    assert set(mirror.rows) == {"b"}


def test_a_position_is_what_the_last_complete_line_said() -> None:
    position, told = Position(), []
    for line in (
        {"kind": "jobs", "jobs": []},
        {"kind": "sync", "epoch": "e1", "total": 3},
        {"kind": "jobs", "jobs": []},
        {"kind": "live", "seq": 7},
        {"kind": "jobs", "jobs": []},
        {"kind": "gone", "uuids": [], "seq": 9},
        {"kind": "sync", "epoch": "e2", "total": 3},
        {"kind": "live", "seq": 2},
        {"kind": "resumed", "epoch": "e2"},
    ):
        position.take(line)
        told.append(str(position))

    assert told == ["", "", "", "e1:7", "e1:7", "e1:9", "", "e2:2", "e2:2"]


def test_lines_a_newer_server_may_send_are_passed_over(record: Make) -> None:
    mirror = Mirror("caf")

    assert mirror.apply({"kind": "weather", "jobs": [record()]}) == set()
    assert mirror.apply({"kind": "jobs", "jobs": [{"id": "no uuid"}]}) == set()
    assert mirror.apply({}) == set()


def test_a_filter_selects_rows(record: Make) -> None:
    mirror = Mirror("caf")
    mirror.apply(jobs(record(uuid="a", node="wn1"), record(uuid="b", node="wn2")))

    chosen = mirror.select(compile_filter("node:wn2", "me", lambda: 0.0))

    assert [row["uuid"] for row in chosen] == ["b"]
    assert len(mirror.select()) == 2
    with pytest.raises(SelectorError):
        compile_filter("bogus:1", "me", lambda: 0.0)
