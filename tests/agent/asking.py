"""Questions to the agent about jobs that hang, asked under any Python."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jobmon_agent
from jobmon_agent.job import Job
from tests.agent.trees import answer, until

AGENT = Path(jobmon_agent.__file__).parents[1]
SCRIPT = Path(__file__).with_name("ask_script.py")


def ask_under(python: Path, *questions: tuple[Job, str, dict[str, Any]], **environment: str) -> list[Any]:
    """The answers of an agent under that Python."""
    asked = [
        ({"pid": job.pid, "uuid": job.uuid, "sandbox": job.sandbox_path}, verb, arguments)
        for job, verb, arguments in questions
    ]
    ran = subprocess.run(
        [str(python), "-I", "-S", "-B", str(SCRIPT), str(AGENT), json.dumps(asked)],
        capture_output=True,
        env={"PATH": os.environ["PATH"], **environment},
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    return list(json.loads(ran.stdout))


def ready(job: Job) -> Path:
    return until(lambda: (path := Path(job.sandbox_path, "ready")).exists() and path)


def look(job: Job, **arguments: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {"processes": [], "threads": []}
    for _, payload in answer(job, "stack", **arguments):
        for key in found:
            found[key] += payload.get(key, [])
    return found
