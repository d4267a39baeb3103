"""Write the agent as one file, ``jobmond.pyz``.

The file holds the packages ``jobmon_agent`` and ``jobmon_wire`` and the way in,
``__main__.py``.  It is the same to the last byte whoever writes it, wherever
and with whichever Python: sorted names, nothing compressed, one date, one mode;
so its SHA-256 tells a site which agent runs.  Nothing here imports the agent.
"""

import hashlib
import importlib.util
import io
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jobmon_console.errors import JobMonError

__all__ = ["PackError", "write_agent"]

PACKAGES = ("jobmon_agent", "jobmon_wire")
ENTRY = "__main__.py"  # what Python runs in a zip: a copy of the agent package's own
SHEBANG = b"#!/usr/bin/env python3\n"  # a worker node's own Python, whichever it has
DATE = (1980, 1, 1, 0, 0, 0)  # the first a zip can name
UNIX = 3  # the zip's code for the system that made it: else it would be the writer's own
FILE_MODE = 0o100644  # of each member: a regular file
AGENT_MODE = 0o755  # of jobmond.pyz: a batch script may start it by its name


class PackError(JobMonError):
    """The agent cannot be written; the text says why."""


class _Member(NamedTuple):
    name: str  # in the zip
    content: bytes


def write_agent(out: Path) -> str:
    """Write ``jobmond.pyz`` to ``out`` and give its SHA-256 in hex.

    ``out`` holds the old file or the new one at every moment, never a part.

    Raises:
        PackError: a package's source is missing, or ``out`` cannot be written.
    """
    content = SHEBANG + _zipped(sorted(_members()), offset=len(SHEBANG))
    try:
        _replace(out, content)
    except OSError as error:
        raise PackError(f"cannot write the agent to {out}: {error.strerror}") from error
    return hashlib.sha256(content).hexdigest()


def _members() -> Iterator[_Member]:
    for package in PACKAGES:
        folder = _folder(package)
        for path in folder.rglob("*.py"):
            yield _Member(f"{package}/{path.relative_to(folder).as_posix()}", _read(path))
    yield _Member(ENTRY, _read(_folder(PACKAGES[0]) / ENTRY))


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PackError(f"the package {package} is not installed; install jobmon again")
    return Path(spec.submodule_search_locations[0])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PackError(f"cannot read the agent's source {path}: {error.strerror}") from error


def _zipped(members: list[_Member], offset: int) -> bytes:
    buffer = io.BytesIO(b"\0" * offset)
    buffer.seek(offset)  # positions in a zip count from the file's start, shebang included
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for member in members:
            about = zipfile.ZipInfo(member.name, DATE)
            about.create_system = UNIX
            about.external_attr = FILE_MODE << 16
            archive.writestr(about, member.content)
    return buffer.getvalue()[offset:]


def _replace(out: Path, content: bytes) -> None:
    descriptor, draft = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), AGENT_MODE)
            os.fsync(file.fileno())
        os.replace(draft, out)
    except BaseException:
        os.unlink(draft)
        raise
