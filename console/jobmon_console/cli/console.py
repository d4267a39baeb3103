"""``jobmon console``: the full-screen console."""

import argparse
import os
import sys

from jobmon_console import keys, tls
from jobmon_console.appearance import THEME_NAMES, appearance
from jobmon_console.cli import reach
from jobmon_console.contexts import read_settings
from jobmon_console.errors import JobMonError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("selector", metavar="SELECTOR", nargs="*", help="which jobs to begin with")
    parser.add_argument("--read-only", action="store_true", help="look at jobs, but do nothing to them")
    parser.add_argument("--theme", choices=THEME_NAMES, help="colours; else as the console was left")
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII alone")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
    parser.add_argument("--no-animation", action="store_true", help="let nothing move by itself; the default over ssh")


def run(arguments: argparse.Namespace) -> int:
    """Open the console."""
    selector = " ".join(arguments.selector)
    reach.check_selector(selector)
    # Textual draws on stderr, so that stdout stays free: all three must be the terminal.
    if not all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
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
    keys.use(read_settings(os.environ).keys)
    from jobmon_console.tui import start  # what it loads makes its bindings from the keys when it is imported

    look = appearance(arguments.theme or "", arguments.ascii, arguments.no_mouse, arguments.no_animation, os.environ)
    typed = reach.flags_of(arguments).words()
    return int(start.run(contexts, selector, arguments.read_only, look, typed))
