"""A list in pages is the whole list: sorted as asked, each job once, and nothing left out without a word."""

import base64
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_server import listing
from jobmon_server.listing import Order, Page
from jobmon_server.public import public
from jobmon_server.refusals import RefusedError
from jobmon_server.registry import Registry
from jobmon_server.selection import Selection
from jobmon_wire.jobs import FIELDS
from tests.server.house import a_job, person

SORTS = (
    "id",
    "-id",
    "started",
    "-started",
    "cpu_percent",
    "-cpu_percent",
    "state",
    "exit",
    "-exit",
    "node",
    "health_reason",
)


def some(number: int) -> Registry:
    """Jobs of alice's, of which many are alike and many say little."""
    registry, chance = Registry(), random.Random(7)
    for i in range(number):
        job = a_job(f"u{chance.randrange(10**9):09d}", str(i % 5), state=chance.choice(["running", "ended"]))
        job.node, job.started = chance.choice(["", "wn1", "WN2"]), chance.choice([None, 1000.0, 1000.0 + i])
        job.cpu_percent = chance.choice([None, 1.5, float(i)])
        if job.state == "ended":
            job.exit = {"code": i % 3, "signal": None, "core": False, "source": "wrap"}
        registry.add(job)
    return registry


async def pages(registry: Registry, sort: str, limit: int, select: str = "") -> list[Page]:
    """All pages of a list."""
    found: list[Page] = []
    while not found or found[-1].next:
        after = found[-1].next if found else ""
        found.append(await listing.page(registry, Selection(select, person("alice")), Order(sort), limit, after))
    return found


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_together_are_the_list_sorted(sort: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmon_server.listing.TURN", 10)
    registry = some(97)
    (whole,) = await pages(registry, sort, 1000)

    found = await pages(registry, sort, 7)

    assert [job.uuid for page in found for job in page.jobs] == [job.uuid for job in whole.jobs]
    assert {page.total for page in found} == {97}
    assert [len(page.jobs) for page in found] == [7] * 13 + [6]
    assert_sorted([public(job) for job in whole.jobs], sort)


def assert_sorted(records: list[dict[str, Any]], sort: str) -> None:
    """By value, then by uuid; what is unknown comes last."""
    field, falls = sort.removeprefix("-"), sort.startswith("-")
    values = [
        str(record["exit"]["code"]) if field == "exit" and record["exit"] else record[field] for record in records
    ]
    known = [
        (v.lower() if isinstance(v, str) else v, r["uuid"])
        for v, r in zip(values, records, strict=True)
        if v is not None
    ]
    assert [value is None for value in values] == [False] * len(known) + [True] * (len(values) - len(known))
    assert known == sorted(known, reverse=falls)


STEPS = st.tuples(
    st.none() | st.integers(0, 29), st.sampled_from([None, 1.0, 1000.0, 2000.0])
)  # which goes, what comes


@given(st.integers(1, 9), st.lists(STEPS, max_size=30))
async def test_what_comes_and_goes_between_two_pages_moves_no_other_job(
    limit: int, steps: list[tuple[int | None, float | None]]
) -> None:
    registry = some(30)
    selection, order = Selection("", person("alice")), Order("-started")
    uuids = [job.uuid for job in registry]
    seen: list[str] = []
    after = ""
    for number in range(100):
        page = await listing.page(registry, selection, order, limit, after)
        seen += [job.uuid for job in page.jobs]
        after = page.next
        if not after:
            break
        going, coming = steps[number] if number < len(steps) else (None, None)
        if going is not None:
            registry.remove(uuids[going])
        if coming is not None:
            job = a_job(f"new{number}")
            job.started = coming
            registry.add(job)

    assert not after
    assert len(seen) == len(set(seen))
    assert {uuid for uuid in uuids if registry.get(uuid)} <= set(seen)


async def test_a_page_is_bounded_whatever_is_asked_for_and_says_that_there_is_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobmon_server.listing.PAGE", 10)
    found = await pages(some(25), "id", 10**9)

    assert [len(page.jobs) for page in found] == [10, 10, 5]
    assert [bool(page.next) for page in found] == [True, True, False]


@pytest.mark.parametrize("cursor", ["x", "e30=", "WzFd", "WyJpZCIsIjEiXQ==", "WyItaWQiLCIxIiwidSJd", "é", "W10=" * 99])
async def test_what_is_no_cursor_of_the_list_is_refused(cursor: str) -> None:
    with pytest.raises(RefusedError) as caught:
        await listing.page(some(3), Selection("", person("alice")), Order("id"), 1, cursor)

    assert caught.value.code == "bad-request"


async def test_a_cursor_is_for_one_order_and_its_kind_of_value() -> None:
    registry, selection = some(3), Selection("", person("alice"))
    page = await listing.page(registry, selection, Order("id"), 1)
    forged = base64.urlsafe_b64encode(b'["id",5,"u"]').decode()

    for order, cursor in ((Order("-id"), page.next), (Order("started"), page.next), (Order("id"), forged)):
        with pytest.raises(RefusedError):
            await listing.page(registry, selection, order, 1, cursor)


async def test_a_cursor_holds_no_more_than_the_beginning_of_a_text() -> None:
    registry = Registry()
    for i in range(3):
        job = a_job(f"u{i}")
        job.tell("n", "\udc80x" * 2000 + str(i), {}, {})
        registry.add(job)

    found = await pages(registry, "command", 1)

    assert [job.uuid for page in found for job in page.jobs] == ["u0", "u1", "u2"]
    assert max(len(page.next) for page in found) < 4096


@pytest.mark.parametrize("field", [field.name for field in FIELDS])
def test_every_field_has_an_order_but_objects(field: str) -> None:
    jobs = list(some(20))
    if field in ("batch", "tags"):
        with pytest.raises(RefusedError):
            Order(field)
    else:
        assert len(Order(field).sorted(jobs)) == 20
