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


def memory(job: dict[str, Any], size: Size) -> Fact:
    """What it holds, and of how much: ``1.2G of 2.0G``; ``size`` writes bytes."""
    held, limit = _number(job.get("rss")), _number(job.get("memory_limit"))
    if not limit:
        return Fact(size(held))
    return Fact(f"{size(held)} of {size(limit)}", held is not None and held > MEMORY_SHARE * limit)


def facts(job: dict[str, Any], size: Size) -> list[Fact]:
    """All else that is worth a word, the most pressing first."""
    return [*_memory(job, size), *_processors(job), *_gpus(job, size)]


def _memory(job: dict[str, Any], size: Size) -> list[Fact]:
    found = []
    if kills := _number(job.get("oom_kills")):
        found.append(Fact("1 OOM kill" if kills == 1 else f"{kills:.0f} OOM kills", True))
    if peak := _number(job.get("memory_peak")):
        found.append(Fact(f"memory peak {size(peak)}"))
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
