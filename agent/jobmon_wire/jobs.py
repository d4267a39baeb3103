"""What is said of a job in public: its fields, its states, its health.

A public job record is an object with the fields of ``FIELDS``, as
``GET /v1/jobs`` sends it, ``jobmon jobs --json`` prints it and selectors read
it.  What is not known is null.
"""

from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

STARTING = "starting"  # a credential was used, the job does not run yet
RUNNING = "running"
SILENT = "silent"  # no heartbeat for three intervals; may come back
LOST = "lost"  # given up
ENDED = "ended"
STATES = (STARTING, RUNNING, SILENT, LOST, ENDED)
ALIVE = frozenset([STARTING, RUNNING, SILENT])  # may still run, as far as anyone knows

# Share of its memory limit beyond which a job is in danger: what is left goes in a burst of allocations.
MEMORY_SHARE = 0.9

HEALTHS = ("ok", "stuck", "memory", "disk", "credential", "silent")

# How an exit status became known; `unknown` is said, never guessed (agent's acceptance test 28).
EXIT_SOURCES = ("pidfd", "zombie", "wrap", "trap", "unknown")


class Field(NamedTuple):
    """One field of the public job record."""

    name: str
    meaning: str


FIELDS = tuple(
    Field(*row)
    for row in (
        ("id", "the id its owner gave it, usually the batch system's"),
        ("uuid", "the server's own id: never used twice"),
        ("owner", "the owner's common name, for people"),
        ("owner_name", "the owner's whole distinguished name"),
        ("cluster", "cluster of the server it registered with"),
        ("node", "name of the node it runs on"),
        ("name", "name in the batch system, else the command's"),
        ("state", "one of STATES"),
        ("health", "one of HEALTHS"),
        ("health_reason", "why the health is not ok"),
        ("exit", "object code, signal, core, source once it has ended"),
        ("reason", "why the batch system ended it, or is about to, as the agent reads it"),
        ("started", "moment"),
        ("ended", "moment"),
        ("registered", "moment of its first registration"),
        ("last_seen", "moment of the last word from its agent"),
        ("command", "command line"),
        ("batch", "object of labels from the batch system's environment"),
        ("tags", "object of the owner's own labels"),
        ("cpu_percent", "of one core, at the last beat"),
        ("rss_bytes", "resident memory of all its processes"),
        ("memory_limit", "bytes of memory it may have, or null: no limit is known"),
        ("oom_kills", "processes of it that the kernel killed for want of memory"),
        ("processes", "how many processes"),
        ("process_state", "state of its first process as ps shows it: T is stopped"),
        ("output_bytes", "bytes of stdout and stderr so far"),
        ("output_at", "moment of the last output"),
        ("progress", "its last progress line"),
        ("callback", "how its agent is reached: tcp, udp, or null"),
    )
)


def exit_text(status: "Optional[Dict[str, Any]]") -> str:
    """An exit status for people and selectors: ``"0"``, ``"TERM"``, ``"unknown"`` or ``""``."""
    if status is None:
        return ""
    if status.get("signal") is not None:
        return str(status["signal"])
    return "unknown" if status.get("code") is None else str(status["code"])


def restarts(batch: "Dict[str, str]") -> int:
    """How often the batch system has started the job anew, by its labels."""
    count = batch.get("restarts", "")
    return int(count) if count.isdecimal() and len(count) < 10 else 0


def command_text(argv: "Tuple[str, ...]") -> str:
    """A command line as one would type it, for people; quoting only where it is needed."""
    return " ".join(word if word and not set(word) & set(" \t\n'\"\\$*?;&|<>(){}") else _quoted(word) for word in argv)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
