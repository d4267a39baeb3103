"""``jobmon server``: hand over to the daemon's own program."""

import argparse
import importlib.util
import os
import sys

from jobmon_console.errors import MissingExtraError

_NEEDED = ("jobmon_server", "uvicorn", "starlette", "msgspec", "prometheus_client")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None here: the daemon reads its own."""


def run(arguments: argparse.Namespace) -> int:
    """Become the daemon, so that signals and the service manager meet it."""
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise MissingExtraError("the server", "server")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "jobmon_server", *arguments.rest])  # noqa: S606 - no shell is meant
