"""Fixtures that every part's tests use."""

import signal

import pytest


def pytest_configure() -> None:
    """Started in the background by a shell, the tests inherit an ignored Ctrl-C; what they start must not."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    """The server runs on asyncio's loops; so do the tests."""
    return "asyncio"
