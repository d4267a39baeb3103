"""The keeper's processes: its children, and everything that descends from them.

The keeper is a child subreaper: a daemon that a job left behind, or an agent,
becomes the keeper's child when its parent dies.  So no descendant escapes, and
when the keeper has no child left it has no descendant left.  Nothing here
knows what the processes are for.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from jobmon_console.errors import JobMonError

__all__ = ["DemoError", "Processes"]

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
GRACE = 1.5  # s between TERM and KILL: jobs that write their last words, a server that drains
POLL = 0.01  # s
WATCH = 0.2  # s between two looks at who has ended, and that a signal waits at most
COMMAND_TIME = 60.0  # s for one command; minutes are no start
TAIL = 600  # characters of a command's stderr that an error shows


class DemoError(JobMonError):
    """The demo cannot go on; the text says why, in one sentence and the tail of a stderr."""


class Processes:
    """Start processes, wait for them, and in the end leave none."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise DemoError(f"cannot watch over the demo's processes: {os.strerror(ctypes.get_errno())}")

    def start(
        self, command: Sequence[str], directory: Path, stdout: IO[bytes], stderr: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start a command that goes on by itself."""
        child = subprocess.Popen(
            command, cwd=directory, env=self._environment, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        )
        self._children[child.pid] = child
        return child

    def run(self, command: Sequence[str], directory: Path, scratch: Path) -> str:
        """Run a command to its end and give its stdout.

        Raises:
            DemoError: it failed, or took longer than ``COMMAND_TIME``.
        """
        out, err = scratch.with_suffix(".out"), scratch.with_suffix(".err")
        with out.open("wb") as stdout, err.open("wb") as stderr:
            child = self.start(command, directory, stdout, stderr)
        self.wait_until(lambda: child.returncode is not None, " ".join(command))
        if child.returncode != 0:
            raise DemoError(f"`{' '.join(command)}` ended with {child.returncode}{tail(err)}")
        return out.read_text(errors="replace")

    def wait_until(self, is_done: Callable[[], bool], what: str, limit: float = COMMAND_TIME) -> None:
        """Wait for a claim to become true, collecting children meanwhile.

        Raises:
            DemoError: it did not within ``limit`` seconds.
        """
        deadline = time.monotonic() + limit
        while True:
            self.collect()
            if is_done():
                return
            if time.monotonic() > deadline:
                raise DemoError(f"{what}: not done within {limit:.0f} s")
            time.sleep(POLL)

    def collect(self) -> bool:
        """Collect the children that ended; False when there is none left at all."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            child = self._children.pop(pid, None)  # None: a descendant whose parent died
            if child is not None:
                child.returncode = os.waitstatus_to_exitcode(status)

    def watch(self) -> None:
        """Collect children as they end, for ever; a signal's handler breaks out of it.

        A wait without an end would miss a signal that comes right before it begins.
        """
        while True:
            self.collect()
            time.sleep(WATCH)

    def end(self) -> None:
        """End every descendant: TERM, a short while, KILL, until there is none."""
        self._send(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self.collect():
            if time.monotonic() > deadline:
                self._send(signal.SIGKILL)
            time.sleep(POLL)

    def _send(self, number: signal.Signals) -> None:
        for pid in list(_descendants(os.getpid())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def tail(stderr: Path) -> str:
    """The end of a stderr, to stand behind an error's sentence."""
    words = stderr.read_text(errors="replace").split() if stderr.exists() else []
    return f": {' '.join(words)[-TAIL:]}" if words else ", without a word on stderr"


def _descendants(ancestor: int) -> Iterator[int]:
    """Everything below a process at this moment, parents first."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (parent := _parent(int(entry))) is not None:
            children.setdefault(parent, []).append(int(entry))
    level = children.get(ancestor, [])
    while level:
        yield from level
        level = [child for pid in level for child in children.get(pid, [])]


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The process's name, in brackets, may hold anything: what follows the last bracket is fixed.
    return int(stat.rpartition(b")")[2].split()[1])
