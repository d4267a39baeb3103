"""The agent runs its own modules and the standard library's, whatever lies around it or becomes of its file."""

from __future__ import annotations

import marshal
import os
import random
import shutil
import subprocess
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

import jobmon_agent

AGENT = Path(jobmon_agent.__file__).parents[1]
# Modules that the agent uses and that Python itself does not need to start: what is planted in place of those breaks
# every program, before the first line of any.
PLANTED = ("select", "_socket", "_blake2", "fcntl", "json", "signal", "socket", "ssl", "zlib", "jobmon_wire")
PLANT = "open({mark!r}, 'a').write(__name__ + '\\n')\nraise SystemExit('planted')\n"


@pytest.fixture
def plants(tmp_path: Path) -> Path:
    """A directory with modules of the agent's names; whoever imports one leaves its name in ``mark``."""
    directory = tmp_path / "plants"
    package = directory / "jobmon_agent"
    package.mkdir(parents=True)
    text = PLANT.format(mark=str(tmp_path / "mark"))
    for path in [directory / f"{name}.py" for name in PLANTED] + [package / "__init__.py", package / "launch.py"]:
        path.write_text(text)
    return directory


def _user_site(tmp_path: Path, plants: Path, python: Path) -> dict[str, str]:
    """The environment of a user whose own packages, and whose .pth file, lead to the plants."""
    base = tmp_path / "user"
    program = "import site; print(site.getusersitepackages())"
    environment = {"PYTHONUSERBASE": str(base)}
    told = subprocess.run([python, "-S", "-c", program], env=environment, capture_output=True, text=True, check=True)
    packages = Path(told.stdout.strip())
    shutil.copytree(plants, packages)
    (packages / "lead.pth").write_text(f"{plants}\n")
    return environment


def _start(launcher: Any, pyz: Path, python: Path, **more: str) -> tuple[int, bytes, bytes]:
    """Run a job without -I and -S, as by its name, in the directory that the launcher has."""
    line = [str(python), str(pyz), "--credential", str(launcher.credential), "--exec", "--", "sh", "-c", "exit 4"]
    status: tuple[int, bytes, bytes] = launcher.run(line, env=launcher.environment(**more))
    return status


@pytest.mark.parametrize("where", ["cwd", "PYTHONPATH", "user site"])
def test_modules_planted_around_the_agent_are_not_imported(
    launcher: Any, server: Any, until: Any, pyz: Path, python: Path, plants: Path, tmp_path: Path, where: str
) -> None:
    launcher.agent = pyz
    more = {}
    if where == "cwd":
        shutil.copytree(plants, launcher.directory, dirs_exist_ok=True)
        (launcher.directory / "os.py").write_text((plants / "select.py").read_text())
        more = {"PYTHONPATH": ""}
    elif where == "PYTHONPATH":
        more = {"PYTHONPATH": str(plants)}
    else:
        more = _user_site(tmp_path, plants, python)

    status, _, errors = _start(launcher, pyz, python, **more)

    assert (status, errors) == (4, b"")
    until(lambda: server.ends)
    assert not (tmp_path / "mark").exists()


def test_the_plants_are_imported_by_a_program_that_does_not_mind(plants: Path, python: Path, tmp_path: Path) -> None:
    """The control of the test above, in all three places."""
    for directory, environment in (
        (plants, {}),
        (tmp_path, {"PYTHONPATH": str(plants)}),
        (tmp_path, _user_site(tmp_path, plants, python)),
    ):
        for name in ("jobmon_wire", "jobmon_agent"):
            subprocess.run([python, "-c", f"import {name}"], cwd=directory, env=environment, capture_output=True)

    assert (tmp_path / "mark").read_text().split() == ["jobmon_wire", "jobmon_agent"] * 3


def test_an_agent_of_byte_code_keeps_no_more_of_the_archive_than_a_descriptor(
    launcher: Any, server: Any, pyz: Path, python: Path
) -> None:
    """It must outlive the file, and must not look for the standard library's modules in it."""
    launcher.agent = pyz
    launcher.start(launcher.line(python, "sleep", "30"))
    server.channel()

    opened = [
        os.readlink(f"/proc/{pid}/fd/{name}") for pid in launcher.agents() for name in os.listdir(f"/proc/{pid}/fd")
    ]

    # The idle process and its worker.
    assert opened.count(str(pyz)) == 2


def _harm(agent: Path, out: Path, tag: str) -> None:
    """Write an agent of whose byte code for one Python the packages are sound and all other modules are noise."""
    with zipfile.ZipFile(agent) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = bytearray(old.read(name))
            if name == tag:
                first = 4 + int.from_bytes(content[:4], "big")
                _, index = marshal.loads(zlib.decompress(content[4:first])[4:])
                for is_package, start, end in index.values():
                    if not is_package:
                        content[first + start : first + end] = random.Random(start).randbytes(end - start)
            new.writestr(name, bytes(content))


def test_a_module_whose_byte_code_is_harmed_is_had_from_its_source_even_when_the_file_is_gone(
    launcher: Any, server: Any, until: Any, pyz: Path, old_or_new: Path
) -> None:
    program = "import sys; print('cp%d%d' % sys.version_info[:2])"
    tag = subprocess.run([old_or_new, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    _harm(pyz, launcher.directory / "jobmond.pyz", tag)
    launcher.agent = Path("jobmond.pyz")

    assert launcher.run(launcher.line(old_or_new, "sh", "-c", "rm jobmond.pyz; exit 4"))[0] == 4

    until(lambda: server.ends)
    assert server.ends[0]["exit"]["code"] in (4, None)


def test_no_module_of_the_agent_loads_typing(pythons: list[Path]) -> None:
    modules = sorted(path.stem for path in (AGENT / "jobmon_agent").glob("*.py") if path.stem != "__main__")
    lines = [f"import sys; sys.path.insert(0, {str(AGENT)!r})", *(f"import jobmon_agent.{name}" for name in modules)]
    program = "\n".join([*lines, "print('typing' in sys.modules, 'ssl' in sys.modules)"])

    for python in pythons:
        told = subprocess.run([python, "-I", "-S", "-c", program], capture_output=True, text=True, check=True).stdout

        assert told == "False True\n", python
