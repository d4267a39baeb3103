"""The tree of commands.

A command's arguments are added when it is used, so that ``jobmon ps`` does not
import what ``jobmon run`` needs.  Every command ends its help with examples;
every error is one line with exit status 2.
"""

import argparse
import functools
import importlib
from typing import Any, NoReturn

from jobmon_console import __version__
from jobmon_console.cli import screen
from jobmon_console.cli.commands import COMMANDS, PASSED_ON, Command
from jobmon_console.errors import UsageError


class Formatter(argparse.RawDescriptionHelpFormatter):
    """As its base, which would import shutil, and with it three archives, at the first argument that is added."""

    def __init__(
        self, prog: str, indent_increment: int = 2, max_help_position: int = 24, width: int | None = None
    ) -> None:
        super().__init__(prog, indent_increment, max_help_position, screen.size()[0] - 2 if width is None else width)


class Parser(argparse.ArgumentParser):
    """A parser that fills itself in when used and complains in one line."""

    command: Command | None = None
    takes_command = False  # what stands behind -- becomes ``words``, untouched
    _is_filled = False

    def fill(self) -> "Parser":
        """Add the command's arguments, once."""
        if self.command is not None and not self._is_filled:
            self._is_filled = True
            if self.command.is_client:
                add_client_flags(self)
            importlib.import_module(f"jobmon_console.cli.{self.command.module}").add_arguments(self)
        return self

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As the base does, of a filled parser."""
        self.fill()
        words = list(args or ())
        # argparse would take no options between the first positional argument and the command.
        at = words.index("--") if self.takes_command and "--" in words else len(words)
        found, unknown = super().parse_known_args(words[:at] if self.takes_command else args, namespace)
        if self.takes_command:
            found.words = words[at + 1 :]
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line."""
        raise UsageError(f"{message}; see: {self.prog} --help")


@functools.cache  # the connection holder has them made before they are needed
def build_parser(only: str = "") -> Parser:
    """The tree; commands fill themselves in.

    Args:
        only: the one command that will be used; making all 22 costs 5 ms.
    """
    parser = Parser(
        prog="jobmon",
        description="See into your batch jobs, and act on them, on worker nodes that nobody can log in to.",
        epilog=_epilog("jobmon jobs\njobmon tail -f 4711.0\njobmon kill 4711.0"),
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"jobmon {__version__}")
    add_client_flags(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for command in [COMMANDS[only]] if only else COMMANDS.values():
        added = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=_epilog(command.example),
            formatter_class=Formatter,
            allow_abbrev=False,
            add_help=command.name not in PASSED_ON,
        )
        added.command = command
    return parser


def add_client_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of every command that talks to a server."""
    group = parser.add_argument_group("server and credential")
    suppress: Any = argparse.SUPPRESS  # a default here would overwrite what stood before the command
    group.add_argument(
        "--context", metavar="NAME", action="append", default=suppress, help="a configured context; may be repeated"
    )
    group.add_argument("--credential", metavar="FILE", default=suppress, help="a credential file, NAME.jobmon")
    group.add_argument("--server", metavar="URL", default=suppress, help="with --cert, --key and --ca: a server")
    group.add_argument("--cert", metavar="FILE", default=suppress, help="certificate chain (PEM)")
    group.add_argument("--key", metavar="FILE", default=suppress, help="private key (PEM, 0600)")
    group.add_argument("--ca", metavar="FILE", default=suppress, help="what the server must chain to (PEM)")
    group.add_argument(
        "--timeout", metavar="SECONDS", type=positive, default=suppress, help="give up after so long, exit 124"
    )


def positive(text: str) -> float:
    """A number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"a number of seconds above 0 was expected, not {text!a}")
    return value


def count(text: str) -> int:
    """A whole number, 0 or more."""
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise argparse.ArgumentTypeError(f"a whole number was expected, not {text!a}")
    return int(text)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def duration(text: str) -> float:
    """Seconds of ``90s``, ``12h``, ``7d`` or a plain number."""
    number, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
    if not (number.isascii() and number.isdecimal() and len(number) < 10 and int(number)):
        raise argparse.ArgumentTypeError(f"a time such as 90s, 12h or 7d was expected, not {text!a}")
    return float(int(number) * unit)


def _epilog(example: str) -> str:
    return ("example:" if "\n" not in example else "examples:") + "".join(f"\n  {line}" for line in example.split("\n"))
