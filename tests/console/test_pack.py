"""The packer's promise: one file, the same to the last byte from every Python, that runs on every Python.

Each Python runs its own byte code, and whatever harms that byte code costs the
agent time or the job its agent, never the job.
"""

import hashlib
import marshal
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from jobmon_console import bytecode
from jobmon_console.bytecode import CompileError, compile_by
from jobmon_console.pack import PackError, write_agent
from tests.pythons import PYTHONS, Python

ROOT = Path(__file__).parents[2]
PATHS = [python.path for python in PYTHONS]
# A Python that has the way in as byte code, too, if it took part.
COMPILED = {"__main__.pyc"} if any(python.version.startswith("3.9.") for python in PYTHONS) else set()
WRITERS = [python for python in PYTHONS if tuple(map(int, python.version.split(".")[:2])) >= (3, 11)]
FLIPS = 40  # harmed bytes tried
EACH = pytest.mark.parametrize("python", PYTHONS, ids=lambda python: python.version)


def tag_of(python: Python) -> str:
    return "cp" + "".join(python.version.split(".")[:2])


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent with the byte code of every Python here; not to be written to."""
    out = tmp_path_factory.mktemp("agent") / "jobmond.pyz"
    write_agent(out, PATHS)
    return out


def run(python: Python, agent: Path, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python.path, "-I", "-S", str(agent), *words], capture_output=True, text=True, cwd=cwd, check=False
    )


def rewritten(agent: Path, out: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy of the agent with other content of its members; None leaves one out."""
    with zipfile.ZipFile(agent) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return out


def _copied_sources(tmp_path: Path) -> Path:
    copy = tmp_path / "agent"
    for package in ("jobmon_agent", "jobmon_wire"):
        shutil.copytree(ROOT / "agent" / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def _write_elsewhere(python: str, sources: Path, out: Path, pythons: list[str]) -> str:
    """Write the agent in a process of its own, which finds the agent's packages in ``sources``."""
    program = "import pathlib, sys; from jobmon_console.pack import write_agent as w"
    program += "; print(w(pathlib.Path(sys.argv[1]), sys.argv[2:]).digest)"
    path = os.pathsep.join([str(ROOT / "console"), str(sources)])
    told = subprocess.run(
        [python, "-S", "-c", program, str(out), *pythons],
        capture_output=True,
        text=True,
        cwd=out.parent,
        env={"PYTHONPATH": path, "TZ": "Pacific/Chatham", "PATH": os.environ["PATH"]},
        check=True,
    )
    return told.stdout.strip()


def test_an_installed_package_gives_an_agent_as_well_and_no_neighbour_s_file(tmp_path: Path) -> None:
    installed = _copied_sources(tmp_path).rename(tmp_path / "site-packages")
    (installed / "__main__.py").write_text("print('not ours')")
    out = tmp_path / "jobmond.pyz"

    _write_elsewhere(sys.executable, installed, out, [])

    told = subprocess.run([out, "--version"], capture_output=True, text=True, check=False)
    assert told.stdout.startswith("jobmond ")


@EACH
def test_each_python_runs_its_own_byte_code(agent: Path, python: Python, tmp_path: Path) -> None:
    told = run(python, agent, "--version", cwd=tmp_path)

    assert (told.returncode, told.stderr) == (0, "")
    assert re.fullmatch(rf"jobmond [\d.]+ \({tag_of(python)}\)\n", told.stdout)


@pytest.mark.promise(15)
@EACH
def test_a_python_that_the_packer_did_not_meet_runs_the_source(agent: Path, python: Python, tmp_path: Path) -> None:
    foreign = rewritten(agent, tmp_path / "other.pyz", lambda name, old: None if name == tag_of(python) else old)

    assert run(python, foreign, "--version").stdout.endswith("(source)\n")


@pytest.mark.promise(15)
@EACH
def test_byte_code_of_another_python_is_not_run(agent: Path, python: Python, tmp_path: Path) -> None:
    with zipfile.ZipFile(agent) as archive:
        other = archive.read(tag_of(PYTHONS[0] if python is not PYTHONS[0] else PYTHONS[-1]))
    lying = rewritten(agent, tmp_path / "lying.pyz", lambda name, old: other if name == tag_of(python) else old)

    assert run(python, lying, "--version").stdout.endswith("(source)\n")
    assert run(python, lying, "--quiet", "--", "sh", "-c", "exit 3").returncode == 3


@pytest.mark.promise(15)
@pytest.mark.parametrize("kept", [0, 3, 4, 2000, -1], ids="{} bytes".format)
def test_a_member_that_is_cut_off_costs_no_job(agent: Path, tmp_path: Path, kept: int) -> None:
    def cut(name: str, content: bytes) -> bytes:
        return content[:kept] if name.startswith("cp") else content

    broken = rewritten(agent, tmp_path / "broken.pyz", cut)

    for python in PYTHONS:
        assert run(python, broken, "--quiet", "--", "sh", "-c", "exit 3").returncode == 3


def _harmed(member: bytes, number: int) -> bytes:
    """The member with one byte changed, anywhere."""
    at = random.Random(number).randrange(len(member))
    return member[:at] + bytes([member[at] ^ 0x5A]) + member[at + 1 :]


@pytest.mark.promise(15)
def test_a_harmed_byte_anywhere_in_the_byte_code_costs_no_job(agent: Path, tmp_path: Path) -> None:
    statuses = []
    for number in range(FLIPS):
        python = PYTHONS[number % len(PYTHONS)]
        harmed = rewritten(
            agent, tmp_path / "harmed.pyz", lambda name, old, n=number: _harmed(old, n) if name[:2] == "cp" else old
        )
        statuses.append(run(python, harmed, "--quiet", "--", "sh", "-c", "exit 3").returncode)

    assert statuses == [3] * FLIPS


@EACH
def test_byte_code_that_fails_its_checksum_is_not_run(agent: Path, python: Python, tmp_path: Path) -> None:
    """Few harmed bytes get as far as the checksum; this one does."""

    def forge(name: str, content: bytes) -> bytes:
        if name != tag_of(python):
            return content
        first = 4 + int.from_bytes(content[:4], "big")
        _, index = marshal.loads(zlib.decompress(content[4:first])[4:])
        _, start, end = index["jobmon_agent"]
        record = content[first + start : first + end]
        other = zlib.compress(zlib.decompress(record).replace(b"VERSION", b"VERSIOM"), 9)
        assert len(other) == len(record)
        return content[: first + start] + other[:-4] + record[-4:] + content[first + end :]

    forged = rewritten(agent, tmp_path / "forged.pyz", forge)

    assert run(python, forged, "--version").stdout.endswith("(source)\n")


@EACH
def test_one_harmed_byte_without_a_checksum_crashes_the_interpreter(python: Python, tmp_path: Path) -> None:
    """The control of the test above: what a plain .pyc would let through."""
    program = (
        "import marshal, opcode, sys; data = bytearray(marshal.dumps(compile('value = 1.5', 'x', 'exec'))); "
        "data[data.index(bytes([opcode.opmap['LOAD_CONST'], 0])) + 1] = int(sys.argv[1]); "
        "exec(marshal.loads(bytes(data)))"
    )
    statuses = (
        subprocess.run(
            ["prlimit", "--core=0", python.path, "-I", "-S", "-c", program, str(number)],
            capture_output=True,
            cwd=tmp_path,
            check=False,
        ).returncode
        for number in range(255, 0, -1)
    )

    assert any(status < 0 for status in statuses)


@pytest.mark.parametrize("python", WRITERS, ids=lambda python: python.version)
def test_every_python_writes_the_same_bytes(agent: Path, python: Python, tmp_path: Path) -> None:
    other = tmp_path / "other.pyz"

    told = _write_elsewhere(python.path, ROOT / "agent", other, PATHS[::-1])

    assert other.read_bytes() == agent.read_bytes()
    assert told == hashlib.sha256(agent.read_bytes()).hexdigest()


def test_place_dates_and_modes_of_the_sources_leave_no_trace(agent: Path, tmp_path: Path) -> None:
    sources = _copied_sources(tmp_path)
    for path in sources.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (1e9, 1e9))
    other = tmp_path / "other.pyz"

    _write_elsewhere(sys.executable, sources, other, PATHS)

    assert other.read_bytes() == agent.read_bytes()


def test_byte_code_names_no_path_of_the_machine_that_made_it(agent: Path) -> None:
    with zipfile.ZipFile(agent) as archive:
        for tag in map(tag_of, PYTHONS):
            member = archive.read(tag)
            inflate = zlib.decompressobj()
            texts, rest = inflate.decompress(member[4:]), inflate.unused_data
            while rest:
                inflate = zlib.decompressobj()
                texts, rest = texts + inflate.decompress(rest), inflate.unused_data
            assert b"jobmond.pyz/jobmon_agent/launch.py" in texts
            for place in (str(ROOT), os.getcwd(), sys.prefix):
                assert place.encode() not in texts


def test_constant_sets_have_one_order_in_every_run(tmp_path: Path) -> None:
    words = ", ".join(repr(f"word-{number}") for number in range(20))
    sources = {"jobmond.pyz/x.py": f"def f(x): return x in {{{words}}}\n".encode()}

    for python in (PYTHONS[0], PYTHONS[-1]):
        assert len({compile_by(python.path, sources).modules["jobmond.pyz/x.py"] for _ in range(3)}) == 1


def test_what_else_the_interpreter_holds_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marshal would tell, under older Pythons, which names other modules use too."""
    path = ROOT / "agent" / "jobmon_agent" / "launch.py"
    sources = {"jobmond.pyz/jobmon_agent/launch.py": path.read_bytes()}
    alone = [compile_by(python, sources) for python in PATHS]

    program = bytecode._PROGRAM.replace("import marshal\n", "import marshal, json, os, re, socket, ssl\n")
    monkeypatch.setattr(bytecode, "_PROGRAM", program)

    assert [compile_by(python, sources) for python in PATHS] == alone


def test_a_changed_source_gives_another_agent(agent: Path, tmp_path: Path) -> None:
    sources = _copied_sources(tmp_path)
    with (sources / "jobmon_wire" / "limits.py").open("a") as source:
        source.write("\nMORE = 1\n")
    other = tmp_path / "other.pyz"

    _write_elsewhere(sys.executable, sources, other, PATHS)

    assert other.read_bytes() != agent.read_bytes()


def test_the_agent_holds_sources_byte_code_and_nothing_else(agent: Path) -> None:
    with zipfile.ZipFile(agent) as archive:
        names = archive.namelist()
        tags = {name for name in names if "/" not in name} - {"__main__.py"} - COMPILED

        assert names == sorted(names)
        assert tags == set(map(tag_of, PYTHONS))
        assert all(name.endswith(".py") for name in set(names) - tags - COMPILED)
        tops = {name.split("/")[0] for name in names}
        assert tops - tags - COMPILED == {"__main__.py", "jobmon_agent", "jobmon_wire"}
        assert tops >= COMPILED
        assert archive.testzip() is None
    assert agent.read_bytes().startswith(b"#!/usr/bin/env python3\n")


def test_the_way_in_needs_no_zlib_and_python_reads_few_names_before_it(agent: Path) -> None:
    with zipfile.ZipFile(agent) as archive:
        for name in {"__main__.py"} | COMPILED:
            assert archive.getinfo(name).compress_type == zipfile.ZIP_STORED
        members = len(archive.namelist())

    modules = sum(1 for package in ("jobmon_agent", "jobmon_wire") for _ in (ROOT / "agent" / package).rglob("*.py"))
    assert members == 1 + len(COMPILED) + modules + len(PYTHONS)


@EACH
def test_python_3_9_alone_has_the_way_in_as_byte_code_and_the_others_pass_it_over(
    agent: Path, python: Python, tmp_path: Path
) -> None:
    silent = rewritten(agent, tmp_path / "silent.pyz", lambda name, old: b"" if name == "__main__.py" else old)

    runs_it = run(python, silent, "--version").stdout.startswith("jobmond ")

    assert runs_it == python.version.startswith("3.9.")
    assert run(python, agent, "--version").stdout.startswith("jobmond ")


@pytest.mark.promise(15)
@EACH
def test_a_way_in_of_another_make_of_byte_code_is_passed_over(agent: Path, python: Python, tmp_path: Path) -> None:
    def of_another(name: str, content: bytes) -> bytes:
        return b"\0\0\r\n" + content[4:] if name == "__main__.pyc" else content

    foreign = rewritten(agent, tmp_path / "foreign.pyz", of_another)

    assert run(python, foreign, "--quiet", "--", "sh", "-c", "exit 3").returncode == 3


def _places(folder: Path, **scripts: str) -> Path:
    folder.mkdir()
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def test_the_pythons_on_path_are_found_and_a_shim_for_none_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = PYTHONS[0], PYTHONS[-1]
    names = {python: f"python3.{python.version.split('.')[1]}" for python in (old, new)}
    shims = _places(tmp_path / "shims", **{names[old]: "#!/bin/sh\nexit 127\n", "python3.99": "no program"})
    real = _places(tmp_path / "real", **{"python3-config": "#!/bin/sh\n", "python3.5": "#!/bin/sh\n"})
    for python in (old, new):
        (real / names[python]).symlink_to(Path(python.path).resolve())
    monkeypatch.setenv("PATH", f"{tmp_path}/missing:{shims}:{real}:/usr/bin:/bin")

    packed = write_agent(tmp_path / "jobmond.pyz")

    assert {tag_of(old), tag_of(new)} <= set(packed.tags)
    assert packed.tags == sorted(packed.tags, key=lambda tag: int(tag[3:]))


def test_a_named_python_that_cannot_compile_is_told_in_a_sentence(tmp_path: Path) -> None:
    places = _places(tmp_path / "bin", wrong="#!/bin/sh\necho no such version >&2; exit 127\n", chatty="#!/bin/sh\n")

    with pytest.raises(CompileError, match=r"wrong cannot compile the agent: no such version"):
        write_agent(tmp_path / "jobmond.pyz", [str(places / "wrong")])
    with pytest.raises(CompileError, match=r"chatty cannot compile the agent: it is no CPython from 3.6 on"):
        write_agent(tmp_path / "jobmond.pyz", [str(places / "chatty")])
    with pytest.raises(CompileError, match=r"missing cannot compile the agent: No such file or directory"):
        write_agent(tmp_path / "jobmond.pyz", [str(places / "missing")])


def test_the_command_packs_for_the_pythons_it_is_told(tmp_path: Path) -> None:
    out = tmp_path / "jobmond.pyz"
    words = [sys.executable, "-m", "jobmon_console.cli.main", "agent", "--out", str(out), "--python", *PATHS[-1:]]

    told = subprocess.run(words, capture_output=True, text=True, check=False)

    assert told.returncode == 0
    assert told.stdout == f"{hashlib.sha256(out.read_bytes()).hexdigest()}  {out}\n"
    assert f"byte code for {tag_of(PYTHONS[-1])};" in told.stderr


def test_marshal_s_portable_version_is_read_by_every_python() -> None:
    """The head of a member is written by the packer's Python and read by the node's."""
    content = marshal.dumps((b"code", {"jobmon_agent": (True, 0, 70000)}), 2)
    program = f"import marshal; assert marshal.loads({content!r})[1]['jobmon_agent'] == (True, 0, 70000)"

    for python in PYTHONS:
        assert subprocess.run([python.path, "-I", "-S", "-c", program], check=False).returncode == 0


def test_a_batch_script_can_start_the_agent_by_its_name(agent: Path) -> None:
    assert stat.S_IMODE(agent.stat().st_mode) == 0o755
    assert subprocess.run([str(agent), "--version"], capture_output=True, check=False).returncode == 0


def test_a_place_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"cannot write the agent to .*: No such file or directory"):
        write_agent(tmp_path / "missing" / "jobmond.pyz", [])


def test_a_failed_write_leaves_the_old_agent_and_no_litter(tmp_path: Path) -> None:
    out = tmp_path / "jobmond.pyz"
    out.mkdir()

    with pytest.raises(PackError):
        write_agent(out, [])

    assert list(tmp_path.iterdir()) == [out]
