"""Whatever fails before the job starts, it runs as it would bare: at most without an agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("fault_script.py")


JOB = ["--log-file", "out.log", "--", "sh", "-c", "echo ran; exit 7"]


@pytest.mark.promise(15)
@pytest.mark.parametrize(
    ("way", "who", "least"),
    [(way, who, 20) for way in ("--exec", "--wrap", "attach") for who in ("launcher", "herald")]
    + [("--wrap", "waited", 5)],
)
def test_each_call_before_the_job_may_fail(launcher: Any, old_or_new: Path, way: str, who: str, least: int) -> None:
    words = [way, "--quiet", "--credential", str(launcher.credential), *(JOB if way != "attach" else [])]

    status, output, errors = launcher.run(
        [str(old_or_new), "-I", "-S", str(SCRIPT), str(launcher.agent), who, *words], timeout=200
    )

    *faults, calls = output.decode().splitlines()
    assert faults == []
    assert status == 0, errors
    assert int(calls.split()[1]) > least
