"""Fixtures that every part's tests use."""

import signal

import pytest
from hypothesis import HealthCheck, settings

# How fast something is, benchmarks measure; a machine that is busy for a moment breaks no promise.
settings.register_profile("promises", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("promises")

OWN = {signal.SIGPIPE, signal.SIGXFSZ}  # ignored by Python itself, and restored for what it starts


def pytest_configure() -> None:
    """Started in the background, or by nohup, the tests inherit ignored signals; what they start must not."""
    for number in signal.valid_signals() - OWN:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture
def anyio_backend() -> str:
    """The server runs on asyncio's loops; so do the tests."""
    return "asyncio"
