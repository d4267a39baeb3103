"""The columns of ``jobmon jobs``: every public field of a job, as people read it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jobmon_console.cli import screen, words
from jobmon_console.cli.table import Column
from jobmon_console.errors import UsageError
from jobmon_console.replies import Record
from jobmon_wire.jobs import ENDED, FIELDS, RUNNING, exit_text

Show = Callable[[Record, float], str]  # a record and the moment it is shown at, s since 1970

# Short names people type, as in the selector language.
ALIASES = {"cpu": "cpu_percent", "mem": "rss_bytes", "io": "output_bytes", "cmd": "command", "seen": "last_seen"}
_NARROW = 76  # columns of a terminal; below it the name would not fit beside everything else
EXTRA = ("time", "context")  # columns that are no field of the record
_USUAL = ("id", "node", "state", "health", "time", "cpu_percent", "rss_bytes", "output_bytes", "name")
_ALWAYS = (
    "state",
    "exit",
    "reason",
    "started",
    "ended",
)  # a line's colour, its state and its time say something of them
NAMES = tuple(field.name for field in FIELDS) + EXTRA


class _Shown(NamedTuple):
    column: Column
    show: Show


def choose(text: str) -> list[str]:
    """The columns of ``--columns a,b,c``, by their full names.

    Raises:
        UsageError: there is no such column.
    """
    names = [ALIASES.get(name, name) for name in (part.strip() for part in text.split(",")) if name]
    for name in names:
        if name not in NAMES:
            raise UsageError(f"no column {name!a}; known are {' '.join(NAMES)}")
    if not names:
        raise UsageError(f"--columns names none; known are {' '.join(NAMES)}")
    return names


def usual(records: list[Record], contexts: int) -> list[str]:
    """The columns a person gets: owner and cluster only where they differ, fewer on a narrow terminal."""
    several = [name for name in ("owner", "cluster") if len({record.get(name) for record in records}) > 1]
    if contexts > 1 and "cluster" not in several:
        several.append("context")
    edge = screen.width()
    names = [name for name in _USUAL if not 0 < edge < _NARROW or name not in ("health", "output_bytes")]
    return [names[0], *several, *names[1:]]


def fields(names: list[str] | None) -> list[str]:
    """The fields of a record that its line in a table needs; None: of the usual columns, whichever they will be."""
    wanted = [*_USUAL, "owner", "cluster"] if names is None else names
    return [name for name in dict.fromkeys([*wanted, *_ALWAYS]) if name not in EXTRA]


def head(names: list[str]) -> list[Column]:
    """How the columns look."""
    return [_column(name).column for name in names]


def row(names: list[str], record: Record, now: float) -> list[str]:
    """The cells of one job."""
    return [_column(name).show(record, now) for name in names]


def elapsed(record: Record, now: float) -> str:
    """How long it has run, or did run."""
    started, ended = words.seconds(record.get("started")), words.seconds(record.get("ended"))
    return words.UNKNOWN if started is None else words.span((now if ended is None else ended) - started)


def state(record: Record) -> str:
    """The state; of a job that is over also how it ended, and why the batch system ended it."""
    text = str(record.get("state") or words.UNKNOWN)
    if text == ENDED:
        text = f"{text} {exit_text(record.get('exit'))}".rstrip()
    return f"{text}, {record['reason']}" if record.get("reason") and text != RUNNING else text


def colour(record: Record) -> str:
    """What a line about the job is painted in."""
    known = {"running": "green", "starting": "green", "silent": "yellow", "lost": "magenta"}
    if record.get("state") == ENDED:
        return "dim" if exit_text(record.get("exit")) == "0" else "red"
    return known.get(str(record.get("state")), "")


def text(value: Any) -> str:
    """Any value of a record in one cell."""
    if value is None:
        return words.UNKNOWN
    if isinstance(value, dict):
        return " ".join(f"{key}={text(part)}" for key, part in value.items()) or words.UNKNOWN
    if isinstance(value, list):
        return ", ".join(text(part) for part in value) or words.UNKNOWN
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _field(name: str) -> Show:
    return lambda record, now: text(record.get(name))


def _moment(name: str) -> Show:
    return lambda record, now: words.clock(record.get(name), now)


def _size(name: str) -> Show:
    return lambda record, now: words.size(record.get(name))


_SHOWN = {
    "id": _Shown(Column("JOB", can_shrink=False), _field("id")),
    "state": _Shown(Column("STATE", can_shrink=False), lambda record, now: state(record)),
    "exit": _Shown(Column("EXIT"), lambda record, now: exit_text(record.get("exit")) or words.UNKNOWN),
    "time": _Shown(Column("TIME", is_number=True, can_shrink=False), elapsed),
    "cpu_percent": _Shown(
        Column("CPU%", is_number=True, can_shrink=False), lambda record, now: words.percent(record.get("cpu_percent"))
    ),
    "rss_bytes": _Shown(Column("MEM", is_number=True, can_shrink=False), _size("rss_bytes")),
    "memory_limit": _Shown(Column("LIMIT", is_number=True, can_shrink=False), _size("memory_limit")),
    "output_bytes": _Shown(Column("OUTPUT", is_number=True, can_shrink=False), _size("output_bytes")),
    "processes": _Shown(Column("PROCS", is_number=True, can_shrink=False), _field("processes")),
    "started": _Shown(Column("STARTED"), _moment("started")),
    "ended": _Shown(Column("ENDED"), _moment("ended")),
    "registered": _Shown(Column("REGISTERED"), _moment("registered")),
    "last_seen": _Shown(Column("SEEN"), lambda record, now: words.ago(record.get("last_seen"), now)),
    "output_at": _Shown(Column("WROTE"), lambda record, now: words.ago(record.get("output_at"), now)),
}


def _column(name: str) -> _Shown:
    return _SHOWN.get(name) or _Shown(Column(name.replace("_", " ").upper()), _field(name))
