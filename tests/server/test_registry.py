"""The registry: a job moves from state to state, and only its own people find it."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_pki.names import Name
from jobmon_server.jobs import Job, new_job
from jobmon_server.peer import Peer
from jobmon_server.public import public
from jobmon_server.refusals import RefusedError
from jobmon_server.registry import Registry, scopes_of
from jobmon_wire.jobs import FIELDS
from tests.server.house import House, a_job, person, registry_of, until


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
        ("12\0", "no-such-job"),
        ("12\0[", "no-such-job"),
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


@pytest.mark.parametrize(("is_told", "turned"), [(True, ["u"]), (False, [])])
def test_a_clock_that_was_set_back_hides_no_silence_once_the_registry_is_told(is_told: bool, turned: list[str]) -> None:
    job = a_job("u")
    registry = registry_of(job)
    registry.seen(job, 5000.0)
    registry.review(5001.0, lambda _: 30.0, 900.0)
    if is_told:
        registry.listen_anew(2000.0)
    found = [each.uuid for now in range(2000, 2100) for each in registry.review(now, lambda _: 30.0, 900.0)]

    assert found == turned
    assert (registry.silence(job, 2100.0) == 100.0) == is_told


def test_silence_before_a_registry_listens_anew_does_not_count() -> None:
    job = a_job("u")
    registry = registry_of(job)
    registry.listen_anew(3000.0)

    turned = [(now, each.state) for now in range(3000, 3100) for each in registry.review(now, lambda _: 30.0, 900.0)]

    assert turned == [(3030, "silent")]


def test_a_job_that_fell_silent_is_found_by_its_state_told_of_and_saved() -> None:
    job = a_job("u")
    registry = registry_of(a_job("other", state="ended"), job)
    registry.unsaved.clear()
    before = registry.change

    registry.review(1031.0, lambda _: 30.0, 900.0)

    assert list(registry.by_state.of("silent")) == [job.slot]
    assert (registry.unsaved, registry.change) == ({"u"}, before + 1)


def test_a_review_looks_at_the_jobs_alone_that_may_be_due() -> None:
    registry = registry_of(*(a_job(str(number)) for number in range(20)))
    looked: list[str] = []

    def patience(job: Job) -> float:
        looked.append(job.uuid)
        return 30.0

    registry.review(1000.0, patience, 900.0)
    looked.clear()
    for second in range(1001, 1030):
        registry.seen(registry.jobs([0])[0], float(second))
        registry.review(float(second), patience, 900.0)
    assert looked == []
    turned = registry.review(1031.0, patience, 900.0)

    assert len(looked) == 20
    assert len(turned) == 19


def test_a_job_whose_agent_is_reached_another_way_is_looked_at_anew() -> None:
    job = a_job("u")
    registry = registry_of(job)
    assert registry.review(1001.0, lambda _: 75.0, 900.0) == []

    job.callback = "tcp"
    registry.changed(job)

    assert registry.review(1002.0, lambda _: 30.0, 900.0) == []
    assert [each.state for each in registry.review(1030.0, lambda _: 30.0, 900.0)] == ["silent"]


def test_silence_is_noticed_soon_whatever_a_site_has_come_to_think_of_it() -> None:
    registry = registry_of(*(a_job(str(number)) for number in range(40)))
    registry.review(1000.0, lambda _: 86400.0, 2 * 86400.0)

    turned = [len(registry.review(1000.0 + second, lambda _: 30.0, 900.0)) for second in range(1, 62)]

    assert sum(turned) == 40
    assert max(turned) < 10, "all at once would hold up everybody"


def test_what_a_beat_brings_is_not_worth_saving_but_at_the_end() -> None:
    jobs = [a_job(str(number)) for number in range(3)]
    registry = registry_of(*jobs)
    registry.unsaved.clear()

    registry.seen(jobs[1], 1001.0)
    registry.felt(jobs[2])
    jobs[0].state = "silent"
    registry.seen(jobs[0], 1001.0)

    assert registry.unsaved == {"0"}
    assert registry.beaten() == ["1", "2"]
    assert registry.beaten() == []


async def test_beats_write_nothing_and_a_restarted_server_knows_the_last_one(house: House) -> None:
    async with house.agent() as agent:
        await agent.vitals(rss_bytes=1)
        job = await until(lambda: house.state.registry.get(agent.uuid))
        await until(lambda: job.rss_bytes == 1)
        await house.state._save()
        await house.state.store.flush()
        before = house.state.store._connection.total_changes
        for rss in range(2, 12):
            await agent.vitals(rss_bytes=rss)
            await until(lambda rss=rss: job.rss_bytes == rss)
            await house.state._save()
            await house.state.store.flush()
        written = house.state.store._connection.total_changes - before
    await house.stop()
    await house.start()

    assert written == 0
    again = house.state.registry.get(agent.uuid)
    assert again is not None
    assert again.rss_bytes == 11


def test_what_has_changed_since_is_told_until_too_much_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmon_server.registry.FORGOTTEN", 2)
    registry = registry_of(*(a_job(str(number)) for number in range(5)), a_job("bob's", owner="bob"))
    alice, before = person("alice"), registry.change
    registry.felt(registry.jobs([3])[0])
    registry.remove("bob's")
    registry.remove("0")

    changes = registry.since(alice, before)
    assert changes is not None
    assert ([job.uuid for job in changes.jobs], changes.gone) == (["3"], ["0"])
    registry.remove("1")
    assert registry.since(alice, before) is None
    assert registry.since(alice, registry.change) == ([], [])
    assert registry.since(alice, registry.change + 1) is None


def test_a_job_that_takes_the_slot_of_another_is_found_as_itself_alone() -> None:
    registry = registry_of(a_job("aa", "11"), a_job("bb", "22", owner="bob"))
    registry.remove("bb")
    registry.add(a_job("cc", "33"))

    assert registry.get("cc") is registry.jobs([1])[0]
    assert found(registry, person("bob"), "cc") == found(registry, person("bob"), "22") == "no-such-job"
    assert found(registry, person("alice"), "33") == found(registry, person("alice"), "c") == "cc"
    assert registry.visible(person("bob")) == []


def test_jobs_whose_uuids_have_one_hash_are_found_as_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmon_server.registry._hash", lambda uuid: 7)
    registry = registry_of(*(a_job(uuid) for uuid in ("a", "b", "c", "bb")))
    registry.remove("b")
    registry.remove("b")

    assert [job and job.uuid for job in map(registry.get, ("a", "b", "c", "bb", "d"))] == ["a", None, "c", "bb", None]
    assert len(registry) == 3


def test_a_prefix_of_a_thousand_others_jobs_finds_the_callers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmon_server.registry.MEANT", 3)
    registry = registry_of(*(a_job(f"u{n}", f"4{n}", owner="bob") for n in range(30)), a_job("v", "4x"))

    assert found(registry, person("alice"), "4") == "v"
    with pytest.raises(RefusedError) as caught:
        registry.resolve(person("adam", "caf"), "4")
    assert len(caught.value.facts["candidates"]) == 3


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


def test_a_beat_of_a_job_that_is_not_there_any_more_is_nobodys() -> None:
    gone = a_job("1")
    registry = registry_of(gone)
    copied = copy.copy(gone)
    registry.remove("1")
    told: list[str] = []
    registry.listen(scopes_of(person("alice")), told.append)
    for job in (gone, copied, a_job("9")):
        registry.felt(job)
    heir = a_job("2")
    registry.add(heir)  # in the slot of the one that is gone
    registry.beaten()
    told.clear()
    before = registry.change

    for job in (gone, copied, a_job("9")):
        registry.felt(job)

    assert (heir.slot, registry.change, registry.beaten(), told) == (gone.slot, before, [], [])
    registry.felt(heir)
    assert (registry.change, registry.beaten(), told) == (before + 1, ["2"], ["2"])


def test_who_begins_to_listen_is_told_of_every_beat_from_then_on_and_of_none_after() -> None:
    job = a_job("1")
    registry = registry_of(job)
    told: list[str] = []
    registry.felt(job)

    registry.listen(scopes_of(person("alice")), told.append)
    for _ in range(2):
        registry.felt(job)
    registry.leave(scopes_of(person("alice")), told.append)
    registry.felt(job)

    assert told == ["1", "1"]
