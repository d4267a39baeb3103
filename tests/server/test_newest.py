"""The list that everybody asks for is kept in its order, and is right whatever happens to the jobs meanwhile."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobmon_server import listing, newest
from jobmon_server.jobs import Job
from jobmon_server.listing import NEWEST_FIRST, Order
from jobmon_server.newest import Newest
from jobmon_server.realms import Realm
from jobmon_server.registry import Registry
from jobmon_server.selection import Selection
from tests.server.house import a_job, person, registry_of

MOMENTS = (1.0, 2.0, 3.0)
STARTS = st.sampled_from(MOMENTS)
STEPS = st.one_of(
    st.tuples(st.just("comes"), STARTS | st.none()),
    st.tuples(st.just("goes"), st.integers(0, 20)),
    st.tuples(st.just("starts anew"), st.tuples(st.integers(0, 20), STARTS | st.none())),
    st.tuples(st.just("is ended"), st.integers(0, 20)),
    st.tuples(st.just("beats"), st.integers(0, 20)),
)


def started(uuid: str, moment: float | None, owner: str = "alice", cluster: str = "caf") -> Job:
    """A job that started then."""
    job = a_job(uuid, owner=owner, cluster=cluster)
    job.started = moment
    return job


@pytest.fixture
def sorted_realms(monkeypatch: pytest.MonkeyPatch) -> list[Realm]:
    """The realms whose jobs were put in order, one after the other."""
    realms: list[Realm] = []
    arrange = Newest._arrange

    def counted(self: Newest, realm: Realm) -> list[Job] | None:
        realms.append(realm)
        return arrange(self, realm)

    monkeypatch.setattr(Newest, "_arrange", counted)
    return realms


async def listed(registry: Registry, who: str = "alice", *clusters: str, limit: int = 1000, after: str = "") -> str:
    """The uuids of a page that begins behind another."""
    page = await listing.page(registry, Selection("", person(who, *clusters)), Order(NEWEST_FIRST), limit, after)
    return " ".join(job.uuid for job in page.jobs) + (f" > {page.next}" if page.next else "")


def happens(registry: Registry, number: int, kind: str, what: object) -> None:
    """One step of a job's life."""
    if kind == "comes":
        registry.add(started(f"u{number * 7 % 10}{number:02d}", what))  # type: ignore[arg-type]
        return
    place, moment = what if isinstance(what, tuple) else (what, None)
    jobs = list(registry)
    if not jobs:
        return
    job = jobs[place % len(jobs)]
    if kind == "goes":
        registry.remove(job.uuid)
    elif kind == "starts anew":
        job.started = moment
        registry.changed(job)
    elif kind == "is ended":
        job.state = "ended"
        registry.changed(job)
    else:
        registry.seen(job, 2000.0 + number)


@given(st.lists(STARTS, max_size=8), st.lists(STEPS, max_size=20))
@example([1.0, 2.0], [("starts anew", (0, 3.0)), ("goes", 1)])
@example([1.0], [("goes", 0), ("comes", 2.0)])
@example([1.0, 3.0, 3.0], [("starts anew", (2, 2.0))])
async def test_whatever_happens_to_jobs_the_kept_list_is_the_sorted_one(
    starts: list[float], steps: list[tuple[str, object]]
) -> None:
    registry = registry_of(*(started(f"s{number}", moment) for number, moment in enumerate(starts)))

    for number, (kind, what) in enumerate(steps):
        await listed(registry)
        happens(registry, number, kind, what)

        assert (await listed(registry)).split() == [job.uuid for job in Order(NEWEST_FIRST).sorted(list(registry))]


async def test_jobs_are_put_in_order_once_and_again_only_when_a_start_is_another(sorted_realms: list[Realm]) -> None:
    registry = registry_of(started("b", 2.0), started("a", 1.0))
    assert await listed(registry) == "b a"

    registry.add(started("d", 1.5))
    registry.add(started("c", 1.5))  # before the other one, though it came later
    job = registry.get("a")
    assert job is not None
    job.state = "ended"
    registry.changed(job)
    registry.seen(job, 5.0)
    registry.remove("c")

    assert await listed(registry) == "b d a"
    assert len(sorted_realms) == 1

    job.started = 9.0
    registry.changed(job)

    assert await listed(registry) == "a b d"
    assert len(sorted_realms) == 2


async def test_a_job_whose_start_nobody_knows_comes_last(sorted_realms: list[Realm]) -> None:
    registry = registry_of(started("b", 2.0))
    assert await listed(registry) == "b"

    registry.add(started("a", None))
    registry.add(started("c", 3.0))

    assert await listed(registry) == "c b a"
    assert await listed(registry) == "c b a"
    assert len(sorted_realms) == 3  # nothing is kept meanwhile


async def test_a_list_is_its_readers_and_nobody_elses(sorted_realms: list[Realm]) -> None:
    registry = registry_of(started("a", 1.0), started("b", 2.0, "bob"), started("c", 3.0, "alice", "other"))

    assert await listed(registry, "bob") == "b"
    assert await listed(registry, "alice") == "c a"
    assert await listed(registry, "root", "caf") == "b a"
    assert await listed(registry, "bob") == "b"
    assert [realm.owner for realm in sorted_realms] == ["bob"]  # several realms are put in order each time


async def test_pages_of_the_kept_list_are_the_whole_list() -> None:
    registry = registry_of(*(started(f"u{number}", float(number % 3)) for number in range(7)))
    found, after = "", ""
    for _ in range(10):
        uuids, _, after = (await listed(registry, limit=2, after=after)).partition(" > ")
        found += uuids + " "
        if not after:
            break

    assert found.strip() == await listed(registry) == "u5 u2 u4 u1 u6 u3 u0"


async def test_a_reader_keeps_the_list_that_was_given(sorted_realms: list[Realm]) -> None:
    registry = registry_of(started("a", 1.0), started("b", 2.0))
    (realm,) = registry.by_realm
    given_before = registry.newest.of(realm)

    registry.remove("a")

    assert given_before is not None
    assert [job.uuid for job in given_before] == ["b", "a"]
    assert await listed(registry) == "b"


@pytest.mark.parametrize(("number", "times"), [(3, 1), (4, 3)])
async def test_no_more_than_a_limit_is_kept_of_one_realm(
    number: int, times: int, monkeypatch: pytest.MonkeyPatch, sorted_realms: list[Realm]
) -> None:
    monkeypatch.setattr(newest, "LARGEST", 3)
    registry = registry_of(started("a", 1.0), started("b", 2.0))
    await listed(registry)
    for each in range(2, number):
        registry.add(started(f"u{each}", 3.0 + each))

    for _ in range(2):
        assert len((await listed(registry)).split()) == number
    assert len(sorted_realms) == times


async def test_of_many_realms_those_asked_for_last_are_kept(
    monkeypatch: pytest.MonkeyPatch, sorted_realms: list[Realm]
) -> None:
    monkeypatch.setattr(newest, "KEPT", 2)
    registry = registry_of(*(started(name, 1.0, name) for name in ("ann", "bea", "cid")))

    for name in ("ann", "bea", "ann", "cid", "ann", "bea"):
        assert await listed(registry, name) == name

    assert [realm.owner for realm in sorted_realms] == ["ann", "bea", "cid", "bea"]
