"""The packer's promise: one file, the same to the last byte from every Python, that runs on every Python."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jobmon_console.pack import PackError, write_agent
from tests.pythons import PYTHONS, Python

ROOT = Path(__file__).parents[2]
WRITERS = [python for python in PYTHONS if tuple(map(int, python.version.split(".")[:2])) >= (3, 11)]


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    out = tmp_path / "jobmond.pyz"
    write_agent(out)
    return out


def _copied_sources(tmp_path: Path) -> Path:
    copy = tmp_path / "agent"
    for package in ("jobmon_agent", "jobmon_wire"):
        shutil.copytree(ROOT / "agent" / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_an_installed_package_gives_an_agent_as_well_and_no_neighbour_s_file(tmp_path: Path) -> None:
    installed = _copied_sources(tmp_path).rename(tmp_path / "site-packages")
    (installed / "__main__.py").write_text("print('not ours')")
    out = tmp_path / "jobmond.pyz"

    _write_elsewhere(sys.executable, installed, out)

    told = subprocess.run([out, "--version"], capture_output=True, text=True, check=False)
    assert told.stdout.startswith("jobmond ")


@pytest.mark.parametrize("python", PYTHONS, ids=lambda python: python.version)
def test_the_agent_tells_its_version_under_every_python(agent: Path, python: Python, tmp_path: Path) -> None:
    told = subprocess.run(
        [python.path, "-I", "-S", str(agent), "--version"], capture_output=True, text=True, cwd=tmp_path, check=False
    )

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("jobmond ")


def _write_elsewhere(python: str, sources: Path, out: Path) -> str:
    """Write the agent in a process of its own, which finds the agent's packages in ``sources``."""
    program = "import pathlib, sys, jobmon_console.pack as pack; print(pack.write_agent(pathlib.Path(sys.argv[1])))"
    path = os.pathsep.join([str(ROOT / "console"), str(sources)])
    told = subprocess.run(
        [python, "-S", "-c", program, str(out)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": path, "TZ": "Pacific/Chatham"},
        check=True,
    )
    return told.stdout.strip()


@pytest.mark.parametrize("python", WRITERS, ids=lambda python: python.version)
def test_every_python_writes_the_same_bytes(agent: Path, python: Python, tmp_path: Path) -> None:
    other = tmp_path / "other.pyz"

    told = _write_elsewhere(python.path, ROOT / "agent", other)

    assert other.read_bytes() == agent.read_bytes()
    assert told == hashlib.sha256(agent.read_bytes()).hexdigest()


def test_dates_and_modes_of_the_sources_leave_no_trace(agent: Path, tmp_path: Path) -> None:
    sources = _copied_sources(tmp_path)
    for path in sources.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (1e9, 1e9))
    other = tmp_path / "other.pyz"

    _write_elsewhere(sys.executable, sources, other)

    assert other.read_bytes() == agent.read_bytes()


def test_a_changed_source_gives_another_agent(agent: Path, tmp_path: Path) -> None:
    sources = _copied_sources(tmp_path)
    with (sources / "jobmon_wire" / "limits.py").open("a") as source:
        source.write("\nMORE = 1\n")
    other = tmp_path / "other.pyz"

    _write_elsewhere(sys.executable, sources, other)

    assert other.read_bytes() != agent.read_bytes()


def test_the_agent_holds_sources_and_nothing_else(agent: Path) -> None:
    with zipfile.ZipFile(agent) as archive:
        names = archive.namelist()

        assert names == sorted(names)
        assert all(name.endswith(".py") for name in names)
        assert {name.split("/")[0] for name in names} == {"__main__.py", "jobmon_agent", "jobmon_wire"}
        assert archive.testzip() is None
    assert agent.read_bytes().startswith(b"#!/usr/bin/env python3\n")


def test_a_batch_script_can_start_the_agent_by_its_name(agent: Path) -> None:
    assert stat.S_IMODE(agent.stat().st_mode) == 0o755
    assert subprocess.run([str(agent), "--version"], capture_output=True, check=False).returncode == 0


def test_a_place_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"cannot write the agent to .*: No such file or directory"):
        write_agent(tmp_path / "missing" / "jobmond.pyz")


def test_a_failed_write_leaves_the_old_agent_and_no_litter(tmp_path: Path) -> None:
    out = tmp_path / "jobmond.pyz"
    out.mkdir()

    with pytest.raises(PackError):
        write_agent(out)

    assert list(tmp_path.iterdir()) == [out]
