"""``jobmon logout``: end this user's connection holders, and with them what they hold unlocked."""

import argparse
import os
import signal
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

from jobmon_console import holding
from jobmon_console.cli import screen, words
from jobmon_wire import answers

PATIENCE = 2.0  # s for a holder to end by itself; one that was stopped is killed
_LOOK = 0.01  # s
_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(arguments: argparse.Namespace) -> int:
    """Tell every holder to end, and wait until it has."""
    directory = holding.directory(os.environ)
    paths = sorted(Path(directory).glob("*" + holding.SUFFIX)) if holding.is_private(directory) else []
    outcomes = [_end(path) for path in paths]
    screen.put(f"{words.plural(sum(outcomes), 'connection holder')} ended")
    if failed := len(outcomes) - sum(outcomes):
        screen.note(f"{words.plural(failed, 'connection holder')} did not end; look for: ps -C python -f")
        return answers.FAILED
    return answers.DONE


def _end(path: Path) -> bool:
    """Whether the holder there has ended; a socket that nobody listens at is removed."""
    with socket.socket(socket.AF_UNIX) as holder:
        holder.settimeout(PATIENCE)
        try:
            holder.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return True
        except OSError:
            return not path.exists()
        pid, user, _ = _CREDENTIALS.unpack(holder.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    if user != os.geteuid() or pid <= 0:  # of another container, say, and then its number means somebody else here
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        if not _is_gone(path):
            os.kill(pid, signal.SIGKILL)
            path.unlink(missing_ok=True)
    return True


def _is_gone(path: Path) -> bool:
    until = time.monotonic() + PATIENCE
    while path.exists() and time.monotonic() < until:
        time.sleep(_LOOK)
    return not path.exists()
