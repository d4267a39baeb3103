"""The console gives the terminal back, however it is ended, and says how it ended."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import asyncio, sys
from jobmon_console.tui.app import Console

class Waiting:
    async def fetch(self, call): await asyncio.Event().wait()
    content = fetch
    async def rows(self, call):
        yield {}
    frames = rows
    async def aclose(self): pass
    def renew(self): pass

app = Console([("caf", Waiting())])
app.run()
sys.exit(app.return_code or 0)
"""
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"  # the alternate screen
MOUSE_OFF = b"\x1b[?1000l"
PATIENCE = 30.0  # s; an import of Textual on a busy machine takes several


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (None, 0)])
def test_the_terminal_is_restored_and_the_exit_status_passed_on(number: int | None, status: int) -> None:
    screen, terminal = pty.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=terminal, stdout=terminal, stderr=terminal, env=environ
    )
    os.close(terminal)
    try:
        written = _until(screen, b"connecting")
        assert ENTER in written
        if number is None:
            os.write(screen, b"\x11")  # ctrl+q
        else:
            process.send_signal(number)
        written = _until(screen, LEAVE)

        assert process.wait(PATIENCE) == status
        assert MOUSE_OFF in written
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def _until(screen: int, wanted: bytes) -> bytes:
    written, deadline = b"", time.monotonic() + PATIENCE
    while wanted not in written and time.monotonic() < deadline:
        if select.select([screen], [], [], 0.05)[0]:
            try:
                written += os.read(screen, 65536)
            except OSError:  # the other end is closed
                break
    assert wanted in written
    return written
