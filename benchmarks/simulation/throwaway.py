"""A throw-away site: authorities and people in a directory, and its real server as a process.

Everything is on this machine and ends with it.  What the server costs is read
from the kernel: CPU of all its threads from schedstat, memory from its status.
"""

import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from jobmon_console.contexts import Context
from jobmon_pki.credential_files import write_credential
from jobmon_server.site_setup import Wish, set_up

START = 300.0  # s; a server reads 100,000 jobs first
STOP = 30.0  # s
ADMIN = "admin"
CLUSTER = "bench"


class ServerError(Exception):
    """The server did not start; the text holds what it said."""


class Throwaway:
    """A site and its server.

    Args:
        owners: people who get a credential; an administrator does as well.
        host: the name by which agents call the server.
        settings: keys of ``server.toml`` besides the ports.
    """

    def __init__(self, owners: tuple[str, ...], host: str = "localhost", **settings: float | str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="jobmon-fleet-"))
        self.config = self.directory / "config.toml"
        self.server: subprocess.Popen[str] | None = None
        self.log = self.directory / "server.log"
        users, agents = free_ports(2)
        hosts = list(dict.fromkeys([host, "localhost", "127.0.0.1"]))
        self.site = set_up(
            Wish(self.directory / "site", hosts, CLUSTER, "/DC=org/DC=example", users, agents), time.time()
        )
        with self.site.config_path.open("a") as file:
            for key, value in settings.items():
                file.write(f"{key} = {value!r}\n".replace("'", '"'))
        self._issue(owners)

    def __enter__(self) -> "Throwaway":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it accepts connections.

        Raises:
            ServerError: it did not.
        """
        command = [sys.executable, "-P", "-m", "jobmon_server", "--config", str(self.site.config_path)]
        with self.log.open("a") as log:
            self.server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.server.stdout is not None
        readable, _, _ = select.select([self.server.stdout], [], [], START)
        if not readable or not self.server.stdout.readline().startswith("jobmon server:"):
            self.stop()
            raise ServerError(f"the server did not start: {self.log.read_text()[-600:]}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the server."""
        if self.server is None:
            return
        self.server.send_signal(number)
        try:
            self.server.wait(STOP)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        if self.server.stdout is not None:
            self.server.stdout.close()
        self.server = None

    def context(self, person: str) -> Context:
        """Somebody's credential, as commands use it."""
        return Context(person, credential=str(self.directory / f"{person}.jobmon"))

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self.server is not None
        return self.server.pid

    def cpu(self) -> float:
        """Seconds of CPU that the server has used."""
        return cpu_of(self.pid)

    def resident(self) -> float:
        """Bytes of memory that the server has for itself."""
        return resident_of(self.pid)

    def _issue(self, owners: tuple[str, ...]) -> None:
        lines: list[str] = [f'current = ["{ADMIN}"]']
        for person in (*owners, ADMIN):
            credential = self.site.issue_person(person, (CLUSTER,) if person == ADMIN else (), None, time.time())
            write_credential(self.directory / f"{person}.jobmon", credential)
            lines += [f"[context.{person}]", f'credential = "{person}.jobmon"']
        self.config.touch(mode=0o600)
        self.config.write_text("\n".join(lines) + "\n")


def cpu_of(pid: int) -> float:
    """Seconds of CPU of all threads of a process; of those that have ended nothing is known."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


def resident_of(pid: int) -> float:
    """Bytes of memory that a process shares with nobody: its anonymous pages."""
    status: dict[str, Any] = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    return float(status["RssAnon"].split()[0]) * 1024


def free_ports(number: int) -> list[int]:
    """So many ports of this machine that nobody listens on, each another."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
