"""The doctor examines context by context, says ok or bad on every line, and exits with the worst."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from jobmon_pki.site import Site
from jobmon_wire.moments import write_moment

Run = Callable[..., Any]


def serve(fake: Any, ahead: float = 0.0) -> None:
    fake.document("GET /v1/whoami", {"name": "/CN=alice", "role": "owner", "now": write_moment(time.time() + ahead)})
    fake.rows("GET /v1/jobs")


def test_a_sound_context_is_ok_line_by_line(at_fake: Run, fake: Any) -> None:
    serve(fake)

    result = at_fake("doctor")

    assert result.status == 0
    lines = result.text.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    for what in ("configuration", "credential", "certificate", "name", "tcp", "tls", "you", "clock", "jobs"):
        assert any(f" {what}: " in line for line in lines), what


@pytest.mark.parametrize(
    ("ways", "sentence"),
    [
        ([], None),
        ([None], None),
        (["udp", "udp", None], "datagrams: of 3 running jobs, 2 can be rung by datagram"),
        (["udp", "tcp"], "datagrams: of 2 running jobs, 1 can be rung by datagram, 1 hold a connection open"),
    ],
)
def test_it_tells_which_way_agents_are_reached(
    at_fake: Run, fake: Any, ways: list[str | None], sentence: str | None
) -> None:
    serve(fake)
    fake.rows("GET /v1/jobs", *({"id": str(number), "callback": way} for number, way in enumerate(ways)))

    result = at_fake("doctor")

    assert result.status == 0
    assert (sentence in result.text) if sentence else ("datagrams" not in result.text)


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_a_wrong_clock_is_found(at_fake: Run, fake: Any, ahead: float) -> None:
    serve(fake, ahead)

    result = at_fake("doctor")

    assert result.status == 1
    assert ("behind" if ahead > 0 else "ahead of") in result.text


def test_an_expired_certificate_is_found(jobmon: Run, fake: Any, credential_file: Run, console_site: Site) -> None:
    serve(fake)
    past = console_site.issue_person("alice", (), 3600.0, time.time() - 7200)
    path = credential_file(fake.url, "past", certificate=past.certificate, key=past.key)

    result = jobmon("doctor", "--credential", path)

    assert result.status == 7
    assert "expired 1h00m ago" in result.text


def test_every_context_is_examined_also_after_a_bad_one(
    jobmon: Run, fake: Any, dead_url: str, credential_file: Run
) -> None:
    serve(fake)
    for name, url in (("down", dead_url), ("caf", fake.url)):
        jobmon("config", "add", name, credential_file(url, name))

    result = jobmon("doctor", "--context", "down", "--context", "caf")

    assert result.status == 5
    assert "bad  down: tcp:" in result.text
    assert "ok   caf: jobs:" in result.text


def test_an_unusable_credential_is_found(jobmon: Run) -> None:
    result = jobmon("doctor", "--credential", "/nonexistent.jobmon")

    assert result.status == 7
    assert "bad  nonexistent: credential: cannot open" in result.text
