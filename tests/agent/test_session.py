"""An agent talks only to the server its credential names, and never gives up too early or knocks too often."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent.session import Retries
from jobmon_pki.names import parse
from jobmon_pki.site import Site
from jobmon_wire.credential import open_credential


def other_site(tmp_path: Path, host: str) -> Site:
    here = "https://127.0.0.1:9"
    return Site.create(tmp_path / "other", [host], "other", parse("/DC=org/DC=example"), here, here, time.time())


@pytest.mark.parametrize("fault", ["another authority", "another name", "none"])
def test_a_server_that_is_not_the_credentials_learns_nothing(
    launcher: Any, server: Any, until: Any, tmp_path: Path, old_or_new: Path, fault: str
) -> None:
    if fault == "another authority":  # a genuine server of another site, at our server's address
        other = other_site(tmp_path, "127.0.0.1")
        server.context.load_cert_chain(other.server_certificate, other.server_key)
    elif fault == "another name":  # our server, called by a name its certificate does not carry
        text = launcher.credential.read_text()
        launcher.credential.write_text(text.replace("https://127.0.0.1:", "https://127.0.0.2:"))
        server.stop()
        server.address = "127.0.0.2"
        server.start()
    launcher.start(launcher.line(old_or_new, "sleep", "30"))

    if fault == "none":
        until(lambda: server.registrations)
        return

    until(lambda: server.departed >= 2)  # it came twice
    assert not server.registrations


def test_a_refused_certificate_is_no_registration(launcher: Any, server: Any, until: Any) -> None:
    server.refusals.append((401, ""))
    job = launcher.start(launcher.line(None, "sleep", "1"))

    until(lambda: not server.refusals)

    assert job.wait() == 0  # and at its end the agent tries again
    until(lambda: server.ends)


def test_an_agent_that_is_asked_to_wait_comes_back_then(launcher: Any, server: Any, until: Any) -> None:
    server.refusals.append((503, "Retry-After: 1\r\n"))
    start = time.monotonic()
    launcher.start(launcher.line(None, "sleep", "30"))

    until(lambda: server.channels)

    assert time.monotonic() - start > 1.0


def test_retries_come_later_and_later_but_soon_enough_after_a_restart() -> None:
    retries = Retries()

    early = [retries.delay(now) for now in (0.0, 1.0, 3.0, 7.0, 15.0, 23.0)]
    late = retries.delay(700.0)

    assert 0.5 <= early[0] <= 1.5
    assert all(delay <= 8.0 for delay in early)
    assert 20.0 <= late <= 60.0
    retries.reset()
    assert retries.delay(701.0) <= 1.5


def test_a_server_that_says_no_is_not_asked_every_second() -> None:
    assert Retries().delay(0.0, is_slow=True) >= 20.0
    assert 5.0 <= Retries().delay(0.0, asked=5.0) <= 6.5


def test_the_credential_may_go_after_the_start(launcher: Any, server: Any, until: Any) -> None:
    job = launcher.start(launcher.line(None, "sh", "-c", f"rm {launcher.credential}; sleep 0.5; exit 2"))

    until(lambda: server.ends)

    assert job.wait() == 2
    with pytest.raises(Exception, match="cannot open"):
        os.close(open_credential(str(launcher.credential))[0])


def test_an_agent_does_not_stay_where_the_node_is_cleared_up(launcher: Any, server: Any, until: Any) -> None:
    server.stop()
    job = launcher.start(launcher.line(None, "sleep", "0.1"))
    job.wait()

    launcher.directory.joinpath(*[path.name for path in launcher.directory.glob(".jobmon*")]).unlink()
    launcher.directory.rmdir()

    until(lambda: not launcher.processes())
