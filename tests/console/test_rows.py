"""A packed row says what its record said, and holds what many jobs have in common once."""

import gc
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobmon_console.rows import MOMENTS as MOMENT_FIELDS
from jobmon_console.rows import OBJECTS, PLACES, SHARED, Packer, Row
from jobmon_wire.jobs import FIELDS
from jobmon_wire.moments import read_moment, write_moment

NAMES = [field.name for field in FIELDS]
SINGLE = ("id", "uuid", "command", "cpu_percent", "rss_bytes", "oom_kills", "processes", "output_bytes", "progress")
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
MOMENTS = st.floats(0, 4e9).map(write_moment)
VALUES = st.one_of(SCALARS, MOMENTS, st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3))


@settings(max_examples=50)
@given(st.fixed_dictionaries(dict.fromkeys(SINGLE, SCALARS)), MOMENTS)
def test_a_record_comes_back_as_it_was(single: dict[str, Any], moment: str) -> None:
    whole = dict.fromkeys(NAMES, "text") | dict.fromkeys(MOMENT_FIELDS) | single | {"started": moment}
    whole |= {"exit": {"code": 0, "signal": None}, "batch": {"array": "7_1"}, "tags": {"a": "b"}, "reason": None}
    row = Packer().pack(whole)

    assert row.record() == whole
    assert list(row) == NAMES
    assert row["started"] == pytest.approx(read_moment(moment), abs=1e-4)
    assert (row["exit"], row.get("batch"), row.get("nothing", 3)) == ({"code": 0, "signal": None}, {"array": "7_1"}, 3)


@settings(max_examples=100)
@given(st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=4)), VALUES))
@example({"started": 6.8e16})  # s, more than C's calendar can count
@example({"ended": float("inf")})
def test_whatever_a_server_sends_is_packed_and_can_be_read_and_looked_up(record: dict[str, Any]) -> None:
    row = Packer().pack(record)

    assert row == Packer().pack(record)
    assert set(row) >= set(record)
    assert dict(row).keys() == row.record().keys()
    hash(tuple(row.cells[PLACES[name]] for name in (*SHARED, *OBJECTS)))


def test_fields_of_a_newer_server_are_kept() -> None:
    row = Packer().pack({"id": "a", "gpu_percent": "5", "site": "x"})

    assert (row["gpu_percent"], row.get("site"), row.record()["site"]) == ("5", "x", "x")


def test_what_jobs_have_in_common_is_held_once_and_the_collector_looks_at_no_row() -> None:
    packer = Packer()
    rows = [
        packer.pack({"id": f"7_{at}", "owner": "an" + "n" * (at > -1), "batch": {"array": f"7_{at}", "job": str(7)}})
        for at in range(2)
    ]
    for _ in range(3):  # what is within a tuple is looked at after it
        gc.collect()

    assert isinstance(rows[0], Row)
    assert rows[0].cells[0] is rows[1].cells[0]
    assert not any(gc.is_tracked(row.cells) for row in rows)
