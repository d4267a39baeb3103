"""The command line ``jobmon pki``: issue, list, show, revoke and renew a site's certificates.

It works on the site's directory, with or without a running server: the server
looks at the same ledger.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from cryptography import x509

from jobmon_pki import authority, listing, profiles
from jobmon_pki.credential_files import CredentialFileError, credential_name, write_credential
from jobmon_pki.errors import PkiError
from jobmon_pki.ledger import Issued, Ledger, LedgerError
from jobmon_pki.names import DistinguishedNameError, visible
from jobmon_pki.site import Site
from jobmon_wire import answers
from jobmon_wire.credential import SUFFIX, Credential, CredentialError, open_credential
from jobmon_wire.moments import write_moment

PROGRAM = "jobmon pki"
SERIAL_LEAST = 6  # hex digits of a serial number that are taken for one
WHY_LENGTH = 200  # characters of a reason

_DURATION = re.compile("(?:[0-9]{1,9}[smhd])+")
_UNITS = {"s": 1.0, "m": 60.0, "h": profiles.HOUR, "d": profiles.DAY}
# What the caller can mend by typing something else.
_USAGE_ERRORS = (DistinguishedNameError, profiles.ProfileError, authority.AuthorityError)


class UsageError(PkiError):
    """The command line is not one; the sentence says what is wrong with it."""


def main(argv: Sequence[str], clock: Callable[[], float] = time.time) -> int:
    """Run ``jobmon pki`` with these arguments; gives the exit status."""
    try:
        arguments = _parser().parse_args(list(argv))
        _say(arguments.run(arguments, Site.open(arguments.site), clock()))
        return answers.DONE
    except SystemExit:  # only --help: errors of usage do not exit here
        return answers.DONE
    except BrokenPipeError:
        # The reader of the output had enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return answers.DONE
    except (UsageError, *_USAGE_ERRORS) as error:
        return _complain(error, answers.USAGE)
    except CredentialError as error:
        return _complain(error, answers.NO_CREDENTIAL)
    except PkiError as error:
        return _complain(error, answers.FAILED)


def parse_duration(text: str) -> float:
    """Seconds of ``90s``, ``24h``, ``7d`` or ``1d12h``.

    Raises:
        ValueError: no such duration.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError("a time such as 90s, 24h or 7d was expected")
    return sum(float(part[:-1]) * _UNITS[part[-1]] for part in re.findall("[0-9]+[smhd]", text))


def _issue(arguments: argparse.Namespace, site: Site, now: float) -> Iterable[str]:
    out = Path(arguments.out)
    _refuse_existing([out])
    credential = site.issue_person(arguments.person, tuple(arguments.admin), arguments.lifetime, now)
    write_credential(out, credential)
    return [_handed_out(out, credential)]


def _issue_job(arguments: argparse.Namespace, site: Site, now: float) -> Iterable[str]:
    ids, directory = list(arguments.id), Path(arguments.out)
    if len(set(ids)) != len(ids):
        raise UsageError("one id is named twice; name each job once")
    _refuse_existing([directory / credential_name(job_id) for job_id in ids if profiles.JOB_ID.fullmatch(job_id)])
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CredentialFileError(f"cannot make {directory}: {error.strerror}; choose another directory") from error
    lines = []
    for credential in site.issue_job_credentials(arguments.owner, ids, arguments.lifetime, now):
        path = directory / credential_name(credential.job)
        write_credential(path, credential)
        lines.append(_handed_out(path, credential))
    return lines


def _list(arguments: argparse.Namespace, site: Site, now: float) -> Iterable[str]:
    owner = None if arguments.owner is None else site.person_name(arguments.owner)
    with Ledger(site.ledger_path) as ledger:
        rows = ledger.rows(arguments.role, owner)
    rows = [row for row in rows if arguments.all or listing.state(row, now) == listing.VALID]
    return [listing.json_line(row, now) for row in rows] if arguments.json else listing.table(rows, now)


def _show(arguments: argparse.Namespace, site: Site, now: float) -> Iterable[str]:
    with Ledger(site.ledger_path) as ledger:
        issued = _find(ledger, arguments.certificate)
    return [listing.json_line(issued, now)] if arguments.json else listing.details(issued, now)


def _revoke(arguments: argparse.Namespace, site: Site, now: float) -> Iterable[str]:
    if (arguments.certificate is None) == (arguments.owner is None):
        raise UsageError("revoke what? Name either a certificate or --owner; see jobmon pki revoke --help")
    why = arguments.why[:WHY_LENGTH]
    with Ledger(site.ledger_path) as ledger:
        if arguments.owner is not None:
            serials = ledger.revoke_owner(site.person_name(arguments.owner), why, now)
        else:
            issued = _find(ledger, arguments.certificate)
            if issued.identity.role == profiles.SERVER:
                raise LedgerError("agents and consoles ask no list, so a server is not revoked; make a new site")
            serials = ledger.revoke(issued.serial, why, now)
        rows = [row for row in map(ledger.find, serials) if row is not None]
    return listing.table(rows, now) if rows else ["nothing left to revoke: all of it was revoked before"]


def _renew(arguments: argparse.Namespace, site: Site, now: float) -> Iterable[str]:
    if (arguments.file is None) != arguments.server:
        raise UsageError("renew what? Name either a credential file or --server; see jobmon pki renew --help")
    if arguments.server:
        identity = site.renew_server(now, arguments.host)
        until = write_moment(identity.not_after)
        return [f"{site.server_certificate}: until {until}; now have the server reload: kill -HUP its process"]
    if arguments.host:
        raise UsageError("--host goes with --server; leave it out")
    old = _open(arguments.file)
    with Ledger(site.ledger_path) as ledger:
        recorded = _recorded(ledger, old, arguments.file)
        renewed = site.renew(recorded, old.key, arguments.lifetime, now, ledger=ledger)
    # What the file says beside its certificate stays, also an address that was changed by hand.
    credential = old._replace(certificate=renewed.certificate, server_ca=renewed.server_ca)
    write_credential(arguments.file, credential, overwrite=True)
    return [_handed_out(Path(arguments.file), credential)]


def _find(ledger: Ledger, what: str) -> Issued:
    """The certificate that the user means by a file or the beginning of a serial number."""
    if "/" in what or what.endswith(SUFFIX) or os.path.exists(what):
        return _recorded(ledger, _open(what), what)
    if not (re.fullmatch("[0-9A-Fa-f]{1,64}", what) and len(what) >= SERIAL_LEAST):
        raise UsageError(
            f"{visible(what[:80])!r} is neither a file nor {SERIAL_LEAST} or more digits of a serial number; "
            "see jobmon pki list"
        )
    found = ledger.find_prefix(what)
    if len(found) != 1:
        count = f"{len(found)} serial numbers begin" if found else "no serial number begins"
        raise LedgerError(f"{count} with {what}; see jobmon pki list --all")
    return found[0]


def _open(path: str) -> Credential:
    descriptor, credential = open_credential(path)
    os.close(descriptor)
    return credential


def _recorded(ledger: Ledger, credential: Credential, path: str) -> Issued:
    try:
        certificate = x509.load_pem_x509_certificate(credential.certificate.encode("ascii", "replace"))
    except ValueError as error:
        raise CredentialError(f"the certificate in {path} cannot be read; ask for a new one") from error
    issued = ledger.find(profiles.serial_text(certificate.serial_number))
    if issued is None or issued.identity.fingerprint != profiles.fingerprint(authority.der(certificate)):
        raise LedgerError(f"the certificate in {path} was not issued by this site; name the site that did by --site")
    return issued


def _refuse_existing(paths: Iterable[Path]) -> None:
    """Before anything is issued: a certificate without a file would be in the ledger for nothing."""
    for path in paths:
        if os.path.lexists(path):
            raise CredentialFileError(f"{path} exists already; remove it or choose another name")


def _handed_out(path: Path, credential: Credential) -> str:
    certificate = x509.load_pem_x509_certificate(credential.certificate.encode("ascii"))
    until = write_moment(certificate.not_valid_after_utc.timestamp())
    return f"{path}: {credential.role} {credential.holder} until {until}"


def _say(lines: Iterable[str]) -> None:
    encoding = sys.stdout.encoding or "ascii"
    for line in lines:
        # A name that the terminal's encoding cannot say is shown by its numbers.
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


def _complain(error: Exception, status: int) -> int:
    text = visible(" ".join(str(error).splitlines()))
    sys.stderr.write(f"jobmon: {text}\n")
    return status


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like everybody's."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="Issue, list, revoke and renew the certificates of a site.",
        epilog="example: jobmon pki issue --site /etc/jobmon --person alice --out alice.jobmon",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command", parser_class=_Parser)

    def command(name: str, run: object, summary: str, example: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=summary, description=f"{summary}.", epilog=f"example: {PROGRAM} {name} {example}"
        )
        made.allow_abbrev = False
        made.add_argument("--site", metavar="DIR", required=True, help="the site's directory")
        made.set_defaults(run=run)
        return made

    issue = command(
        "issue", _issue, "Issue a person's credential", "--site /etc/jobmon --person alice --out alice.jobmon"
    )
    issue.add_argument("--person", metavar="NAME", required=True, help="the person, as alice or a whole /DC=... name")
    issue.add_argument(
        "--admin",
        metavar="CLUSTER",
        action="append",
        default=[],
        help="make the person administrator of this cluster; may be repeated",
    )
    _add_lifetime(issue, "24h, administrators 12h; at most 7d")
    issue.add_argument("--out", metavar="FILE", required=True, help="the credential file to write")

    job = command(
        "issue-job",
        _issue_job,
        "Issue job credentials without the server",
        "--site /etc/jobmon --owner alice --id 4711 4712 --out jobs",
    )
    job.add_argument("--owner", metavar="NAME", required=True, help="whose jobs they are")
    job.add_argument("--id", metavar="ID", nargs="+", action="extend", required=True, help="a job's id; one or more")
    _add_lifetime(job, "7d; at most 30d")
    job.add_argument("--out", metavar="DIR", required=True, help="the directory to write ID.jobmon to")

    show_all = command("list", _list, "List what was issued and is valid", "--site /etc/jobmon --owner alice --all")
    show_all.add_argument("--owner", metavar="NAME", help="only this person's, with her jobs'")
    show_all.add_argument("--role", choices=sorted(profiles.ROLES), help="only those of one role")
    show_all.add_argument("--all", action="store_true", help="expired and revoked ones too")
    show_all.add_argument("--json", action="store_true", help="one object a line")

    show = command("show", _show, "Show one certificate", "--site /etc/jobmon 9b610f6dd3c6")
    show.add_argument("certificate", metavar="SERIAL|FILE", help="the beginning of a serial number, or a credential")
    show.add_argument("--json", action="store_true", help="one object on one line")

    revoke = command(
        "revoke",
        _revoke,
        "Revoke a certificate and all others of its key, or all a person has",
        "--site /etc/jobmon --owner alice --why 'laptop stolen'",
    )
    revoke.add_argument("certificate", metavar="SERIAL|FILE", nargs="?", help="as for show")
    revoke.add_argument("--owner", metavar="NAME", help="everything this person has, her jobs' too")
    revoke.add_argument("--why", metavar="TEXT", default="", help="for the record")

    renew = command(
        "renew", _renew, "Renew a certificate for the key it has", "--site /etc/jobmon alice.jobmon --lifetime 24h"
    )
    renew.add_argument("file", metavar="FILE", nargs="?", help="a credential; it is replaced in one step")
    _add_lifetime(renew, "as at issue")
    renew.add_argument("--server", action="store_true", help="the server's own certificate")
    renew.add_argument(
        "--host", metavar="NAME", action="append", default=[], help="with --server: other names than before"
    )
    return parser


def _add_lifetime(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--lifetime",
        metavar="TIME",
        type=_duration,
        help=f"how long it is valid, as 90s, 24h or 7d (default: {default})",
    )
