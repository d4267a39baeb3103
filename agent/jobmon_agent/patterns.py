"""Patterns of file names, as a shell's: expanded inside the sandbox, by its own walk.

``*``, ``?`` and ``[...]`` stand for characters of one name, ``**`` for any
directories, none as well; a leading dot is matched by a dot alone, and ``**``
follows no links.  A name that exists as it is written is no pattern.  Every
directory on the way is opened by ``sandbox``, so that a pattern reaches what a
path reaches and nothing else.  The search is bounded in entries, matches,
depth and time, and says so when it ends early.
"""

import os
import re
import time

from jobmon_agent import sandbox
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.proc import text
from jobmon_wire import frames, limits
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, FrozenSet, Iterable, Iterator, List, Optional, Tuple

    _Places = FrozenSet[int]  # which parts of the pattern the next name may be matched by

ENTRIES = 2**19  # names looked at; four times the largest directory that was seen to be in use
MATCHES = limits.LIST_ENTRIES
CHARACTERS = 4 * limits.MIB  # of all matches together: memory of the performer
DEPTH = 64  # directories below each other; two descriptors each
PATIENCE = 5.0  # s; a person waits no longer for a list of names

_ANY_DEPTH = "**"
_NAMED = 10  # failures that are told one by one; all are counted
_CLOCK = 256  # names between two looks at the clock


class Matches(NamedTuple):
    """What a path or a pattern names."""

    paths: "List[str]"  # in order; one, where it was no pattern
    pattern: "Optional[str]"  # None: it was a path
    looked: "Optional[int]"  # entries looked at, when the search ended early; there may be more matches

    def conclude(self, failures: "List[VerbFailure]") -> "Iterator[Tuple[int, Dict[str, Any]]]":
        """Yield NOTEs on what is not in the answer.

        Args:
            failures: why some of the paths could not be done.

        Raises:
            VerbFailure: some could not be done, with the code of the first.
        """
        if self.looked is not None:
            yield frames.NOTE, {"kind": "unsearched", "entries": self.looked}
        for failure in failures[:_NAMED]:
            yield frames.NOTE, {"kind": "refused", "code": failure.code, "message": failure.message}
        if failures:
            what = "%d of the %d files that match %s" % (
                len(failures),
                len(self.paths),
                sandbox.shown(str(self.pattern)),
            )
            raise VerbFailure(failures[0].code, "%s cannot be read" % what)


def expand(job: Job, path: str) -> Matches:
    """The paths that a pattern matches; the path itself where it is none.

    Raises:
        VerbFailure: no-such-file when nothing matches; or as ``sandbox.locate``
            of the directory that the pattern starts from.
    """
    if not is_pattern(path) or _exists(job, path):
        return Matches([path], None, None)
    search = _Search(job, path)
    found = search.run()
    if found.paths:
        return found
    if search.failure:
        raise search.failure
    if found.looked is not None:
        looked = (found.looked, sandbox.shown(path))
        raise VerbFailure("no-such-file", "none of the first %d names matches %s, and the search ended there" % looked)
    raise VerbFailure("no-such-file", "no file matches %s" % sandbox.shown(path))


def is_pattern(path: str) -> bool:
    """Whether it may stand for other names than itself."""
    return any(character in path for character in "*?[")


class Part:
    """What stands between two slashes of a pattern."""

    def __init__(self, part: str) -> None:
        self.literal = None if is_pattern(part) else part
        self.is_any_depth = part == _ANY_DEPTH
        self._is_hidden = part.startswith(".")
        # Between stars stand pieces of fixed length.  Found one after the other from the left, they
        # cost no more than the name's length times the pattern's, whatever a job calls its files.
        pieces = _pieces(part)
        self._pieces = [re.compile("".join(piece), re.DOTALL) for piece in pieces]
        self._lengths = [len(piece) for piece in pieces]
        self._shortest = sum(self._lengths)

    def matches(self, name: str) -> bool:
        """Whether a name is meant."""
        if (name.startswith(".") and not self._is_hidden) or len(name) < self._shortest:
            return False
        first, last, end = self._pieces[0], self._pieces[-1], len(name) - self._lengths[-1]
        if len(self._pieces) == 1:
            return bool(first.match(name)) and not end
        if not first.match(name) or not last.match(name, end):
            return False
        at = self._lengths[0]
        for piece in self._pieces[1:-1]:
            found = piece.search(name, at, end)
            if not found:
                return False
            at = found.end()
        return True


def _exists(job: Job, path: str) -> bool:
    try:
        os.close(sandbox.locate(job, path))
    except VerbFailure as failure:
        if failure.code != "no-such-file":
            raise
        return False
    return True


def _pieces(part: str) -> "List[List[str]]":
    """The runs between stars, each as expressions of one character."""
    pieces: "List[List[str]]" = [[]]
    at = 0
    while at < len(part):
        end = part.find("]", at + 2 + (part[at + 1 : at + 2] in ("!", "^"))) if part[at] == "[" else -1
        if part[at] == "*":
            pieces.append([])
        elif end > 0:
            pieces[-1].append(_one_of(part[at + 1 : end]))
            at = end
        else:  # a bracket that is never closed stands for itself
            pieces[-1].append("." if part[at] == "?" else re.escape(part[at]))
        at += 1
    return pieces


def _one_of(inside: str) -> str:
    """The expression for what stands in brackets."""
    is_negated = inside[0] in "!^"
    inside = inside[is_negated:]
    ranges = []
    at = 0
    while at < len(inside):
        last = at + 2 if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside) else at
        if inside[at] <= inside[last]:  # z-a holds nothing
            ranges.append("\\U%08x-\\U%08x" % (ord(inside[at]), ord(inside[last])))
        at = last + 1
    if not ranges:
        return "." if is_negated else "(?!)."
    return "[%s%s]" % ("^" * is_negated, "".join(ranges))


class _EnoughError(Exception):
    """A bound is reached."""


class _Search:
    """One search; directories are read while those below them are searched, so that none has to be remembered."""

    def __init__(self, job: Job, pattern: str) -> None:
        self.failure: "Optional[VerbFailure]" = None  # of the directory that the pattern starts from
        self._job = job
        self._pattern = pattern
        self._root = "/" if pattern.startswith("/") else ""
        self._parts = _parts(pattern)
        self._last = len(self._parts) - 1
        self._found: "Dict[str, None]" = {}
        self._looked = 0  # entries
        self._room = CHARACTERS
        self._is_cut = False
        self._deadline = time.monotonic() + PATIENCE

    def run(self) -> Matches:
        """Search from where the pattern starts."""
        try:
            self._search(self._root, self._reached([0]), 0)
        except _EnoughError:
            self._is_cut = True
        paths = sorted(self._found, key=lambda path: path.encode("utf-8", "surrogateescape"))
        return Matches(paths, self._pattern, self._looked if self._is_cut else None)

    def _search(self, path: str, places: "_Places", depth: int) -> None:
        """Search below a path; names that are no pattern are not looked for but taken."""
        while len(places) == 1:
            (place,) = places
            literal = self._parts[place].literal
            if literal is None:
                break
            path += literal
            if place == self._last:
                if self._is_there(path, depth):
                    self._take(path)
                return
            path, places = path + "/", self._reached([place + 1])
        self._scan(path, places, depth)

    def _scan(self, path: str, places: "_Places", depth: int) -> None:
        directory = self._open(path, depth)
        if directory is None:
            return
        try:
            for entry in self._entries(directory):
                name, is_link = text(entry.name), entry.is_symlink()
                further = self._reached(self._after(places, name, is_link))
                if self._last + 1 in further:
                    self._take(path + name)
                    further -= {self._last + 1}
                if further and (is_link or entry.is_dir(follow_symlinks=False)):
                    self._search(path + name + "/", further, depth + 1)
        except OSError as error:
            self._remember(sandbox.failure(error, path), depth)
        finally:
            os.close(directory)

    def _open(self, path: str, depth: int) -> "Optional[int]":
        if depth > DEPTH:
            self._is_cut = True
            return None
        try:
            return sandbox.open_directory(self._job, path or ".")
        except VerbFailure as failure:
            self._remember(failure, depth)
            return None

    def _entries(self, directory: int) -> "Iterator[os.DirEntry[bytes]]":
        # os.scandir of a descriptor is new in Python 3.7; the link in /proc is this very directory.
        with os.scandir(b"/proc/self/fd/%d" % directory) as entries:
            for entry in entries:
                self._looked += 1
                if self._looked > ENTRIES or (not self._looked % _CLOCK and time.monotonic() > self._deadline):
                    raise _EnoughError
                yield entry

    def _after(self, places: "_Places", name: str, is_link: bool) -> "Iterator[int]":
        """Where in the pattern one is once a name has been matched; behind its last part: it is a match."""
        for place in places:
            part = self._parts[place]
            if not part.is_any_depth:
                if name == part.literal or (part.literal is None and part.matches(name)):
                    yield place + 1
            elif not name.startswith("."):
                if place == self._last:
                    yield place + 1
                if not is_link:  # through links it would go round in circles
                    yield place

    def _reached(self, places: "Iterable[int]") -> "_Places":
        """These places, and those behind a ``**`` that stands for no directory."""
        reached = set(places)
        reached.update(place + 1 for place in list(reached) if place < self._last and self._parts[place].is_any_depth)
        return frozenset(reached)

    def _take(self, path: str) -> None:
        if path not in self._found:
            self._room -= len(path)
            if len(self._found) >= MATCHES or self._room < 0:
                raise _EnoughError
            self._found[path] = None

    def _is_there(self, path: str, depth: int) -> bool:
        try:
            return _exists(self._job, path)
        except VerbFailure as failure:
            self._remember(failure, depth)
            return False

    def _remember(self, failure: VerbFailure, depth: int) -> None:
        # Below a name that was found, what cannot be looked into does not match: so it is in a shell.
        if not depth and failure.code != "no-such-file":
            self.failure = failure


def _parts(pattern: str) -> "List[Part]":
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    # Two in a row mean no more than one.
    return [Part(part) for at, part in enumerate(parts) if not (at and part == parts[at - 1] == _ANY_DEPTH)]
