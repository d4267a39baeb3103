"""``jobmon config``: contexts by name."""

import argparse
import os
from pathlib import Path

from jobmon_console import configuration, tls
from jobmon_console.cli import reach, screen, table
from jobmon_console.cli.parser import Formatter, add_client_flags
from jobmon_console.cli.table import Column
from jobmon_console.contexts import Context, read_settings
from jobmon_console.errors import UsageError
from jobmon_console.safe import safe
from jobmon_wire import answers
from jobmon_wire.credential import CredentialError, open_credential


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the three parts."""
    parts = parser.add_subparsers(dest="part", metavar="add|list|use", required=True)
    add = parts.add_parser(
        "add",
        help="name a credential",
        description="Add a context: a credential file, or --server, --cert, --key and --ca.",
        epilog="example:\n  jobmon config add caf caf-alice.jobmon",
        formatter_class=Formatter,
    )
    add.add_argument("name", metavar="NAME", help="of the context")
    add.add_argument("file", metavar="FILE", nargs="?", help="a credential file, NAME.jobmon")
    add_client_flags(add)
    listing = parts.add_parser(
        "list", help="the contexts", description="List the contexts; * marks the current ones.",
        epilog="example:\n  jobmon config list", formatter_class=Formatter,
    )  # fmt: skip
    listing.add_argument("--names", action="store_true", help="names only")
    use = parts.add_parser(
        "use", help="choose the current contexts", description="Make contexts the current ones.",
        epilog="example:\n  jobmon config use caf desy", formatter_class=Formatter,
    )  # fmt: skip
    use.add_argument("names", metavar="NAME", nargs="+", help="of a context")


def run(arguments: argparse.Namespace) -> int:
    """Carry out the part."""
    return {"add": _add, "list": _list, "use": _use}[arguments.part](arguments)


def _add(arguments: argparse.Namespace) -> int:
    configuration.check_name(arguments.name)
    context = _described(arguments)
    tls.open_link(context)  # a file that cannot be used is better refused now
    path = configuration.add(context._replace(name=arguments.name), os.environ)
    screen.put(safe(f"added {arguments.name} to {path}"))
    return answers.DONE


def _described(arguments: argparse.Namespace) -> Context:
    if arguments.file:
        return Context(arguments.name, credential=_absolute(arguments.file))
    if not any(hasattr(arguments, part) for part in ("credential", "server", "cert", "key", "ca")):
        raise UsageError("name the credential file: jobmon config add NAME FILE")
    context = reach.contexts_of(arguments)[0]
    paths = {
        part: _absolute(value) for part in ("credential", "cert", "key", "ca") if (value := getattr(context, part))
    }
    return context._replace(**paths)


def _list(arguments: argparse.Namespace) -> int:
    settings = read_settings(os.environ)
    if arguments.names:
        for name in settings.contexts:
            screen.put(safe(name))
        return answers.DONE
    rows = [
        ["*" if name in settings.current else "", name, _server(context), context.credential or context.cert]
        for name, context in settings.contexts.items()
    ]
    for line in table.lines([Column(""), Column("CONTEXT"), Column("SERVER"), Column("CREDENTIAL")], rows):
        screen.put(line)
    if not rows:
        screen.note(f"{settings.path} has no contexts; run: jobmon config add NAME FILE")
    return answers.DONE


def _server(context: Context) -> str:
    """The server's address; of a credential that cannot be read why not stands in ``jobmon doctor``."""
    if not context.credential:
        return context.server
    try:
        descriptor, credential = open_credential(context.credential)
    except CredentialError:
        return "-"
    os.close(descriptor)
    return safe(credential.server)


def _use(arguments: argparse.Namespace) -> int:
    path = configuration.use(arguments.names, os.environ)
    screen.put(safe(f"current in {path}: {' '.join(dict.fromkeys(arguments.names))}"))
    return answers.DONE


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
