"""``jobmon server``: its options, and every way it can fail as one sentence.

Exit statuses: 0 done, 1 it cannot start, the check failed or the server is not
well, 2 usage, 5 no server answers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from jobmon_pki.errors import PkiError
from jobmon_server.configuration import read_configuration
from jobmon_server.errors import ServerError
from jobmon_server.journal import open_journal
from jobmon_server.site_setup import Wish, next_steps, set_up
from jobmon_wire.answers import DONE, FAILED, USAGE

EXAMPLES = """\
examples:
  jobmon server --init /srv/jobmon --host head.example.org --cluster caf
  jobmon server --config /srv/jobmon/server.toml
  jobmon server status --config /srv/jobmon/server.toml
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        _complain(f"{message}; see: {self.prog} --help")
        raise SystemExit(USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``jobmon server``; give its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.init is not None:
            return _init(options)
        if options.action is not None:
            return _status(options.config, options.json)
        return _check(options.config) if options.check else _serve(options.config)
    except (ServerError, PkiError) as error:
        _complain(str(error))
        return error.exit_status if isinstance(error, ServerError) else FAILED
    except KeyboardInterrupt:  # before the daemon listens to signals
        return DONE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="jobmon server",
        description="Make a site, or serve one: consoles on the users' port, jobs' agents on the agents' port.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("action", choices=["status"], nargs="?", help="with --config: ask the running server how it is")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--init", metavar="DIR", type=Path, help="make a new site in an empty or new directory")
    what.add_argument("--config", metavar="FILE", type=Path, help="serve the site of this server.toml")
    parser.add_argument("--check", action="store_true", help="with --config: look whether it would start, and end")
    parser.add_argument("--json", action="store_true", help="with status: one JSON object")
    new = parser.add_argument_group("a new site")
    new.add_argument("--host", metavar="NAME", nargs="+", default=[], help="names or addresses the server is called by")
    new.add_argument("--cluster", metavar="NAME", default="", help="what the cluster is called (first label of NAME)")
    new.add_argument("--base", metavar="DN", default="", help="what every name begins with, as /DC=org/DC=example/O=X")
    new.add_argument("--users-port", metavar="PORT", type=_port, default=8443, help="for consoles (8443)")
    new.add_argument("--agents-port", metavar="PORT", type=_port, default=8444, help="for agents (8444)")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; 1 to 65535 are")
    return int(text)


def _init(options: argparse.Namespace) -> int:
    if not options.host:
        _parser().error("--init needs --host NAME, the name that agents and consoles will connect to")
    if options.check or options.action or options.json:
        _parser().error("status, --json and --check go with --config, not with --init")
    wish = Wish(options.init, options.host, options.cluster, options.base, options.users_port, options.agents_port)
    sys.stdout.write(next_steps(set_up(wish, time.time())))
    return DONE


def _check(path: Path) -> int:
    from jobmon_server.inspection import inspect

    for line in inspect(path, time.time()):
        sys.stdout.write(line + "\n")
    return DONE


def _status(path: Path, is_json: bool) -> int:
    from jobmon_server import status

    found = status.ask(path)
    try:
        for line in [json.dumps(found)] if is_json else status.lines(found):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; nor may the interpreter complain of it at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE if status.is_well(found) else FAILED


def _serve(path: Path) -> int:
    from jobmon_server.daemon import run  # half a second of imports that --init does without

    configuration = read_configuration(path)
    open_journal(configuration.log)
    run(path, _announce)
    return DONE


def _announce(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(sentence: str) -> None:
    sys.stderr.write(f"jobmon: {sentence}\n")
