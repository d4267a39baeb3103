"""Every promise that docs/agent.md numbers is held by a test that carries its number, and by one that can fail.

``make mutants`` breaks each promise and looks whether its tests notice; here is
only seen to it that the list of what to break is whole and fits the code.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.mutations.mutation import read_all

TESTS = Path(__file__).parent.parent
PROMISES = TESTS.parent / "docs" / "agent.md"


def _marks(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "promise":
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def _promised() -> set[int]:
    return {int(number) for number in re.findall(r"(?m)^\| (\d+) \|", PROMISES.read_text())}


def test_every_promise_is_held_by_a_test() -> None:
    promised = _promised()
    soak = TESTS / "soak"

    held = {number for path in TESTS.rglob("test_*.py") if soak not in path.parents for number in _marks(path)}

    assert len(promised) == 46
    assert held == promised


def test_every_promise_has_a_mutation_that_breaks_it() -> None:
    assert {mutation.promise for mutation in read_all()} == _promised()


def test_every_mutation_fits_the_code_and_changes_it() -> None:
    mutations = read_all()

    assert [each.name for each in mutations if not each.is_fresh()] == []
    assert [each.name for each in mutations if each.old == each.new or not each.why.endswith(".")] == []
