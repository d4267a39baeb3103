"""Write the agent as one file, ``jobmond.pyz``.

The file is a zip that Python runs.  It holds the packages ``jobmon_agent`` and
``jobmon_wire`` as source, the way in, ``__main__.py``, and for each Python that
took part a member ``cp311`` or the like with everything as byte code: one, not
one for each module, because Python reads the whole directory of a zip before
it runs the first line, and the job waits for that.

The same sources and the same Pythons give the same file to the last byte,
whoever writes it, wherever and with whichever Python: sorted names, one date,
one mode; so its SHA-256 tells a site which agent runs.  (zlib is the one other
input: a different make of it may deflate to other bytes.)  Nothing here
imports the agent; what reads the byte code is jobmon_agent.bytecode.
"""

import hashlib
import importlib.util
import io
import marshal
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from jobmon_console.bytecode import ByteCode, compile_by_each, compile_by_found
from jobmon_console.errors import JobMonError

__all__ = ["PackError", "Packed", "write_agent"]

PACKAGES = ("jobmon_agent", "jobmon_wire")
ENTRY = "__main__.py"  # what Python runs in a zip: a copy of the agent package's own
# The same as byte code of one Python: it looks there first, and all others pass it over.  That one is 3.9, for it
# needs 0.4 MB to compile the way in, after it has loaded the most to run a zip at all; 0.2 and less the others.
COMPILED_ENTRY = "__main__.pyc"
COMPILED_FOR = "cp39"
FINDER = "jobmon_agent/bytecode.py"  # runs before anything else of the byte code: it lies in the member's head
ARCHIVE = "jobmond.pyz"  # what tracebacks call it, wherever it lies
SHEBANG = b"#!/usr/bin/env python3\n"  # a worker node's own Python, whichever it has
DATE = (1980, 1, 1, 0, 0, 0)  # the first a zip can name
UNIX = 3  # the zip's code for the system that made it: else it would be the writer's own
FILE_MODE = 0o100644  # of each member: a regular file
AGENT_MODE = 0o755  # of jobmond.pyz: a batch script may start it by its name
TIGHT = 9  # zlib's level: inflating costs the same at each
UNCHECKED = (1).to_bytes(4, "little") + bytes(8)  # in a .pyc: no look at the source is asked for (PEP 552)
PORTABLE = 2  # marshal's version that every Python reads
LENGTH = 4  # bytes of the number in front of a member of byte code


class PackError(JobMonError):
    """The agent cannot be written; the text says why."""


class Packed(NamedTuple):
    """The agent that was written."""

    digest: str  # SHA-256 in hex
    tags: list[str]  # of the byte code it holds: "cp36", "cp311"


class _Member(NamedTuple):
    name: str  # in the zip
    content: bytes
    is_deflated: bool


def write_agent(out: Path, pythons: Iterable[str] | None = None) -> Packed:
    """Write ``jobmond.pyz`` to ``out``.

    ``out`` holds the old file or the new one at every moment, never a part.

    Args:
        pythons: paths of the Pythons whose byte code it shall hold; None for
            one of each minor version on PATH.

    Raises:
        PackError: a package's source is missing, or ``out`` cannot be written.
        CompileError: one of the Pythons cannot compile the agent.
    """
    sources = dict(_sources())
    named = _named(sources)
    codes = compile_by_found(named) if pythons is None else compile_by_each(list(pythons), named)
    by_tag = {code.tag: code for code in reversed(codes)}  # of two that share a tag, the first counts
    content = SHEBANG + _zipped(sorted(_members(sources, by_tag.values())), offset=len(SHEBANG))
    try:
        _replace(out, content)
    except OSError as error:
        raise PackError(f"cannot write the agent to {out}: {error.strerror}") from error
    return Packed(hashlib.sha256(content).hexdigest(), sorted(by_tag, key=lambda tag: int(tag[3:])))


def _sources() -> Iterator[tuple[str, bytes]]:
    for package in PACKAGES:
        folder = _folder(package)
        for path in folder.rglob("*.py"):
            yield f"{package}/{path.relative_to(folder).as_posix()}", _read(path)


def _named(sources: dict[str, bytes]) -> dict[str, bytes]:
    """The sources by what tracebacks call them."""
    return {f"{ARCHIVE}/{name}": source for name, source in sources.items()}


def _members(sources: dict[str, bytes], codes: Iterable[ByteCode]) -> Iterator[_Member]:
    # The way in is not deflated: it must run under a Python without zlib too.
    entry = f"{PACKAGES[0]}/{ENTRY}"
    yield _Member(ENTRY, sources[entry], is_deflated=False)
    for name, source in sources.items():
        yield _Member(name, source, is_deflated=True)
    for code in codes:
        yield _Member(code.tag, _byte_code(code), is_deflated=False)
        if code.tag == COMPILED_FOR:
            head = code.magic + UNCHECKED
            yield _Member(COMPILED_ENTRY, head + code.modules[f"{ARCHIVE}/{entry}"], is_deflated=False)


def _byte_code(made: ByteCode) -> bytes:
    """One Python's member: the length of the head, the head, the modules; each deflated on its own."""
    records = bytearray()
    index = {}
    for file, code in sorted(made.modules.items()):
        start = len(records)
        records += zlib.compress(code, TIGHT)
        index[_module(file)] = (file.endswith("/__init__.py"), start, len(records))
    finder = made.modules[f"{ARCHIVE}/{FINDER}"]
    head = zlib.compress(made.magic + marshal.dumps((finder, index), PORTABLE), TIGHT)
    return len(head).to_bytes(LENGTH, "big") + head + bytes(records)


def _module(file: str) -> str:
    """The name to import a source file by."""
    name = file.removeprefix(f"{ARCHIVE}/").removesuffix(".py").replace("/", ".")
    return name.removesuffix(".__init__")


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
    with zipfile.ZipFile(buffer, "w") as archive:
        for member in members:
            about = zipfile.ZipInfo(member.name, DATE)
            about.create_system = UNIX
            about.external_attr = FILE_MODE << 16
            about.compress_type = zipfile.ZIP_DEFLATED if member.is_deflated else zipfile.ZIP_STORED
            archive.writestr(about, member.content, compresslevel=TIGHT)
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
