"""A command on a terminal of its own that asks a person something."""

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence

PATIENCE = 60.0  # s until a prompt comes, and until the command has ended


JOBMON = (sys.executable, "-m", "jobmon_console.cli.main")


def answer_prompt(
    words: list[str], environ: Mapping[str, str], prompt: bytes, answer: str, program: Sequence[str] = JOBMON
) -> tuple[int, str]:
    """Run ``jobmon WORDS``, answer when it has written the prompt; its exit status and what it wrote."""
    ours, theirs = pty.openpty()
    command = [*program, *words]
    seen = b""
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1", **environ},
        start_new_session=True,
        preexec_fn=own_terminal,
    ) as process:
        os.close(theirs)
        try:
            seen = read_until(ours, prompt)
            os.write(ours, answer.encode())
            seen += read_until(ours, None)
            return process.wait(PATIENCE), seen.decode()
        finally:
            process.kill()
            os.close(ours)


def own_terminal() -> None:
    """Before a program begins: its standard input is the terminal that its signals come from."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def read_until(descriptor: int, end: bytes | None) -> bytes:
    """What comes until it ends so, or until the program has closed the terminal."""
    seen, until = b"", time.monotonic() + PATIENCE
    while end is None or not seen.endswith(end):
        assert select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0], seen
        try:
            data = os.read(descriptor, 4096)
        except OSError:  # the command has closed the terminal
            data = b""
        if not data:
            assert end is None, seen
            return seen
        seen += data
    return seen
