"""Every promise that docs/agent.md numbers is held by a test that carries its number."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent.parent
PROMISES = TESTS.parent / "docs" / "agent.md"


def _marks(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "promise":
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def test_every_promise_is_held_by_a_test() -> None:
    promised = {int(number) for number in re.findall(r"(?m)^\| (\d+) \|", PROMISES.read_text())}
    soak = TESTS / "soak"

    held = {number for path in TESTS.rglob("test_*.py") if soak not in path.parents for number in _marks(path)}

    assert len(promised) == 46
    assert held == promised
