"""The daemon starts with one line or fails with one sentence, reloads on HUP, and drains on TERM.

``python -m jobmon_server`` as a process, as systemd or a person starts it.
"""

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobmon_pki.site import Site
from tests.server.running import (
    LINE,
    PATIENCE,
    RunningServer,
    UnansweredError,
    call,
    client_context,
    new_site,
    person_credential,
    start_server,
    wait_for,
)

SOON = 10.0  # s in which a drained server is gone


@pytest.fixture
def own(tmp_path: Path) -> Site:
    """A site that the test may harm."""
    return new_site(tmp_path / "own")


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobmon_server", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_it_says_one_line_when_it_accepts_connections(own: Site, desk: Path) -> None:
    with start_server(own.config_path) as server:
        status = call(server.users, client_context(person_credential(own, "alice"), own.server_ca_pem(), desk)).status

    assert LINE.fullmatch(server.line)
    assert server.line == (
        f"jobmon server: users https://localhost:{server.users} agents https://localhost:{server.agents} cluster caf\n"
    )
    assert status == 200
    assert [line["text"] for line in server.journal()] == ["accepting connections", "going down"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(own: Site, number: int) -> None:
    with start_server(own.config_path) as server:
        begun = time.monotonic()
        server.stop(number)

    assert server.process.returncode == 0
    assert time.monotonic() - begun < SOON
    assert "traceback" not in server.errors.lower()


def test_a_watcher_comes_to_its_end_when_the_server_goes_down(own: Site, desk: Path) -> None:
    context = client_context(person_credential(own, "alice"), own.server_ca_pem(), desk)
    context.check_hostname = False
    with start_server(own.config_path) as server:
        connection = http.client.HTTPSConnection("127.0.0.1", server.users, timeout=PATIENCE, context=context)
        connection.request("GET", "/v1/jobs/watch")
        response = connection.getresponse()
        threading.Timer(0.1, server.process.terminate).start()
        begun = time.monotonic()
        heard = response.read()  # to the last chunk: a stream that is cut would raise
        connection.close()
        server.stop()

    assert b'"live"' in heard
    assert time.monotonic() - begun < SOON
    assert server.process.returncode == 0


def test_a_client_that_takes_nothing_does_not_hold_it_up(own: Site, desk: Path) -> None:
    context = client_context(person_credential(own, "alice"), own.server_ca_pem(), desk)
    with (
        start_server(own.config_path) as server,
        socket.create_connection(("127.0.0.1", server.users)) as silent,
        socket.create_connection(("127.0.0.1", server.users)) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as half,
    ):
        half.sendall(b"POST /v1/credentials HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        begun = time.monotonic()
        server.stop()
        assert silent.fileno() >= 0

    assert server.process.returncode == 0
    assert "traceback" not in server.errors
    assert time.monotonic() - begun < SOON


def test_hup_takes_a_new_certificate_without_a_gap(own: Site, desk: Path) -> None:
    context = client_context(person_credential(own, "alice"), own.server_ca_pem(), desk)

    def serial() -> str:
        with (
            socket.create_connection(("127.0.0.1", server.users)) as sock,
            context.wrap_socket(sock, server_hostname="localhost") as end,
        ):
            certificate = end.getpeercert()
            assert certificate is not None
            return str(certificate["serialNumber"])

    with start_server(own.config_path) as server:
        before = serial()
        own.renew_server(time.time())
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: serial() != before)

    assert "reloaded certificate and configuration" in server.errors


def test_a_reload_with_a_mistake_changes_nothing_and_is_told(own: Site, desk: Path) -> None:
    context = client_context(person_credential(own, "alice"), own.server_ca_pem(), desk)
    with start_server(own.config_path) as server:
        own.config_path.write_text("ping = 'often'")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "nothing was reloaded" in server.errors)
        status = call(server.users, context).status

    assert status == 200
    assert "ping is 'often'" in server.errors


class Manager:
    """The service manager's end of sd_notify."""

    def __init__(self, path: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(path)
        self._sock.settimeout(PATIENCE)

    def next(self) -> str:
        return self._sock.recv(4096).decode()

    def close(self) -> None:
        self._sock.close()


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_service_manager_hears_of_every_change(own: Site, tmp_path: Path, is_abstract: bool) -> None:
    name = f"jobmon-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    manager = Manager("\0" + name if is_abstract else name)
    try:
        with start_server(
            own.config_path, {**os.environ, "NOTIFY_SOCKET": ("@" if is_abstract else "") + name}
        ) as server:
            ready = manager.next()
            server.process.send_signal(signal.SIGHUP)
            reloading, again = manager.next(), manager.next()
            server.stop()
            stopping = manager.next()
    finally:
        manager.close()

    assert (ready, again, stopping) == ("READY=1", "READY=1", "STOPPING=1")
    assert re.fullmatch("RELOADING=1\nMONOTONIC_USEC=[0-9]+", reloading)


def test_check_says_what_it_found_and_changes_nothing(own: Site) -> None:
    files = sorted(path.name for path in own.directory.rglob("*"))

    done = _run("--config", own.config_path, "--check")

    assert (done.returncode, done.stderr) == (0, "")
    for word in ("configuration", "site", "server.pem is valid until", "ledger", "store", "is free"):
        assert word in done.stdout
    assert sorted(path.name for path in own.directory.rglob("*") if "sqlite-" not in path.name) == files


def _no_configuration(site: Site) -> str:
    site.config_path.unlink()
    return "No such file"


def _bad_toml(site: Site) -> str:
    site.config_path.write_text("users = \n")
    return "is not TOML"


def _unknown_key(site: Site) -> str:
    site.config_path.write_text("prot = 1\n")
    return "unknown key 'prot'"


def _no_site(site: Site) -> str:
    (site.directory / "site.toml").unlink()
    return "is no site"


def _no_key(site: Site) -> str:
    site.server_key.unlink()
    return "server.key"


def _wrong_key(site: Site) -> str:
    site.server_key.write_bytes(site.job_ca_key.read_bytes())
    return "no certificate with its key"


def _garbled_anchor(site: Site) -> str:
    site.people_ca.write_text("nonsense")
    return "people-ca.pem"


def _corrupt_store(site: Site) -> str:
    site.store_path.write_bytes(b"not a database" * 1000)
    return "store.sqlite"


def _corrupt_ledger(site: Site) -> str:
    for path in site.directory.glob("ledger.sqlite*"):
        path.unlink()
    site.ledger_path.write_bytes(b"not a database" * 1000)
    return "ledger.sqlite"


def _no_such_address(site: Site) -> str:
    site.config_path.write_text('users = "192.0.2.1:1"\n')
    return "192.0.2.1:1"


HARMS = [
    _no_configuration,
    _bad_toml,
    _unknown_key,
    _no_site,
    _no_key,
    _wrong_key,
    _garbled_anchor,
    _corrupt_store,
    _corrupt_ledger,
    _no_such_address,
]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("arguments", [[], ["--check"]], ids=["start", "check"])
def test_what_keeps_it_from_starting_is_one_sentence(
    own: Site, harm: Callable[[Site], str], arguments: list[str]
) -> None:
    words = harm(own)

    done = _run("--config", own.config_path, *arguments)

    assert done.returncode == 1
    assert done.stderr.startswith("jobmon: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert "; " in done.stderr
    assert "jobmon server: users" not in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--check"]], ids=["start", "check"])
def test_a_port_in_use_is_told(own: Site, arguments: list[str]) -> None:
    with start_server(own.config_path) as server:
        done = _run("--config", own.config_path, *arguments)

    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.users}: Address already in use" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_expired_certificate_is_told_by_check(own: Site) -> None:
    certificate = own.server_certificate.read_bytes()
    own.renew_server(time.time() - 200 * 86400)
    assert own.server_certificate.read_bytes() != certificate

    done = _run("--config", own.config_path, "--check")

    assert done.returncode == 1
    assert "server.pem expired on" in done.stderr


def test_after_a_kill_it_starts_again_at_once(own: Site, desk: Path) -> None:
    context = client_context(person_credential(own, "alice"), own.server_ca_pem(), desk)
    with start_server(own.config_path) as server:
        assert call(server.users, context).status == 200
        server.process.kill()
        server.stop()
    with start_server(own.config_path) as again:
        status = call(again.users, context).status

    assert (again.users, status) == (server.users, 200)


def test_a_drained_server_accepts_nobody(own: Site, desk: Path) -> None:
    context = client_context(person_credential(own, "alice"), own.server_ca_pem(), desk)
    with start_server(own.config_path) as server:
        server.stop()

        with pytest.raises((ConnectionRefusedError, UnansweredError, ssl.SSLError)):
            call(server.users, context)


def test_any_free_port_is_taken_for_port_0(own: Site) -> None:
    own.config_path.write_text('users = "127.0.0.1:0"\nagents = "127.0.0.1:0"\n')

    with start_server(own.config_path) as server:
        assert isinstance(server, RunningServer)
        assert server.users != server.agents
        assert 0 not in (server.users, server.agents)
