"""Texts: a job is told as it is now, whole or in a few fields, and written once until it changes."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_server.jobs import Job
from jobmon_server.public import public
from jobmon_server.registry import Registry
from jobmon_wire.jobs import FIELDS
from jobmon_wire.records import EndReport, Exit
from tests.server.house import a_job
from tests.server.test_jobs import a_busy_job

NAMES = [field.name for field in FIELDS]
NODE = ("node", "id")


def registry_of(*jobs: Job) -> Registry:
    """A registry with jobs."""
    registry = Registry()
    registry.fill(jobs)
    return registry


def an_odd_job() -> Job:
    """A job of which texts have lone surrogates, as names of files may."""
    job = a_busy_job(3)
    job.tell("na\udcffme", "cat \udcff", {"system": "slurm"}, {"k": "v\udcff"})
    return job


def an_ended_job() -> Job:
    """A job that was told to have been killed."""
    job = a_busy_job(4)
    job.close(EndReport(1, 2e9, Exit(None, "KILL", False, "pidfd"), b"x", b"", 1, 0, None, None, 0))
    job.reason, job.progress = "OOM", "37%"
    return job


@given(fields=st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
@pytest.mark.parametrize("make", [lambda: a_busy_job(7), lambda: a_job("u"), an_odd_job, an_ended_job])
def test_a_record_of_a_few_fields_says_of_each_what_the_whole_one_says(make: Any, fields: list[str]) -> None:
    job = make()
    whole = json.loads(registry_of(job).texts.of([job])[0])

    (text,) = registry_of(job).texts.of([job], tuple(fields))

    assert list(json.loads(text).items()) == [(field, whole[field]) for field in fields]


def test_a_record_is_written_anew_after_a_change_and_only_then() -> None:
    jobs = [a_job("u"), a_job("v")]
    registry = registry_of(*jobs)
    whole, brief = registry.texts.of(jobs), registry.texts.of(jobs, NODE)
    assert all(
        a is b for a, b in zip(registry.texts.of(jobs) + registry.texts.of(jobs, NODE), whole + brief, strict=True)
    )

    jobs[0].node, jobs[0].progress = "wn7", "half"
    registry.changed(jobs[0])

    assert json.loads(registry.texts.of(jobs)[0]) == public(jobs[0])
    assert public(jobs[0])["progress"] == "half"
    assert json.loads(registry.texts.of(jobs, NODE)[0]) == {"node": "wn7", "id": "1"}
    assert registry.texts.of(jobs)[1] is whole[1]
    assert registry.texts.of(jobs, NODE)[1] is brief[1]


def test_a_beat_is_told_in_the_next_list() -> None:
    job = a_busy_job(1)
    registry = registry_of(job)
    for fields in ((), ("rss_bytes",)):
        registry.texts.of([job], fields)

    job.rss_bytes = 7
    registry.felt(job)

    assert json.loads(registry.texts.of([job])[0])["rss_bytes"] == 7
    assert json.loads(registry.texts.of([job], ("rss_bytes",))[0]) == {"rss_bytes": 7}


def test_other_fields_are_not_answered_with_those_asked_for_before() -> None:
    job = a_job("u", "4711")
    texts = registry_of(job).texts

    answers = [json.loads(texts.of([job], fields)[0]) for fields in (("id",), ("state",), ("id", "state"), ("id",))]

    assert answers == [{"id": "4711"}, {"state": "running"}, {"id": "4711", "state": "running"}, {"id": "4711"}]


@pytest.mark.parametrize("fields", [(), ("uuid",)])
def test_a_job_that_went_while_it_was_listed_is_written_as_itself_and_not_kept(fields: tuple[str, ...]) -> None:
    gone = a_job("aa")
    registry = registry_of(gone, a_job("bb"))
    registry.texts.of([gone], fields)
    registry.remove("aa")
    heir = a_job("cc")
    registry.add(heir)

    lines = registry.texts.of([heir, gone, copy.copy(heir)], fields)
    gone.progress = "later"

    assert heir.slot == gone.slot
    assert [json.loads(line)["uuid"] for line in lines] == ["cc", "aa", "cc"]
    assert sum(map(len, registry.texts.kept)) == 1
    assert json.loads(registry.texts.of([gone])[0])["progress"] == "later"


def test_of_many_records_no_more_than_a_limit_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmon_server.texts.TEXTS", 2)
    registry = registry_of(*(a_job(str(number)) for number in range(4)))
    jobs = list(registry)

    for fields in ((), ("uuid",)):
        texts = registry.texts.of(jobs, fields)

        assert [json.loads(text)["uuid"] for text in texts] == ["0", "1", "2", "3"]
    assert [list(kept) for kept in registry.texts.kept] == [[id(jobs[2]), id(jobs[3])]] * 2
