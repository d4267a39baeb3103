"""The agent's byte code, made by the Pythons that will run it.

Each Python compiles all modules in one run of its own, without its site's
packages.  What comes out depends on the sources and on the Python alone: file
names are those in the archive, dates are not recorded, sets keep one order,
and nothing is shared between constants.  Nothing here knows how it is packed.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from jobmon_console.errors import JobMonError

__all__ = ["ByteCode", "CompileError", "compile_by", "compile_by_each", "compile_by_found"]

OLDEST = 6  # of Python 3: what the agent runs on
PATIENCE = 60.0  # s for one Python to compile everything; 0.5 s is usual
_NAME = re.compile(r"python3\.(\d+)")

# No docstrings, no columns in tracebacks: the byte code is an eighth smaller.  The hash seed, and that is why not -I,
# gives constant sets one order.
_OPTIONS = ("-S", "-s", "-B", "-X", "no_debug_ranges", "-c")
_HASH_SEED = {"PYTHONHASHSEED": "0"}

# Runs on every Python from 3.6 on.  Marshal's version 2 shares no constants: whether they are shared depends on what
# else the interpreter holds.  Later Pythons have constants that version 2 cannot write.
_PROGRAM = """\
import sys
del sys.path[0]
import marshal
from _frozen_importlib_external import MAGIC_NUMBER

def dump(code):
    try:
        return marshal.dumps(code, 2)
    except ValueError:
        return marshal.dumps(code)

assert sys.implementation.name == "cpython" and sys.version_info >= (3, 6)
print("cp%d%d" % sys.version_info[:2], MAGIC_NUMBER.hex())
for name, source in marshal.loads(sys.stdin.buffer.read()):
    code = compile(source, name, "exec", dont_inherit=True, optimize=2)
    print(name, dump(code).hex())
"""


class CompileError(JobMonError):
    """A Python cannot compile the agent; the text says why."""


class ByteCode(NamedTuple):
    """What one Python made of the sources."""

    tag: str  # "cp311"
    magic: bytes  # of the Pythons that understand it
    modules: dict[str, bytes]  # marshalled code by file name


def compile_by(python: str, sources: Mapping[str, bytes]) -> ByteCode:
    """Have one Python compile the sources, which are named by the files they are in.

    Raises:
        CompileError: it does not run, is none that the agent runs on, or a source is none for it.
    """
    import marshal

    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            (python, *_OPTIONS, _PROGRAM),
            input=marshal.dumps(sorted(sources.items()), 2),
            capture_output=True,
            env=clean | _HASH_SEED,
            timeout=PATIENCE,
            check=True,
        )
        return _read(done.stdout.decode("ascii"))
    except OSError as error:
        reason = error.strerror or "it does not start"
    except subprocess.TimeoutExpired:
        reason = f"not done after {PATIENCE:.0f} s"
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed"])[-1]
    except ValueError:
        reason = "it is no CPython from 3.6 on"
    raise CompileError(f"{python} cannot compile the agent: {reason}")


def _read(told: str) -> ByteCode:
    (tag, magic), *modules = (line.split(" ") for line in told.splitlines())
    return ByteCode(tag, bytes.fromhex(magic), {name: bytes.fromhex(code) for name, code in modules})


def compile_by_each(pythons: list[str], sources: Mapping[str, bytes]) -> list[ByteCode]:
    """Have each Python compile the sources, side by side.

    Raises:
        CompileError: see ``compile_by``.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_by, pythons, repeat(sources)))


def compile_by_found(sources: Mapping[str, bytes]) -> list[ByteCode]:
    """Have one Python of each minor version on PATH compile the sources; those that cannot are passed over."""

    def first(places: list[str]) -> ByteCode | None:
        for place in places:
            try:
                return compile_by(place, sources)
            except CompileError:  # the shim of a version manager, say, for a version that is not installed
                continue
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [made for made in pool.map(first, _on_path()) if made]


def _on_path() -> Iterable[list[str]]:
    """Where python3.6, python3.7, … are, each in the order of PATH."""
    found: dict[int, list[str]] = {}
    for folder in map(Path, os.get_exec_path()):
        for minor, place in sorted(_in(folder)):
            found.setdefault(minor, []).append(place)
    return [found[minor] for minor in sorted(found)]


def _in(folder: Path) -> Iterator[tuple[int, str]]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        matched = _NAME.fullmatch(name)
        if matched and int(matched[1]) >= OLDEST and os.access(folder / name, os.X_OK):
            yield int(matched[1]), str(folder / name)
