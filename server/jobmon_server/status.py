"""``jobmon server status``: ask the running server how it is, and tell it.

Asks over the socket in the site's directory, and where that is not to be had
over the port of the metrics.
"""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from jobmon_pki.site import Site
from jobmon_server.configuration import read_configuration
from jobmon_server.desk import SOCKET
from jobmon_server.errors import ServerError
from jobmon_server.health import FINE
from jobmon_wire.answers import UNREACHABLE

PATIENCE = 10.0  # s; an examination of a server that hangs takes six


class SilentServerError(ServerError):
    """No server answers for this site."""

    exit_status = UNREACHABLE


class _Local(http.client.HTTPConnection):
    """HTTP over a socket in a directory."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect, as the base does over TCP."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(path: Path) -> dict[str, Any]:
    """What the server of this configuration says.

    Raises:
        ServerError, PkiError: the configuration or the site cannot be read.
        SilentServerError: nobody answers, or the server hangs.
    """
    configuration = read_configuration(path)
    local = Site.open(configuration.site).directory / SOCKET
    ways: list[http.client.HTTPConnection] = [_Local(local)]
    if configuration.metrics is not None:
        ways.append(http.client.HTTPConnection(*configuration.metrics, timeout=PATIENCE))
    for way in ways:
        try:
            return _fetch(way)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or "no answer"
        finally:
            way.close()
    raise SilentServerError(f"no server answers at {local}: {reason}; start it, or run this as its user")


def lines(status: dict[str, Any]) -> list[str]:
    """The status for a person."""
    health = {name: finding for name, finding in status["health"].items() if finding != FINE}
    rows = [
        ("server", f"cluster {status['cluster']}, version {status['version']}, since {status['started'][:19]}Z"),
        ("health", "; ".join(f"{name}: {finding}" for name, finding in health.items()) or FINE),
        ("jobs", _counts(status["jobs"])),
        ("agents", _counts(status["agents"]) + f"; {status['channels']} channels open"),
        ("people", f"{status['streams']} answers being read, {status['shells']} shells"),
        ("beats", f"{status['beats_per_second']:.1f} a second, {status['refused_datagrams']} datagrams refused"),
        ("handshakes", _counts(status["handshakes"])),
        ("waiting", f"{status['waiting']} requests for their agents, {status['unwritten']} rows for the store"),
        ("store", f"{status['store_bytes'] / 2**20:.1f} MiB"),
        ("certificate", f"until {str(status['certificate_end'])[:10]}"),
    ]
    return [f"{name:<12} {text}" for name, text in rows]


def is_well(status: dict[str, Any]) -> bool:
    """Every check has found what it should."""
    return all(finding == FINE for finding in status["health"].values())


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _fetch(way: http.client.HTTPConnection) -> dict[str, Any]:
    way.request("GET", "/status")
    response = way.getresponse()
    body = response.read()
    if response.status != 200:
        raise ValueError(body.decode("utf-8", "replace").strip())
    found: dict[str, Any] = json.loads(body)
    return found
