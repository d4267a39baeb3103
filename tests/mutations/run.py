"""Break each of the agent's promises on purpose and see that a test notices.

    python tests/mutations/run.py [PROMISE | NAME]... [--python VERSION]

Each mutation is applied to a copy of the repository of its own, so no byte code
of another is run there.  The tests of its promise run until one fails; that one
must pass in a copy that was left alone, or it proves nothing.  The exit status
is 1 if a mutation survives or does not apply.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.mutations.mutation import ROOT, Mutation, read_all

PYTHON = "3.13"  # under which the agent runs, where a mutation names no other
PATIENCE = 600.0  # s for the tests of one mutation; those of a promise take up to a minute
CLEARING = 60.0  # s for pytest to clear away what it has started
PACKAGES = ("agent", "pki", "server", "console")
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.pyz", "*.egg-info")
SEEN = "seen by "


class Ran(NamedTuple):
    """What tests said."""

    failed: list[str]  # their ids
    passed: list[str]
    status: int | None  # pytest's; None: it was ended
    output: str


class Tests:
    """Runs tests in copies of the repository, all of which are in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._good: dict[str, bool] = {}  # by test and Python: it passes where nothing is harmed
        self.clean = self._copy("clean")

    def judge(self, mutation: Mutation, version: str) -> str:
        """What came of a mutation, in one sentence."""
        if not mutation.is_fresh():
            return "DOES NOT APPLY: its old text is not in the file, or more than once"
        copy = self._copy(mutation.name)
        mutation.apply(copy)
        ran = self._run(copy, mutation.promise, version, [])
        shutil.rmtree(copy)
        if not ran.failed:
            return _unseen(ran)
        if not self._is_good(ran.failed[0], mutation.promise, version):
            return f"UNSURE: {ran.failed[0]} fails also where nothing is harmed"
        return SEEN + ran.failed[0]

    def _is_good(self, test: str, promise: int, version: str) -> bool:
        key = f"{version} {test}"
        if key not in self._good:
            ran = self._run(self.clean, promise, version, [test])
            self._good[key] = bool(ran.passed) and not ran.failed
        return self._good[key]

    def _copy(self, name: str) -> Path:
        return Path(shutil.copytree(ROOT, self._directory / name, ignore=LEFT_OUT, symlinks=True))

    def _run(self, copy: Path, promise: int, version: str, tests: list[str]) -> Ran:
        notes = self._directory / "notes"
        notes.write_text("")
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(copy / part) for part in (".", *PACKAGES)),
            "JOBMON_MUTANT_PROMISE": str(promise),
            "JOBMON_MUTANT_PYTHON": version,
            "JOBMON_MUTANT_NOTES": str(notes),
        }
        line = [sys.executable, "-m", "pytest", "-p", "tests.mutations.selection", "-x", "-q", "-p", "no:cacheprovider"]
        process = subprocess.Popen(
            [*line, f"--basetemp={self._directory / 'temporary'}", *(tests or files_of(promise))],
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        status = None
        try:
            output = process.communicate(timeout=PATIENCE)[0]
            status = process.returncode
        except subprocess.TimeoutExpired:
            output = _end(process)
        except BaseException:  # this is told to end
            _end(process)
            raise
        found: dict[str, list[str]] = {"failed": [], "passed": []}
        for noted in notes.read_text().splitlines():
            outcome, _, test = noted.partition(" ")
            found[outcome].append(test)
        return Ran(found["failed"], found["passed"], status, output)


def _end(process: subprocess.Popen[str]) -> str:
    """Have pytest clear away what it has started, and end; what it said."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.communicate(timeout=CLEARING)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]


def _unseen(ran: Ran) -> str:
    """Why no test has failed."""
    if ran.status is None:
        return f"NO END in {PATIENCE:.0f} s"
    if ran.status or not ran.passed:
        return f"NOT TRIED: pytest ended with {ran.status}\n{ran.output}"
    return f"SURVIVED {len(ran.passed)} tests"


def files_of(promise: int) -> list[str]:
    """The files, outside the long runs, that hold tests of a promise."""
    mark = re.compile(rf"\bpromise\({promise}\)")
    paths = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in paths if "soak" not in path.parts and mark.search(path.read_text())]


def main() -> int:
    """Try those that are named, or all; print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wanted", nargs="*", metavar="PROMISE", help="its number, or a mutation's name as 9b; else all")
    parser.add_argument("--python", help="the agent runs under this version; else what the mutation says, or " + PYTHON)
    asked = parser.parse_args()
    mutations = [each for each in read_all() if not asked.wanted or {each.name, str(each.promise)} & set(asked.wanted)]
    missed = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind
    with tempfile.TemporaryDirectory(prefix="jobmon-mutants-") as directory:
        tests = Tests(Path(directory))
        for mutation in mutations:
            version = asked.python or mutation.python or PYTHON
            said = tests.judge(mutation, version)
            missed += not said.startswith(SEEN)
            print(f"{mutation.name:<4} {version:<5} {mutation.file}: {mutation.why}\n     {said}", flush=True)
    print(f"{len(mutations) - missed} of {len(mutations)} mutations were seen")
    return 1 if missed or not mutations else 0


if __name__ == "__main__":
    sys.exit(main())
