"""A sieve means what the selector means, however it gets there: by values looked up, by what jobs have in common."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobmon_console.rows import Packer, Row
from jobmon_console.sieve import Sieve
from jobmon_wire.matching import compile_selector
from jobmon_wire.selectors import SelectorError, parse_selector

ME = "/DC=org/DC=example/OU=People/CN=ann"
NOW = 1_795_392_000.0  # 2026-11-23T00:00:00Z
TEXTS = st.sampled_from(
    ["ann", "a", "n1", "N1", "bob", "7_1", "run", "silent", "me", "TERM", "0", "x*", "?n*", "CN=an"]
)
NUMBERS = st.sampled_from(["1", "300", "2K", "5%", "1h", "90s", "2026-11-22", "300,1"])
FIELDS = (
    "id",
    "name",
    "owner",
    "node",
    "cluster",
    "state",
    "health",
    "exit",
    "reason",
    "cmd",
    "batch",
    "array",
    "tag.a",
)
TESTS = st.one_of(
    TEXTS,
    st.builds("{}{}{}".format, st.sampled_from(FIELDS), st.sampled_from([":", "=", "!="]), TEXTS),
    st.builds("{}{}ann,bob".format, st.sampled_from(["name", "owner", "id"]), st.sampled_from([":", "="])),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["cpu", "mem", "age", "started", "silent", "gpu"]),
        st.sampled_from([":", "=", "!=", ">", "<", ">=", "<="]),
        NUMBERS,
    ),
)
SELECTORS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds("{} {}".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("-({})".format, inner),
    ),
    max_leaves=4,
)
RECORDS = st.fixed_dictionaries(
    {
        "uuid": st.sampled_from(["u1", "u2-ann"]),
        "id": st.sampled_from(["7_1", "7_12", "bob-8"]),
        "name": st.sampled_from(["ann", "Annual", None]),
        "owner": st.sampled_from(["ann", "bob"]),
        "owner_name": st.sampled_from([ME, "/CN=bob"]),
        "node": st.sampled_from(["n1", "n12.example"]),
        "cluster": st.sampled_from(["c1", "run"]),
        "state": st.sampled_from(["running", "ended", "silent"]),
        "health": st.sampled_from(["ok", "silent"]),
        "exit": st.sampled_from([None, {"code": 0, "signal": None}, {"code": None, "signal": "TERM"}]),
        "command": st.sampled_from(["python3 run.py", None]),
        "batch": st.sampled_from([{}, {"array": "7_1", "job": "7"}]),
        "tags": st.sampled_from([{}, {"a": "x1"}, {"a": "ann"}]),
        "cpu_percent": st.sampled_from([None, 0.0, 1, 300.0, 301.5]),
        "rss_bytes": st.sampled_from([None, 2048, 2**33]),
        "started": st.sampled_from([None, "2026-11-22T23:30:00.000Z", "2026-11-21T00:00:00Z"]),
        "last_seen": st.sampled_from([None, "2026-11-22T23:59:00.250Z"]),
    }
)


def _sieve(text: str) -> Sieve | None:
    try:
        return Sieve(parse_selector(text), ME, lambda: NOW)
    except SelectorError:
        return None


def _words(rows: Iterable[Row]) -> str:
    fields = ("id", "name", "owner", "owner_name")
    return "\n".join(str(row.get(field)) for row in rows for field in fields).lower()


@settings(max_examples=150)
@given(SELECTORS, st.lists(RECORDS, min_size=1, max_size=4))
def test_a_sieve_wants_what_the_selector_matches(text: str, records: list[dict[str, Any]]) -> None:
    sieve = _sieve(text)
    if sieve is None:
        return
    predicate = compile_selector(parse_selector(text), ME, lambda: NOW)
    packer = Packer()

    assert sieve.judge([packer.pack(each).cells for each in records]) == [predicate(each) for each in records]


@settings(max_examples=150)
@given(SELECTORS, st.lists(RECORDS, min_size=1, max_size=4), st.sampled_from([(), ("cluster",), ("cluster", "node")]))
def test_the_outlook_of_a_group_is_true_of_each_of_its_jobs(
    text: str, records: list[dict[str, Any]], common: tuple[str, ...]
) -> None:
    sieve = _sieve(text)
    if sieve is None:
        return
    shared = {field: records[0][field] for field in common}
    rows = [Packer().pack(each | shared) for each in records]
    cells = [row.cells for row in rows]
    outlook = sieve.outlook(shared, lambda field: _words(rows))

    assert outlook is None or set(sieve.judge(cells)) == {outlook}
    if outlook is None:
        assert sieve.among(shared)(cells) == sieve.judge(cells)


@settings(max_examples=150)
@given(SELECTORS, st.sampled_from(["n", "1", " ann", "e", "", " cpu>1", ",bob", "*"]), st.lists(RECORDS, max_size=4))
def test_a_narrower_filter_wants_nothing_that_the_wider_one_does_not(
    text: str, more: str, records: list[dict[str, Any]]
) -> None:
    wide, narrow = _sieve(text), _sieve(text + more)
    if wide is None or narrow is None or not narrow.narrows(wide):
        return

    cells = [Packer().pack(each).cells for each in records]
    assert all(wider or not narrower for wider, narrower in zip(wide.judge(cells), narrow.judge(cells), strict=True))


JOBS = [
    {
        "uuid": uuid, "id": id_, "name": name, "owner": owner, "owner_name": ME if owner == "ann" else "/CN=bob",
        "node": node, "cluster": "c1", "state": state, "health": "ok", "reason": None, "command": "python3 run.py",
        "exit": {"code": 0, "signal": None} if state == "ended" else None, "batch": {"array": id_}, "tags": {"a": name},
    }
    for uuid, id_, name, owner, node, state in (
        ("u1", "7_1", "ann", "ann", "n1", "running"), ("u2-ann", "7_12", "Annual", "bob", "n12", "ended"),
        ("u3", "bob-8", None, "bob", "n1", "silent"), ("u4", "8_1", "x1", "ann", "n2", "running"),
    )
]  # fmt: skip
VALUES = (
    "ann",
    "a",
    "n1",
    "N1",
    "bob",
    "7_1",
    "run",
    "silent",
    "me",
    "0",
    "x*",
    "?n*",
    "CN=an",
    "u2-a",
    "ann,bob",
    "run.py",
)


@pytest.mark.parametrize("operator", [":", "=", "!="])
def test_each_field_with_each_operator_is_what_it_is_to_the_selector(operator: str) -> None:
    packer = Packer()
    rows = [packer.pack(job) for job in JOBS]
    for text in [field + operator + value for field in FIELDS for value in VALUES] + list(VALUES):
        sieve = _sieve(text)
        if sieve is None:
            continue
        predicate = compile_selector(parse_selector(text), ME, lambda: NOW)
        wanted = [predicate(job) for job in JOBS]

        assert sieve.judge([row.cells for row in rows]) == wanted, text
        for row, verdict in zip(rows, wanted, strict=True):
            common = {"cluster": row["cluster"], "node": row["node"]}
            assert sieve.outlook(common, lambda field, row=row: _words([row])) in (None, verdict), text


def test_a_word_that_grows_is_narrower() -> None:
    texts = ["w", "wn", "wn0", "wn0 state:run", "wn0 state:run name:re", "wn0 state:run name:rec"]
    sieves = [_sieve(text) for text in texts]

    assert all(narrow and wide and narrow.narrows(wide) for wide, narrow in pairwise(sieves))


def test_a_second_value_and_a_star_are_not_narrower() -> None:
    for wide, other in (("name:ann", "name:ann,bob"), ("name:an", "name:an*"), ("owner:m", "owner:me")):
        sieves = _sieve(wide), _sieve(other)

        assert sieves[0]
        assert sieves[1]
        assert not sieves[1].narrows(sieves[0])


def test_only_ages_depend_on_time() -> None:
    assert [
        bool((sieve := _sieve(text)) and sieve.depends_on_time) for text in ("age>1h", "cpu>1 or silent>5m", "ann")
    ] == [
        True,
        True,
        False,
    ]
