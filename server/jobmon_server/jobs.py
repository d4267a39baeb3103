"""A job as the server knows it, and what it says of it in public.

Authority rests on four fields that come from the job's certificate and the
ledger alone: ``uuid``, ``id``, ``owner_rdns`` and ``cluster``.  Everything else
is hearsay from the agent, shown and never believed.  Nothing here knows of
sockets, requests or the store.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from jobmon_pki.names import Name, display
from jobmon_wire.jobs import ENDED, MEMORY_SHARE, RUNNING, SILENT, exit_text
from jobmon_wire.moments import write_moment
from jobmon_wire.records import EndReport, Registration, Vitals

QUIET = 30 * 60.0  # s without output until a job that computes nothing counts as stuck
IDLE_CPU = 1.0  # percent of one core; below it a job computes nothing
STOPPED = "T"  # state of a process that got STOP, as a batch system suspends a job
EXPIRY_SHARE = 0.1  # of a credential's life; less than this left is worth a word
EXPIRY_LEAST = 3600.0  # s; as above, for credentials of many hours
LATEST = 2.0**33  # s since 1970, year 2242: later moments are no moments and break calendars


class HearsayError(ValueError):
    """An agent said of its job what cannot be; one sentence."""


class Job(msgspec.Struct, gc=False):
    """One job.  It refers to nothing that refers to it, so the collector may pass it over."""

    uuid: str
    id: str
    owner_rdns: Name  # stored at issue; authority is equality with this
    cluster: str
    owner: str = ""
    owner_name: str = ""
    node: str = ""
    name: str = ""
    state: str = RUNNING
    health: str = "ok"
    health_reason: str | None = None
    exit: dict[str, Any] | None = None
    reason: str | None = None  # why the batch system ended it, or is about to
    is_told: bool = False  # the whole report of its end has come
    started: float | None = None  # s since 1970, as all moments here
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
    epoch: int = 0  # of the agent that speaks for it
    issued: float = 0.0
    expires: float = 0.0  # of its certificate
    serial: str = ""  # of its certificate

    def describe(self, said: Registration) -> None:
        """Take what an agent says of itself and the job.

        Raises:
            HearsayError: a moment that no calendar holds.
        """
        if said.epoch < 1:
            raise HearsayError("epoch: milliseconds since 1970 were expected")
        self.started = check_moment("started", said.started)
        self.epoch = said.epoch
        self.node = sys.intern(readable(said.node))
        self.name, self.command = said.name, said.command
        self.batch, self.tags = said.batch, said.tags

    def feel(self, vitals: Vitals) -> None:
        """Take the figures of a beat.

        Raises:
            HearsayError: a moment that no calendar holds.
        """
        self.output_at = check_moment("output_at", vitals.output_at)
        if vitals.reason:
            self.reason = readable(vitals.reason)
        self.cpu_percent, self.rss_bytes = vitals.cpu_percent, vitals.rss_bytes
        self.memory_limit, self.oom_kills = vitals.memory_limit, vitals.oom_kills
        self.processes, self.process_state = vitals.processes, vitals.state
        self.output_bytes = vitals.output_bytes

    def close(self, report: EndReport) -> None:
        """Take the end of the job.

        Raises:
            HearsayError: a moment that no calendar holds.
        """
        ended, status = check_moment("ended", report.ended), dict(report.exit._asdict())
        # A later report of the same end may know more, never less.
        self.ended = ended if self.ended is None else self.ended
        self.exit = status if self.exit is None or exit_text(status) != "unknown" else self.exit
        if report.reason:
            self.reason = readable(report.reason)
        self.state = ENDED
        self.cpu_percent = self.rss_bytes = self.processes = self.process_state = None
        if (written := _written(report)) is not None:
            self.output_bytes = written

    def revive(self) -> None:
        """Forget an earlier run: the batch system has started the job anew."""
        self.exit = self.reason = self.ended = self.progress = None
        self.is_told = False
        self.output_bytes = self.output_at = self.memory_limit = self.oom_kills = None
        self.state = RUNNING

    def examine(self, now: float) -> None:
        """Judge the job's health."""
        self.health, self.health_reason = _health(self, now)


def _written(report: EndReport) -> int | None:
    """Bytes of stdout and stderr together, if both are known."""
    if report.stdout_bytes is None or report.stderr_bytes is None:
        return None
    # `2>&1`: both are one file, which counts once.
    is_one = (report.stdout, report.stdout_bytes) == (report.stderr, report.stderr_bytes)
    return report.stdout_bytes if is_one else report.stdout_bytes + report.stderr_bytes


def new_job(uuid: str, job_id: str, owner: Name, cluster: str, now: float) -> Job:
    """A job that registers for the first time."""
    job = Job(uuid=uuid, id=job_id, owner_rdns=owner, cluster=cluster, registered=now, last_seen=now)
    adopt(job)
    return job


def adopt(job: Job) -> None:
    """Derive the names for people; share texts that many jobs have."""
    job.owner = sys.intern(owner_label(job.owner_rdns))
    job.owner_name = sys.intern(display(job.owner_rdns))
    job.cluster, job.node, job.state = sys.intern(job.cluster), sys.intern(job.node), sys.intern(job.state)


def owner_label(owner: Name) -> str:
    """The last attribute's value: the person's common name."""
    return owner[-1][1]


def public(job: Job) -> dict[str, Any]:
    """The public record: every field of ``jobmon_wire.jobs.FIELDS``."""
    return {
        "id": job.id,
        "uuid": job.uuid,
        "owner": job.owner,
        "owner_name": job.owner_name,
        "cluster": job.cluster,
        "node": job.node,
        "name": job.name,
        "state": job.state,
        "health": job.health,
        "health_reason": job.health_reason,
        "exit": job.exit,
        "reason": job.reason,
        "started": write_moment(job.started),
        "ended": write_moment(job.ended),
        "registered": write_moment(job.registered),
        "last_seen": write_moment(job.last_seen),
        "command": job.command,
        "batch": job.batch,
        "tags": job.tags,
        "cpu_percent": job.cpu_percent,
        "rss_bytes": job.rss_bytes,
        "memory_limit": job.memory_limit,
        "oom_kills": job.oom_kills,
        "processes": job.processes,
        "process_state": job.process_state,
        "output_bytes": job.output_bytes,
        "output_at": write_moment(job.output_at),
        "progress": job.progress,
        "callback": job.callback,
    }


def readable(text: str) -> str:
    """The text without lone surrogates, for what is shown and indexed but never sent back as a file's name."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def check_moment(field: str, seconds: float | None) -> float | None:
    """The moment, if a calendar holds it.

    Raises:
        HearsayError: none does.
    """
    if seconds is not None and not 0 <= seconds < LATEST:
        raise HearsayError(f"{field}: a moment between 1970 and 2242 was expected")
    return seconds


def _health(job: Job, now: float) -> tuple[str, str | None]:
    if job.state == SILENT:
        return "silent", f"no word from its agent since {write_moment(job.last_seen)}"
    if job.state != RUNNING:
        return "ok", None
    life = job.expires - job.issued
    left = job.expires - now
    # A short credential is not to be complained of from its first minute on.
    if life > 0 and left < max(life * EXPIRY_SHARE, min(EXPIRY_LEAST, life / 2)):
        return "credential", f"its credential expires in {max(left, 0) / 60:.0f} min"
    if (short := _shortage(job)) is not None:
        return "memory", short
    since = max(job.output_at or 0.0, job.started or 0.0)
    if job.process_state == STOPPED:
        return "stuck", "its first process is stopped"
    if job.cpu_percent is not None and job.cpu_percent < IDLE_CPU and now - since > QUIET:
        return "stuck", f"no output for {(now - since) / 60:.0f} min and {job.cpu_percent:.1f}% CPU"
    return "ok", None


def _shortage(job: Job) -> str | None:
    """Why the job is short of memory, if it is."""
    if job.oom_kills:
        return f"{job.oom_kills} of its processes killed for want of memory"
    if job.rss_bytes is not None and job.memory_limit and job.rss_bytes > MEMORY_SHARE * job.memory_limit:
        return f"uses {100 * job.rss_bytes / job.memory_limit:.0f}% of its {job.memory_limit / 2**30:.1f} GiB of memory"
    return None
