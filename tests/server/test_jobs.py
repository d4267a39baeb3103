"""A job takes few bytes and loses nothing by it: what was put in comes out, and is kept, as it was."""

import copy
import gc
import struct
import tracemalloc
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobmon_server.facts import read_facts, write_facts
from jobmon_server.jobs import CALLBACKS, HearsayError, Job, new_job
from jobmon_server.public import moment, public
from jobmon_server.registry import Registry
from jobmon_wire import datagrams
from jobmon_wire.jobs import HEALTHS, STATES
from jobmon_wire.moments import write_moment
from jobmon_wire.records import EndReport, Exit, Registration, Vitals
from tests.server.house import END_REPORT, REGISTRATION, a_job, person

BYTES = 480  # of a job with all that finds it; with its session, of a site with 100,000, 650 are the target

MAYBE = st.none() | st.integers(-(2**53), 2**53)
FLOATS = st.none() | st.floats(0, 2**33)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "state": st.sampled_from(STATES),
    "health": st.sampled_from(HEALTHS),
    "callback": st.sampled_from(CALLBACKS),
    "process_state": st.none() | st.sampled_from("RSDTZ"),
    "is_told": st.booleans(),
    "serial": st.just("") | st.integers(1, 2**128 - 1).map("{:032x}".format),
    "issued": st.integers(0, 2**32 - 1).map(float),
    "expires": st.integers(0, 2**32 - 1).map(float),
    "started": FLOATS,
    "ended": FLOATS,
    "registered": st.floats(0, 2**33),
    "last_seen": st.floats(0, 2**33),
    "epoch": st.integers(0, 2**53),
    "cpu_percent": st.none() | st.integers(0, 2**32 - 2).map(lambda hundredths: hundredths / 100),
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


def test_a_share_of_cpu_that_no_node_has_is_none() -> None:
    job = a_job("u", "4711.0")
    for said, kept in ((10**400, None), (1e300, None), (42949672.94, 42949672.94), (-5.0, 0.0), (12.345, 12.35)):
        job.cpu_percent = said

        assert job.cpu_percent == kept


UUID = "1d8d5237-fd32-456e-8a15-537803fcbd25"
LIKE_UUIDS = [UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", f"urn:uuid:{UUID}", UUID[:-1], f"{UUID}0", f" {UUID}"]


@given(
    st.uuids().map(str) | st.text("a1-\1é", max_size=40) | st.sampled_from(LIKE_UUIDS), st.sampled_from(["", "1", "é"])
)
def test_a_job_has_the_very_uuid_and_id_it_was_made_with(its_uuid: str, job_id: str) -> None:
    job = a_job(its_uuid, job_id)
    job.tell("name", "command", {"a": "b"}, {})
    job.slot = 2**32 - 1

    assert (job.uuid, job.id, job.name, job.command) == (its_uuid, job_id, "name", "command")
    assert read_facts(write_facts(job)).job.uuid == its_uuid


def test_a_uuid_of_a_certificate_takes_half_of_its_bytes() -> None:
    assert len(a_job(UUID).packed) == len(a_job("").packed) - len(b"\0\0") + 17


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
    job.serial, job.issued, job.expires = f"{2**127 + number:x}", 1e9, 1e9 + 86400
    return beaten(job, number)


def beaten(job: Job, number: int) -> Job:
    """The job after a beat."""
    job.feel(
        Vitals(1e9, 97.5, 10**9 + number, 3, 10**6 + number, 1e9 + number, 2 * 10**9 + number, 0, "R"), 1e9 + number / 7
    )
    job.examine(1e9 + number / 7)
    return job


NUMBERS = st.tuples(  # of a beat as they stand on the wire
    st.integers(0, 2**16 - 1) | st.just(255),
    st.sampled_from([*b"RSTZ?\0\xe9"]),
    st.integers(0, 2**32 - 1) | st.sampled_from([0, 99, 100, 101]),
    st.integers(0, 2**64 - 1) | st.integers(0, 2**33),
    st.integers(0, 2**64 - 1) | st.integers(0, 2**33),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1) | st.just(0),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1) | st.integers(0, 2 * 10**12),
    st.integers(0, 2**64 - 1),
)
MOMENTS = st.floats(1e9, 1e9 + 86400) | st.sampled_from([1e9 + 86400 - 3600, 1e9 + 77760, 1e9 + 2200, 1e9 + 86401])


def taken_from_a_channel(job: Job, body: bytes, now: float) -> bool:
    """What a beat by datagram is to come to, the long way."""
    job.callback = "udp"
    job.feel(Vitals(*datagrams.read_figures(body)[2]), now)
    job.examine(now)
    return True


def outcome(take: Callable[[], bool]) -> str:
    """What became of a beat."""
    try:
        return str(take())
    except HearsayError as error:
        return str(error)


@given(st.lists(st.tuples(NUMBERS, MOMENTS), min_size=1, max_size=3), st.sampled_from([1e9 + 3000, 1e9 + 86400, 0.0]))
@example([((255, 82, 2**32 - 1, 0, 0, 0, 0, 0, 0, 0), 1e9)], 1e9 + 3000)  # more than any node's CPU
def test_a_beat_by_datagram_comes_to_what_it_would_on_a_channel(
    beats: list[tuple[tuple[int, ...], float]], expires: float
) -> None:
    job, model = a_busy_job(1), a_busy_job(1)
    job.expires = model.expires = expires
    job.started = model.started = 1e9

    for numbers, now in beats:
        body = datagrams.write_beat(0, bytes(8), struct.pack("!HBxIQQIIQQQ", *numbers))
        assert outcome(lambda: job.beat(body, now)) == outcome(lambda: taken_from_a_channel(model, body, now))  # noqa: B023

        assert (job.packed, job.notes) == (model.packed, model.notes)


ALL, NO_OUTPUT = 255, 255 - 64  # what of a beat is known


@pytest.mark.parametrize(
    ("known", "state", "cpu", "rss", "kills", "later", "health"),
    [  # alone, so that nothing else has the job looked at
        (ALL, b"R", 9750, 0, 0, 2000.0, "ok"),
        (ALL, b"R", 9750, 0, 1, 2000.0, "memory"),
        (ALL, b"R", 9750, 2**33 - 1, 0, 2000.0, "memory"),
        (ALL, b"T", 9750, 0, 0, 2000.0, "stuck"),
        (ALL, b"R", 99, 0, 0, 2000.0, "stuck"),
        (NO_OUTPUT, b"R", 99, 0, 0, 2000.0, "stuck"),
        (ALL, b"R", 99, 0, 0, 1000.0, "ok"),
        (ALL, b"R", 9750, 0, 0, 80000.0, "credential"),
    ],
)
def test_each_thing_that_ails_a_job_shows_with_the_beat_that_tells_of_it_and_goes_with_the_next(
    known: int, state: bytes, cpu: int, rss: int, kills: int, later: float, health: str
) -> None:
    job = a_busy_job(1)
    job.started = 1e9
    figures = struct.pack("!HcxIQQIIQQQ", known, state, cpu, rss, 2**33, 1, kills, 0, 10**12, 0)
    well = struct.pack("!HcxIQQIIQQQ", ALL, b"R", 9750, 0, 2**33, 1, 0, 0, 10**12, 0)

    job.beat(datagrams.write_beat(0, bytes(8), figures), 1e9 + later)
    assert (job.health, job.health_reason is None) == (health, health == "ok")
    job.beat(datagrams.write_beat(0, bytes(8), well), 1e9 + 2000)

    assert (job.health, job.health_reason) == ("ok", None)


@pytest.mark.parametrize("state", ["silent", "lost", "ended"])
def test_a_beat_by_datagram_for_a_job_that_does_not_run_is_left_to_others(state: str) -> None:
    job = a_busy_job(1)
    job.state = state
    before = job.packed

    assert not job.beat(datagrams.write_beat(0, bytes(8), bytes(56)), 1e9 + 60)
    assert job.packed is before


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
