"""While a selector is typed the console knows what may come next, and afterwards which part matches nothing."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jobmon_console.errors import UsageError
from jobmon_console.rows import Packer
from jobmon_console.selectors import clauses, complete, values_in, values_of, written
from jobmon_console.views import SHIPPED, check_view
from jobmon_wire.selectors import FIELDS, All, Either, Not, SelectorError, parse_selector
from jobmon_wire.selectors import Test as Comparison

JOBS: list[dict[str, Any]] = [
    {
        "uuid": f"u{number}",
        "id": str(number),
        "state": state,
        "owner": owner,
        "owner_name": f"/CN={owner}",
        "node": f"wn{number % 2}",
        "exit": status,
    }
    for number, (state, owner, status) in enumerate(
        [
            ("running", "alice", None),
            ("running", "bob", None),
            ("ended", "bob", {"code": 3, "signal": None}),
            ("ended", "bob", {"code": None, "signal": "TERM"}),
        ]
    )
]


def texts(typed: str) -> list[str]:
    return [each.text for each in complete(typed, lambda field: values_of(field, JOBS))]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("st", ["state:", "started<1h", "started<1d"]),
        ("owner:me -no", ["owner:me -node:"]),
        ("state:r", ["state:running"]),
        ("state:running,e", ["state:running,ended"]),
        ("(owner:", ["(owner:bob", "(owner:alice", "(owner:me"]),
        ("exit:", ["exit:3", "exit:TERM"]),
        ("mem", ["mem>1G", "mem>16G"]),
        ('name:"a b', []),
        ("nothing:", []),
        ("state:running ", []),
        ("", []),
    ],
)
def test_fields_and_then_the_values_that_jobs_have_are_offered(typed: str, offered: list[str]) -> None:
    assert texts(typed) == offered


def test_values_come_with_the_number_of_jobs_that_have_them() -> None:
    offered = complete("state:", lambda field: values_of(field, JOBS))

    assert [(each.shown, each.jobs) for each in offered][:2] == [("ended", 2), ("running", 2)]
    assert ("lost", 0) in [(each.shown, each.jobs) for each in offered]


@pytest.mark.parametrize("field", [*FIELDS, "tag.project", "nothing"])
def test_values_of_packed_records_are_those_of_the_records(field: str) -> None:
    rows = [Packer().pack(job) for job in JOBS]
    found = values_in(field, rows, {"/CN=alice"})
    mine = found.pop("me", None)

    assert found == values_of(field, JOBS)
    assert mine == (sum(job.get("owner_name") == "/CN=alice" for job in JOBS) if field == "owner" else None)


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_whatever_is_offered_is_a_selector(field: str) -> None:
    for each in complete(field, lambda name: Counter()):
        parse_selector(each.text if not each.text.endswith(":") else each.text + (FIELDS[field].values or ("x",))[0])


NODES = st.deferred(lambda: TESTS | PARTS)
TESTS = st.builds(
    Comparison,
    st.sampled_from(["", "name", "node"]),
    st.just(":"),
    st.sampled_from(["a", "b c", "x(y)", "a,b"]),
    st.just(0),
)
PARTS = st.one_of(
    st.builds(Not, NODES),
    st.builds(All, st.tuples(NODES, NODES)),
    st.builds(Either, st.tuples(NODES, NODES)),
)


@given(NODES)
def test_a_written_selector_means_what_it_was_written_from(tree: Any) -> None:
    try:
        again = parse_selector(written(tree))
    except SelectorError:  # longer or deeper than a selector may be
        assume(False)

    assert _flat(again) == _flat(tree)


def _flat(tree: Any) -> Any:
    """Without positions, and with parts of parts of one kind in one level."""
    if isinstance(tree, Comparison):
        return tree._replace(position=0)
    if isinstance(tree, Not):
        part = _flat(tree.part)
        return part.part if isinstance(part, Not) else Not(part)
    parts: list[Any] = []
    for part in map(_flat, tree.parts):
        parts += part.parts if type(part) is type(tree) else [part]
    return type(tree)(tuple(parts))


def test_each_clause_is_counted_by_itself() -> None:
    rows = [Packer().pack(job) for job in JOBS]

    found = clauses("owner:alice (exit:3 or exit:TERM)", "", lambda: 0.0, rows)

    assert found == [("owner:alice", 1), ("exit:3 or exit:TERM", 2)]
    assert clauses("owner:alice", "", lambda: 0.0, rows) == []


def test_views_that_come_with_the_console_are_selectors() -> None:
    for selector in SHIPPED.values():
        parse_selector(selector)


@pytest.mark.parametrize(
    ("name", "selector", "why"),
    [
        ("", "owner:me", "name"),
        ("a/b", "owner:me", "name"),
        ("mine", "owner:me", "comes with"),
        ("x", "  ", "no filter"),
        ("x", "nofield:1", "no field"),
    ],
)
def test_a_view_that_cannot_be_kept_is_refused_with_the_reason(name: str, selector: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        check_view(name, selector, {})
    check_view("my jobs", "owner:me", {})
