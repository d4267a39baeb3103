"""Facts: a job as the store keeps it, one JSON object that people can read."""

from __future__ import annotations

import json
import sys
from typing import Any, NamedTuple

import msgspec

from jobmon_pki.names import Name
from jobmon_server.jobs import Job, new_job
from jobmon_server.lines import document
from jobmon_server.packing import Figures, put_figures
from jobmon_wire.jobs import RUNNING


class Reach(NamedTuple):
    """How a job's agent was heard by datagram in its session."""

    counter: int = 0  # the highest that was taken
    address: tuple[Any, ...] | None = None  # where it was heard last, and answered there


class Kept(NamedTuple):
    """A job that was kept."""

    job: Job
    reach: Reach


NEVER_HEARD = Reach()


class Facts(msgspec.Struct, gc=False):
    """One job; moments are s since 1970."""

    uuid: str
    id: str
    owner_rdns: Name
    cluster: str
    node: str = ""
    name: str = ""
    state: str = RUNNING
    health: str = "ok"
    health_reason: str | None = None
    exit: dict[str, Any] | None = None
    reason: str | None = None
    is_told: bool = False
    started: float | None = None
    ended: float | None = None
    registered: float = 0.0
    last_seen: float = 0.0
    command: str = ""
    batch: dict[str, str] = {}
    tags: dict[str, str] = {}
    cpu_percent: float | None = None
    rss_bytes: int | None = None
    memory_limit: int | None = None
    oom_kills: int | None = None
    processes: int | None = None
    process_state: str | None = None
    output_bytes: int | None = None
    output_at: float | None = None
    progress: str | None = None
    callback: str | None = None
    epoch: int = 0
    issued: float = 0.0
    expires: float = 0.0
    serial: str = ""
    renew: float = 0.0
    opened: float = 0.0
    counter: int = 0
    address: tuple[Any, ...] | None = None


# What is an attribute of ``Job`` by the same name, and may be written.
_SAME = (
    *("health_reason", "exit", "reason", "progress", "state", "health", "process_state", "is_told", "serial"),
    *("issued", "expires", "started", "ended", "registered", "epoch", "last_seen"),
    *("renew", "opened"),
)
_decoder = msgspec.json.Decoder(Facts)


def write_facts(job: Job, reach: Reach = NEVER_HEARD) -> bytes:
    """The job as it is kept."""
    name, command, batch, tags = job.description()
    figures = {field: getattr(job, field) for field in Figures._fields}
    same = {field: getattr(job, field) for field in _SAME}
    owner, cluster = job.realm.owner_rdns, job.realm.cluster
    said: dict[str, Any] = {"command": command, "batch": batch, "tags": tags}
    return document(
        Facts(job.uuid, job.id, owner, cluster, job.node, name, **said, **same, **figures, **reach._asdict())
    )


def read_facts(text: bytes) -> Kept:
    """The job that was kept; nobody has heard how its agent is reached now."""
    try:
        facts = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        facts = msgspec.convert(json.loads(text), type=Facts)  # lone surrogates, see lines.py
    job = new_job(facts.uuid, facts.id, facts.owner_rdns, sys.intern(facts.cluster), facts.registered)
    job.tell(facts.name, facts.command, facts.batch, facts.tags)
    job.node = sys.intern(facts.node)
    for field in _SAME:
        setattr(job, field, getattr(facts, field))
    job.packed = put_figures(job.packed, Figures(*(getattr(facts, field) for field in Figures._fields)))
    return Kept(job, Reach(facts.counter, facts.address))
