"""A job as the server knows it.

Authority rests on fields that come from the job's certificate and the ledger
alone: ``uuid``, ``id`` and ``realm``, that is owner and cluster.  Everything
else is hearsay from the agent, shown and never believed.  Nothing here knows of
sockets, requests or the store.
"""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from typing import Any

import msgspec

from jobmon_pki.names import Name
from jobmon_server import labels, packing
from jobmon_server.lines import document
from jobmon_server.packing import (
    FRESH,
    JUDGED_AT,
    LASTING,
    LAYOUT,
    LETTERS,
    MOST,
    NO_COUNT,
    NO_SHARE,
    NONE,
    UNKNOWN,
    Figures,
    Noted,
    Notes,
    pack_beat,
    read_judged,
)
from jobmon_server.realms import Realm, realm_of
from jobmon_wire.datagrams import read_numbers
from jobmon_wire.jobs import ENDED, HEALTHS, MEMORY_SHARE, RUNNING, SILENT, STATES, exit_text
from jobmon_wire.moments import write_moment
from jobmon_wire.records import UDP, EndReport, Exit, Registration, Vitals

QUIET = 30 * 60.0  # s without output until a job that computes nothing counts as stuck
IDLE_CPU = 1.0  # percent of one core; below it a job computes nothing
_IDLE = int(100 * IDLE_CPU)
STOPPED = "T"  # state of a process that got STOP, as a batch system suspends a job
EXPIRY_SHARE = 0.1  # of a credential's life; less than this left is worth a word
EXPIRY_LEAST = 3600.0  # s; as above, for credentials of many hours
LATEST = 2.0**33  # s since 1970, year 2242: later moments are no moments and break calendars
CALLBACKS = (None, "tcp", UDP)
STATUSES = 1024  # exit statuses that are shared

KNOWN_STATES = (RUNNING, *(state for state in STATES if state != RUNNING))  # a new job runs

# Codes, as they are packed or on the wire.
_RUNS, _BY_UDP, _STOPPED = KNOWN_STATES.index(RUNNING), CALLBACKS.index(UDP), ord(STOPPED)
_ALL = 2**7 - 1  # figures of a beat are known

_description = msgspec.msgpack.Decoder(tuple[str, str, labels.Packed, labels.Packed])
_name = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw, msgspec.Raw, msgspec.Raw])  # what lists are sorted by, and show
_JSON = ord("[")  # begins a description that is no MessagePack, which begins with 0x94


class HearsayError(ValueError):
    """An agent said of its job what cannot be; one sentence."""


class Job(msgspec.Struct, gc=False):
    """One job.  It refers to nothing that refers to it, so the collector may pass it over.

    A server knows 100,000 of them, so what many have in common is shared, what
    is seldom asked for is kept as MessagePack, and numbers are packed.
    """

    packed: bytes  # names, then name, command, batch and tags (see ``labels``), then the numbers
    realm: Realm
    node: str = ""
    notes: Notes = NONE

    health_reason = Noted[str | None]("health_reason")
    exit = Noted[dict[str, Any] | None]("exit")
    ended = Noted[float | None]("ended")  # s since 1970, as all moments here
    reason = Noted[str | None]("reason")  # why the batch system ended it, or is about to
    progress = Noted[str | None]("progress")
    slot = packing.integer("slot")  # in the registry
    line = packing.integer("line")  # in the switchboard
    source = packing.integer("source")  # of the session that speaks for it, see ``sessions``; 0: none in this run
    renew = packing.second("renew")  # when its certificate is to be renewed; 0: never
    opened = packing.number("opened")  # when its agent's session by datagram began
    state = packing.choice("state", KNOWN_STATES)
    health = packing.choice("health", HEALTHS)
    callback = packing.maybe_choice("callback", CALLBACKS)
    process_state = packing.initial("process_state")
    is_told = packing.flag("is_told")  # the whole report of its end has come
    serial = packing.serial("serial")  # of its certificate
    issued = packing.second("issued")
    expires = packing.second("expires")  # of its certificate
    started = packing.maybe("started")
    registered = packing.number("registered")
    epoch = packing.integer("epoch")  # of the agent that speaks for it
    last_seen = packing.number("last_seen")
    cpu_percent = packing.share("cpu_percent")
    rss_bytes = packing.maybe_integer("rss_bytes")
    memory_limit = packing.maybe_integer("memory_limit")
    output_bytes = packing.maybe_integer("output_bytes")
    output_at = packing.maybe("output_at")
    oom_kills = packing.count("oom_kills")
    processes = packing.count("processes")

    @property
    def id(self) -> str:
        """The id its owner gave it."""
        return self.packed[: self.packed.index(0)].decode()

    @property
    def uuid(self) -> str:
        """The uuid of its certificates."""
        return packing.uuid_of(self.packed)

    @property
    def owner_rdns(self) -> Name:
        """Its owner's name, as stored at issue."""
        return self.realm.owner_rdns

    @property
    def cluster(self) -> str:
        """Its cluster."""
        return self.realm.cluster

    @property
    def owner(self) -> str:
        """Its owner's common name."""
        return self.realm.owner

    @property
    def owner_name(self) -> str:
        """Its owner's whole name as text."""
        return self.realm.owner_name

    @property
    def name(self) -> str:
        """Its name in the batch system."""
        text = self._told()
        return self.description()[0] if text[0] == _JSON else _name.decode(text)[0]

    @property
    def command(self) -> str:
        """Its command line."""
        return self.description()[1]

    @property
    def tags(self) -> dict[str, str]:
        """Its owner's labels."""
        return self.description()[3]

    @property
    def batch(self) -> dict[str, str]:
        """Labels from the batch system's environment."""
        return self.description()[2]

    def get(self, field: str) -> Any:
        """A field of the public record, moments as s since 1970: what selectors look at."""
        return getattr(self, field, None)

    def description(self) -> tuple[str, str, dict[str, str], dict[str, str]]:
        """Name, command, batch labels and tags, as the agent told them."""
        text = self._told()
        name, command, batch, tags = json.loads(text) if text[0] == _JSON else _description.decode(text)
        return name, command, labels.unpack(batch), labels.unpack(tags)

    def _told(self) -> bytes:
        return self.packed[packing.end_of_names(self.packed) : -LAYOUT.size]

    def tell(self, name: str, command: str, batch: dict[str, str], tags: dict[str, str]) -> None:
        """Keep the description."""
        said = (name, command, labels.pack(batch), labels.pack(tags))
        try:
            text = msgspec.msgpack.encode(said)  # 15 bytes less than as JSON, of a job with a batch system
        except UnicodeEncodeError:  # lone surrogates, see lines.py
            text = document(said)
        self.packed = self.packed[: packing.end_of_names(self.packed)] + text + self.packed[-LAYOUT.size :]

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
        self.tell(said.name, said.command, said.batch, said.tags)

    def feel(self, vitals: Vitals, now: float) -> None:
        """Take a beat: its moment and its figures.

        Raises:
            HearsayError: a moment that no calendar holds.
        """
        check_moment("output_at", vitals.output_at)
        if vitals.reason:
            self.reason = readable(vitals.reason)
        figures = Figures(
            vitals.cpu_percent,
            vitals.rss_bytes,
            vitals.memory_limit,
            vitals.output_bytes,
            vitals.output_at,
            vitals.oom_kills,
            vitals.processes,
        )
        self.packed = packing.put_beat(self.packed, now, figures)
        if vitals.state != self.process_state:
            self.process_state = vitals.state

    def beat(self, body: bytes, now: float) -> bool:
        """Take a beat by datagram, and judge the job by it, if it runs; else nothing is taken, and this is false.

        It is ``feel`` and ``examine`` in a third of the time.

        Args:
            body: of the BEAT.

        Raises:
            HearsayError: a moment that no calendar holds.
        """
        packed = self.packed
        state, health, callback, process_state, issued, expires = read_judged(packed, JUDGED_AT)
        if state != _RUNS:
            return False
        if callback != _BY_UDP:
            self.callback = UDP
            packed = self.packed
        # No tuples and no calls in between, which would cost a tenth of the whole beat.
        known, code, cpu, rss, limit, processes, kills, output, output_at = read_numbers(body)
        output_at, code = output_at * 0.001, LETTERS[code]
        if known & _ALL != _ALL:
            cpu, rss = cpu if known & 1 else NO_SHARE, rss if known & 2 else UNKNOWN
            limit, output = limit if known & 4 else UNKNOWN, output if known & 32 else UNKNOWN
            processes, kills = processes if known & 8 else NO_COUNT, kills if known & 16 else NO_COUNT
            output_at = output_at if known & 64 else UNKNOWN
        if processes > MOST or kills > MOST:
            processes, kills = min(processes, MOST), min(kills, MOST)
        if output_at >= LATEST:
            check_moment("output_at", output_at)
        self.packed = packed[LASTING] + pack_beat(now, cpu, rss, limit, output, output_at, kills, processes)
        if code != process_state:
            self.process_state = packing.letter(code)
        left = expires - now
        if (
            health  # what follows has each case of ``_health``, and perhaps some more
            or left < EXPIRY_LEAST
            or left < EXPIRY_SHARE * (expires - issued)
            or kills > 0
            or rss > MEMORY_SHARE * limit
            or code == _STOPPED
            or (cpu < _IDLE and not now - output_at <= QUIET)
        ):
            self.examine(now)
        return True

    def close(self, report: EndReport) -> None:
        """Take the end of the job.

        Raises:
            HearsayError: a moment that no calendar holds.
        """
        ended, status = check_moment("ended", report.ended), _status(report.exit)
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
        numbers = LAYOUT.unpack_from(self.packed, len(self.packed) - LAYOUT.size)
        health, reason = _health(numbers, now)
        if health != HEALTHS[numbers[6]] or reason != self.notes.health_reason:
            self.health, self.health_reason = health, reason


@lru_cache(STATUSES)
def _status(told: Exit) -> dict[str, Any]:
    """The exit status as it is shown; jobs that end alike share it."""
    return dict(told._asdict())


def _written(report: EndReport) -> int | None:
    """Bytes of stdout and stderr together, if both are known."""
    if report.stdout_bytes is None or report.stderr_bytes is None:
        return None
    # `2>&1`: both are one file, which counts once.
    is_one = (report.stdout, report.stdout_bytes) == (report.stderr, report.stderr_bytes)
    return report.stdout_bytes if is_one else report.stdout_bytes + report.stderr_bytes


def new_job(uuid: str, job_id: str, owner: Name, cluster: str, now: float) -> Job:
    """A job that registers for the first time."""
    job = Job(packing.pack_names(job_id, uuid) + FRESH, realm_of(owner, cluster))
    job.tell("", "", {}, {})
    job.registered = job.last_seen = now
    return job


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


def _health(numbers: tuple[Any, ...], now: float) -> tuple[str, str | None]:
    """Health, of the packed numbers: each beat is judged, and to read them one by one takes five times as long."""
    _, _, _, _, _, state, _, _, process_state, _, _, issued, expires, started, _, _, last_seen, *figures = numbers
    if KNOWN_STATES[state] == SILENT:
        return "silent", f"no word from its agent since {write_moment(last_seen)}"
    if KNOWN_STATES[state] != RUNNING:
        return "ok", None
    life, left = expires - issued, expires - now
    # A short credential is not to be complained of from its first minute on.
    if life > 0 and left < max(life * EXPIRY_SHARE, min(EXPIRY_LEAST, life / 2)):
        return "credential", f"its credential expires in {max(left, 0) / 60:.0f} min"
    cpu, rss_bytes, memory_limit, _, output_at, oom_kills, _ = figures
    if (short := _shortage(rss_bytes, memory_limit, oom_kills)) is not None:
        return "memory", short
    if packing.letter(process_state) == STOPPED:
        return "stuck", "its first process is stopped"
    return _idleness(cpu, output_at, started, now)


# What is not known is NaN, of which every comparison is false; of CPU a share that nothing uses.


def _shortage(rss: float, limit: float, kills: int) -> str | None:
    """Why the job is short of memory, if it is."""
    if kills > 0:
        return f"{kills} of its processes killed for want of memory"
    if limit and rss > MEMORY_SHARE * limit:
        return f"uses {100 * rss / limit:.0f}% of its {limit / 2**30:.1f} GiB of memory"
    return None


def _idleness(cpu: int, output_at: float, started: float, now: float) -> tuple[str, str | None]:
    """Whether the job does nothing; its CPU in hundredths of a percent."""
    if cpu >= _IDLE:
        return "ok", None
    since = max(packing.known(output_at) or 0.0, packing.known(started) or 0.0)
    if now - since <= QUIET:
        return "ok", None
    return "stuck", f"no output for {(now - since) / 60:.0f} min and {cpu / 100:.1f}% CPU"
