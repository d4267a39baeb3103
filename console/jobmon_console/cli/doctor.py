"""``jobmon doctor``: context by context, what works and what does not.

Each line is ``ok`` or ``bad`` with what to do; the exit status is the worst.
"""

import argparse
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jobmon_console import calls
from jobmon_console.cli import columns, reach, screen, words
from jobmon_console.contexts import Context, config_path
from jobmon_console.errors import JobMonError
from jobmon_console.safe import safe
from jobmon_console.session import Session
from jobmon_console.tls import Link, open_link
from jobmon_wire import answers, limits
from jobmon_wire.credential import CredentialError, open_credential

SKEW = 60.0  # s; certificates are issued this much back-dated, no more
LATEST = 200  # running jobs whose agents' ways are counted
SOON = 3600.0  # s; a certificate with less is worth a line


class Finding(NamedTuple):
    """One line of the examination."""

    what: str
    text: str
    exit_status: int = answers.DONE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None but those of every client."""


def run(arguments: argparse.Namespace) -> int:
    """Examine every context."""
    path = config_path(os.environ)
    _say(
        "",
        Finding(
            "configuration",
            path if Path(path).exists() else f"{path} (not there: contexts come from flags or the environment)",
        ),
    )
    worst = answers.DONE
    for context in reach.contexts_of(arguments):
        for finding in _examine(context):
            _say(context.name, finding)
            worst = max(worst, finding.exit_status)
    return worst


def _examine(context: Context) -> Iterator[Finding]:
    try:
        link = open_link(context)
    except JobMonError as error:
        yield Finding("credential", str(error), error.exit_status)
        return
    yield Finding("credential", context.credential or f"{context.cert} and {context.key}")
    yield from _dates(context)
    try:
        addresses = _addresses(link)
        yield Finding("name", f"{link.host} is {', '.join(addresses)}")
        took = _connect(link)
        yield Finding("tcp", f"{link.host} port {link.port} answers in {took * 1000:.0f} ms")
    except OSError as error:
        why = f"{link.url}: {error.strerror or 'no answer in time'}; check the name, the port and the firewall"
        yield Finding("tcp", why, answers.UNREACHABLE)
        return
    yield from _ask(context)


def _ask(context: Context) -> Iterator[Finding]:
    """TLS, identity, clock and list, by the calls that everything else makes."""
    try:
        with Session(context) as session:
            begun = time.time()
            peer = session.fetch(calls.whoami())
            ended = time.time()
            yield Finding(
                "tls", f"TLS 1.3, and both ends accept each other; whoami took {(ended - begun) * 1000:.0f} ms"
            )
            clusters = f" of {columns.text(peer.get('clusters'))}" if peer.get("role") == "admin" else ""
            yield Finding("you", f"{columns.text(peer.get('name'))}, {columns.text(peer.get('role'))}{clusters}")
            yield Finding(
                "server", f"cluster {columns.text(peer.get('cluster'))}, version {columns.text(peer.get('version'))}"
            )
            yield _clock(peer, (begun + ended) / 2)
            rows = list(session.rows(calls.jobs(limit=1)))
            yield Finding("jobs", "the list answers" if rows else "the list answers; there are no jobs yet")
            yield from _datagrams(list(session.rows(calls.jobs("state:running", "-started", LATEST))))
    except JobMonError as error:
        yield Finding("server", str(error), error.exit_status)


def _clock(peer: Any, here: float) -> Finding:
    there = words.seconds(peer.get("now"))
    if there is None:
        return Finding("clock", "the server does not say what time it has")
    skew = here - there
    if abs(skew) < SKEW:
        return Finding("clock", f"within {abs(skew):.1f} s of the server's")
    ahead = "ahead of" if skew > 0 else "behind"
    return Finding("clock", f"{words.span(abs(skew))} {ahead} the server's; set it, with NTP", answers.FAILED)


def _datagrams(rows: list[Any]) -> Iterator[Finding]:
    """Which way agents are reached: they send datagrams to the server, and none to this machine."""
    ways = Counter(row.get("callback") for row in rows)
    if not ways["udp"] + ways["tcp"]:
        return
    text = f"of {len(rows)} running jobs, {ways['udp']} can be rung by datagram"
    if ways["tcp"]:
        text += (
            f", {ways['tcp']} hold a connection open (jobmon jobs callback:tcp); "
            "where they stay so, jobmond.pyz --self-test on the node tells why"
        )
    yield Finding("datagrams", text)


def _dates(context: Context) -> Iterator[Finding]:
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(_certificate(context))
    except (OSError, CredentialError, ValueError):
        yield Finding(
            "certificate", "the certificate cannot be read; get a new one from your site", answers.NO_CREDENTIAL
        )
        return
    now = time.time()
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    if now < begins:
        text = f"valid only from {words.clock(begins, now)}; check this machine's clock"
        yield Finding("certificate", text, answers.NO_CREDENTIAL)
    elif now > ends:
        text = f"expired {words.span(now - ends)} ago; get a new one from your site"
        yield Finding("certificate", text, answers.NO_CREDENTIAL)
    else:
        hint = "; renew it soon" if ends - now < SOON else ""
        yield Finding("certificate", f"valid for {words.span(ends - now)}{hint}")


def _certificate(context: Context) -> bytes:
    if not context.credential:
        return Path(context.cert).read_bytes()
    descriptor, credential = open_credential(context.credential)
    os.close(descriptor)
    return credential.certificate.encode("ascii", "replace")


def _addresses(link: Link) -> list[str]:
    found = socket.getaddrinfo(link.host, link.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _connect(link: Link) -> float:
    begun = time.monotonic()
    socket.create_connection((link.host, link.port), limits.CONNECT_TIMEOUT).close()
    return time.monotonic() - begun


def _say(context: str, finding: Finding) -> None:
    mark, colour = ("ok ", "green") if finding.exit_status == answers.DONE else ("bad", "red")
    where = f"{safe(context)}: " if context else ""
    screen.put(f"{screen.paint(mark, colour)}  {where}{safe(finding.what)}: {safe(finding.text)}")
    screen.flush()
