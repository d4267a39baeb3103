"""``jobmon agent``: write the one-file agent."""

import argparse
from pathlib import Path

from jobmon_console.cli import screen
from jobmon_console.safe import safe
from jobmon_wire import answers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("jobmond.pyz"), help="default: jobmond.pyz")


def run(arguments: argparse.Namespace) -> int:
    """Write it and say its hash."""
    from jobmon_console.pack import write_agent

    digest = write_agent(arguments.out)
    screen.put(safe(f"{digest}  {arguments.out}"))
    return answers.DONE
