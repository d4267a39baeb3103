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
    found: dict[tuple[int, int], Python] = {}
    for place in dict.fromkeys(places):
        version = _version(place)
        minor = tuple(int(part) for part in version.split(".")[:2]) if version else (0, 0)
        if minor >= OLDEST:
            found.setdefault((minor[0], minor[1]), Python(version, place))
    return [found[minor] for minor in sorted(found)]


def _version(place: str) -> str:
    # A shim of a version manager may name a version that is not installed: ask, do not guess.
    command = [place, "-I", "-S", "-c", "import sys; print('.'.join(map(str, sys.version_info[:3])))"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


PYTHONS = _find()
