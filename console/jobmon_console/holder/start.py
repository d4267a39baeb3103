"""Starting a holder, in the background, after a command that went well without one."""

import contextlib
import json
import os
import sys

from jobmon_console import holding, tls
from jobmon_console.cli import reach
from jobmon_console.cli.parser import build_parser
from jobmon_console.contexts import Context, absolute, config_path, read_settings
from jobmon_console.errors import JobMonError

_PRIVATE = 0o700


def start(path: str, words: list[str]) -> None:
    """Start the holder for a command that has just been carried out, where there may be one.

    Args:
        path: of its socket.
        words: the command and its arguments.
    """
    try:
        contexts = reach.contexts_of(build_parser(words[0]).parse_args(words))
        if len(contexts) != 1 or not read_settings(os.environ).has_holder:
            return
    except JobMonError:
        return
    with contextlib.suppress(OSError):
        if _make_private(os.path.dirname(path)):
            _spawn(path, contexts[0])


def _make_private(directory: str) -> bool:
    """Whether there is such a directory now, of this user's and below one of this user's."""
    base = os.path.dirname(directory)
    os.makedirs(base, _PRIVATE, exist_ok=True)
    if os.stat(base).st_uid != os.geteuid():  # as after su, with somebody's environment
        return False
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, _PRIVATE)
    return holding.is_private(directory)


def _spawn(path: str, context: Context) -> None:
    reading, writing = os.pipe()
    try:
        told = {
            "context": absolute(context),
            "configuration": config_path(os.environ),
            "passphrase": tls.passphrases.get(context),
        }
        os.write(writing, json.dumps(told).encode())  # below a pipe's 64 KiB
        os.posix_spawn(
            sys.executable,
            # -P: a module planted in the working directory is not ours.
            [sys.executable, "-P", "-m", "jobmon_console.holder", path],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, reading, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setsid=True,
        )
    finally:
        os.close(reading)
        os.close(writing)
