"""The server's configuration: ``server.toml``, read whole and checked key by key.

Every key has a default, so an empty file is a valid one; an unknown key is an
error, since it is most likely a misspelt one.  Paths are relative to the file.
Who the site is (its names, its authorities) stands in the site's directory,
not here.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jobmon_server.errors import ServerError
from jobmon_server.sources import Network
from jobmon_wire import limits
from jobmon_wire.records import AUTO, CALLBACKS

LARGEST_FILE = 64 * 1024  # bytes
DAY = 86400.0  # s

# Who may open a shell beside a job.
SHELLS_OFF, SHELLS_OWNER, SHELLS_ALL = "off", "owner", "all"

Check = Callable[[Any], Any]


class ConfigurationError(ServerError):
    """The configuration cannot be used; the text names the key and what was expected."""


class Address(NamedTuple):
    """Where a port listens."""

    host: str
    port: int  # 0: any free one

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Configuration(NamedTuple):
    """What an operator may decide."""

    site: Path  # directory of certificates, ledger and store
    users: Address
    agents: Address
    callback: str  # one of CALLBACKS
    ping: float  # s between the beats of an agent on an open channel
    beat: float  # s between the datagrams of an agent
    quiet: float  # s without a request until an agent closes its channel, if it can be rung
    lost_after: float  # s of silence until a job is given up
    retention: float  # s that an ended job is kept
    log: str  # least level that is logged
    shell: str = SHELLS_OFF  # who may open a shell beside a job
    metrics: Address | None = None  # where Prometheus asks; None: nowhere
    nat: tuple[Network, ...] = ()  # gateways, behind which many agents or people sit


TEMPLATE = """\
# JobMon server.  Read at start, and again on HUP (systemctl reload); times are in seconds.

# The directory of certificates, ledger and store, relative to this file.
site = "."

# Where consoles and where agents connect to.  Worker nodes need to reach the second only.
# A change of these takes a restart.  Credentials name the addresses given to --init.
users = "{users}"
agents = "{agents}"

# How agents are reached.  "auto": by a datagram (UDP, the agents' port's number) that has them open their
# channel, and by a channel that stays open where no datagrams pass; "udp": by datagrams alone, so that no
# connection stays open, and a job to which none pass cannot be asked; "tcp": by open channels alone.
#callback = "{callback}"

# An agent says that it lives every so often, on an open channel and by datagram; after three missed beats
# its job counts as silent.  Gateways forget a way for datagrams after 30 s.
#ping = {ping:g}
#beat = {beat:g}

# An agent that can be rung by datagram closes its channel after so long without a request.
#quiet = {quiet:g}

# A job that stays silent this long is given up as lost.
#lost_after = {lost_after:g}

# Ended jobs and the last of their output are kept this long.
#retention = {retention:.0f}

# One of "debug", "info", "warning", "error".
#log = "{log}"

# Who may open a shell beside a job (jobmon shell), as the job's user and on its node: "off", nobody;
# "owner", the job's owner; "all", also the administrators of its cluster.  Read docs/security.md first.
#shell = "{shell}"

# Where this machine's monitoring asks for /metrics and /healthz, such as "127.0.0.1:9464"; without TLS and without
# a name, so keep it on the loopback.  Empty: nowhere.  A change takes a restart.
#metrics = ""

# Addresses or networks of gateways (NAT), such as ["192.0.2.7", "198.51.100.0/24"], behind which many agents or
# people sit: the limits for what one address may do before it has shown a certificate do not hold for them.
#nat = []
"""


def read_configuration(path: Path) -> Configuration:
    """Read and check a configuration file.

    Raises:
        ConfigurationError: it cannot be read, or holds what it must not.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror}; make a site with: jobmon server --init DIR --host NAME"
        ) from error
    if len(data) > LARGEST_FILE:
        raise ConfigurationError(f"{path} is longer than {LARGEST_FILE} bytes; it is no JobMon configuration")
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except ValueError as error:  # tomllib's and the decoder's
        raise ConfigurationError(f"{path} is not TOML: {error}; correct that line") from error
    return _configuration(document, path)


def template(users: Address, agents: Address) -> str:
    """A commented configuration with the defaults."""
    keys = ("callback", "ping", "beat", "quiet", "lost_after", "retention", "log", "shell")
    defaults = {key: _KEYS[key][0] for key in keys}
    return TEMPLATE.format(users=users, agents=agents, **defaults)


def _configuration(document: dict[str, Any], path: Path) -> Configuration:
    unknown = sorted(set(document) - set(_KEYS))
    if unknown:
        raise ConfigurationError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    values: dict[str, Any] = {}
    for key, (default, check) in _KEYS.items():
        try:
            values[key] = check(document.get(key, default))
        except ValueError as error:
            raise ConfigurationError(f"{path}: {key} is {document.get(key)!r}; {error}") from error
    values["site"] = (path.parent / values["site"]).resolve()
    for key in ("ping", "beat"):
        if values["lost_after"] < limits.SILENT_AFTER * values[key]:
            raise ConfigurationError(f"{path}: lost_after is less than three beats; make it longer than 3 x {key}")
    if values["users"] == values["agents"] and values["users"].port:
        raise ConfigurationError(f"{path}: users and agents are the same address; give each its own port")
    return Configuration(**values)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a text was expected")
    return value


def _address(value: Any) -> Address:
    expected = ValueError('an address and a port were expected, such as "0.0.0.0:8443" or "[::]:8443"')
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise expected
    if not (host and colon and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise expected
    return Address(host, int(port))


def _address_or_none(value: Any) -> Address | None:
    return None if value == "" else _address(value)


def _seconds(low: float, high: float) -> Check:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"seconds from {low:g} to {high:g} were expected")
        return float(value)

    return check


def _one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)} was expected")
        return str(value)

    return check


def _networks(value: Any) -> tuple[Network, ...]:
    expected = 'a list of addresses and networks was expected, such as ["192.0.2.7", "198.51.100.0/24"]'
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(expected)
    try:
        return tuple(ipaddress.ip_network(each) for each in value)
    except ValueError as error:
        raise ValueError(f"{expected}; {error}") from error


# Every key with its default and its check, in the order of the template.
_KEYS: dict[str, tuple[Any, Check]] = {
    "site": (".", _text),
    "users": ("0.0.0.0:8443", _address),
    "agents": ("0.0.0.0:8444", _address),
    "callback": (AUTO, _one_of(*CALLBACKS)),
    "ping": (limits.PING_INTERVAL, _seconds(0.2, 600)),  # below, beats would be most of the traffic
    "beat": (limits.BEAT_INTERVAL, _seconds(0.2, 120)),  # above, no gateway keeps the way open
    "quiet": (limits.QUIET, _seconds(0.2, limits.LONGEST_QUIET)),
    "lost_after": (3600.0, _seconds(1, 30 * DAY)),
    "retention": (30 * DAY, _seconds(60, 3650 * DAY)),
    "log": ("info", _one_of("debug", "info", "warning", "error")),
    "shell": (SHELLS_OFF, _one_of(SHELLS_OFF, SHELLS_OWNER, SHELLS_ALL)),
    "metrics": ("", _address_or_none),
    "nat": ([], _networks),
}
