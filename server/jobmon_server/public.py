"""Public records: what the server says of a job, with every field of ``jobmon_wire.jobs.FIELDS``.

They are made when they are asked for: a record takes 3 KB, a job less than a fifth of that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jobmon_server import packing
from jobmon_server.jobs import CALLBACKS, KNOWN_STATES, Job
from jobmon_server.packing import LAYOUT
from jobmon_wire.jobs import HEALTHS
from jobmon_wire.moments import write_moment

MINUTES = 8192  # texts of minutes that are kept, six days of them: few moments of a list are older

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


def moment(seconds: float) -> str | None:
    """``write_moment`` for many moments that lie close together; NaN gives None."""
    if seconds != seconds:
        return None
    minute, rest = divmod(round(seconds * 1000), 60000)
    return _minute(minute) + _SECONDS[rest // 1000] + _THOUSANDTHS[rest % 1000]


@lru_cache(MINUTES)
def _minute(minute: int) -> str:
    return (write_moment(minute * 60.0) or "")[:17]
