"""Import the agent from byte code that this very Python once made.

``jobmond.pyz`` has a member ``cp311`` for Python 3.11, and so on: the length of
its head (4 bytes), the head, and behind it one record for each
module.  The head holds the magic number, this module and where the records lie.
Head and records are deflated each on its own, so each carries a checksum: byte
code that is harmed would not raise but crash the interpreter, and the job with
it.  A module with a harmed record is left to the next finder, which has the
source; so is everything under a Python that the packer did not meet.

The agent lets go of the member's bytes (0.15 MB) once it holds the archive open,
and reads records from there: its name may go, another may take its place.

It also lets go of what Python itself has loaded to run an archive, before the
agent's own modules are loaded: they take its place, and an idle agent is 0.5 MB
smaller for all its life.

The packer, jobmon_console.pack, writes what is read here and in ``__main__``.
"""

import gc
import marshal
import os
import sys
import zipimport
import zlib
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any, Dict, Optional, Tuple

    Index = Dict[
        str, Tuple[bool, int, int]
    ]  # by module: whether it is a package, first byte of its record, the byte behind it

# What runpy imports on the way to a zip's ``__main__``, by one Python or another: 1.5 to 2 MB that the agent has no use
# for.  A worker imports anew what it needs of it.
_WAY_IN = (
    "runpy", "pkgutil", "importlib", "importlib._abc", "importlib._bootstrap", "importlib._bootstrap_external",
    "importlib.abc", "importlib.machinery", "importlib.util", "collections", "collections.abc", "contextlib",
    "copyreg", "encodings.cp437", "enum", "functools", "heapq", "keyword", "operator", "re", "reprlib",
    "sre_compile", "sre_constants", "sre_parse", "types", "typing", "typing.io", "typing.re", "warnings", "weakref",
    "_collections", "_functools", "_heapq", "_operator", "_sre", "itertools",
)  # fmt: skip
# By these runpy, which runs us, holds them.
_RUNPY_NAMES = ("importlib", "types", "pkgutil", "get_importer", "read_code")

_LOCAL_HEADER = 30  # bytes of a zip's header in front of a member, without name and extra field
_BLOCK = 16384  # bytes compared at a time


class Finder:
    """Finds the agent's modules in one member of the archive.

    Args:
        tag: the member's name.
        index: where the records lie, counted from ``start`` in the member.
        home: the archive's path, where a package has its source.
        header: where in the archive the zip's header of the member begins.
    """

    def __init__(self, tag: str, index: "Index", member: bytes, start: int, home: str, header: int) -> None:
        self.tag = tag
        self._index = index
        self._member: "Optional[bytes]" = member
        self._start = start
        self._header = header
        self._archive = -1  # descriptor, once the bytes are let go of
        self.home = home  # the agent moves it to a descriptor before the file may go

    def hold(self, archive: int) -> None:
        """Read from the archive's descriptor from now on, if the member is there as it was."""
        header = os.pread(archive, _LOCAL_HEADER, self._header)
        place = self._header + _LOCAL_HEADER + sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
        if self._member is not None and self._is_at(archive, place, self._member):
            self._archive, self._member = archive, None
            self._start += place

    def _is_at(self, archive: int, place: int, member: bytes) -> bool:
        parts = range(0, len(member), _BLOCK)
        return all(
            os.pread(archive, _BLOCK, place + at)[: len(member) - at] == member[at : at + _BLOCK] for at in parts
        )

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Optional[ModuleSpec]":
        """The module, if its record is sound."""
        if name not in self._index:
            return None
        is_package, start, end = self._index[name]
        try:
            code = marshal.loads(zlib.decompress(self._record(start, end)))  # noqa: S302 - the program itself
        except Exception:  # harmed in whatever way: the source is there
            return None
        loader: "Any" = Loader(code, self.tag)
        spec = ModuleSpec(name, loader, origin=code.co_filename, is_package=is_package)
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append("%s/%s" % (self.home, name.replace(".", "/")))
        return spec

    def _record(self, start: int, end: int) -> bytes:
        if self._member is None:
            return os.pread(self._archive, end - start, self._start + start)
        return self._member[self._start + start : self._start + end]


class Loader:
    """Runs one module's code."""

    def __init__(self, code: "CodeType", tag: str) -> None:
        self._code = code
        self.tag = tag  # of the byte code, for who asks what runs

    def create_module(self, spec: "ModuleSpec") -> None:
        """A module as usual."""

    def exec_module(self, module: "ModuleType") -> None:
        """Fill the module."""
        exec(self._code, module.__dict__)  # noqa: S102 - what importing is


def tag_of(module: "ModuleType") -> str:
    """The byte code that a module of the agent came from, as ``cp311``; else ``source``."""
    return str(getattr(module.__spec__ and module.__spec__.loader, "tag", "source"))


def install(tag: str, index: "Index", member: bytes, start: int, home: str, archive: "Any") -> None:
    """Ask the byte code first from now on.

    Args:
        archive: zipimport's, from which the member was read.
    """
    # zipimport's own list, which is private: where the member's header begins.
    files = archive._get_files() if hasattr(archive, "_get_files") else archive._files
    sys.meta_path.insert(0, Finder(tag, index, member, start, home, files[tag][4]))
    files.clear()
    zipimport._zip_directory_cache.clear()  # type: ignore[attr-defined]
    sys.path_importer_cache.clear()  # who needs the source after all reads the list again
    _forget_the_way_in()


def _forget_the_way_in() -> None:
    """Let go of what Python has imported to run an archive: the agent's own modules take its place in memory."""
    held = getattr(sys.modules.get("runpy"), "__dict__", {})
    for name in _RUNPY_NAMES:
        held.pop(name, None)
    for name in _WAY_IN:
        sys.modules.pop(name, None)
    gc.collect()  # modules and their functions hold each other
