"""A plugin of pytest for run.py: choose the tests of one promise under one Python, and note which fail."""

import os
from pathlib import Path
from typing import Any

import pytest

import jobmon_agent
from tests.pythons import PYTHONS, Python

PROMISE = int(os.environ["JOBMON_MUTANT_PROMISE"])
VERSION = os.environ["JOBMON_MUTANT_PYTHON"]  # "3.6"
NOTES = Path(os.environ["JOBMON_MUTANT_NOTES"])  # a line for each test that failed or passed

CHOSEN = [each for each in PYTHONS if each.version.startswith(VERSION + ".")]


def pytest_configure(config: pytest.Config) -> None:
    # The code that is installed in the environment is not the copy's.
    assert Path(jobmon_agent.__file__).is_relative_to(config.rootpath), jobmon_agent.__file__
    assert CHOSEN, f"there is no Python {VERSION} on this machine"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = [item for item in items if _is_of_promise(item) and _is_of_python(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed or (report.when == "call" and report.passed):
        with NOTES.open("a") as file:
            file.write(f"{report.outcome} {report.nodeid}\n")


def _is_of_promise(item: pytest.Item) -> bool:
    return any(PROMISE in mark.args for mark in item.iter_markers("promise"))


def _is_of_python(item: pytest.Item) -> bool:
    """Whether the test runs under the chosen Python, or is none that runs under each in turn."""
    call = getattr(item, "callspec", None)
    paths = {_path_of(value) for value in call.params.values()} if call else set()
    paths &= {each.path for each in PYTHONS}
    return not paths or CHOSEN[0].path in paths


def _path_of(value: Any) -> str:
    return value.path if isinstance(value, Python) else str(value) if isinstance(value, Path) else ""
