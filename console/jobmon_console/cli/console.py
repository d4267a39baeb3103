"""``jobmon console``: the full-screen console."""

import argparse
import sys

from jobmon_console import tls
from jobmon_console.cli import reach
from jobmon_console.errors import JobMonError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("selector", metavar="SELECTOR", nargs="*", help="which jobs to begin with")


def run(arguments: argparse.Namespace) -> int:
    """Open the console."""
    selector = " ".join(arguments.selector)
    reach.check_selector(selector)
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the console needs a terminal; without one use: jobmon jobs")
    contexts = reach.contexts_of(arguments)
    failed: list[JobMonError] = []
    for context in contexts:
        try:
            tls.open_link(context)  # asks for passphrases while there is still a line to ask on
        except JobMonError as error:
            failed.append(error)
    if len(failed) == len(contexts):
        raise failed[0]
    from jobmon_console.tui import app

    return int(app.run(contexts, selector))
