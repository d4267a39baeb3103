"""The full hundred thousand exchanges of each race, on every Python; `make test` spreads them over all."""

from pathlib import Path

import pytest

from tests.pythons import PYTHONS, Python
from tests.security.races import PARTS, TRIES, assert_nothing_leaked, race


@pytest.mark.promise(40)
@pytest.mark.parametrize("part", PARTS, ids=["directory", "file"])
@pytest.mark.parametrize("python", PYTHONS, ids=[python.version for python in PYTHONS])
def test_no_read_ends_outside_while_parts_of_the_path_are_exchanged(python: Python, part: str, tmp_path: Path) -> None:
    assert_nothing_leaked(race(python, tmp_path, part, TRIES), TRIES)
