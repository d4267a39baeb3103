"""A named tuple of the wire is what ``typing`` makes of the same class, under every Python, and does not load it."""

import subprocess
from pathlib import Path

import jobmon_wire
from tests.pythons import PYTHONS, Python

AGENT = Path(jobmon_wire.__file__).parents[1]
PROGRAM = """
import sys
sys.path.insert(0, {agent!r})
{base}

class Point(NamedTuple):
    "A place."

    x: int
    y: "Unheard" = 2
    name: str = "here"

    @property
    def sum(self):
        return self.x + self.y

    @classmethod
    def read(cls, text):
        return cls(*map(int, text.split()))

class Dot(Point):
    __slots__ = ()

    def far(self):
        return self.sum > 9

point = Point(1, name="there")
print(point, point == (1, 2, "there"), point.sum, Point._fields, dict(point._asdict()), Point.__doc__, Point.__module__)
print(point._replace(y=5), Point.read("3 4"), Dot(8).far(), Dot(8)._replace(x=1), hash(point) == hash(tuple(point)))
for arguments in ((), (1, 2, 3, 4)):
    try:
        Point(*arguments)
    except TypeError:
        print("refused")
"""
LOADED = "print('typing' in sys.modules)"


def _said(python: Python, base: str, more: str = "") -> str:
    program = PROGRAM.format(agent=str(AGENT), base=base) + more
    return subprocess.run([python.path, "-I", "-S", "-c", program], capture_output=True, text=True, check=True).stdout


def test_a_named_tuple_is_what_typing_makes_of_the_class() -> None:
    for python in PYTHONS:
        told = _said(python, "from jobmon_wire.tuples import NamedTuple")

        assert told == _said(python, "from typing import NamedTuple")
        assert told.count("refused") == 2


def test_to_make_one_loads_no_typing() -> None:
    for python in PYTHONS:
        assert _said(python, "from jobmon_wire.tuples import NamedTuple", LOADED).endswith("False\n")
        assert _said(python, "from typing import NamedTuple", LOADED).endswith("True\n")
