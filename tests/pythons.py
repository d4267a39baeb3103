"""The Pythons on this machine that the agent promises to run on: 3.6 and newer, one of each minor version."""

import glob
import os
import subprocess
from typing import NamedTuple

OLDEST = (3, 6)


class Python(NamedTuple):
    """An interpreter found on this machine."""

    version: str  # "3.11.7"
    path: str


def _find() -> list[Python]:
    places = ["/usr/bin/python3", "/usr/local/bin/python3"]
    for folder in os.environ.get("PATH", "").split(os.pathsep) + ["/usr/bin", "/usr/local/bin", "/opt/python*/bin"]:
        places += glob.glob(os.path.join(folder, "python3.[0-9]")) + glob.glob(
            os.path.join(folder, "python3.[0-9][0-9]")
        )
    places += glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3"))
    found: dict[tuple[int, ...], Python] = {}
    for place in dict.fromkeys(places):
        python = _ask(place)
        minor = tuple(int(part) for part in python.version.split(".")[:2]) if python else (0, 0)
        if python and minor >= OLDEST:
            found.setdefault(minor, python)
    return [found[minor] for minor in sorted(found)]


def _ask(place: str) -> Python | None:
    # A shim of a version manager may name a version that is not installed, and a Python without ssl runs no
    # agent: ask, do not guess.
    question = "import ssl, sys; print('.'.join(map(str, sys.version_info[:3])), sys.executable)"
    try:
        told = subprocess.run(
            [place, "-I", "-S", "-c", question], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version, _, path = told.strip().partition(" ")
    return Python(version, path)


PYTHONS = _find()
