"""The demo's site: authorities, a server on free ports, people, a configuration.

Everything is made by the commands that an operator would type; nothing here
imports the server or the certificates.  The directory's layout::

    site/           what `jobmon server --init` wrote
    people/         alice.jobmon, bob.jobmon, admin.jobmon
    logs/           stdout and stderr of each command
    config.toml     a context for each person
"""

import errno
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from jobmon_console.demo.processes import DemoError, Processes, tail

__all__ = ["ADMIN", "CLUSTER", "OWNERS", "Site"]

OWNERS = ("alice", "bob")
ADMIN = "admin"
CLUSTER = "demo"
HOST = "localhost"
TRIES = 5  # ports found free may be taken before the server binds them
_TAKEN = os.strerror(errno.EADDRINUSE)  # what a server says then
# -P: a file in the user's directory must not stand in for a module of ours.
PYTHON = (sys.executable, "-P")
JOBMON = (*PYTHON, "-m", "jobmon_console.cli.main")
SERVER = (*PYTHON, "-m", "jobmon_server")


class Site:
    """A running site in a directory of its own."""

    def __init__(self, directory: Path, processes: Processes) -> None:
        self.directory = directory
        self.processes = processes
        self.config = directory / "config.toml"
        self.url = ""
        self._home = directory / "site"
        self._logs = directory / "logs"
        self._logs.mkdir()

    def start(self) -> None:
        """Make the site and start its server; other ports when these are taken meanwhile.

        Raises:
            DemoError: a command failed.
        """
        for _ in range(TRIES):
            ports = _free_ports()
            self._home = self.directory / f"site-{ports[0]}"
            self._init(ports)
            if self._serve(ports):
                break
        else:
            raise DemoError(f"found no free ports in {TRIES} tries; end what takes them, then try again")
        self._issue_people()

    def command(self, *words: str) -> str:
        """Run `jobmon WORDS…` and give its stdout."""
        return self.processes.run((*JOBMON, *words), self.directory, self._logs / "-".join(words[:2]))

    def issue_jobs(self, owner: str, ids: list[str], out: Path) -> None:
        """Issue the credentials of an owner's jobs as ``out/ID.jobmon``."""
        chosen = [word for job in ids for word in ("--id", job)]
        self.command("pki", "issue-job", "--site", str(self._home), "--owner", owner, *chosen, "--out", str(out))

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, as the administrator sees them."""
        listed = self.command("jobs", "--json", "--context", ADMIN, "--limit", "100000")
        return [json.loads(line) for line in listed.splitlines()]

    def _init(self, ports: tuple[int, int]) -> None:
        words = ("--init", str(self._home), "--host", HOST, "--cluster", CLUSTER)
        chosen = ("--users-port", str(ports[0]), "--agents-port", str(ports[1]))
        self.processes.run((*SERVER, *words, *chosen), self.directory, self._logs / "init")
        self.url = f"https://{HOST}:{ports[0]}"

    def _serve(self, ports: tuple[int, int]) -> bool:
        """Start the server; False when its ports were taken meanwhile."""
        out, err = self._logs / "server.out", self._logs / "server.err"
        words = (*SERVER, "--config", str(self._home / "server.toml"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            server = self.processes.start(words, self.directory, stdout, stderr)
        self.processes.wait_until(lambda: server.returncode is not None or _accepts(out), "start of the server")
        if server.returncode is None:
            return True
        if _TAKEN not in tail(err):  # nobody may be there any more: connections that go out take ports for a moment
            raise DemoError(f"the server ended with {server.returncode}{tail(err)}")
        return False

    def _issue_people(self) -> None:
        people = self.directory / "people"
        people.mkdir()
        lines = [f'current = ["{OWNERS[0]}"]']
        for person in (*OWNERS, ADMIN):
            credential = people / f"{person}.jobmon"
            powers = ("--admin", CLUSTER) if person == ADMIN else ()
            words = ("pki", "issue", "--site", str(self._home), "--person", person, *powers)
            self.command(*words, "--out", str(credential))
            lines += [f"[context.{person}]", f"credential = {json.dumps(str(credential))}"]
        self.config.touch(mode=0o600)
        self.config.write_text("\n".join(lines) + "\n")


def _accepts(stdout: Path) -> bool:
    return stdout.read_bytes().startswith(b"jobmon server:")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
