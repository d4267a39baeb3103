"""The registry: a job moves from state to state, and only its own people find it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_pki.names import Name, display, parse
from jobmon_server.jobs import Job, new_job, public
from jobmon_server.peer import Peer
from jobmon_server.refusals import RefusedError
from jobmon_server.registry import Registry, scopes_of
from jobmon_wire.jobs import FIELDS
from tests.server.house import PEOPLE, a_job


def person(name: str, *clusters: str) -> Peer:
    """A person; with clusters, an administrator."""
    rdns = parse(PEOPLE + name)
    role = "admin" if clusters else "owner"
    return Peer(role, rdns, name, display(rdns), "f", "5", 1e10, "", clusters, "::1")


def registry_of(*jobs: Job) -> Registry:
    """A registry with jobs."""
    registry = Registry()
    for job in jobs:
        registry.add(job)
    return registry


def found(registry: Registry, peer: Peer, reference: str) -> str:
    """The uuid found, or the code of the refusal."""
    try:
        return registry.resolve(peer, reference).uuid
    except RefusedError as error:
        return error.code


def test_the_public_record_has_every_field_in_order() -> None:
    assert list(public(a_job("u"))) == [field.name for field in FIELDS]


def test_an_owner_sees_only_jobs_under_her_own_whole_name() -> None:
    registry = registry_of(a_job("1"), a_job("2", owner="alice2"), a_job("3", owner="bob"), a_job("4", cluster="other"))

    assert {job.uuid for job in registry.visible(person("alice"))} == {"1", "4"}
    assert {job.uuid for job in registry.visible(person("ali"))} == set()


def test_an_administrator_sees_the_jobs_of_the_clusters_and_their_own() -> None:
    registry = registry_of(a_job("1"), a_job("2", cluster="other"), a_job("3", owner="adam", cluster="third"))

    assert {job.uuid for job in registry.visible(person("adam", "caf"))} == {"1", "3"}
    assert {job.uuid for job in registry.visible(person("adam", "caf", "other"))} == {"1", "2", "3"}


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("aaaa-1", "aaaa-1"),
        ("aaaa-", "aaaa-1"),
        ("12", "aaaa-1"),
        ("123", "aaaa-2"),
        ("1234", "no-such-job"),
        ("9", "bbbb-4"),  # the other of that id has ended
        ("1", "ambiguous-job"),
        ("bbb", "bbbb-4"),  # one id, of which one has not ended
        ("cccc", "no-such-job"),  # bob's
        ("cccc-5", "no-such-job"),
        ("", "no-such-job"),
        ("zzz", "no-such-job"),
    ],
)
def test_a_reference_means_one_job_of_the_callers(reference: str, answer: str) -> None:
    registry = registry_of(
        a_job("aaaa-1", "12"),
        a_job("aaab-2", "123"),
        a_job("bbbb-3", "9", state="ended"),
        a_job("bbbb-4", "9"),
        a_job("cccc-5", "777", owner="bob"),
    )

    assert found(registry, person("alice"), reference).replace("aaab-2", "aaaa-2") == answer


@given(st.sampled_from(["alice", "bob"]), st.text(st.sampled_from("ab1-"), max_size=4))
def test_no_reference_finds_somebody_elses_job(who: str, reference: str) -> None:
    registry = registry_of(*(a_job(f"a{n}-{o}", f"1{n}", o) for n in range(3) for o in ("alice", "bob", "carol")))

    answer = found(registry, person(who), reference)

    assert answer in ("no-such-job", "ambiguous-job") or answer.endswith(who)


def test_silence_turns_a_job_silent_then_lost_and_a_sign_of_life_brings_it_back() -> None:
    job = a_job("u")
    registry = registry_of(job)
    turned = []
    for now in (1029.0, 1030.0, 1031.0, 1900.0, 2000.0):
        turned.append([each.state for each in registry.review(now, lambda _: 30.0, 900.0)])

    returned = registry.seen(job, 2001.0)

    assert turned == [[], ["silent"], [], ["lost"], []]
    assert returned
    assert (job.state, job.health) == ("running", "ok")
    assert not registry.seen(job, 2002.0)


def test_an_ended_job_stays_ended_whatever_is_heard() -> None:
    job = a_job("u", state="ended")
    registry = registry_of(job)

    assert registry.review(10000.0, lambda _: 30.0, 900.0) == []
    assert not registry.seen(job, 10001.0)
    assert job.state == "ended"


def test_a_server_that_was_away_does_not_call_its_own_absence_silence() -> None:
    registry = Registry(opened=5000.0)
    registry.add(a_job("u"))

    assert registry.review(5029.0, lambda _: 30.0, 900.0) == []
    assert [job.state for job in registry.review(5030.0, lambda _: 30.0, 900.0)] == ["silent"]


def test_a_record_is_made_anew_after_a_change_and_only_then() -> None:
    job = a_job("u")
    registry = registry_of(job)
    before = registry.record(job)
    assert registry.record(job) is before

    job.progress = "half"
    registry.changed(job)

    assert registry.record(job)["progress"] == "half"


def test_listeners_hear_of_their_scopes_alone_and_of_removed_jobs() -> None:
    registry = Registry()
    heard: dict[str, list[str]] = {"alice": [], "adam": []}
    for peer in (person("alice"), person("adam", "caf")):
        registry.listen(scopes_of(peer), heard[peer.owner].append)
    for job in (a_job("1"), a_job("2", owner="bob"), a_job("3", owner="bob", cluster="other")):
        registry.add(job)
    registry.remove("1")
    registry.leave(scopes_of(person("alice")), heard["alice"].append)

    assert heard == {"alice": ["1", "1"], "adam": ["1", "2", "1"]}
    assert len(registry) == 2


def test_only_jobs_that_are_over_are_outlived() -> None:
    states = ("running", "silent", "lost", "ended")
    registry = registry_of(*(a_job(state, state=state) for state in states))

    assert sorted(registry.outlived(2000.0)) == ["ended", "lost"]
    assert registry.outlived(1000.0) == []


CREDENTIALS: list[tuple[float, float, float, str]] = [
    # issued, expires, now, health
    (0.0, 86400.0, 1000.0, "ok"),
    (0.0, 86400.0, 86400.0 - 8000, "credential"),  # 10 % of a day is 2.4 h
    (0.0, 7200.0, 3599.0, "ok"),
    (0.0, 7200.0, 3601.0, "credential"),
    (0.0, 600.0, 100.0, "ok"),  # a short one is not complained of from the start
]


@pytest.mark.parametrize(("issued", "expires", "now", "health"), CREDENTIALS)
def test_a_credential_near_its_end_is_a_matter_of_health(
    issued: float, expires: float, now: float, health: str
) -> None:
    job = a_job("u")
    job.issued, job.expires = issued, expires

    job.examine(now)

    assert job.health == health


def names() -> Any:
    """Names of people that resemble each other."""
    return st.sampled_from(["alice", "alice2", "Alice", "al", "ALICE"])


@given(names(), names())
def test_jobs_of_like_names_are_kept_apart(owner: str, caller: str) -> None:
    registry = registry_of(a_job("u", owner=owner))

    assert bool(registry.visible(person(caller))) == (owner == caller)


def test_a_name_is_a_tuple_and_not_its_text() -> None:
    forged: Name = (("2.5.4.3", "alice/CN=1"),)
    honest: Name = (("2.5.4.3", "alice"), ("2.5.4.3", "1"))
    registry = registry_of(new_job("u", "1", honest, "caf", 0.0))
    peer = Peer("owner", forged, "alice", "/CN=alice/CN=1", "f", "5", 1e10, "", (), "::1")

    assert registry.visible(peer) == []
