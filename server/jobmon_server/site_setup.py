"""A new site: its directory, its authorities and a commented configuration.

What ``jobmon server --init`` does.  The certificates are made by
``jobmon_pki.site``; here are the defaults that an operator may leave out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jobmon_pki.names import Name, parse
from jobmon_pki.site import Site
from jobmon_server.configuration import Address, template
from jobmon_server.errors import ServerError

ANY = "0.0.0.0"  # noqa: S104 - a server for other machines listens on all of its own
LOOPBACK = "127.0.0.1"  # for a site that is only ever called from its own machine
_LABEL = re.compile("[A-Za-z0-9][A-Za-z0-9-]{0,62}")


class SetupError(ServerError):
    """The site was not made; the text says why."""


class Wish(NamedTuple):
    """What the operator asked for; empty texts take the default."""

    directory: Path
    hosts: Sequence[str]
    cluster: str
    base: str
    users_port: int
    agents_port: int


def set_up(wish: Wish, now: float) -> Site:
    """Make the site.

    Raises:
        SetupError: the ports are one, or the configuration cannot be written.
        PkiError: the directory is not empty, or a name cannot be used.
    """
    if wish.users_port == wish.agents_port:
        raise SetupError(f"port {wish.users_port} cannot be both the users' and the agents'; give two ports")
    host = wish.hosts[0]
    cluster = wish.cluster or _cluster(host)
    site = Site.create(
        wish.directory,
        list(wish.hosts),
        cluster,
        parse(wish.base) if wish.base else _base(host, cluster),
        f"https://{Address(host, wish.users_port)}",
        f"https://{Address(host, wish.agents_port)}",
        now,
    )
    listen = LOOPBACK if all(_is_loopback(name) for name in wish.hosts) else ANY
    text = template(Address(listen, wish.users_port), Address(listen, wish.agents_port))
    try:
        site.config_path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write {site.config_path}: {error.strerror}; make room and try again") from error
    return site


def next_steps(site: Site) -> str:
    """What the operator does next, as commands."""
    directory = site.directory
    return f"""\
jobmon: {directory} is a new site for the cluster {site.cluster}; three steps to the first job:
  1. start the server             jobmon server --config {site.config_path}
  2. give a person a credential   jobmon pki issue --site {directory} --person alice --out alice.jobmon
  3. run a job as that person     jobmon run --credential alice.jobmon -- sleep 600
"""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback if _is_address(host) else host == "localhost"


def _cluster(host: str) -> str:
    """The first label of the machine's name."""
    label = host.partition(".")[0]
    return "local" if _is_address(host) or not _LABEL.fullmatch(label) else label


def _base(host: str, cluster: str) -> Name:
    """The domain of the machine as DC, and the cluster as O: ``head.example.org`` gives /DC=org/DC=example/O=head."""
    labels = [] if _is_address(host) else host.lower().split(".")[1:]
    return parse("".join(f"/DC={label}" for label in reversed(labels) if _LABEL.fullmatch(label)) + f"/O={cluster}")
