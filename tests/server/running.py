"""A real server for tests: its site, its process, and callers with real credentials.

``Site`` makes certificates of all kinds, good ones here and bad ones in
``tests/security``; ``RunningServer`` is ``python -m jobmon_server`` on free
ports; ``call`` is one request over a new TLS connection.
"""

import contextlib
import http.client
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jobmon_pki.credential_files import write_credential
from jobmon_pki.names import display
from jobmon_pki.site import Site
from jobmon_wire.credential import Credential
from tests.ports import free_ports

PATIENCE = 60.0  # s until a server that says nothing counts as failed
LINE = re.compile(r"jobmon server: users https://\S+:(\d+) agents https://\S+:(\d+) cluster \S+\n")


class Answer(NamedTuple):
    """What came back for one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of a refusal; empty for an answer that is none."""
        try:
            return str(json.loads(self.body)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return ""


class UnansweredError(Exception):
    """TLS or TCP ended before an answer came."""


def new_site(directory: Path) -> Site:
    """A site called by ``localhost``, whose ports are any free ones."""
    from jobmon_server.site_setup import Wish, set_up

    users, agents = free_ports(2)
    return set_up(Wish(directory, ["localhost", "127.0.0.1"], "caf", "/DC=org/DC=example", users, agents), time.time())


def job_credential(site: Site, owner: str, job_id: str, lifetime: float | None = None) -> Credential:
    """A job's credential."""
    return site.issue_job_credentials(owner, [job_id], lifetime, time.time())[0]


def person_credential(site: Site, person: str, *clusters: str, lifetime: float | None = None) -> Credential:
    """A person's credential, an administrator's with clusters."""
    return site.issue_person(person, clusters, lifetime, time.time())


def person_text(site: Site, person: str) -> str:
    """A person's name as it is shown."""
    return display(site.person_name(person))


def client_context(credential: Credential | None, server_ca: str, directory: Path) -> ssl.SSLContext:
    """What a well-behaved client uses."""
    context = ssl.create_default_context(cadata=server_ca)
    if credential is not None:
        path = directory / f"{len(list(directory.iterdir()))}.jobmon"
        write_credential(path, credential)
        context.load_cert_chain(path)
    return context


def call(
    port: int,
    context: ssl.SSLContext,
    path: str = "/v1/whoami",
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request over a connection of its own.

    Raises:
        UnansweredError: the connection ended without an answer.
    """
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=_by_name(context))
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    except (ssl.SSLError, ConnectionError, http.client.HTTPException) as error:
        raise UnansweredError(str(error)) from error
    finally:
        connection.close()


def _by_name(context: ssl.SSLContext) -> ssl.SSLContext:
    context.check_hostname = False  # the address is called here; tests of names say so themselves
    return context


class RunningServer:
    """One server process; ``start_server`` makes it and ends it."""

    def __init__(self, config: Path, environ: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jobmon_server", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            text=True,
        )
        self.errors = ""  # what it has written to stderr, when it has ended
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self.line = self._first_line()
        found = LINE.fullmatch(self.line)
        assert found, f"not the line that says that it accepts connections: {self.line!r}; {self.stop()}"
        self.users, self.agents = int(found.group(1)), int(found.group(2))

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End it; give everything that it wrote to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(PATIENCE)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return self.errors

    def journal(self) -> list[dict[str, Any]]:
        """The lines of its journal so far."""
        return [json.loads(line) for line in self.errors.splitlines() if line.startswith("{")]

    def _first_line(self) -> str:
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline()
        finally:
            timer.cancel()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors += line


@contextlib.contextmanager
def start_server(config: Path, environ: dict[str, str] | None = None) -> Iterator[RunningServer]:
    """A server that has said that it accepts connections."""
    server = RunningServer(config, environ)
    try:
        yield server
    finally:
        server.stop()


def wait_for(what: Any, patience: float = PATIENCE) -> Any:
    """Ask until the answer is true; give it."""
    deadline = time.monotonic() + patience
    while not (found := what()):
        assert time.monotonic() < deadline, f"{what} was not true within {patience} s"
        time.sleep(0.02)
    return found
