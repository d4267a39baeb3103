"""Somebody at a shell, whose commands leave connection holders behind; each command is a process of its own."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jobmon_console import holding
from jobmon_console.contexts import Context
from jobmon_wire import frames

PATIENCE = 60.0  # s; the machine may be busy
FRONT = (sys.executable, "-c", "import sys; from jobmon_console.front import main; sys.exit(main())")
PEER = {"name": "alice", "role": "owner", "cluster": "caf"}
PS = (frames.RECORD, {"processes": [{"pid": 4711, "ppid": 1, "user": "alice", "command": "train"}]})


class Person:
    """Somebody at a shell: starts commands, and has holders afterwards.

    Attributes:
        environ: of the commands.
        directory: where the holders' sockets are.
    """

    def __init__(self, tmp_path: Path, runtime: Path, context: Context) -> None:
        self.runtime = runtime
        self.directory = self.runtime / "jobmon"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JOBMON_", "XDG_"))}
        self.environ = {
            **kept,
            "HOME": str(tmp_path),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "JOBMON_CONFIG": str(tmp_path / "config.toml"),
            "JOBMON_CREDENTIAL": context.credential,
        }

    def begin(self, *words: str, front: Sequence[str] = FRONT, **environ: str) -> "subprocess.Popen[str]":
        """Start ``jobmon WORDS``."""
        return subprocess.Popen(
            [*front, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environ, **environ},
        )

    def run(self, *words: str, front: Sequence[str] = FRONT, **environ: str) -> tuple[int, str, str]:
        """Run ``jobmon WORDS``; its exit status, output and errors."""
        with self.begin(*words, front=front, **environ) as process:
            try:
                out, err = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        return process.returncode, out, err

    def sockets(self) -> list[Path]:
        """Where holders are, or were."""
        return sorted(self.directory.glob("*" + holding.SUFFIX))

    def holders(self) -> list[int]:
        """The holders' processes; their children apart."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                words = (path.parent / "cmdline").read_bytes().split(b"\0")
                is_child = int(path.read_text().rsplit(")", 1)[1].split()[1]) in found
                if any(word.startswith(os.fsencode(self.directory)) for word in words) and not is_child:
                    found.append(int(path.parent.name))
        return found

    def hold(self, *words: str, **environ: str) -> int:
        """Run a command that leaves a holder behind; its process, once it listens."""
        before = self.sockets()
        status, _, err = self.run(*(words or ("show", "4711")), **environ)
        assert status == 0, err
        wait_for(lambda: [path for path in self.sockets() if path not in before])
        return self.holders()[-1]


def wait_for(what: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)
    return found


def is_gone(pid: int) -> bool:
    """The process has ended; a zombie, which nobody may have reaped here, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def asked(fake: Any, what: str) -> int:
    return sum(line.startswith(what) for line, _ in fake.asked)
