"""A million datagrams that are not genuine: none is answered, and nothing comes of them."""

import resource

import pytest

from jobmon_server import sources
from tests.security.test_datagrams import Server, throw_noise

NOISE = 1_000_000  # datagrams
GROWTH = 16 * 1024  # KiB


async def test_a_million_datagrams_from_strangers_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RATE", NOISE)  # all are looked at
    server = Server()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    throw_noise(server, NOISE)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH
    server.beats.shut()
    server.stranger.close()
