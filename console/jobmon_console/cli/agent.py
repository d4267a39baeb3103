"""``jobmon agent``: write the one-file agent."""

import argparse
from pathlib import Path

from jobmon_console.cli import screen
from jobmon_console.safe import safe
from jobmon_wire import answers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("jobmond.pyz"), help="default: jobmond.pyz")
    parser.add_argument(
        "--python",
        metavar="PATH",
        nargs="+",
        action="extend",
        help="Pythons whose byte code it holds, besides the source; default: each python3.N on PATH",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write it, say its hash and what it holds."""
    from jobmon_console.pack import write_agent

    packed = write_agent(arguments.out, arguments.python)
    screen.put(safe(f"{packed.digest}  {arguments.out}"))
    held = f"byte code for {', '.join(packed.tags)}" if packed.tags else "no byte code"
    screen.note(f"{held}; any other Python from 3.6 on compiles the source at each start")
    return answers.DONE
