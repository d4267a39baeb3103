"""A stream that somebody else reads is never opened by the agent: its reader gets every byte."""

import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jobmon_wire import frames
from tests.agent.conftest import DEADLINE, Launcher, Server, wait_for

WORDS = b"".join(b"%d\n" % number for number in range(1, 20001))
SAYS = "while [ ! -e go ]; do sleep 0.02; done; seq 1 20000; seq 1 20000 >&2"
# By name in any way but O_PATH, which only looks at what is there; or through a descriptor, as the agent opens files.
OPENED = re.compile(
    r'open\w*\([^"]*"(/proc/\w+/fd/[12]|/dev/pts/\d+|/dev/tty)", (?!\S*O_PATH)'
    r'|open\w*\([^"]*"(/proc/self/fd/\d+)", O_RDONLY\|O_NOCTTY'
)


class Reader(threading.Thread):
    """Reads a descriptor to its end, as a batch system does."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self.found = b""
        self._descriptor = descriptor
        self.start()

    def run(self) -> None:
        try:
            while data := os.read(self._descriptor, 65536):
                self.found += data
        except OSError:  # a terminal's end
            pass
        os.close(self._descriptor)


def trace(launcher: Launcher, python: Path, log: Path, **streams: int) -> subprocess.Popen[bytes]:
    """Start a job under the agent, every file that any of them opens written down."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("this needs strace, to see what the agent opens")
    watched = [strace, "-f", "-qq", "-e", "trace=open,openat,openat2", "-e", "signal=none", "-o", str(log)]
    return launcher.start([*watched, *launcher.line(python, "sh", "-c", SAYS)], **streams)


def ask_all(server: Server) -> list[str]:
    """Ask for both streams in every way; how that ended."""
    channel = server.channel()
    asked = [
        channel.ask(verb, file=stream, **({"follow": True} if verb == "tail" else {}))
        for verb in ("head", "cat", "tail")
        for stream in ("stdout", "stderr")
    ]
    return [channel.end_of(request).get("code", "done") for request in asked]


@pytest.mark.promise(39)
def test_a_pipe_and_a_terminal_are_never_opened(
    python: Path, server: Server, launcher: Launcher, tmp_path: Path
) -> None:
    (pipe, pipe_end), (terminal, terminal_end) = os.pipe(), pty.openpty()
    readers = Reader(pipe), Reader(terminal)
    process = trace(launcher, python, tmp_path / "trace", stdout=pipe_end, stderr=terminal_end)
    os.close(pipe_end)
    os.close(terminal_end)

    codes = ask_all(server)
    (launcher.directory / "go").touch()
    process.wait(DEADLINE)
    for reader in readers:
        reader.join(DEADLINE)

    assert codes == ["no-stream"] * 6
    assert readers[0].found == WORDS
    assert readers[1].found == WORDS.replace(b"\n", b"\r\n")
    assert OPENED.findall((tmp_path / "trace").read_text()) == []


@pytest.mark.promise(39)
def test_of_a_file_the_agent_opens_one_of_its_own(server: Server, launcher: Launcher, tmp_path: Path) -> None:
    """The control: what the other test looks for is there when the streams are files."""
    with open(tmp_path / "out", "wb") as out:
        process = trace(launcher, Path(sys.executable), tmp_path / "trace", stdout=out.fileno(), stderr=out.fileno())
    channel = server.channel()
    followed = channel.ask("tail", file="stdout", bytes=10**9, follow=True)
    wait_for(lambda: channel.of(followed))
    (launcher.directory / "go").touch()

    assert channel.end_of(followed)["status"] == "done"
    process.wait(DEADLINE)

    found = b"".join(frame.payload for frame in channel.of(followed) if frame.type == frames.DATA)
    assert found == (tmp_path / "out").read_bytes() == WORDS * 2
    assert len(OPENED.findall((tmp_path / "trace").read_text())) == 2  # stdout and stderr


@pytest.mark.promise(39)
def test_a_socket_is_never_read(server: Server, launcher: Launcher) -> None:
    here, there = socket.socketpair()
    reader = Reader(here.detach())
    with there:
        process = launcher.start(launcher.line(None, "sh", "-c", SAYS), stdout=there, stderr=there)

    codes = ask_all(server)
    (launcher.directory / "go").touch()
    process.wait(DEADLINE)
    reader.join(DEADLINE)

    assert codes == ["no-stream"] * 6
    assert reader.found == WORDS * 2
    wait_for(lambda: not launcher.agents())
