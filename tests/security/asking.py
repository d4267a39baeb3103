"""Verbs asked of a directory in another Python, and what that Python opened for it."""

import functools
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.pythons import Python
from tests.security.races import AGENT

SCRIPT = Path(__file__).with_name("sandbox_script.py")


class Outcome(NamedTuple):
    """What became of one question."""

    code: str
    message: str
    length: int  # bytes of data
    objects: list[dict[str, Any]]
    names: list[str]
    seconds: float
    cpu: float  # s
    growth: int  # bytes


def ask_in(
    python: Python,
    inside: Path,
    asked: list[Any],
    trace: Path | None = None,
    prefix: Sequence[str] = (),
    **environment: str,
) -> tuple[list[Outcome], list[str] | None]:
    """Ask in another Python; also the system calls with a path in them, where they can be traced."""
    questions = inside.parent / "asked.json"
    questions.write_text(json.dumps(asked))
    command = [*prefix, python.path, "-I", "-S", "-B", str(SCRIPT), str(AGENT), str(inside), str(questions)]
    tracer = can_trace() if trace else []
    if tracer:
        command = [*tracer, "-o", str(trace), *command]
    ran = subprocess.run(command, capture_output=True, env={"PATH": os.environ["PATH"], **environment})
    assert (ran.returncode, ran.stderr) == (0, b"")
    outcomes = [Outcome(*outcome) for outcome in json.loads(ran.stdout)]
    if not tracer or not trace:
        return outcomes, None
    calls = trace.read_bytes().decode("latin-1").splitlines()
    begin = next(at for at, call in enumerate(calls) if '"/begin"' in call)
    end = next(at for at, call in enumerate(calls) if '"/end"' in call)
    return outcomes, calls[begin + 1 : end]


@functools.cache
def can_trace() -> list[str]:
    """The tracer's command, or none where it is missing or not allowed."""
    command = ["strace", "-f", "-y", "-e", "trace=%file"]
    try:
        ran = subprocess.run([*command, "-o", "/dev/null", "true"], capture_output=True)
    except OSError:
        return []
    return command if ran.returncode == 0 else []
