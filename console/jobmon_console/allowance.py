"""What a job may use of its node and what it was denied, in words for the command line and the console.

The figures are the agent's, of the job's control groups and GPUs, and may be
anything: what is no figure is left out.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jobmon_wire.jobs import MEMORY_SHARE

Size = Callable[[Any], str]


class Fact(NamedTuple):
    """One of them."""

    text: str
    is_bad: bool = False


def facts(job: dict[str, Any], size: Size) -> list[Fact]:
    """The facts worth a word, the most pressing first; ``size`` writes bytes."""
    return [*_kills(job), *_memory(job, size), *_processors(job), *_gpus(job, size)]


def _kills(job: dict[str, Any]) -> list[Fact]:
    kills = _number(job.get("oom_kills"))
    return [Fact(f"{kills:.0f} killed for want of memory", True)] if kills else []


def _memory(job: dict[str, Any], size: Size) -> list[Fact]:
    limit, held = _number(job.get("memory_limit")), _number(job.get("rss"))
    found = []
    if limit:
        share = None if held is None else held / limit
        used = "" if share is None else f", {100 * share:.0f}% used"
        found.append(Fact(f"memory limit {size(limit)}{used}", share is not None and share > MEMORY_SHARE))
    if (peak := _number(job.get("memory_peak"))) is not None:
        found.append(Fact(f"{size(_number(job.get('memory')))} with files, at most {size(peak)}"))
    return found


def _processors(job: dict[str, Any]) -> list[Fact]:
    found = []
    if limit := _number(job.get("cpu_limit")):
        found.append(Fact(f"cpu limit {100 * limit:.0f}%"))
    if seconds := _number(job.get("throttled_seconds")):
        found.append(Fact(f"held back {seconds:.1f}s", True))
    return found


def _gpus(job: dict[str, Any], size: Size) -> list[Fact]:
    gpus = job.get("gpus")
    found = []
    for gpu in gpus if isinstance(gpus, list) else ():
        if isinstance(gpu, dict):
            busy = _number(gpu.get("utilization"))
            share = "" if busy is None else f" {busy:.0f}%"
            found.append(
                Fact(f"gpu {gpu.get('index')}{share} {size(gpu.get('job_memory'))} of {size(gpu.get('memory'))}")
            )
    return found


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value - value == 0
    return float(value) if is_number else None
