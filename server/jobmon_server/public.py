"""Public records: what the server says of a job, with every field of ``jobmon_wire.jobs.FIELDS``.

They are made when they are asked for: a record takes 3 KB, a job less than a fifth of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache, partial
from operator import attrgetter
from typing import Any

import msgspec

from jobmon_server import packing
from jobmon_server.jobs import CALLBACKS, KNOWN_STATES, Job
from jobmon_server.packing import LAYOUT, Packed
from jobmon_wire.jobs import HEALTHS
from jobmon_wire.moments import write_moment

SHAPES = 16  # choices of fields whose type is kept
MINUTES = 8192  # texts of minutes that are kept, six days of them: few moments of a list are older

_MOMENTS = frozenset(["started", "ended", "registered", "last_seen", "output_at"])
_SECONDS = [f"{second:02d}" for second in range(60)]
_THOUSANDTHS = [f".{part:03d}Z" for part in range(1000)]


def public(job: Job) -> dict[str, Any]:
    """The public record."""
    name, command, batch, tags = job.description()
    # Once, not field by field: a list holds thousands.
    numbers = LAYOUT.unpack_from(job.packed, len(job.packed) - LAYOUT.size)
    state, health, callback, process_state, _, _, _, _, started, registered, _, last_seen = numbers[5:17]
    cpu_percent, rss_bytes, memory_limit, output_bytes, output_at, oom_kills, processes = numbers[17:]
    realm, notes = job.realm, job.notes
    return {
        "id": job.id,
        "uuid": job.uuid,
        "owner": realm.owner,
        "owner_name": realm.owner_name,
        "cluster": realm.cluster,
        "node": job.node,
        "name": name,
        "state": KNOWN_STATES[state],
        "health": HEALTHS[health],
        "health_reason": notes.health_reason,
        "exit": notes.exit,
        "reason": notes.reason,
        "started": moment(started),
        "ended": None if notes.ended is None else moment(notes.ended),
        "registered": moment(registered),
        "last_seen": moment(last_seen),
        "command": command,
        "batch": batch,
        "tags": tags,
        "cpu_percent": packing.shared(cpu_percent),
        "rss_bytes": packing.whole(rss_bytes),
        "memory_limit": packing.whole(memory_limit),
        "oom_kills": packing.counted(oom_kills),
        "processes": packing.counted(processes),
        "process_state": packing.letter(process_state),
        "output_bytes": packing.whole(output_bytes),
        "output_at": moment(output_at),
        "progress": notes.progress,
        "callback": CALLBACKS[callback],
    }


def chosen(jobs: Sequence[Job], fields: tuple[str, ...]) -> list[Any]:
    """The public records with these fields alone, for the encoder; made column by column, at half the cost."""
    return list(map(_shape(fields), *(_column(field)(jobs) for field in fields)))


@lru_cache(SHAPES)
def _shape(fields: tuple[str, ...]) -> Callable[..., Any]:
    return msgspec.defstruct("Record", fields, gc=False)


@cache
def _column(field: str) -> Callable[[Sequence[Job]], Iterable[Any]]:
    attribute = vars(Job).get(field)
    values = attribute.of if isinstance(attribute, Packed) else partial(map, attrgetter(field))
    if field in _MOMENTS:
        return lambda jobs: [None if value is None else moment(value) for value in values(jobs)]
    return values


def moment(seconds: float) -> str | None:
    """``write_moment`` for many moments that lie close together; NaN gives None."""
    if seconds != seconds:
        return None
    minute, rest = divmod(round(seconds * 1000), 60000)
    return _minute(minute) + _SECONDS[rest // 1000] + _THOUSANDTHS[rest % 1000]


@lru_cache(MINUTES)
def _minute(minute: int) -> str:
    return (write_moment(minute * 60.0) or "")[:17]
