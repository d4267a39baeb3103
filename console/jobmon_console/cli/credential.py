"""``jobmon credential``: job credentials to send with jobs."""

import argparse
import time
from pathlib import Path

from jobmon_console.cli import parser, reach, screen, words
from jobmon_console.errors import JobMonError, UsageError
from jobmon_console.safe import safe
from jobmon_console.session import Session
from jobmon_wire import answers
from jobmon_wire.credential import Credential

_USE = """\

Send FILE and jobmond.pyz (jobmon agent) with the job, FILE readable by you alone,
and put the agent in front of the command in your submit script:

  python3 -I -S jobmond.pyz --credential {file} -- COMMAND

Where each job finds just one *.jobmon file in its directory, --credential is not needed.
"""


def add_arguments(parser_: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser_.add_argument(
        "--id",
        metavar="ID",
        nargs="+",
        action="extend",
        required=True,
        help="ids of the jobs, as the batch system has them",
    )
    parser_.add_argument(
        "--out", metavar="DIR", type=Path, default=Path(), help="where to write ID.jobmon; default here"
    )
    parser_.add_argument("--lifetime", metavar="TIME", type=parser.duration, help="12h or 7d; the server has a limit")


def run(arguments: argparse.Namespace) -> int:
    """Get the credentials and write them."""
    from jobmon_console import credentials

    credentials.check_ids(arguments.id)
    taken = [path for job_id in arguments.id if (path := arguments.out / f"{job_id}.jobmon").exists()]
    if taken:
        raise UsageError(f"{taken[0]} exists already; remove it or choose another --out")
    contexts = reach.contexts_of(arguments)
    if len(contexts) > 1:
        raise UsageError("several contexts are current; choose the jobs' cluster with --context")
    _make(arguments.out)
    with Session(contexts[0]) as session:
        issued = credentials.issue(session, arguments.id, arguments.lifetime)
    paths = [credentials.write(credential, arguments.out) for credential in issued]
    for path in paths:
        screen.put(safe(str(path)))
    if screen.is_terminal():
        until = _until(issued[0])
        screen.put(f"\n{words.plural(len(issued), 'credential')}{until}.")
        screen.put(safe(_USE.format(file=paths[0].name), keep="\n").rstrip())
    else:
        screen.note(f"put into the submit script: python3 -I -S jobmond.pyz --credential {paths[0].name} -- COMMAND")
    return answers.DONE


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise JobMonError(f"cannot make {directory}: {error.strerror}; choose another --out") from None


def _until(credential: Credential) -> str:
    from cryptography import x509

    ends = x509.load_pem_x509_certificate(credential.certificate.encode("ascii")).not_valid_after_utc.timestamp()
    return f", good until {words.clock(ends, time.time())} ({words.span(ends - time.time())})"
