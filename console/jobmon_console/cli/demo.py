"""``jobmon demo``: a throw-away site on this machine."""

import argparse

from jobmon_console.cli import parser

_JOBS = 8


def add_arguments(parser_: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser_.add_argument("--jobs", metavar="N", type=parser.count, default=_JOBS, help=f"how many; default {_JOBS}")
    parser_.add_argument("--duration", metavar="S", type=parser.positive, help="stop by itself after so many seconds")
    parser_.add_argument(
        "--headless", action="store_true", help="print one line of JSON and wait, instead of the console"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo."""
    from jobmon_console.demo import main

    return main(arguments.jobs, arguments.duration, arguments.headless)
