"""A job takes few bytes and loses nothing by it: what was put in comes out, and is kept, as it was."""

import copy
import gc
import tracemalloc
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_server.facts import read_facts, write_facts
from jobmon_server.jobs import CALLBACKS, Job, new_job
from jobmon_server.public import moment, public
from jobmon_server.registry import Registry
from jobmon_wire.jobs import HEALTHS, STATES
from jobmon_wire.moments import write_moment
from jobmon_wire.records import EndReport, Exit, Registration, Vitals
from tests.server.house import END_REPORT, REGISTRATION, a_job, person

BYTES = 650  # of a job with all that finds it; the target of the site with 100,000

MAYBE = st.none() | st.integers(-(2**53), 2**53)
FLOATS = st.none() | st.floats(0, 2**33)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "state": st.sampled_from(STATES),
    "health": st.sampled_from(HEALTHS),
    "callback": st.sampled_from(CALLBACKS),
    "process_state": st.none() | st.sampled_from("RSDTZ"),
    "is_told": st.booleans(),
    "serial": st.just("") | st.integers(1, 2**159).map("{:032x}".format),
    "issued": st.integers(0, 2**32 - 1).map(float),
    "expires": st.integers(0, 2**32 - 1).map(float),
    "started": FLOATS,
    "ended": FLOATS,
    "registered": st.floats(0, 2**33),
    "last_seen": st.floats(0, 2**33),
    "epoch": st.integers(0, 2**53),
    "cpu_percent": FLOATS,
    "rss_bytes": MAYBE,
    "memory_limit": MAYBE,
    "output_bytes": MAYBE,
    "output_at": FLOATS,
    "oom_kills": st.none() | st.integers(0, 2**31 - 1),
    "processes": st.none() | st.integers(0, 2**31 - 1),
    "health_reason": st.none() | st.sampled_from(["", "half", "é"]),
    "reason": st.none() | st.sampled_from(["", "half", "é"]),
    "progress": st.none() | st.sampled_from(["", "half", "é"]),
    "exit": st.none() | st.just({"code": 1, "signal": None}),
    "node": st.sampled_from(["", "wn1"]),
}
TEXTS = st.text('a"\\\n\0é\udc80\U0001f600', max_size=5)  # names of files are bytes: lone surrogates, too


@given(st.lists(st.sampled_from(sorted(FIELDS)).flatmap(lambda name: st.tuples(st.just(name), FIELDS[name]))))
def test_what_was_put_in_comes_out_whatever_else_was_put_in(steps: list[tuple[str, Any]]) -> None:
    job = a_job("u", "4711.0")
    known = {name: getattr(job, name) for name in FIELDS}
    for name, value in steps:
        setattr(job, name, value)
        known[name] = value

        assert {name: getattr(job, name) for name in FIELDS} == known
    assert (job.id, job.owner, job.cluster) == ("4711.0", "alice", "caf")


@given(TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=2), st.floats(0, 2**33))
def test_what_is_kept_is_read_as_it_was(name: str, command: str, labels: dict[str, str], last: float) -> None:
    job = a_job("u", "4711.0")
    job.tell(name, command, labels, {"k": command})
    job.last_seen, job.oom_kills, job.state = last, 3, "lost"

    again = read_facts(write_facts(job)).job

    assert (again.name, again.command, again.batch, again.tags) == (name, command, labels, {"k": command})
    assert public(again) == public(job)
    assert write_facts(again) == write_facts(job)


def test_facts_of_an_earlier_server_are_read() -> None:
    text = (
        b'{"uuid":"u","id":"1","owner_rdns":[["2.5.4.3","alice"]],"cluster":"caf","owner":"alice","owner_name":"/CN=alice",'
        b'"state":"silent","exit":null,"started":1.5,"batch":{"system":"slurm"},"tags":{},"processes":3,"callback":"tcp"}'
    )

    job = read_facts(text).job

    assert (job.id, job.owner, job.state, job.started, job.batch) == ("1", "alice", "silent", 1.5, {"system": "slurm"})
    assert (job.processes, job.callback) == (3, None)


@given(st.floats(0, 2**33))
def test_moments_are_written_as_everywhere(seconds: float) -> None:
    assert moment(seconds) == write_moment(seconds)
    assert moment(float("nan")) is None


def test_a_copy_of_a_job_is_another_job() -> None:
    job = a_job("u")
    job.progress = "half"
    ended = copy.copy(job)
    ended.close(EndReport.read(END_REPORT))
    ended.progress = "done"

    assert (job.state, job.exit, job.progress) == ("running", None, "half")
    assert (ended.state, ended.exit) == ("ended", Exit(3, None, False, "pidfd")._asdict())


def a_busy_job(number: int) -> Job:
    """A job as a batch system's are, that has registered and beats."""
    owner = person(f"user{number % 20}").name
    job = new_job(
        str(uuid.UUID(int=number * 2**100 + 1)), f"{4711000 + number // 100}.{number % 100}", owner, "caf", 1e9
    )
    said = Registration.read(
        {
            **REGISTRATION,
            "epoch": 1_700_000_000_000 + number,
            "node": f"wn{number % 40:04d}.example.org",
            "command": f"python3 train.py --fold {number % 17} --seed {number}",
            "batch": {"system": "slurm", "array": f"{4711000 + number // 100}_{number % 100}", "queue": "short"},
        }
    )
    job.describe(said)
    job.serial, job.issued, job.expires = f"{2**158 + number:x}", 1e9, 1e9 + 86400
    return beaten(job, number)


def beaten(job: Job, number: int) -> Job:
    """The job after a beat."""
    job.feel(
        Vitals(1e9, 97.5, 10**9 + number, 3, 10**6 + number, 1e9 + number, 2 * 10**9 + number, 0, "R"), 1e9 + number / 7
    )
    job.examine(1e9 + number / 7)
    return job


def test_a_job_with_all_that_finds_it_takes_few_bytes() -> None:
    number = 2000
    a_busy_job(0)  # what is made once is made
    gc.collect()
    tracemalloc.start()
    try:
        registry = Registry()
        registry.fill(a_busy_job(i) for i in range(number))
        for job in list(registry):
            registry.felt(beaten(job, job.slot + 1))
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert len(registry) == number
    assert size / number <= BYTES


def test_the_collector_passes_over_jobs() -> None:
    assert not gc.is_tracked(a_busy_job(1))


@pytest.mark.parametrize("number", [0, 2**31, 2**40, -(2**40)])
def test_a_count_beyond_reason_is_cut_and_breaks_nothing(number: int) -> None:
    job = a_job("u")
    job.feel(Vitals(1e9, None, None, number, None, None, oom_kills=number), 1e9)

    assert job.processes == max(min(number, 2**31 - 1), -(2**31) + 1)
