"""Fixtures that every part's tests use."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The server runs on asyncio's loops; so do the tests."""
    return "asyncio"
