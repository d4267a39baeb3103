"""The list of mutations: small harms to the code, each of which breaks one of the agent's numbered promises.

``NN.toml`` holds those of promise NN of docs/agent.md.  A list that has rotted
is found by ``tests/agent/test_promises.py``; what the mutations do is found by
``run.py``.
"""

import tomllib
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Mutation(NamedTuple):
    """One harm."""

    promise: int
    name: str  # "9b": the second of promise 9
    file: str  # path from the root of the repository
    old: str  # stands there exactly once
    new: str  # stands there instead
    why: str  # one sentence: what a person would have meant, or what it breaks
    python: str  # under which it shows, as "3.6"; empty: under any

    def is_fresh(self) -> bool:
        """Whether the old text is where it should be, once."""
        return (ROOT / self.file).read_text().count(self.old) == 1

    def apply(self, root: Path) -> None:
        """Harm a copy of the repository."""
        path = root / self.file
        path.write_text(path.read_text().replace(self.old, self.new))


def read_all() -> list[Mutation]:
    """Every mutation, by its promise.

    Raises:
        KeyError, TypeError: a list lacks an entry, or has one that means nothing.
    """
    found = []
    for path in sorted(HERE.glob("[0-9]*.toml")):
        number = int(path.stem)
        entries = tomllib.loads(path.read_text())["mutation"]
        for letter, entry in zip("abcdefghijklmnopqrstuvwxyz", entries, strict=False):
            found.append(Mutation(number, f"{number}{letter}", **{"python": "", **entry}))
    return found
