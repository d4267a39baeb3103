"""The agent runs its own modules and the standard library's, whatever lies around it or becomes of its file."""

from __future__ import annotations

import os
import random
import subprocess
import zipfile
from pathlib import Path
from typing import Any


def test_an_agent_of_byte_code_keeps_no_more_of_the_archive_than_a_descriptor(
    launcher: Any, server: Any, pyz: Path, python: Path
) -> None:
    """It must outlive the file, and must not look for the standard library's modules in it."""
    launcher.agent = pyz
    launcher.start(launcher.line(python, "sleep", "30"))
    server.channel()

    opened = [
        os.readlink(f"/proc/{pid}/fd/{name}") for pid in launcher.agents() for name in os.listdir(f"/proc/{pid}/fd")
    ]

    # The idle process and its worker.
    assert opened.count(str(pyz)) == 2


def _harm(agent: Path, out: Path, tag: str) -> None:
    """Write an agent whose records of one Python's byte code are noise: no module can be had from them."""
    with zipfile.ZipFile(agent) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == tag:
                start = 4 + int.from_bytes(content[:4], "big")
                content = content[:start] + random.Random(1).randbytes(len(content) - start)
            new.writestr(name, content)


def test_a_module_whose_byte_code_is_harmed_is_had_from_its_source_even_when_the_file_is_gone(
    launcher: Any, server: Any, until: Any, pyz: Path, old_or_new: Path
) -> None:
    program = "import sys; print('cp%d%d' % sys.version_info[:2])"
    tag = subprocess.run([old_or_new, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    _harm(pyz, launcher.directory / "jobmond.pyz", tag)
    launcher.agent = Path("jobmond.pyz")

    assert launcher.run(launcher.line(old_or_new, "sh", "-c", "rm jobmond.pyz; exit 4"))[0] == 4

    until(lambda: server.ends)
    assert server.ends[0]["exit"]["code"] in (4, None)
